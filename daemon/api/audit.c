/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit's records. The journal is read on a thread of its own; the connection waits meanwhile. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/arguments.h"
#include "api/handlers.h"
#include "util/date.h"
#include "util/json_writer.h"
#include "util/number.h"
#include "util/words.h"

enum { DEFAULT_LIMIT = 100 };

/* Seconds before now, or a date. */
static int take_time(const struct call *call, const char *name, uint64_t *us, struct error *error)
{
    const char *text = arguments_find(call, name);
    uint64_t now_us = date_now_us(), seconds;

    if (!text)
        return 0;
    if (number_parse(text, &seconds) == 0) {
        *us = seconds < now_us / 1000000 ? now_us - seconds * 1000000 : 0;
        return 0;
    }
    if (date_parse(text, us) < 0)
        return error_set(error, -EINVAL,
                "%s='%.64s' is no time: write seconds before now, 3600, or a date, 2026-12-01T00:00:00Z",
                name, text);
    return 0;
}

static int take_text(const struct call *call, const char *name, const char **ret_text, struct error *error)
{
    *ret_text = arguments_find(call, name);
    if (*ret_text && !**ret_text)
        return error_set(error, -EINVAL, "%s is empty: leave it out for all", name);
    return 0;
}

static int take_query(const struct call *call, struct audit_query *query, struct error *error)
{
    uint64_t limit = DEFAULT_LIMIT;
    int r = take_time(call, "since", &query->since_us, error);

    query->until_us = date_now_us();
    if (r >= 0)
        r = take_time(call, "until", &query->until_us, error);
    if (r >= 0)
        r = take_text(call, "principal", &query->principal, error);
    if (r >= 0)
        r = take_text(call, "region", &query->region, error);
    if (r >= 0)
        r = take_text(call, "action", &query->action, error);
    if (r >= 0)
        r = take_text(call, "result", &query->result, error);
    if (r >= 0)
        r = arguments_number(call, "limit", &limit, error);
    if (r < 0)
        return r;
    if (query->since_us > query->until_us)
        return error_set(error, -EINVAL, "since is after until: exchange them");
    if (query->result && !words_have("ok refused failed", query->result))
        return error_set(
                error, -EINVAL, "result='%.32s' is none: it is ok, refused or failed", query->result);
    if (limit < 1 || limit > AUDIT_READ_LIMIT)
        return error_set(error, -EINVAL, "limit=%" PRIu64 " is not from 1 to %d", limit, AUDIT_READ_LIMIT);
    query->limit = (size_t)limit;
    return 0;
}

/* Widths, counts and statuses are numbers, and fixed and forced are true or not there; offsets and values
 * are texts, as everywhere. */
static void write_value(struct json_writer *writer, const char *field, const char *value)
{
    char key[32] = "";
    uint64_t number;

    for (size_t i = 0; field[i] && i + 1 < sizeof(key); i++)
        key[i] = (char)tolower((unsigned char)field[i]);
    if (words_have("width count status", key) && number_parse(value, &number) == 0 &&
            number <= UINT64_C(1) << 53)
        json_put_count(writer, key, number);
    else if (words_have("fixed forced", key))
        json_put_bool(writer, key, strcmp(value, "1") == 0);
    else
        json_put_string(writer, key, value);
}

static void write_record(struct json_writer *writer, const struct audit_found *found)
{
    char date[DATE_SIZE];

    json_begin_object(writer, NULL);
    json_put_string(writer, "time", date_format_us(found->time_us, date));
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        if (found->values[i])
            write_value(writer, audit_field_names[i] + strlen("DEVREG_"), found->values[i]);
    }
    json_end_object(writer);
}

static void finish(const struct audit_result *result, void *context)
{
    struct call *call = context;
    struct json_writer writer = json_writer(&call->reply);

    if (result->error.code < 0) {
        call_fail(call, &result->error);
        return;
    }
    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "records");
    for (size_t i = 0; i < result->count; i++)
        write_record(&writer, &result->found[i]);
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}

/* The call stays while it is not answered, also when its client has gone. */
void audit_list(struct call *call)
{
    struct audit_reader *reader = call->daemon->audit_reader;
    struct audit_query query = {0};
    struct error error;
    int r = take_query(call, &query, &error);

    if (r >= 0 && !reader)
        r = error_set(&error, -ENODATA, "no journal here: audit records went to standard error");
    if (r >= 0)
        r = audit_reader_submit(reader, &query, finish, call, &error);
    if (r < 0)
        call_fail(call, &error);
}
