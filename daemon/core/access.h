/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Access rules: who may do what, where. What no rule allows is denied, and a rule that denies wins.
 *
 * One function decides for every way to a register. It works octet by octet, so that an access of another
 * width or a block meets the same rules as the register alone. A rule that allows is for the region that it
 * names; one that denies is for the hardware behind it, so it also holds for other regions that are windows
 * of the same addresses. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/inventory.h"
#include "core/operation.h"
#include "core/permission.h"
#include "core/principal.h"

enum {
    ACCESS_RULES = 1024,      /* at most, so that a set of rules is a few words */
    ACCESS_RULE_RANGES = 256, /* of one rule, at most */
    ACCESS_RULE_VALUES = 64,  /* likewise */
};

enum subject_kind {
    SUBJECT_EVERYBODY,   /* "*" */
    SUBJECT_ANONYMOUS,   /* "anonymous" */
    SUBJECT_USER,        /* "user:GLOB" or "user:UID" */
    SUBJECT_GROUP,       /* "group:NAME" or "group:GID", of Unix users */
    SUBJECT_TOKEN,       /* "token:GLOB" */
    SUBJECT_CERTIFICATE, /* "certificate:GLOB" */
};

/* Whom a rule is for. */
struct access_subject {
    enum subject_kind kind;
    char *pattern; /* a glob on the short name; for a group its name */
    bool has_id;
    uint32_t id; /* uid or gid, when it is known */
};

struct access_range {
    uint64_t first, last; /* octets from the region's start, both included */
};

struct access_rule {
    char *name; /* as configured, or "access[3]" */
    bool deny;
    struct access_subject *subjects;
    size_t subject_count;
    permission_set permissions;
    char **regions; /* globs, ended by NULL; NULL: all, and what is about no region */
    struct access_range *ranges;
    size_t range_count; /* 0: all of the region */

    /* For PERMISSION_WRITE alone, in the region's order of octets; then each range is one naturally aligned
     * register of 1, 2, 4 or 8 octets. An allowing rule lets only these bits change, to one of these values;
     * a denying one forbids changing these bits, or making them one of these values. */
    bool has_mask;
    uint64_t mask; /* all ones when it is not given */
    uint64_t *values;
    size_t value_count; /* 0: any */
};

struct access_rules {
    struct access_rule *rules;
    size_t count;
};

/* Whether a rule gives anything to a token. */
bool access_rules_name_tokens(const struct access_rules *rules);

void access_rules_done(struct access_rules *rules);

struct access_decision {
    bool allowed;
    enum permission permission;     /* that was asked for; of a modification the one that it lacks */
    const struct access_rule *rule; /* that decided; NULL: none allows it */
    const struct region *region;    /* the region that the rule is for, when it is another one (an alias) */
    bool has_offset;
    uint64_t offset; /* the first octet that is not allowed */
    bool narrowed;   /* a rule allows it, but not the token's scope */
    bool partly;     /* rules allow other bits or values there */
};

/* Whether the principal may do this at all: with the region, or with any one (region NULL). For a
 * permission that is about no region (PERMISSION_ADMIN without a region) only rules without regions count.
 * Rules with ranges, masks and values count when they allow a part. This is asked before a request's body
 * is read; what the request really does is for access_decide(). */
bool access_may(const struct access_rules *rules, const struct principal *principal,
        enum permission permission, const struct region *region, struct access_decision *ret_decision);

/* Whether the principal may have exactly these octets of the region, or what they are behind. For
 * PERMISSION_WRITE: whether it may write whatever it likes there. */
bool access_may_range(const struct access_rules *rules, const struct inventory *inventory,
        const struct principal *principal, enum permission permission, const struct region *region,
        uint64_t first, uint64_t last, struct access_decision *ret_decision);

/* Whether the principal may make this operation: reading needs PERMISSION_READ, writing PERMISSION_WRITE
 * and, as the values written and the mask say, the rules' masks and values; OPERATION_MODIFY needs both.
 * Without values (NULL), whether it may write any.
 *
 * A device sees each access of a vector by itself, so each must be allowed by itself: a register that is
 * written in pieces has, between them, a value that nobody asked for. And a modification writes all octets
 * of its register, with what was read where its mask is 0: of those none may be denied, and each must be in
 * the range of a rule that allows, though not its bits. */
bool access_decide(const struct access_rules *rules, const struct inventory *inventory,
        const struct principal *principal, const struct operation *operation,
        struct access_decision *ret_decision);

/* How a rule bears on octets of a region, for explanations. */
enum access_bearing {
    ACCESS_BEARS, /* it allows or denies them, in part at least */
    ACCESS_OTHER_PRINCIPALS,
    ACCESS_OTHER_PERMISSIONS,
    ACCESS_OTHER_REGIONS, /* nor is it a denying one for a region that shares them */
    ACCESS_OTHER_RANGES,
};

/* region NULL: any, or none when it is PERMISSION_ADMIN alone. *ret_alias is the other region through which
 * a denying rule bears on these octets, or NULL. */
enum access_bearing access_rule_bearing(const struct access_rule *rule, const struct inventory *inventory,
        const struct principal *principal, permission_set permissions, const struct region *region,
        uint64_t first, uint64_t last, const struct region **ret_alias);

enum { ACCESS_TEXT = 256 };

/* Says what was decided and why: "no access rule lets user:bob write edu:0x4". */
void access_describe(const struct principal *principal, const struct region *region,
        const struct access_decision *decision, char text[ACCESS_TEXT]);

/* Says why it was not allowed and what to do: "no access rule lets user:bob write edu:0x4: ...". The
 * permission counts only when the decision has none. -EPERM, or -EKEYREJECTED for an anonymous principal,
 * who should say who it is.
 */
int access_refuse(const struct principal *principal, enum permission permission, const struct region *region,
        const struct access_decision *decision, struct error *error);
