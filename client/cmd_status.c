/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl status: what the daemon says of itself. Warnings come first: they are why one should look. */
#include "duration.h"
#include "output.h"
#include "request.h"
#include "text.h"
#include "values.h"

int cmd_status(struct call *call, json_t **ret_result, struct failure *failure)
{
    int r = call_connect(call, failure);

    if (r < 0)
        return r;
    return connection_get(&call->connection, "/v1/status", ret_result, failure);
}

static void write_uptime(FILE *stream, const json_t *status)
{
    json_int_t seconds = json_integer_value(json_object_get(status, "uptime_seconds"));
    char text[DURATION_TEXT];

    fact_write(stream, 0, "uptime", duration_format(seconds > 0 ? (uint64_t)seconds : 0, text));
}

static void write_warnings(FILE *stream, const json_t *warnings)
{
    const json_t *warning;
    size_t i;

    json_array_foreach ((json_t *)warnings, i, warning) {
        if (json_is_string(warning))
            fact_write(stream, 0, "warning", json_string_value(warning));
    }
}

static void write_backends(FILE *stream, const json_t *backends)
{
    static const char *const titles[] = {"BACKEND", "USABLE", "SUMMARY"};
    _cleanup_table_ struct table table = {.columns = 3, .cut = true};
    const json_t *backend;
    size_t i;

    table_add_row(&table, titles);
    json_array_foreach ((json_t *)backends, i, backend) {
        bool usable = json_is_true(json_object_get(backend, "usable"));
        const char *what = member_text(backend, "summary", "");

        if (!usable)
            what = member_text(backend, "reason", what);
        table_add_row(&table,
                (const char *const[]){member_text(backend, "name", "?"), usable ? "yes" : "no", what});
    }
    fputc('\n', stream);
    table_write(stream, &table);
}

void cmd_status_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const written[] = {"uptime_seconds", "warnings", "backends", NULL};
    const json_t *backends = json_object_get(result, "backends");

    write_warnings(stream, json_object_get(result, "warnings"));
    fact_write(stream, 0, "daemon", call->connection.host.text);
    write_uptime(stream, result);
    facts_write(stream, result, 0, written);
    if (json_array_size(backends) > 0)
        write_backends(stream, backends);
}
