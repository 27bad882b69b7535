/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl access explain PRINCIPAL PLACE|REGION: what the access rules decide, and which of them. */
#include <inttypes.h>
#include <string.h>

#include "output.h"
#include "request.h"
#include "text.h"

static int append_path(
        struct buffer *path, const struct call *call, const struct place *place, struct failure *failure)
{
    const struct options *options = call->options;

    buffer_append_string(path, "/v1/access/explain");
    path_append_text(path, "principal", call->operands[0]);
    path_append_text(path, "region", place->region ? place->region : call->operands[1]);
    if (place->region)
        path_append_parameter(path, "offset=0x%" PRIx64, place->offset);
    if (options->width)
        path_append_parameter(path, "width=%u", options->width);
    path_append_text(path, "permission", options->permissions.count ? options->permissions.words[0] : NULL);
    if (options_have(options, OPTION_VALUE))
        path_append_parameter(path, "value=0x%" PRIx64, options->value);
    if (options_have(options, OPTION_MASK))
        path_append_parameter(path, "mask=0x%" PRIx64, options->mask);
    return path_finish(path, failure) ? 0 : -1;
}

/* What can't be asked of a region as a whole. */
static int judge(const struct call *call, const struct place *place, struct failure *failure)
{
    const struct options *options = call->options;

    if (place->name)
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s: access rules are about offsets: write REGION:0xOFFSET", place->text);
    if (!place->region && (options->width || options_have(options, OPTION_VALUE | OPTION_MASK)))
        return failure_set(failure, EXIT_CODE_USAGE,
                "--width, --value and --mask are about one register: write %s:0xOFFSET", call->operands[1]);
    return 0;
}

int cmd_access_explain(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_place_ struct place place = {0};
    _cleanup_buffer_ struct buffer path = {0};
    int r = 0;

    if (strchr(call->operands[1], ':'))
        r = parse_single_place(call->operands[1], call->verb->name, &place, failure);
    if (r == 0)
        r = judge(call, &place, failure);
    if (r == 0)
        r = append_path(&path, call, &place, failure);
    if (r < 0)
        return r;
    return connect_and_get_list(call, path.data, "decisions", ret_result, failure);
}

static void write_rules(FILE *stream, const json_t *rules)
{
    static const char *const titles[] = {"RULE", "APPLIES", "WHY"};
    _cleanup_table_ struct table table = {.columns = ELEMENTS(titles)};
    const json_t *rule;
    size_t i;

    if (json_array_size(rules) == 0)
        return;
    table_add_row(&table, titles);
    json_array_foreach ((json_t *)rules, i, rule) {
        bool applies = json_is_true(json_object_get(rule, "applies"));

        table_add_row(&table, (const char *const[]){member_text(rule, "rule", "?"), applies ? "yes" : "no",
                                      member_text(rule, "why", "")});
    }
    fputc('\n', stream);
    table_write(stream, &table);
}

void cmd_access_explain_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const titles[] = {"PERMISSION", "ALLOWED", "RULE", "WHY"};
    _cleanup_table_ struct table table = {.columns = ELEMENTS(titles)};
    const json_t *decision;
    size_t i;

    text_write_safe(stream, call->operands[0]);
    fputs(" and ", stream);
    text_write_safe(stream, call->operands[1]);
    fputs("\n\n", stream);
    table_add_row(&table, titles);
    json_array_foreach (json_object_get(result, "decisions"), i, decision) {
        bool allowed = json_is_true(json_object_get(decision, "allowed"));

        table_add_row(&table,
                (const char *const[]){member_text(decision, "permission", "?"), allowed ? "yes" : "no",
                        member_text(decision, "rule", "-"), member_text(decision, "why", "")});
    }
    table_write(stream, &table);
    write_rules(stream, json_object_get(result, "rules"));
}
