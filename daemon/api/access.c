/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why somebody may do something, or not: the same decisions as those on requests, in words. Everybody may
 * ask about themselves, and is told of the rules that are for them; administrators about anyone and of all.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/arguments.h"
#include "api/extent.h"
#include "api/handlers.h"
#include "api/principals.h"
#include "util/json_writer.h"
#include "util/number.h"

/* What is asked. */
struct question {
    struct principal *principal; /* owned */
    bool of_admin;               /* an administrator asks */
    permission_set permissions;
    struct region *region; /* NULL: none in particular */
    bool has_offset, has_value, has_mask;
    uint64_t offset, value, mask;
    unsigned width; /* octets */
};

static int read_principal(struct call *call, struct question *question, struct error *error)
{
    const char *name = arguments_find(call, "principal");
    struct access_decision decision;

    question->of_admin =
            access_may(call->daemon->access, call->principal, PERMISSION_ADMIN, NULL, &decision);
    if (!name || strcmp(name, call->principal->name) == 0) {
        question->principal = principal_ref(call->principal);
        return 0;
    }
    if (!question->of_admin)
        return access_refuse(call->principal, PERMISSION_ADMIN, NULL, &decision, error);
    return principals_find(call->daemon, name, &question->principal, error);
}

static int read_permissions(const struct call *call, struct question *question, struct error *error)
{
    const char *name = arguments_find(call, "permission");

    question->permissions = PERMISSIONS_ALL;
    if (name && permission_parse(name, &question->permissions) < 0)
        return error_set(error, -EINVAL,
                "'%.32s' is no permission: expected list, read, "
                "write, interrupt, dma, reserve, admin or all",
                name);
    return 0;
}

static int check_place(const struct question *question, struct error *error)
{
    const struct backend_region *handle = question->region->handle;
    char text[NUMBER_SIZE_TEXT];

    if (handle && (question->offset >= handle->size || question->width > handle->size - question->offset))
        return error_set(error, -ERANGE, "%u bits at 0x%" PRIx64 " are not all inside %s (%s)",
                question->width * 8, question->offset, region_name(question->region),
                number_format_size(handle->size, text));
    return 0;
}

static int read_place(const struct call *call, struct question *question, struct error *error)
{
    const char *name = arguments_find(call, "region"), *offset = arguments_find(call, "offset");
    int r;

    if (!name)
        return offset ? error_set(error, -EINVAL, "offset needs a region: &region=NAME") : 0;
    question->region = inventory_find_region(call->daemon->inventory, name);
    if (!question->region)
        return error_set(error, -ENOENT, "there is no region '%.64s': /v1/regions lists them", name);
    r = arguments_width(call, &question->width, error);
    if (r < 0)
        return r;
    if (!question->width)
        question->width = region_default_width(question->region);
    if (!question->width)
        question->width = 4;
    if (!offset)
        return 0;
    question->has_offset = true;
    r = arguments_offset(question->region, offset, &question->offset, error);
    return r < 0 ? r : check_place(question, error);
}

static int read_value(const struct call *call, struct question *question, struct error *error)
{
    unsigned bits = question->width * 8;
    int r = arguments_number(call, "value", &question->value, error);

    if (r < 0)
        return r;
    r = arguments_number(call, "mask", &question->mask, error);
    if (r < 0)
        return r;
    question->has_value = arguments_find(call, "value");
    question->has_mask = arguments_find(call, "mask");
    if (!question->has_value && !question->has_mask)
        return 0;
    if (!question->has_offset || !(question->permissions & permission_bit(PERMISSION_WRITE)))
        return error_set(error, -EINVAL,
                "value and mask are of a register that is written: give its offset, and permission=write");
    if (!question->has_value)
        return error_set(error, -EINVAL, "mask needs the value that its bits are to have");
    if (!number_fits(question->value | question->mask, bits))
        return error_set(error, -EINVAL, "value and mask must fit the register of %u bits", bits);
    if (question->has_mask && question->value & ~question->mask)
        return error_set(error, -EINVAL, "value 0x%" PRIx64 " has bits outside mask 0x%" PRIx64,
                question->value, question->mask);
    return 0;
}

/* A write of the value, or of any. */
static bool decide_write(
        const struct call *call, const struct question *question, struct access_decision *decision)
{
    uint64_t octets;
    struct operation operation = {.kind = question->has_mask ? OPERATION_MODIFY : OPERATION_WRITE,
            .region = question->region,
            .access = {.offset = question->offset, .width = question->width, .count = 1},
            .mask = question->mask,
            .value = question->value};

    if (question->has_value) {
        operation.values = &octets;
        operation_set_value(&operation, 0, question->value);
    }
    return access_decide(
            call->daemon->access, call->daemon->inventory, question->principal, &operation, decision);
}

static enum extent decide(const struct call *call, const struct question *question,
        enum permission permission, struct access_decision *decision)
{
    const struct daemon *daemon = call->daemon;
    bool allowed;

    if (!question->region)
        allowed = access_may(daemon->access, question->principal, permission, NULL, decision);
    else if (!question->has_offset)
        return extent_of(daemon, question->principal, permission, question->region, decision);
    else if (permission == PERMISSION_WRITE)
        allowed = decide_write(call, question, decision);
    else
        allowed = access_may_range(daemon->access, daemon->inventory, question->principal, permission,
                question->region, question->offset, question->offset + (question->width - 1), decision);
    return allowed ? EXTENT_ALL : EXTENT_NONE;
}

static void write_decision(struct json_writer *writer, const struct call *call,
        const struct question *question, enum permission permission)
{
    char why[ACCESS_TEXT], text[ACCESS_TEXT + 40];
    struct access_decision decision;
    enum extent extent = decide(call, question, permission, &decision);

    access_describe(question->principal, question->region, &decision, why);
    snprintf(text, sizeof(text), "%s%s", extent == EXTENT_PART ? "a part of the region, but " : "", why);
    json_begin_object(writer, NULL);
    json_put_string(writer, "permission", permission_name(permission));
    json_put_bool(writer, "allowed", extent == EXTENT_ALL);
    if (extent == EXTENT_PART)
        json_put_bool(writer, "partly", true);
    json_put_string(writer, "rule", decision.rule ? decision.rule->name : NULL);
    json_put_string(writer, "why", text);
    json_end_object(writer);
}

/* What a rule that bears on it says: "denies write of 0x80-0x9f" */
static void describe_rule(const struct call *call, const struct access_rule *rule,
        const struct region *alias, struct buffer *text)
{
    struct access_decision decision;
    const char *separator = " ";

    buffer_append_string(text, rule->deny ? "denies" : "allows");
    for (enum permission i = PERMISSION_LIST; i <= PERMISSION_ADMIN; i++) {
        if (!(rule->permissions & permission_bit(i)))
            continue;
        buffer_append_format(text, "%s%s", separator, permission_name(i));
        separator = ", ";
    }
    separator = " of ";
    for (size_t i = 0; i < rule->range_count && i < 4; i++) {
        buffer_append_format(
                text, "%s0x%" PRIx64 "-0x%" PRIx64, separator, rule->ranges[i].first, rule->ranges[i].last);
        separator = ", ";
    }
    if (rule->range_count > 4)
        buffer_append_string(text, ", ...");
    if (rule->has_mask)
        buffer_append_format(text, ", bits 0x%" PRIx64, rule->mask);
    if (rule->value_count)
        buffer_append_format(
                text, ", %zu %s", rule->value_count, rule->value_count == 1 ? "value" : "values");
    if (!alias)
        return;
    if (access_may(call->daemon->access, call->principal, PERMISSION_LIST, alias, &decision))
        buffer_append_format(text, " of %s, which is the same hardware in part", region_name(alias));
    else
        buffer_append_string(text, " of another region, which is the same hardware in part");
}

static void write_rule(struct json_writer *writer, const struct call *call, const struct question *question,
        const struct access_rule *rule)
{
    static const char *const others[] = {
            [ACCESS_OTHER_PRINCIPALS] = "is for other principals",
            [ACCESS_OTHER_PERMISSIONS] = "is about other permissions",
            [ACCESS_OTHER_REGIONS] = "is for other regions",
            [ACCESS_OTHER_RANGES] = "is for other octets of the region",
    };
    uint64_t first = question->has_offset ? question->offset : 0;
    uint64_t last = question->has_offset ? first + (question->width - 1) : UINT64_MAX;
    _cleanup_buffer_ struct buffer text = {0};
    const struct region *alias;
    enum access_bearing bearing = access_rule_bearing(rule, call->daemon->inventory, question->principal,
            question->permissions, question->region, first, last, &alias);

    if (bearing == ACCESS_OTHER_PRINCIPALS && !question->of_admin)
        return;
    if (bearing == ACCESS_BEARS)
        describe_rule(call, rule, alias, &text);
    else
        buffer_append_string(&text, others[bearing]);
    buffer_append_char(&text, 0);
    json_begin_object(writer, NULL);
    json_put_string(writer, "rule", rule->name);
    json_put_bool(writer, "applies", bearing == ACCESS_BEARS);
    json_put_string(writer, "why", buffer_failed(&text) ? NULL : text.data);
    json_end_object(writer);
}

static void answer(struct call *call, const struct question *question)
{
    const struct access_rules *rules = call->daemon->access;
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_put_string(&writer, "principal", question->principal->name);
    json_put_string(&writer, "region", question->region ? region_name(question->region) : NULL);
    if (question->has_offset) {
        json_put_hex(&writer, "offset", question->offset);
        json_put_count(&writer, "width", question->width * 8);
    }
    json_begin_array(&writer, "decisions");
    for (enum permission i = PERMISSION_LIST; i <= PERMISSION_ADMIN; i++) {
        if (question->permissions & permission_bit(i))
            write_decision(&writer, call, question, i);
    }
    json_end_array(&writer);
    json_begin_array(&writer, "rules");
    for (size_t i = 0; i < rules->count; i++)
        write_rule(&writer, call, question, &rules->rules[i]);
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}

static int read_question(struct call *call, struct question *question, struct error *error)
{
    int r = read_principal(call, question, error);

    if (r == 0)
        r = read_permissions(call, question, error);
    if (r == 0)
        r = read_place(call, question, error);
    if (r == 0)
        r = read_value(call, question, error);
    return r;
}

void access_get_explanation(struct call *call)
{
    struct question question = {0};
    struct error error;

    if (read_question(call, &question, &error) < 0)
        call_fail(call, &error);
    else
        answer(call, &question);
    principal_unref(&call->daemon->accounts, question.principal);
}
