/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one rule says of one store (a single write access), octet by octet.
 *
 * Everything is in lanes: bits 8i to 8i+7 of a number are for the octet at store->first + i, whatever the
 * order of octets. A rule's own numbers are brought there and back. */
#pragma once

#include "core/access.h"

struct store {
    uint64_t first;  /* octet of the region that is asked about */
    uint64_t octets; /* all ones for each octet that is written */
    uint64_t bits;   /* that may change */
    uint64_t known;  /* bits whose value is known */
    uint64_t value;
};

/* A region whose rules are asked, beside the one that is asked about: the same, or an alias. */
struct view {
    const struct region *region;
    uint64_t first, last; /* octets of the region that is asked about, which both have */
    uint64_t shift;       /* from its offsets to the view's, modulo 2^64 */
};

static inline uint64_t low_octets(unsigned count)
{
    return count >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * count) - 1;
}

/* The part of a rule's range that is in the view, in octets of the region that is asked about. */
static inline bool view_clip(
        const struct view *view, const struct access_range *range, struct access_range *ret_part)
{
    uint64_t first = view->first + view->shift, last = view->last + view->shift;

    if (range->first > last || range->last < first)
        return false;
    ret_part->first = (range->first > first ? range->first : first) - view->shift;
    ret_part->last = (range->last < last ? range->last : last) - view->shift;
    return true;
}

/* A register's number to and from lanes in the order of its octets in memory. */
uint64_t store_lanes(const struct region *region, unsigned width, uint64_t number);

/* What a rule says. */
struct says {
    uint64_t octets; /* that it speaks of at all */
    uint64_t bits;   /* that it allows, or denies */
};

/* What the rule says of the store by one of its ranges; range NULL: it has none. */
struct says store_ask(const struct store *store, const struct view *view, const struct access_rule *rule,
        const struct access_range *range);
