/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See access_store.h. A store has 8 octets at most, so all of it is a few operations on words. */
#include "core/access_store.h"

#include <assert.h>
#include <byteswap.h>

#include "core/access_match.h"

uint64_t store_lanes(const struct region *region, unsigned width, uint64_t number)
{
    if (region->description->endianness == ENDIANNESS_BIG)
        return bswap_64(number) >> (64 - 8 * width);
    return number & low_octets(width);
}

/* The lanes of these octets, as far as they are the store's. */
static uint64_t lanes_between(const struct store *store, uint64_t first, uint64_t last)
{
    uint64_t from = first > store->first ? first - store->first : 0;

    if (last < store->first || from > 7)
        return 0;
    return ~low_octets((unsigned)from) & store->octets &
           (last - store->first < 7 ? low_octets((unsigned)(last - store->first) + 1) : UINT64_MAX);
}

/* A rule's register, beside a store that has at least one of its octets. */
struct neighbour {
    const struct region *region;
    unsigned width;
    int distance; /* octets from the store's start to the register's: -7 to 7 */
};

static uint64_t to_store(const struct neighbour *neighbour, uint64_t number)
{
    uint64_t lanes = store_lanes(neighbour->region, neighbour->width, number);

    return neighbour->distance < 0 ? lanes >> -8 * neighbour->distance : lanes << 8 * neighbour->distance;
}

/* Lanes become a number by the same exchange of octets that makes lanes of a number. */
static uint64_t from_store(const struct neighbour *neighbour, uint64_t lanes)
{
    lanes = neighbour->distance < 0 ? lanes << -8 * neighbour->distance : lanes >> 8 * neighbour->distance;
    return store_lanes(neighbour->region, neighbour->width, lanes & low_octets(neighbour->width));
}

/* An allowing rule wants to know all bits of its mask; a denying one takes those that are not known for what
 * it denies. */
static bool values_hold(const struct access_rule *rule, const struct neighbour *neighbour,
        const struct store *store, uint64_t lanes)
{
    uint64_t mask = rule->mask & low_octets(neighbour->width);
    uint64_t known = from_store(neighbour, store->known & lanes) & mask;
    uint64_t value = from_store(neighbour, store->value & lanes);

    if (!rule->deny && known != mask)
        return false;
    for (size_t i = 0; i < rule->value_count; i++) {
        if (((value ^ rule->values[i]) & known) == 0)
            return true;
    }
    return false;
}

struct says store_ask(const struct store *store, const struct view *view, const struct access_rule *rule,
        const struct access_range *range)
{
    struct access_range part = {view->first, view->last};
    struct neighbour neighbour;
    uint64_t lanes;

    if (range && !view_clip(view, range, &part))
        return (struct says){0, 0};
    lanes = lanes_between(store, part.first, part.last);
    if (!lanes || !access_rule_is_partial(rule))
        return (struct says){lanes, lanes};
    assert(range && range->last - range->first < 8);
    neighbour = (struct neighbour){view->region, (unsigned)(range->last - range->first + 1),
            (int)(int64_t)(range->first - view->shift - store->first)};
    if (rule->value_count && !values_hold(rule, &neighbour, store, lanes))
        return (struct says){0, 0};
    return (struct says){lanes, to_store(&neighbour, rule->mask) & lanes};
}
