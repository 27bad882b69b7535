/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom and which regions an access rule is for, apart from what it says of their octets. */
#pragma once

#include "core/access.h"

/* Whether a glob (fnmatch(3) without flags) matches; most have no wildcard, or one at their end, and cost
 * little. */
bool access_glob_matches(const char *glob, const char *name);

/* Whether one of them does; all do when globs is NULL. */
bool access_globs_match(char *const *globs, const char *name);

bool access_subject_is(const struct access_subject *subject, const struct principal *principal);
bool access_rule_is_for(const struct access_rule *rule, const struct principal *principal);

/* Whether the principal's own scope has the permission for the region. Without a region: for any one, or for
 * what is about none. */
bool access_scope_has(
        const struct principal *principal, enum permission permission, const struct region *region);

/* Whether it speaks of bits or values, not of octets. */
static inline bool access_rule_is_partial(const struct access_rule *rule)
{
    return rule->has_mask || rule->value_count > 0;
}
