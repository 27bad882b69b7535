/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl audit: who did what, a line each. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "duration.h"
#include "output.h"
#include "request.h"

/* A time before now ("2h"), or a date and time (RFC 3339), which only the daemon can judge. */
static int append_time(struct buffer *path, const char *name, const char *text, struct failure *failure)
{
    struct error error;
    uint64_t seconds;

    if (!text)
        return 0;
    if (isdigit((unsigned char)*text) && strchr(text, '-')) {
        path_append_text(path, name, text);
        return 0;
    }
    if (duration_parse(text, &seconds, &error) < 0)
        return failure_set(failure, EXIT_CODE_USAGE, "--%s: %s; or a date and time, as 2026-12-01T09:30:00Z",
                name, error.message);
    path_append_parameter(path, "%s=%" PRIu64, name, seconds);
    return 0;
}

int cmd_audit(struct call *call, json_t **ret_result, struct failure *failure)
{
    const struct options *options = call->options;
    _cleanup_buffer_ struct buffer path = {0};
    int r;

    buffer_append_string(&path, "/v1/audit");
    r = append_time(&path, "since", options->since, failure);
    if (r == 0)
        r = append_time(&path, "until", options->until, failure);
    if (r < 0)
        return r;
    path_append_text(&path, "principal", options->principal);
    path_append_text(&path, "region", options->region);
    path_append_text(&path, "action", options->action);
    path_append_text(&path, "result", options->result);
    if (options->limit)
        path_append_parameter(&path, "limit=%" PRIu64, options->limit);
    if (!path_finish(&path, failure))
        return -1;
    return connect_and_get_list(call, path.data, "records", ret_result, failure);
}

/* Appends BEFORE and the member, when it is there; journals have numbers as text, too. */
static bool append_member(struct buffer *buffer, const char *before, const json_t *record, const char *name)
{
    const json_t *value = json_object_get(record, name);

    if (!value || json_is_null(value))
        return false;
    buffer_append_string(buffer, before);
    words_append(buffer, value, ",");
    return true;
}

/* What it was done to: "edu:0x4", "edu:0x4 x8", "edu" or a token's name. */
static void append_subject(struct buffer *buffer, const json_t *record)
{
    bool any = append_member(buffer, "", record, "region");
    const char *count = member_text(record, "count", "1");

    if (any)
        append_member(buffer, ":", record, "offset");
    if (any && (json_integer_value(json_object_get(record, "count")) > 1 || strcmp(count, "1") != 0))
        append_member(buffer, " x", record, "count");
    if (append_member(buffer, any ? " " : "", record, "subject") || any)
        return;
    buffer_append_char(buffer, '-');
}

/* "0x0 -> 0x1", "0x1 mask 0x3", "0x5" of a reading. */
static void append_values(struct buffer *buffer, const json_t *record)
{
    bool old_value = append_member(buffer, "", record, "old");
    bool any = append_member(buffer, old_value ? " -> " : "", record, "new") || old_value;

    if (any)
        append_member(buffer, " mask ", record, "mask");
    else
        buffer_append_char(buffer, '-');
    if (json_is_true(json_object_get(record, "forced")))
        buffer_append_string(buffer, " by force");
}

/* "refused 403: the reason". */
static void append_result(struct buffer *buffer, const json_t *record)
{
    if (!append_member(buffer, "", record, "result"))
        buffer_append_char(buffer, '?');
    if (strcmp(member_text(record, "result", ""), "ok") != 0)
        append_member(buffer, " ", record, "status");
    append_member(buffer, ": ", record, "reason");
}

static void add_record(struct table *table, const json_t *record)
{
    _cleanup_buffer_ struct buffer subject = {0};
    _cleanup_buffer_ struct buffer values = {0};
    _cleanup_buffer_ struct buffer result = {0};

    append_subject(&subject, record);
    buffer_append_char(&subject, '\0');
    append_values(&values, record);
    buffer_append_char(&values, '\0');
    append_result(&result, record);
    buffer_append_char(&result, '\0');
    table_add_row(table, (const char *const[]){member_text(record, "time", "-"),
                                 member_text(record, "principal", "-"), member_text(record, "action", "-"),
                                 buffer_text(&subject), buffer_text(&values), buffer_text(&result)});
}

void cmd_audit_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const titles[] = {"TIME", "PRINCIPAL", "ACTION", "ON", "VALUE", "RESULT"};
    _cleanup_table_ struct table table = {.columns = ELEMENTS(titles)};
    const json_t *record;
    size_t i;

    (void)call;
    table_add_row(&table, titles);
    json_array_foreach (json_object_get(result, "records"), i, record) {
        add_record(&table, record);
    }
    table_write(stream, &table);
}
