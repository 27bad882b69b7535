/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl read PLACE...: one request for each place, in order. */
#include <errno.h>
#include <inttypes.h>

#include "output.h"
#include "request.h"
#include "text.h"
#include "values.h"

/* True when one bare value is what this command line asks for. Only the command line decides, never the
 * answer: scripts must know what they get. */
static bool is_bare(const struct call *call, const struct place *place)
{
    return call->operand_count == 1 && place->span == PLACE_SINGLE &&
           !options_have(call->options, OPTION_COUNT);
}

/* How many registers START-0xEND holds depends on the width, which the region knows. */
static int find_width(struct call *call, const struct place *place, unsigned *width, struct failure *failure)
{
    json_auto_t *region = NULL;
    int r;

    if (*width || place->span != PLACE_UNTIL)
        return 0;
    r = get_named(call, "regions", place->region, &region, failure);
    if (r < 0)
        return r;
    *width = count_from_json(json_object_get(region, "default_width"), 64);
    /* An absent region may have no width, an unknown one has none: the daemon has better words for that. */
    if (*width % 8 != 0 || *width == 0)
        *width = 32;
    return 0;
}

/* Fills *ret_count with how many registers are asked for; 0: a single one, as a bare value. */
static int find_count(const struct call *call, const struct place *place, unsigned width,
        uint64_t *ret_count, struct failure *failure)
{
    bool has_count = options_have(call->options, OPTION_COUNT);

    if (place->span == PLACE_SINGLE) {
        *ret_count = has_count ? call->options->count : 0;
        return 0;
    }
    if (place_count(place, width ? width : 8, ret_count) < 0)
        return failure_set(failure, EXIT_CODE_USAGE, "%s: the range does not fit 64 bits", place->text);
    return 0;
}

static bool is_value(const json_t *value)
{
    uint64_t number;

    return value_from_json(value, &number) == 0;
}

/* Whether the answer has what the text writer relies on. */
static bool is_sound(const json_t *answer, uint64_t count)
{
    const json_t *values = json_object_get(answer, "values");
    const json_t *value;
    size_t i;

    if (count == 0)
        return is_value(json_object_get(answer, "value"));
    if (json_array_size(values) != count || !is_value(json_object_get(answer, "offset")) ||
            count_from_json(json_object_get(answer, "width"), 64) < 8)
        return false;
    json_array_foreach ((json_t *)values, i, value) {
        if (!is_value(value))
            return false;
    }
    return true;
}

static int read_place(struct call *call, const struct place *place, json_t *results, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    unsigned width = call->options->width;
    uint64_t count = 0;
    int r;

    r = find_width(call, place, &width, failure);
    if (r < 0)
        return r;
    r = find_count(call, place, width, &count, failure);
    if (r < 0)
        return r;
    path_begin_register(&path, place);
    if (width)
        path_append_parameter(&path, "width=%u", width);
    if (count)
        path_append_parameter(&path, "count=%" PRIu64, count);
    if (!path_finish(&path, failure))
        return -1;
    r = connection_get(&call->connection, path.data, &answer, failure);
    if (r < 0)
        return r;
    if (!is_sound(answer, count))
        return fail_unexpected(call, "not the values that were asked for", failure);
    return json_array_append(results, answer);
}

/* Every place is judged before the first register is touched. */
static int judge_places(const struct call *call, struct failure *failure)
{
    for (unsigned i = 0; i < call->operand_count; i++) {
        _cleanup_place_ struct place place = {0};
        uint64_t count;
        int r = parse_place(call->operands[i], &place, failure);

        if (r < 0)
            return r;
        if (place.span != PLACE_SINGLE && options_have(call->options, OPTION_COUNT))
            return failure_set(failure, EXIT_CODE_USAGE,
                    "%s already says how many registers: leave --count away", place.text);
        r = find_count(call, &place, call->options->width, &count, failure);
        if (r < 0)
            return r;
    }
    return 0;
}

int cmd_read(struct call *call, json_t **ret_result, struct failure *failure)
{
    json_auto_t *results = json_array();
    int r;

    r = judge_places(call, failure);
    if (r < 0)
        return r;
    r = call_connect(call, failure);
    for (unsigned i = 0; r == 0 && i < call->operand_count; i++) {
        _cleanup_place_ struct place place = {0};

        r = parse_place(call->operands[i], &place, failure);
        if (r == 0)
            r = read_place(call, &place, results, failure);
    }
    /* What was read before a failure may be gone from the device: it is handed out anyway. */
    if (call->operand_count == 1)
        *ret_result = json_incref(json_array_get(results, 0));
    else if (json_array_size(results) > 0)
        *ret_result = json_pack("{s:O}", "results", results);
    return r;
}

static void add_values(struct table *table, const struct place *place, const json_t *answer)
{
    const json_t *values = json_object_get(answer, "values");
    unsigned width = count_from_json(json_object_get(answer, "width"), 64);
    uint64_t offset = 0;
    const json_t *value;
    size_t i;

    value_from_json(json_object_get(answer, "offset"), &offset);
    json_array_foreach ((json_t *)values, i, value) {
        _cleanup_buffer_ struct buffer label = {0};

        buffer_append_format(&label, "%s:0x%" PRIx64, place->region, offset + i * (width / 8));
        buffer_append_char(&label, '\0');
        table_add_row(table, (const char *const[]){buffer_failed(&label) ? place->text : label.data,
                                     json_string_value(value)});
    }
}

static void warn_suspect(const char *text, const json_t *answer)
{
    if (!json_is_true(json_object_get(answer, "suspect")))
        return;
    fputs("devregctl: note: ", stderr);
    text_write_safe(stderr, text);
    fputs(" reads all ones, which is also what a dead or absent device reads as\n", stderr);
}

void cmd_read_write(FILE *stream, const struct call *call, const json_t *result)
{
    _cleanup_table_ struct table table = {.columns = 2};
    const json_t *answers = json_object_get(result, "results");
    size_t count = call->operand_count == 1 ? 1 : json_array_size(answers);

    for (size_t i = 0; i < count; i++) {
        _cleanup_place_ struct place place = {0};
        const json_t *answer = call->operand_count == 1 ? result : json_array_get(answers, i);
        const char *value = member_text(answer, "value", "");

        if (place_parse(call->operands[i], &place, NULL) < 0)
            return;
        if (is_bare(call, &place))
            fprintf(stream, "%s\n", value);
        else if (json_object_get(answer, "values"))
            add_values(&table, &place, answer);
        else
            table_add_row(&table, (const char *const[]){place.text, value});
        warn_suspect(place.text, answer);
    }
    table_write(stream, &table);
}
