/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl interrupts [list|mask|unmask]: the sources of interrupts, a line each, and their masks. */
#include <string.h>

#include "event_text.h"
#include "output.h"
#include "request.h"

int cmd_interrupts(struct call *call, json_t **ret_result, struct failure *failure)
{
    if (call->operand_count > 0 && strcmp(call->operands[0], "list") != 0)
        return failure_set(failure, EXIT_CODE_USAGE,
                "interrupts can list, watch, wait, mask and unmask, but not %s", call->operands[0]);
    return connect_and_get_list(call, "/v1/interrupts", "interrupts", ret_result, failure);
}

/* --- The list --- */

/* "on", "masked by user:root", "absent: the reason". */
static void append_state(struct buffer *buffer, const json_t *source)
{
    const char *absent = member_text(source, "absent", NULL);
    const char *masked_by = member_text(source, "masked_by", NULL);

    buffer_append_string(buffer, member_text(source, "state", "?"));
    if (absent) {
        buffer_append_string(buffer, ": ");
        buffer_append_string(buffer, absent);
    } else if (masked_by) {
        buffer_append_string(buffer, " by ");
        buffer_append_string(buffer, masked_by);
    }
    buffer_append_char(buffer, '\0');
}

/* "3.5/s" */
static void append_rate(struct buffer *buffer, const json_t *source)
{
    const json_t *rate = json_object_get(source, "rate");

    if (json_is_number(rate))
        buffer_append_format(buffer, "%.4g/s", json_number_value(rate));
    else
        buffer_append_char(buffer, '-');
    buffer_append_char(buffer, '\0');
}

static void add_source(struct table *table, const json_t *source)
{
    _cleanup_buffer_ struct buffer count = {0};
    _cleanup_buffer_ struct buffer missed = {0};
    _cleanup_buffer_ struct buffer rate = {0};
    _cleanup_buffer_ struct buffer time = {0};
    _cleanup_buffer_ struct buffer state = {0};
    const json_t *last = json_object_get(source, "last");

    member_words(&count, source, "count");
    member_words(&missed, source, "missed");
    append_rate(&rate, source);
    local_time_append(&time, member_text(last, "time", "-"));
    buffer_append_char(&time, '\0');
    append_state(&state, source);
    table_add_row(table, (const char *const[]){member_text(source, "name", "?"),
                                 member_text(source, "device", "-"), member_text(source, "type", "-"),
                                 buffer_text(&count), buffer_text(&missed), buffer_text(&rate),
                                 buffer_text(&time), member_text(last, "value", "-"), buffer_text(&state)});
}

void cmd_interrupts_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const titles[] = {
            "NAME", "DEVICE", "TYPE", "COUNT", "MISSED", "RATE", "LAST", "VALUE", "STATE"};
    _cleanup_table_ struct table table = {.columns = ELEMENTS(titles), .cut = true};
    const json_t *source;
    size_t i;

    (void)call;
    table_add_row(&table, titles);
    json_array_foreach (json_object_get(result, "interrupts"), i, source) {
        add_source(&table, source);
    }
    table_write(stream, &table);
}

/* --- Masks --- */

static int post(struct call *call, const char *what, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    _cleanup_buffer_ struct buffer body = {0};
    json_auto_t *answer = NULL;
    int r;

    if (*call->operands[0] == '\0')
        return failure_set(failure, EXIT_CODE_USAGE,
                "a source of interrupts has a name; devregctl interrupts lists those there are");
    buffer_append_string(&path, "/v1/interrupts/");
    path_append_segment(&path, call->operands[0]);
    buffer_append_format(&path, "/%s", what);
    if (!path_finish(&path, failure))
        return -1;
    buffer_append_string(&body, "{}");
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = connection_send_json(&call->connection, "POST", path.data, &body, &answer, failure);
    if (r < 0)
        return r;
    if (!member_text(answer, "state", NULL))
        return fail_unexpected(call, "no state in it", failure);
    *ret_result = take_ptr(answer);
    return 0;
}

int cmd_interrupts_mask(struct call *call, json_t **ret_result, struct failure *failure)
{
    return post(call, "mask", ret_result, failure);
}

int cmd_interrupts_unmask(struct call *call, json_t **ret_result, struct failure *failure)
{
    return post(call, "unmask", ret_result, failure);
}
