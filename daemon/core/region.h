/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A region as the daemon serves it: what was described, and what the backend found. */
#pragma once

#include <stdbool.h>

#include "backends/backend.h"

struct device;

struct region {
    struct device *device;
    const struct region_description *description;
    struct backend_region *handle; /* NULL while absent; changes only on the loop while the device is idle */
    struct error absent;           /* why, while the handle is NULL */

    /* Where it was when it was last open, or where it is configured to be; size 0: not known. What holds for
     * its octets holds for them through other regions too, also while it is absent. */
    enum region_type known_type;
    uint64_t known_address;
    uint64_t known_size;
};

static inline const char *region_name(const struct region *region)
{
    return region->description->name;
}

/* The widths that may be used: what the backend can do, narrowed by the description. Empty while absent and
 * not described. */
width_set region_widths(const struct region *region);

/* The width, in octets, of an access that does not name one: 4 where allowed, else the largest below, else
 * the smallest. 0 when there is none. */
unsigned region_default_width(const struct region *region);

/* Notes where the region is: when its device is made, from its description, and whenever it is opened. */
void region_note_place(struct region *region);

/* Which octets of `other` are the same hardware as the octets first to last (included) of the region:
 * offsets from the start of `other`, both included. False when there are none, or when it is not known where
 * one of them is. A region shares all octets with itself. */
bool region_shares(const struct region *region, uint64_t first, uint64_t last, const struct region *other,
        uint64_t *ret_first, uint64_t *ret_last);

/* Whether both are windows of the same physical addresses or ports, in part at least, now or when they were
 * last there. */
bool region_overlaps(const struct region *region, const struct region *other);
