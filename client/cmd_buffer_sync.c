/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl buffer sync, buffer fill: what is done to a DMA buffer's octets where they are. */
#include <inttypes.h>
#include <string.h>

#include "cmd_buffer.h"
#include "util/number.h"
#include "values.h"

enum { FILL_WIDTH = 8 };

static int post(struct call *call, const char *what, const struct buffer *body, json_t **ret_result,
        struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    int r;

    r = buffer_judge_range(call->options, failure);
    if (r == 0)
        r = buffer_begin_path(&path, call->operands[0], failure);
    if (r < 0)
        return r;
    buffer_append_format(&path, "/%s", what);
    if (!path_finish(&path, failure) || call_connect(call, failure) < 0)
        return -1;
    return connection_send_json(&call->connection, "POST", path.data, body, ret_result, failure);
}

int cmd_buffer_sync(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer body = {0};
    struct json_writer writer = json_writer(&body);
    const char *side = call->operands[1];

    if (strcmp(side, "device") != 0 && strcmp(side, "cpu") != 0)
        return failure_set(failure, EXIT_CODE_USAGE,
                "buffer sync hands octets over to the device or to the cpu, not to %s", side);
    json_begin_object(&writer, NULL);
    json_put_string(&writer, "for", side);
    buffer_put_range(&writer, call->options);
    json_end_object(&writer);
    return post(call, "sync", &body, ret_result, failure);
}

int cmd_buffer_fill(struct call *call, json_t **ret_result, struct failure *failure)
{
    unsigned width = call->options->width ? call->options->width : FILL_WIDTH;
    _cleanup_buffer_ struct buffer body = {0};
    struct json_writer writer = json_writer(&body);
    json_auto_t *answer = NULL;
    struct error error;
    uint64_t value;
    int r;

    if (value_parse(call->operands[1], &value, &error) < 0)
        return failure_set_error(failure, EXIT_CODE_USAGE, &error);
    if (!number_fits(value, width))
        return failure_set(failure, EXIT_CODE_USAGE,
                "the value %s does not fit %u bits; say with --width how wide it is", call->operands[1],
                width);
    json_begin_object(&writer, NULL);
    json_put_value(&writer, "value", value, width);
    json_put_count(&writer, "width", width);
    buffer_put_range(&writer, call->options);
    json_end_object(&writer);
    r = post(call, "fill", &body, &answer, failure);
    if (r < 0)
        return r;
    if (!json_is_integer(json_object_get(answer, "written")))
        return fail_unexpected(call, "it does not say how much was written", failure);
    *ret_result = take_ptr(answer);
    return 0;
}
