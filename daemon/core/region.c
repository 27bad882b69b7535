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

/* A stretch of physical addresses or ports. */
struct stretch {
    enum region_type type;
    uint64_t first, last;
};

static bool find_stretch(const struct region *region, struct stretch *stretch)
{
    const struct backend_region *handle = region->handle;
    bool open = handle && handle->address != ADDRESS_UNKNOWN;
    uint64_t address = open ? handle->address : region->known_address;
    uint64_t size = open ? handle->size : region->known_size;

    if (size == 0)
        return false;
    stretch->type = open ? handle->type : region->known_type;
    stretch->first = address;
    stretch->last = size - 1 > UINT64_MAX - address ? UINT64_MAX : address + (size - 1);
    return true;
}

void region_note_place(struct region *region)
{
    const struct region_description *description = region->description;
    const struct backend_region *handle = region->handle;

    if (handle && handle->address != ADDRESS_UNKNOWN) {
        region->known_type = handle->type;
        region->known_address = handle->address;
        region->known_size = handle->size;
    } else if (!handle && description->keys & KEY_BASE) {
        region->known_type = description->type;
        region->known_address = description->base;
        region->known_size = description->size;
    }
}

bool region_shares(const struct region *region, uint64_t first, uint64_t last, const struct region *other,
        uint64_t *ret_first, uint64_t *ret_last)
{
    struct stretch a, b;

    if (region == other) {
        *ret_first = first;
        *ret_last = last;
        return true;
    }
    if (!find_stretch(region, &a) || !find_stretch(other, &b) || a.type != b.type ||
            first > a.last - a.first)
        return false;
    if (last < a.last - a.first)
        a.last = a.first + last;
    a.first += first;
    if (a.first > b.last || b.first > a.last)
        return false;
    *ret_first = a.first > b.first ? a.first - b.first : 0;
    *ret_last = (a.last < b.last ? a.last : b.last) - b.first;
    return true;
}

bool region_overlaps(const struct region *region, const struct region *other)
{
    uint64_t first, last;

    return region_shares(region, 0, UINT64_MAX, other, &first, &last);
}
