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

/* Whether both are windows of the same physical addresses or ports, in part at least. */
bool region_overlaps(const struct region *region, const struct region *other);
