/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A rule that is misread is a hole, or keeps somebody out, so nothing in it is taken for granted: an empty
 * list is a mistake and not "all", and a range is written in one way. */
#include "config_access.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/listen.h"
#include "util/cleanup.h"
#include "util/number.h"

/* Which keys a rule has. */
enum {
    GIVEN_PRINCIPALS = 1 << 0,
    GIVEN_PERMISSIONS = 1 << 1,
    GIVEN_RANGES = 1 << 2,
    GIVEN_MASK = 1 << 3,
    GIVEN_VALUES = 1 << 4,
};

/* False after a report. */
static bool is_list(struct config_reader *reader, const json_t *value, size_t most, const char *expected)
{
    if (!json_is_array(value) || json_array_size(value) == 0) {
        config_report(reader, false, "expected a list of %s", expected);
        return false;
    }
    if (json_array_size(value) > most) {
        config_report(reader, false, "has more than %zu: make several rules of it", most);
        return false;
    }
    return true;
}

/* Memory for the elements of a list, with a zero one behind them. NULL after a report. */
static void *new_list(struct config_reader *reader, const json_t *value, size_t size)
{
    void *list = calloc(json_array_size(value) + 1, size);

    if (!list)
        config_report(reader, false, "out of memory");
    return list;
}

/* The text of an element, or NULL after a report. */
static const char *text_of(struct config_reader *reader, const json_t *value, const char *expected)
{
    const char *text = json_string_value(value);

    if (text && text[0] && strlen(text) == json_string_length(value))
        return text;
    config_report(reader, false, "expected %s", expected);
    return NULL;
}

/* Whether each [ of a glob has its ], and each \ something after it. */
static bool is_closed(const char *glob)
{
    for (; *glob; glob++) {
        if (*glob == '\\' && !*++glob)
            return false;
        if (*glob != '[')
            continue;
        glob += glob[1] == '!' || glob[1] == '^' ? 2 : 1;
        if (*glob == ']')
            glob++;
        while (*glob && *glob != ']') {
            if (*glob == '\\' && !*++glob)
                return false;
            glob++;
        }
        if (!*glob)
            return false;
    }
    return true;
}

/* A glob that has what no name has never matches. False after a report. */
static bool check_glob(struct config_reader *reader, const char *glob, bool (*is_in_names)(char character))
{
    if (!is_closed(glob)) {
        config_report(reader, false, "is no pattern: a '[' needs its ']', and a '\\' something after it");
        return false;
    }
    for (; *glob; glob++) {
        if (is_in_names(*glob) || strchr("*?[]!^-\\", *glob))
            continue;
        config_report(reader, false, "has '%c', which is in no name", *glob);
        return false;
    }
    return true;
}

static bool is_in_regions(char character)
{
    return isalnum((unsigned char)character) || strchr("._-", character);
}

static bool is_in_principals(char character)
{
    const char name[] = {character, 0};

    return principal_name_is_valid(name);
}

static const char *const subject_prefixes[] = {
        [SUBJECT_USER] = "user:",
        [SUBJECT_GROUP] = "group:",
        [SUBJECT_TOKEN] = "token:",
        [SUBJECT_CERTIFICATE] = "certificate:",
};

/* A number is a uid or gid. False after a report. */
static bool read_pattern(struct config_reader *reader, const char *text, struct access_subject *subject)
{
    bool numbered = subject->kind == SUBJECT_USER || subject->kind == SUBJECT_GROUP;
    uint64_t id;

    if (numbered && text[strspn(text, "0123456789")] == 0 && text[0]) {
        if (number_parse(text, &id) < 0 || id >= UINT32_MAX) {
            config_report(reader, false, "has a number that is none of a user or group");
            return false;
        }
        subject->has_id = true;
        subject->id = (uint32_t)id;
        return true;
    }
    if (subject->kind == SUBJECT_GROUP && !principal_name_is_valid(text)) {
        config_report(reader, false, "expected one group, by its name or number, after group:");
        return false;
    }
    if (!text[0]) {
        config_report(
                reader, false, "expected a name, or * for all, after %s", subject_prefixes[subject->kind]);
        return false;
    }
    return check_glob(reader, text, is_in_principals);
}

/* False after a report. */
static bool read_subject(struct config_reader *reader, const char *text, struct access_subject *subject)
{
    if (strcmp(text, "*") == 0 || strcmp(text, "anonymous") == 0) {
        subject->kind = text[0] == '*' ? SUBJECT_EVERYBODY : SUBJECT_ANONYMOUS;
        return true;
    }
    for (size_t i = 0; i < ELEMENTS(subject_prefixes); i++) {
        size_t length = subject_prefixes[i] ? strlen(subject_prefixes[i]) : 0;

        if (length == 0 || strncmp(text, subject_prefixes[i], length) != 0)
            continue;
        subject->kind = (enum subject_kind)i;
        if (!read_pattern(reader, text + length, subject))
            return false;
        subject->pattern = strdup(text + length);
        if (!subject->pattern)
            config_report(reader, false, "out of memory");
        return subject->pattern;
    }
    config_report(reader, false,
            "is no principal: expected *, anonymous, user:NAME, group:NAME, token:NAME or certificate:NAME");
    return false;
}

static void take_principals(struct config_reader *reader, const json_t *value, void *field)
{
    struct access_rule *rule = container_of(field, struct access_rule, subjects);
    size_t index;
    json_t *element;

    if (!is_list(
                reader, value, SIZE_MAX, "principals, such as [\"user:alice\", \"group:lab\", \"token:*\"]"))
        return;
    rule->subjects = new_list(reader, value, sizeof(*rule->subjects));
    if (!rule->subjects)
        return;
    json_array_foreach (value, index, element) {
        size_t before = config_enter_element(reader, index);
        const char *text = text_of(reader, element, "a principal, such as \"user:alice\"");

        if (text && read_subject(reader, text, &rule->subjects[rule->subject_count]))
            rule->subject_count++;
        config_leave(reader, before);
    }
}

static void take_permissions(struct config_reader *reader, const json_t *value, void *field)
{
    permission_set *permissions = field, set;
    size_t index;
    json_t *element;

    if (!is_list(reader, value, SIZE_MAX, "permissions, such as [\"list\", \"read\"]"))
        return;
    json_array_foreach (value, index, element) {
        size_t before = config_enter_element(reader, index);
        const char *text = json_string_value(element);

        if (!text || permission_parse(text, &set) < 0)
            config_report(reader, false,
                    "is no permission: expected list, read, write, interrupt, dma, reserve, admin or all");
        else if (*permissions & set)
            config_report(reader, false, "is there twice");
        else
            *permissions |= set;
        config_leave(reader, before);
    }
}

static void take_globs(struct config_reader *reader, const json_t *value, void *field)
{
    char ***globs = field;
    size_t index, count = 0;
    json_t *element;

    if (!is_list(reader, value, SIZE_MAX, "regions' names, such as [\"edu*\"]; without this key it is all"))
        return;
    *globs = new_list(reader, value, sizeof(**globs));
    if (!*globs)
        return;
    json_array_foreach (value, index, element) {
        size_t before = config_enter_element(reader, index);
        const char *text = text_of(reader, element, "a region's name, or a pattern such as \"edu*\"");

        if (text && check_glob(reader, text, is_in_regions)) {
            (*globs)[count] = strdup(text);
            if ((*globs)[count])
                count++;
            else
                config_report(reader, false, "out of memory");
        }
        config_leave(reader, before);
    }
}

/* Hexadecimal after 0x, up to the end. */
static bool read_hex(const char *text, size_t length, uint64_t *ret_number)
{
    char copy[24];

    if (length < 3 || length >= sizeof(copy) || text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
        return false;
    memcpy(copy, text, length);
    copy[length] = 0;
    return number_parse(copy, ret_number) == 0;
}

/* "0xFIRST-0xLAST" or "0xSTART+LENGTH". False after a report. */
static bool read_range(struct config_reader *reader, const char *text, struct access_range *range)
{
    size_t length = strcspn(text, "-+");
    uint64_t size = 0;

    if (!read_hex(text, length, &range->first) ||
            (text[length] == '-' && !read_hex(text + length + 1, strlen(text + length + 1), &range->last)) ||
            (text[length] == '+' && number_parse_size(text + length + 1, &size) < 0) || !text[length]) {
        config_report(reader, false,
                "is no range: expected \"0xFIRST-0xLAST\", both included, or \"0xSTART+LENGTH\"");
        return false;
    }
    if (text[length] == '+') {
        if (size == 0 || size - 1 > UINT64_MAX - range->first) {
            config_report(reader, false, "has an impossible length: 0, or one beyond 64 bits");
            return false;
        }
        range->last = range->first + (size - 1);
    }
    if (range->last < range->first) {
        config_report(reader, false, "ends before it begins");
        return false;
    }
    return true;
}

static void take_ranges(struct config_reader *reader, const json_t *value, void *field)
{
    struct access_rule *rule = container_of(field, struct access_rule, ranges);
    size_t index;
    json_t *element;

    if (!is_list(reader, value, ACCESS_RULE_RANGES,
                "ranges, such as [\"0x0-0x7f\"]; without this key it is all of a region"))
        return;
    rule->ranges = new_list(reader, value, sizeof(*rule->ranges));
    if (!rule->ranges)
        return;
    json_array_foreach (value, index, element) {
        size_t before = config_enter_element(reader, index);
        const char *text = text_of(reader, element, "a range such as \"0x0-0x7f\" or \"0x80+4\"");

        if (text && read_range(reader, text, &rule->ranges[rule->range_count]))
            rule->range_count++;
        config_leave(reader, before);
    }
}

static void take_mask(struct config_reader *reader, const json_t *value, void *field)
{
    struct access_rule *rule = container_of(field, struct access_rule, mask);

    rule->has_mask = config_read_bits(reader, value, &rule->mask);
    if (rule->has_mask && rule->mask == 0)
        config_report(reader, false, "has no bit");
}

static void take_values(struct config_reader *reader, const json_t *value, void *field)
{
    struct access_rule *rule = container_of(field, struct access_rule, values);
    size_t index;
    json_t *element;

    if (!is_list(reader, value, ACCESS_RULE_VALUES, "values, such as [\"0x0\", \"0x80\"]"))
        return;
    rule->values = new_list(reader, value, sizeof(*rule->values));
    if (!rule->values)
        return;
    json_array_foreach (value, index, element) {
        size_t before = config_enter_element(reader, index);

        if (config_read_bits(reader, element, &rule->values[rule->value_count]))
            rule->value_count++;
        config_leave(reader, before);
    }
}

#define RULE(key) offsetof(struct access_rule, key)

static const struct config_key rule_keys[] = {
        {"name", config_take_name, RULE(name), 0},
        {"deny", config_take_bool, RULE(deny), 0},
        {"principals", take_principals, RULE(subjects), GIVEN_PRINCIPALS},
        {"permissions", take_permissions, RULE(permissions), GIVEN_PERMISSIONS},
        {"regions", take_globs, RULE(regions), 0},
        {"ranges", take_ranges, RULE(ranges), GIVEN_RANGES},
        {"mask", take_mask, RULE(mask), GIVEN_MASK},
        {"values", take_values, RULE(values), GIVEN_VALUES},
};

/* Reports at an element of a list of the rule's. */
static void report_element(struct config_reader *reader, const char *key, size_t index, const char *message)
{
    size_t before = config_enter(reader, key);

    config_enter_element(reader, index);
    config_report(reader, false, "%s", message);
    config_leave(reader, before);
}

/* The width in octets of the narrowest of the rule's ranges, each of which must be a register; 0 after a
 * report. */
static unsigned find_narrowest(struct config_reader *reader, const struct access_rule *rule)
{
    unsigned narrowest = 8;

    for (size_t i = 0; i < rule->range_count; i++) {
        uint64_t size = rule->ranges[i].last - rule->ranges[i].first + 1;

        if ((size != 1 && size != 2 && size != 4 && size != 8) || rule->ranges[i].first % size) {
            report_element(reader, "ranges", i,
                    "is no register: with a mask or values each range is one of 1, 2, 4 or 8 octets, at a "
                    "multiple of its size");
            return 0;
        }
        if (size < narrowest)
            narrowest = (unsigned)size;
    }
    return narrowest;
}

/* Bits are those of a register, so each range must have room for them. */
static void check_registers(struct config_reader *reader, const struct access_rule *rule)
{
    unsigned bits = find_narrowest(reader, rule) * 8;
    char message[80];

    if (bits == 0)
        return;
    snprintf(message, sizeof(message), "does not fit a register of %u bits", bits);
    if (rule->has_mask && !number_fits(rule->mask, bits)) {
        size_t before = config_enter(reader, "mask");

        config_report(reader, false, "%s", message);
        config_leave(reader, before);
    }
    for (size_t i = 0; i < rule->value_count; i++) {
        if (!number_fits(rule->values[i], bits))
            report_element(reader, "values", i, message);
        else if (rule->values[i] & ~rule->mask)
            report_element(reader, "values", i, "has bits that the mask has not");
    }
}

static void check_rule(struct config_reader *reader, const struct access_rule *rule, uint32_t given)
{
    if (!(given & GIVEN_PRINCIPALS))
        config_report(reader, false, "an access rule needs \"principals\"");
    if (!(given & GIVEN_PERMISSIONS))
        config_report(reader, false, "an access rule needs \"permissions\"");
    if (!(given & (GIVEN_MASK | GIVEN_VALUES)))
        return;
    if (given & GIVEN_PERMISSIONS && rule->permissions != permission_bit(PERMISSION_WRITE))
        config_report(reader, false,
                "\"mask\" and \"values\" are for rules whose one permission is write: make two rules of it");
    if (!(given & GIVEN_RANGES))
        config_report(reader, false, "\"mask\" and \"values\" need \"ranges\", each of one register");
    else
        check_registers(reader, rule);
}

static void check_name(struct config_reader *reader, const struct access_rules *rules)
{
    const char *name = rules->rules[rules->count].name;

    for (size_t i = 0; name && i < rules->count; i++) {
        if (rules->rules[i].name && strcmp(rules->rules[i].name, name) == 0) {
            size_t before = config_enter(reader, "name");

            config_report(
                    reader, false, "the rule name %s is taken already: every rule needs its own", name);
            config_leave(reader, before);
            return;
        }
    }
}

static void read_rule(struct config_reader *reader, const json_t *value, struct access_rules *rules)
{
    struct access_rule *rule = &rules->rules[rules->count];
    size_t before = reader->problems->count;
    uint32_t given = 0;

    rule->mask = UINT64_MAX;
    config_read_object(reader, value, rule_keys, ELEMENTS(rule_keys), rule, &given);
    if (before == reader->problems->count) /* otherwise elements are missing */
        check_rule(reader, rule, given);
    check_name(reader, rules);
    if (!rule->name && asprintf(&rule->name, "access[%zu]", rules->count) < 0) {
        rule->name = NULL;
        config_report(reader, false, "out of memory");
    }
    rules->count++;
}

void config_take_access(struct config_reader *reader, const json_t *value, void *field)
{
    struct config *config = container_of(field, struct config, access);
    struct access_rules *rules = field;
    size_t index;
    json_t *element;

    config->has_access = true;
    if (!json_is_array(value) || json_array_size(value) == 0) {
        config_report(reader, false,
                "expected a list of access rules; without this key root and the user that devregd runs as "
                "may do everything, the group devreg and tokens everything but admin");
        return;
    }
    if (json_array_size(value) > ACCESS_RULES) {
        config_report(reader, false, "has more than %d rules", ACCESS_RULES);
        return;
    }
    rules->rules = new_list(reader, value, sizeof(*rules->rules));
    if (!rules->rules)
        return;
    json_array_foreach (value, index, element) {
        size_t before = config_enter_element(reader, index);

        read_rule(reader, element, rules);
        config_leave(reader, before);
    }
}

/* A rule for everything, with room for so many subjects. */
static int make_rule(
        struct access_rules *rules, const char *name, permission_set permissions, size_t subjects)
{
    struct access_rule *rule = &rules->rules[rules->count];

    rules->count++;
    rule->name = strdup(name);
    rule->permissions = permissions;
    rule->mask = UINT64_MAX;
    rule->subjects = calloc(subjects, sizeof(*rule->subjects));
    return rule->name && rule->subjects ? 0 : -ENOMEM;
}

/* To the rule made last. The id is for a user or a group; pattern is what people read. */
static int add_subject(
        struct access_rules *rules, enum subject_kind kind, const char *pattern, const uint32_t *id)
{
    struct access_rule *rule = &rules->rules[rules->count - 1];
    struct access_subject *subject = &rule->subjects[rule->subject_count++];

    *subject = (struct access_subject){.kind = kind, .has_id = id, .id = id ? *id : 0};
    subject->pattern = strdup(pattern);
    return subject->pattern ? 0 : -ENOMEM;
}

int config_access_built_in(struct access_rules *ret_rules)
{
    const struct group *group = getgrnam(LISTEN_GROUP);
    const uint32_t root = 0, own = geteuid();
    char text[16];
    int r;

    ret_rules->rules = calloc(2, sizeof(*ret_rules->rules));
    if (!ret_rules->rules)
        return -ENOMEM;
    snprintf(text, sizeof(text), "%u", own);
    r = make_rule(ret_rules, "built-in", PERMISSIONS_ALL, 2);
    if (r == 0)
        r = add_subject(ret_rules, SUBJECT_USER, "0", &root);
    if (r == 0 && own != root)
        r = add_subject(ret_rules, SUBJECT_USER, text, &own);
    if (r == 0)
        r = make_rule(ret_rules, "built-in-lab",
                (permission_set)(PERMISSIONS_ALL & ~permission_bit(PERMISSION_ADMIN)), 2);
    if (r == 0)
        r = add_subject(ret_rules, SUBJECT_TOKEN, "*", NULL);
    if (r == 0 && group)
        r = add_subject(ret_rules, SUBJECT_GROUP, LISTEN_GROUP, &group->gr_gid);
    return r;
}

int config_access_demo(struct access_rules *ret_rules)
{
    int r;

    ret_rules->rules = calloc(1, sizeof(*ret_rules->rules));
    if (!ret_rules->rules)
        return -ENOMEM;
    r = make_rule(ret_rules, "demo", PERMISSIONS_ALL, 1);
    return r < 0 ? r : add_subject(ret_rules, SUBJECT_EVERYBODY, "*", NULL);
}
