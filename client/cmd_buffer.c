/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl buffer list, buffer show: what DMA buffers there are. */
#include "cmd_buffer.h"

#include <inttypes.h>
#include <string.h>

#include "duration.h"
#include "output.h"
#include "size.h"
#include "text.h"

enum {
    SEGMENTS_AT_ONCE = 4096,
    SEGMENTS_MOST = 1 << 24, /* 64 GiB in pages */
};

int buffer_begin_path(struct buffer *path, const char *id, struct failure *failure)
{
    if (*id == '\0')
        return failure_set(
                failure, EXIT_CODE_USAGE, "a buffer has an id; devregctl buffer list shows those there are");
    buffer_append_string(path, "/v1/buffers/");
    path_append_segment(path, id);
    return 0;
}

void buffer_put_range(struct json_writer *writer, const struct options *options)
{
    if (options_have(options, OPTION_OFFSET))
        json_put_hex(writer, "offset", options->offset);
    if (options_have(options, OPTION_LENGTH))
        json_put_hex(writer, "length", options->length);
}

int buffer_judge_range(const struct options *options, struct failure *failure)
{
    uint64_t last;

    if (options_have(options, OPTION_LENGTH) &&
            __builtin_add_overflow(options->offset, options->length - 1, &last))
        return failure_set(failure, EXIT_CODE_USAGE,
                "--length: %" PRIu64 " octets from 0x%" PRIx64 " on do not fit 64 bits", options->length,
                options->offset);
    return 0;
}

int buffer_judge_answer(
        const struct call *call, int r, json_t *answer, json_t **ret_buffer, struct failure *failure)
{
    if (r == 0 && (!*member_text(answer, "id", "") || !*member_text(answer, "bus_address", "")))
        r = fail_unexpected(call, "no buffer", failure);
    if (r == 0)
        *ret_buffer = json_incref(answer);
    return r;
}

json_t *buffer_transfer_result(
        const char *id, uint64_t offset, uint64_t length, const char *file, struct failure *failure)
{
    char text[32];
    json_t *result;

    snprintf(text, sizeof(text), "0x%" PRIx64, offset);
    result = json_pack(
            "{s:s, s:s, s:I, s:s*}", "id", id, "offset", text, "length", (json_int_t)length, "file", file);
    if (!result)
        failure_set(failure, EXIT_CODE_OTHER, "out of memory");
    return result;
}

/* --- list --- */

int cmd_buffer_list(struct call *call, json_t **ret_result, struct failure *failure)
{
    return connect_and_get_list(call, "/v1/buffers", "buffers", ret_result, failure);
}

static uint64_t member_number(const json_t *object, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(object, name));

    return number > 0 ? (uint64_t)number : 0;
}

/* "-" for what is not there, or empty. */
static const char *cell_text(const json_t *object, const char *name)
{
    const char *text = member_text(object, name, "");

    return *text ? text : "-";
}

static const char *left_format(const json_t *buffer, char text[DURATION_TEXT])
{
    if (!json_is_integer(json_object_get(buffer, "expires_in")))
        return "-";
    return duration_format(member_number(buffer, "expires_in"), text);
}

static void add_buffer(struct table *table, const json_t *buffer)
{
    char size[SIZE_TEXT], left[DURATION_TEXT], sizes[SIZE_TEXT + 32];
    uint64_t count = member_number(buffer, "count");

    size_format(member_number(buffer, "size"), size);
    if (strcmp(member_text(buffer, "kind", ""), "pool") == 0)
        snprintf(sizes, sizeof(sizes), "%" PRIu64 " x %s", count, size);
    else
        snprintf(sizes, sizeof(sizes), "%s", size);
    table_add_row(table,
            (const char *const[]){member_text(buffer, "id", "?"), member_text(buffer, "device", "?"),
                    member_text(buffer, "kind", "?"), sizes, member_text(buffer, "bus_address", "?"),
                    member_text(buffer, "state", "?"), member_text(buffer, "owner", "?"),
                    left_format(buffer, left), cell_text(buffer, "reservation"), cell_text(buffer, "note")});
}

void cmd_buffer_list_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const titles[] = {"BUFFER", "DEVICE", "KIND", "SIZE", "BUS ADDRESS", "STATE", "OWNER",
            "LEFT", "RESERVATION", "NOTE"};
    _cleanup_table_ struct table table = {.columns = ELEMENTS(titles), .cut = true};
    const json_t *buffer;
    size_t i;

    (void)call;
    table_add_row(&table, titles);
    json_array_foreach (json_object_get(result, "buffers"), i, buffer) {
        add_buffer(&table, buffer);
    }
    table_write(stream, &table);
}

/* --- show --- */

static int get_buffer(struct call *call, json_t **ret_buffer, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    int r;

    if (buffer_begin_path(&path, call->operands[0], failure) < 0 || !path_finish(&path, failure))
        return -1;
    r = connection_get(&call->connection, path.data, &answer, failure);
    return buffer_judge_answer(call, r, answer, ret_buffer, failure);
}

/* Those from the ones in `segments` on; *ret_total is how many there are. */
static int get_segments(struct call *call, json_t *segments, uint64_t *ret_total, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    const json_t *list;
    int r;

    r = buffer_begin_path(&path, call->operands[0], failure);
    if (r < 0)
        return r;
    buffer_append_string(&path, "/segments");
    path_append_parameter(&path, "first=%zu", json_array_size(segments));
    path_append_parameter(&path, "count=%d", SEGMENTS_AT_ONCE);
    if (!path_finish(&path, failure))
        return -1;
    r = connection_get(&call->connection, path.data, &answer, failure);
    if (r < 0)
        return r;
    list = get_list(call, answer, "segments", failure);
    if (!list)
        return -1;
    *ret_total = member_number(answer, "total");
    if (json_array_size(list) == 0 || *ret_total > SEGMENTS_MOST)
        return fail_unexpected(call, "not the segments that were asked for", failure);
    return json_array_extend(segments, (json_t *)list) < 0
                   ? failure_set(failure, EXIT_CODE_OTHER, "out of memory")
                   : 0;
}

int cmd_buffer_show(struct call *call, json_t **ret_result, struct failure *failure)
{
    json_auto_t *buffer = NULL;
    json_auto_t *segments = json_array();
    uint64_t total = 1;
    int r;

    if (call_connect(call, failure) < 0 || get_buffer(call, &buffer, failure) < 0)
        return -1;
    /* A buffer whose device is gone has none any more. */
    if (strcmp(member_text(buffer, "state", ""), "live") != 0)
        total = 0;
    while (json_array_size(segments) < total) {
        r = get_segments(call, segments, &total, failure);
        if (r < 0)
            return r;
    }
    *ret_result = json_pack("{s:O, s:O}", "buffer", buffer, "segments", segments);
    return *ret_result ? 0 : failure_set(failure, EXIT_CODE_OTHER, "out of memory");
}

static void write_segments(FILE *stream, const json_t *segments)
{
    static const char *const titles[] = {"OFFSET", "SIZE", "BUS ADDRESS"};
    _cleanup_table_ struct table table = {.columns = ELEMENTS(titles)};
    const json_t *segment;
    size_t i;

    if (json_array_size(segments) == 0)
        return;
    table_add_row(&table, titles);
    json_array_foreach ((json_t *)segments, i, segment) {
        char offset[32], size[32];

        snprintf(offset, sizeof(offset), "0x%" PRIx64, member_number(segment, "offset"));
        snprintf(size, sizeof(size), "0x%" PRIx64, member_number(segment, "size"));
        table_add_row(&table, (const char *const[]){offset, size, member_text(segment, "bus_address", "?")});
    }
    fputc('\n', stream);
    table_write(stream, &table);
}

static bool is_nothing(const json_t *value)
{
    const char *text = json_string_value(value);

    return json_is_null(value) || (text && *text == '\0');
}

/* What there is to say, without what there is not. */
static void write_buffer(FILE *stream, const json_t *buffer)
{
    static const char *const skip[] = {"id", NULL};
    json_auto_t *facts = json_copy((json_t *)buffer);
    char left[DURATION_TEXT];
    const char *name;
    json_t *value;
    void *next;

    json_object_set_new(facts, "expires_in",
            json_string(json_is_integer(json_object_get(buffer, "expires_in")) ? left_format(buffer, left)
                                                                               : "never"));
    json_object_foreach_safe(facts, next, name, value)
    {
        if (is_nothing(value))
            json_object_del(facts, name);
    }
    facts_write(stream, facts, 2, skip);
}

void cmd_buffer_show_write(FILE *stream, const struct call *call, const json_t *result)
{
    const json_t *buffer = json_object_get(result, "buffer");

    (void)call;
    fact_write(stream, 0, "buffer", member_text(buffer, "id", "?"));
    write_buffer(stream, buffer);
    write_segments(stream, json_object_get(result, "segments"));
}
