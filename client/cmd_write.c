/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl write PLACE VALUE...: PUT, or with --mask PATCH. */
#include "output.h"
#include "request.h"
#include "text.h"
#include "util/json_writer.h"
#include "util/number.h"
#include "values.h"

static int parse_value(
        const struct call *call, const char *text, uint64_t *ret_value, struct failure *failure)
{
    struct error error;
    unsigned width = call->options->width;

    if (value_parse(text, ret_value, &error) < 0)
        return failure_set_error(failure, EXIT_CODE_USAGE, &error);
    if (width && !number_fits(*ret_value, width))
        return failure_set(failure, EXIT_CODE_USAGE, "the value %s does not fit %u bits", text, width);
    return 0;
}

static int write_value(struct json_writer *writer, const struct call *call, const char *key,
        const char *text, struct failure *failure)
{
    uint64_t value = 0;
    int r = parse_value(call, text, &value, failure);

    if (r == 0)
        json_put_hex(writer, key, value);
    return r;
}

static int write_body(struct buffer *body, const struct call *call, struct failure *failure)
{
    struct json_writer writer = json_writer(body);
    bool has_mask = options_have(call->options, OPTION_MASK);
    int r = 0;

    json_begin_object(&writer, NULL);
    if (has_mask)
        json_put_hex(&writer, "mask", call->options->mask);
    if (call->operand_count == 2) {
        r = write_value(&writer, call, "value", call->operands[1], failure);
    } else {
        json_begin_array(&writer, "values");
        for (unsigned i = 1; r == 0 && i < call->operand_count; i++)
            r = write_value(&writer, call, NULL, call->operands[i], failure);
        json_end_array(&writer);
    }
    json_end_object(&writer);
    return r;
}

static int judge_mask(const struct call *call, struct failure *failure)
{
    unsigned width = call->options->width;

    if (!options_have(call->options, OPTION_MASK))
        return 0;
    if (call->operand_count > 2)
        return failure_set(failure, EXIT_CODE_USAGE, "--mask changes one register: give one VALUE");
    if (width && !number_fits(call->options->mask, width))
        return failure_set(failure, EXIT_CODE_USAGE, "the mask does not fit %u bits", width);
    return 0;
}

int cmd_write(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_place_ struct place place = {0};
    _cleanup_buffer_ struct buffer body = {0};
    _cleanup_buffer_ struct buffer path = {0};
    bool has_mask = options_have(call->options, OPTION_MASK);
    int r;

    r = parse_single_place(call->operands[0], "write", &place, failure);
    if (r < 0)
        return r;
    r = judge_mask(call, failure);
    if (r < 0)
        return r;
    r = write_body(&body, call, failure);
    if (r < 0)
        return r;
    path_begin_register(&path, &place);
    if (call->options->width)
        path_append_parameter(&path, "width=%u", call->options->width);
    if (!path_finish(&path, failure))
        return -1;
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    return connection_send_json(
            &call->connection, has_mask ? "PATCH" : "PUT", path.data, &body, ret_result, failure);
}

void cmd_write_write(FILE *stream, const struct call *call, const json_t *result)
{
    if (!options_have(call->options, OPTION_MASK))
        return;
    text_write_safe(stream, member_text(result, "before", "?"));
    fputs(" -> ", stream);
    text_write_safe(stream, member_text(result, "value", "?"));
    fputc('\n', stream);
}
