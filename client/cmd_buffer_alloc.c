/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl buffer alloc, buffer renew, buffer free: a DMA buffer's life. */
#include <inttypes.h>
#include <string.h>

#include "cmd_buffer.h"
#include "output.h"
#include "reservation.h"
#include "size.h"
#include "text.h"

/* "seconds", where --for says: null is for ever. */
static void put_seconds(struct json_writer *writer, const struct options *options)
{
    if (!options_have(options, OPTION_LIFETIME))
        return;
    if (options->for_seconds > 0)
        json_put_count(writer, "seconds", options->for_seconds);
    else
        json_put_string(writer, "seconds", NULL);
}

static void put_text(struct json_writer *writer, const char *key, const char *text)
{
    if (text)
        json_put_string(writer, key, text);
}

static void put_wish(struct buffer *body, const struct call *call, uint64_t size)
{
    const struct options *options = call->options;
    struct json_writer writer = json_writer(body);

    json_begin_object(&writer, NULL);
    json_put_string(&writer, "device", call->operands[0]);
    json_put_hex(&writer, "size", size);
    put_text(&writer, "kind", options->buffer_kind);
    if (options_have(options, OPTION_BITS))
        json_put_count(&writer, "address_bits", options->bits);
    if (options_have(options, OPTION_ALIGNMENT))
        json_put_hex(&writer, "alignment", options->alignment);
    if (options_have(options, OPTION_BOUNDARY))
        json_put_hex(&writer, "boundary", options->boundary);
    put_text(&writer, "direction", options->direction);
    if (options_have(options, OPTION_OBJECTS))
        json_put_hex(&writer, "count", options->count);
    put_text(&writer, "note", options->note);
    put_seconds(&writer, options);
    put_text(&writer, "reservation", options->reservation);
    json_end_object(&writer);
}

int cmd_buffer_alloc(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer body = {0};
    json_auto_t *answer = NULL;
    struct error error;
    uint64_t size;
    int r;

    if (*call->operands[0] == '\0')
        return failure_set(
                failure, EXIT_CODE_USAGE, "a device has a name; devregctl list devices shows them");
    if (size_parse(call->operands[1], &size, &error) < 0)
        return failure_set_error(failure, EXIT_CODE_USAGE, &error);
    if (size == 0)
        return failure_set(failure, EXIT_CODE_USAGE, "a buffer has at least one octet");
    put_wish(&body, call, size);
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = connection_send_json(&call->connection, "POST", "/v1/buffers", &body, &answer, failure);
    return buffer_judge_answer(call, r, answer, ret_result, failure);
}

/* Two words, for a script's `read -r id bus`. */
void cmd_buffer_alloc_write(FILE *stream, const struct call *call, const json_t *result)
{
    (void)call;
    text_write_safe(stream, member_text(result, "id", "?"));
    fputc(' ', stream);
    text_write_safe(stream, member_text(result, "bus_address", "?"));
    fputc('\n', stream);
}

int cmd_buffer_renew(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    _cleanup_buffer_ struct buffer body = {0};
    struct json_writer writer = json_writer(&body);
    json_auto_t *answer = NULL;
    int r;

    if (buffer_begin_path(&path, call->operands[0], failure) < 0 || !path_finish(&path, failure))
        return -1;
    json_begin_object(&writer, NULL);
    put_seconds(&writer, call->options);
    json_end_object(&writer);
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = connection_send_json(&call->connection, "PUT", path.data, &body, &answer, failure);
    return buffer_judge_answer(call, r, answer, ret_result, failure);
}

/* "ID 2026-12-01T09:30:00Z", or "ID never". */
void cmd_buffer_renew_write(FILE *stream, const struct call *call, const json_t *result)
{
    const json_t *left = json_object_get(result, "expires_in");
    char moment[MOMENT_TEXT];

    (void)call;
    text_write_safe(stream, member_text(result, "id", "?"));
    fprintf(stream, " %s\n",
            json_is_integer(left) ? moment_format((uint64_t)json_integer_value(left), moment) : "never");
}

static int free_one(struct call *call, const char *id, json_t *freed, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    int r;

    if (buffer_begin_path(&path, id, failure) < 0 || !path_finish(&path, failure))
        return -1;
    r = connection_delete(&call->connection, path.data, &answer, failure);
    if (r == 0)
        json_array_append(freed, answer);
    return r;
}

/* One that can't be freed keeps none of the others. Each failure is told, the first is the result. */
int cmd_buffer_free(struct call *call, json_t **ret_result, struct failure *failure)
{
    json_auto_t *freed = json_array();
    int result = 0;
    int r;

    r = call_connect(call, failure);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < call->operand_count; i++) {
        _cleanup_failure_ struct failure one = {0};

        if (free_one(call, call->operands[i], freed, &one) == 0)
            continue;
        failure_report(&one, options_have(call->options, OPTION_JSON));
        if (result == 0)
            failure_move(failure, &one);
        result = -1;
    }
    if (json_array_size(freed) > 0)
        *ret_result = json_pack("{s:O}", "buffers", freed);
    return result;
}
