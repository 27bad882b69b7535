/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See region.h. */
#include "core/region.h"

width_set region_widths(const struct region *region)
{
    width_set asked = region->description->widths;

    if (!region->handle)
        return asked;
    return asked ? asked & region->handle->widths : region->handle->widths;
}

unsigned region_default_width(const struct region *region)
{
    width_set widths = region_widths(region);

    for (unsigned width = 4; width; width /= 2) {
        if (widths & width)
            return width;
    }
    return widths & 8;
}

bool region_overlaps(const struct region *region, const struct region *other)
{
    const struct backend_region *a = region->handle, *b = other->handle;

    if (!a || !b || a->type != b->type || a->address == ADDRESS_UNKNOWN || b->address == ADDRESS_UNKNOWN)
        return false;
    return a->address < b->address ? b->address - a->address < a->size : a->address - b->address < b->size;
}
