/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See access_match.h. This runs for every rule at every request, so what most patterns are is found without
 * fnmatch(). */
#include "core/access_match.h"

#include <fnmatch.h>
#include <string.h>

static bool is_wild(char character)
{
    return character == '*' || character == '?' || character == '[' || character == '\\';
}

bool access_glob_matches(const char *glob, const char *name)
{
    while (*glob && *glob == *name && !is_wild(*glob)) {
        glob++;
        name++;
    }
    if (!is_wild(*glob))
        return *glob == *name;
    if (glob[0] == '*' && glob[1] == 0)
        return true;
    return fnmatch(glob, name, 0) == 0;
}

bool access_globs_match(char *const *globs, const char *name)
{
    if (!globs)
        return true;
    for (; *globs; globs++) {
        if (access_glob_matches(*globs, name))
            return true;
    }
    return false;
}

static bool is_in_group(const struct principal *principal, uint32_t id)
{
    for (size_t i = 0; i < principal->group_count; i++) {
        if (principal->groups[i] == id)
            return true;
    }
    return false;
}

bool access_subject_is(const struct access_subject *subject, const struct principal *principal)
{
    static const enum principal_kind kinds[] = {
            [SUBJECT_ANONYMOUS] = PRINCIPAL_ANONYMOUS,
            [SUBJECT_USER] = PRINCIPAL_USER,
            [SUBJECT_GROUP] = PRINCIPAL_USER,
            [SUBJECT_TOKEN] = PRINCIPAL_TOKEN,
            [SUBJECT_CERTIFICATE] = PRINCIPAL_CERTIFICATE,
    };

    if (subject->kind == SUBJECT_EVERYBODY)
        return true;
    if (kinds[subject->kind] != principal->kind)
        return false;
    if (subject->kind == SUBJECT_ANONYMOUS)
        return true;
    if (subject->kind == SUBJECT_GROUP)
        return subject->has_id && is_in_group(principal, subject->id);
    if (subject->has_id) /* a user whose name is a number is not the one who has that number */
        return subject->id == principal->uid;
    return access_glob_matches(subject->pattern, principal->short_name);
}

bool access_rule_is_for(const struct access_rule *rule, const struct principal *principal)
{
    for (size_t i = 0; i < rule->subject_count; i++) {
        if (access_subject_is(&rule->subjects[i], principal))
            return true;
    }
    return false;
}

bool access_scope_has(
        const struct principal *principal, enum permission permission, const struct region *region)
{
    if (principal->kind != PRINCIPAL_TOKEN)
        return true;
    if (!(principal->scope & permission_bit(permission)))
        return false;
    if (!principal->scope_regions)
        return true;
    if (!region)
        return permission != PERMISSION_ADMIN;
    return access_globs_match(principal->scope_regions, region_name(region));
}
