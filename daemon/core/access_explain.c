/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decisions and rules in words: what a person is told who was refused, or asks why. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/access.h"
#include "core/access_match.h"

static bool has_octets(
        const struct access_rule *rule, uint64_t first, uint64_t last, enum access_bearing *bearing)
{
    bool has = rule->range_count == 0;

    for (size_t i = 0; i < rule->range_count && !has; i++)
        has = rule->ranges[i].first <= last && rule->ranges[i].last >= first;
    *bearing = has ? ACCESS_BEARS : ACCESS_OTHER_RANGES;
    return has;
}

enum access_bearing access_rule_bearing(const struct access_rule *rule, const struct inventory *inventory,
        const struct principal *principal, permission_set permissions, const struct region *region,
        uint64_t first, uint64_t last, const struct region **ret_alias)
{
    enum access_bearing bearing = ACCESS_OTHER_REGIONS;

    *ret_alias = NULL;
    if (!access_rule_is_for(rule, principal))
        return ACCESS_OTHER_PRINCIPALS;
    if (!(rule->permissions & permissions))
        return ACCESS_OTHER_PERMISSIONS;
    if (!region && permissions == permission_bit(PERMISSION_ADMIN) && (rule->regions || rule->range_count))
        return ACCESS_OTHER_REGIONS;
    if (!region)
        return ACCESS_BEARS;
    if (access_globs_match(rule->regions, region_name(region)) && has_octets(rule, first, last, &bearing))
        return ACCESS_BEARS;
    for (size_t i = 0; rule->deny && i < inventory->region_count; i++) {
        const struct region *other = inventory->regions[i];
        uint64_t other_first, other_last;

        if (other == region || !access_globs_match(rule->regions, region_name(other)) ||
                !region_shares(region, first, last, other, &other_first, &other_last))
            continue;
        if (has_octets(rule, other_first, other_last, &bearing)) {
            *ret_alias = other;
            return ACCESS_BEARS;
        }
    }
    return bearing;
}

/* "read edu:0x4", "administer devregd" */
static void describe(
        char *text, size_t size, const struct region *region, const struct access_decision *decision)
{
    static const char *const verbs[PERMISSION_COUNT] = {"reach", "list", "read", "write",
            "wait for interrupts of", "use DMA of", "reserve", "administer"};
    int used = snprintf(text, size, "%s %s", verbs[decision->permission],
            region                                     ? region_name(region)
            : decision->permission == PERMISSION_ADMIN ? "devregd"
                                                       : "anything");

    if (region && decision->has_offset)
        snprintf(text + used, size - (size_t)used, ":0x%" PRIx64, decision->offset);
}

void access_describe(const struct principal *principal, const struct region *region,
        const struct access_decision *decision, char text[ACCESS_TEXT])
{
    char what[160];

    describe(what, sizeof(what), region, decision);
    if (decision->allowed)
        snprintf(text, ACCESS_TEXT, "%s may %s: the access rule %s allows it", principal->name, what,
                decision->rule ? decision->rule->name : "of all");
    else if (decision->narrowed)
        snprintf(text, ACCESS_TEXT, "%s may not %s: access rules allow it, but the token was made for less",
                principal->name, what);
    else if (decision->rule)
        snprintf(text, ACCESS_TEXT, "%s may not %s: the access rule %s denies %s%s", principal->name, what,
                decision->rule->name, decision->partly ? "some bits or values there" : "it",
                decision->region ? ", for another region that is the same hardware" : "");
    else if (decision->partly)
        snprintf(text, ACCESS_TEXT,
                "%s may not %s like this: access rules allow only some bits or values there",
                principal->name, what);
    else
        snprintf(text, ACCESS_TEXT, "no access rule lets %s %s", principal->name, what);
}

int access_refuse(const struct principal *principal, enum permission permission, const struct region *region,
        const struct access_decision *decision, struct error *error)
{
    bool anonymous = principal->kind == PRINCIPAL_ANONYMOUS;
    struct access_decision refused = *decision;
    char text[ACCESS_TEXT];

    if (refused.permission == PERMISSION_NONE)
        refused.permission = permission;
    access_describe(principal, region, &refused, text);
    return error_set(error, anonymous ? -EKEYREJECTED : -EPERM, "%s: %s", text,
            anonymous ? "say who you are, with a token or through the Unix socket"
                      : "'devregctl access explain' shows the rules");
}
