/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can't be meant is a mistake; what has no effect may be meant for later, so it is a warning. Whether
 * one rule covers another is judged by what they say and by the regions that there are; where that can't be
 * told nothing is said. */
#include "config_access_check.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "core/access_match.h"

static bool has_wildcard(const char *pattern)
{
    return pattern[strcspn(pattern, "*?[\\")] != 0;
}

static bool is_not_found(int code)
{
    return code == 0 || code == ENOENT || code == ESRCH;
}

/* A group that does not exist has nobody in it. That it can't be looked up must not let anybody through a
 * rule that denies. */
static void resolve_group(struct config_reader *reader, struct access_subject *subject)
{
    const struct group *group;

    errno = 0;
    group = getgrnam(subject->pattern);
    if (group) {
        subject->has_id = true;
        subject->id = group->gr_gid;
    } else if (is_not_found(errno)) {
        config_warn(reader,
                "there is no group %s on this machine: nobody is in it until devregd starts anew",
                subject->pattern);
    } else {
        config_report(
                reader, false, "the group %s can't be looked up: %s", subject->pattern, strerror(errno));
    }
}

/* A user is known by his number from then on, so that a rule that denies does not depend on whether his name
 * can be looked up when he comes. */
static void resolve_user(struct config_reader *reader, struct access_subject *subject)
{
    char buffer[4096];
    struct passwd entry, *found;
    int r = getpwnam_r(subject->pattern, &entry, buffer, sizeof(buffer), &found);

    if (found) {
        subject->has_id = true;
        subject->id = found->pw_uid;
    } else if (is_not_found(r)) {
        config_warn(reader, "there is no user %s on this machine", subject->pattern);
    }
}

static void check_subjects(struct config_reader *reader, struct access_rule *rule)
{
    size_t list = config_enter(reader, "principals");

    for (size_t i = 0; i < rule->subject_count; i++) {
        struct access_subject *subject = &rule->subjects[i];
        size_t before = config_enter_element(reader, i);

        if (subject->kind == SUBJECT_GROUP && !subject->has_id)
            resolve_group(reader, subject);
        if (subject->kind == SUBJECT_USER && !subject->has_id && !has_wildcard(subject->pattern))
            resolve_user(reader, subject);
        config_leave(reader, before);
    }
    config_leave(reader, list);
}

/* Calls the function for every region until it returns true. */
static bool any_region(const struct config *config,
        bool (*function)(const struct region_description *region, const void *context), const void *context)
{
    for (size_t i = 0; i < config->device_count; i++) {
        for (size_t k = 0; k < config->devices[i].region_count; k++) {
            if (function(&config->devices[i].regions[k], context))
                return true;
        }
    }
    return false;
}

static bool is_named(const struct region_description *region, const void *glob)
{
    return access_glob_matches(glob, region->name);
}

static void check_globs(struct config_reader *reader, const struct access_rule *rule)
{
    size_t list = config_enter(reader, "regions");

    for (size_t i = 0; rule->regions && rule->regions[i]; i++) {
        size_t before = config_enter_element(reader, i);

        if (!any_region(reader->config, is_named, rule->regions[i]))
            config_warn(reader, "no region has such a name: this never matches");
        config_leave(reader, before);
    }
    config_leave(reader, list);
}

/* A rule and one of its ranges. */
struct place {
    const struct access_rule *rule;
    uint64_t first;
};

/* Whether the range begins in the region, as far as its size is configured. */
static bool may_have(const struct region_description *region, const void *context)
{
    const struct place *place = context;

    return access_globs_match(place->rule->regions, region->name) &&
           (region->size == 0 || place->first < region->size);
}

static bool is_matched(const struct region_description *region, const void *rule)
{
    return access_globs_match(((const struct access_rule *)rule)->regions, region->name);
}

static void check_ranges(struct config_reader *reader, const struct access_rule *rule)
{
    size_t list = config_enter(reader, "ranges");
    bool matched = any_region(reader->config, is_matched, rule);

    for (size_t i = 0; matched && i < rule->range_count; i++) {
        const struct place place = {rule, rule->ranges[i].first};
        size_t before = config_enter_element(reader, i);

        if (!any_region(reader->config, may_have, &place))
            config_warn(reader, "is outside every region that the rule is for: this never matches");
        config_leave(reader, before);
    }
    config_leave(reader, list);
}

/* Whether whoever is the second one is the first too. */
static bool subject_covers(const struct access_subject *a, const struct access_subject *b)
{
    if (a->kind == SUBJECT_EVERYBODY)
        return true;
    if (a->kind == SUBJECT_USER && b->kind == SUBJECT_GROUP) /* whoever is in a group is a user */
        return !a->has_id && strcmp(a->pattern, "*") == 0;
    if (a->kind != b->kind)
        return false;
    if (a->kind == SUBJECT_ANONYMOUS)
        return true;
    if (a->has_id || (b->has_id && a->kind == SUBJECT_GROUP))
        return a->has_id && b->has_id && a->id == b->id;
    if (b->has_id) /* what the user's name is can't be told */
        return strcmp(a->pattern, "*") == 0;
    if (has_wildcard(b->pattern) || a->kind == SUBJECT_GROUP)
        return strcmp(a->pattern, "*") == 0 || strcmp(a->pattern, b->pattern) == 0;
    return access_glob_matches(a->pattern, b->pattern);
}

static bool subjects_cover(const struct access_rule *a, const struct access_rule *b)
{
    for (size_t i = 0; i < b->subject_count; i++) {
        size_t k = 0;

        while (k < a->subject_count && !subject_covers(&a->subjects[k], &b->subjects[i]))
            k++;
        if (k == a->subject_count)
            return false;
    }
    return true;
}

struct pair {
    const struct access_rule *a, *b;
};

static bool is_of_second_alone(const struct region_description *region, const void *context)
{
    const struct pair *pair = context;

    return access_globs_match(pair->b->regions, region->name) &&
           !access_globs_match(pair->a->regions, region->name);
}

/* Of rules for no region that there is nothing can be told. */
static bool regions_cover(
        const struct config *config, const struct access_rule *a, const struct access_rule *b)
{
    const struct pair pair = {a, b};

    if (!a->regions)
        return true;
    return b->regions && any_region(config, is_matched, b) && !any_region(config, is_of_second_alone, &pair);
}

static bool ranges_cover(const struct access_rule *a, const struct access_rule *b)
{
    if (a->range_count == 0)
        return true;
    if (b->range_count == 0)
        return false;
    for (size_t i = 0; i < b->range_count; i++) {
        size_t k = 0;

        while (k < a->range_count &&
                (a->ranges[k].first > b->ranges[i].first || a->ranges[k].last < b->ranges[i].last))
            k++;
        if (k == a->range_count)
            return false;
    }
    return true;
}

/* Whether the first rule is for all that the second is for, whatever they say of it. */
static bool rule_covers(
        const struct config *config, const struct access_rule *a, const struct access_rule *b)
{
    return (b->permissions & ~a->permissions) == 0 && subjects_cover(a, b) && ranges_cover(a, b) &&
           regions_cover(config, a, b);
}

static bool has_value(const struct access_rule *rule, uint64_t value)
{
    for (size_t i = 0; i < rule->value_count; i++) {
        if (rule->values[i] == value)
            return true;
    }
    return false;
}

static bool have_same_bits(const struct access_rule *a, const struct access_rule *b)
{
    if (a->mask != b->mask || !a->value_count != !b->value_count)
        return false;
    for (size_t i = 0; i < a->value_count; i++) {
        if (!has_value(b, a->values[i]))
            return false;
    }
    for (size_t i = 0; i < b->value_count; i++) {
        if (!has_value(a, b->values[i]))
            return false;
    }
    return true;
}

static void compare_rules(struct config_reader *reader, size_t index, const struct access_rule *other)
{
    const struct access_rule *rule = &reader->config->access.rules[index];
    bool covered = rule_covers(reader->config, other, rule);
    bool same = covered && rule_covers(reader->config, rule, other) && have_same_bits(rule, other);

    if (same && other < rule && rule->deny != other->deny)
        config_report(reader, false,
                "contradicts the rule %s: one denies just what the other allows, so it is denied",
                other->name);
    else if (same && other < rule)
        config_warn(reader, "does the same as the rule %s", other->name);
    else if (!same && covered && !rule->deny && other->deny && !access_rule_is_partial(other))
        config_warn(reader, "has no effect: the rule %s denies all of it", other->name);
}

void config_access_check(struct config_reader *reader)
{
    struct access_rules *rules = &reader->config->access;
    size_t list = config_enter(reader, "access");

    /* Two rules for one group may name it differently. */
    for (size_t i = 0; i < rules->count; i++) {
        size_t before = config_enter_element(reader, i);

        check_subjects(reader, &rules->rules[i]);
        check_globs(reader, &rules->rules[i]);
        check_ranges(reader, &rules->rules[i]);
        config_leave(reader, before);
    }
    for (size_t i = 0; i < rules->count; i++) {
        size_t before = config_enter_element(reader, i);

        for (size_t k = 0; k < rules->count; k++) {
            if (k != i)
                compare_rules(reader, i, &rules->rules[k]);
        }
        config_leave(reader, before);
    }
    config_leave(reader, list);
}
