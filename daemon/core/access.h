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

    /* For writes, in the region's order of octets; then each range is one register of 1, 2, 4 or 8 octets.
     * An allowing rule lets only these bits change, to one of these values; a denying one forbids changing
     * these bits, or making them one of these values. */
    bool has_mask;
    uint64_t mask; /* all ones when it is not given */
    uint64_t *values;
    size_t value_count; /* 0: any */
};

struct access_rules {
    struct access_rule *rules;
    size_t count;
};

void access_rules_done(struct access_rules *rules);

struct access_decision {
    bool allowed;
    const struct access_rule *rule; /* that decided; NULL: none allows it */
    const struct region *region;    /* the region that the rule is for, when it is another one (an alias) */
    uint64_t offset;                /* the first octet that is not allowed */
    bool narrowed;                  /* a rule allows it, but not the token's scope */
};

/* Whether the principal may do this at all: with the region, or with any one (region NULL). For a
 * permission that is about no region (PERMISSION_ADMIN without a region) only rules without regions count.
 * Rules with ranges, masks and values count when they allow a part. This is asked before a request's body
 * is read; what the request really does is for access_decide(). */
bool access_may(const struct access_rules *rules, const struct principal *principal,
        enum permission permission, const struct region *region, struct access_decision *ret_decision);

/* Whether the principal may have exactly these octets of the region, or what they are behind, for anything
 * but writing values. */
bool access_may_range(const struct access_rules *rules, const struct inventory *inventory,
        const struct principal *principal, enum permission permission, const struct region *region,
        uint64_t first, uint64_t last, struct access_decision *ret_decision);

/* Whether the principal may make this operation: reading needs PERMISSION_READ, writing PERMISSION_WRITE
 * and, as the values written and the mask say, the rules' masks and values; OPERATION_MODIFY needs both. */
bool access_decide(const struct access_rules *rules, const struct inventory *inventory,
        const struct principal *principal, const struct operation *operation,
        struct access_decision *ret_decision);

/* Says why it was not allowed: "no access rule lets user:bob write edu:0x4: ...". -EPERM, or -EKEYREJECTED
 * for an anonymous principal, who should say who it is. */
int access_refuse(const struct principal *principal, enum permission permission, const struct region *region,
        const struct access_decision *decision, struct error *error);
