/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See extent.h. */
#include "api/extent.h"

/* The others are about a region as such. */
enum {
    ABOUT_OCTETS =
            1 << PERMISSION_READ | 1 << PERMISSION_WRITE | 1 << PERMISSION_RESERVE | 1 << PERMISSION_ADMIN
};

enum extent extent_of(const struct daemon *daemon, const struct principal *principal,
        enum permission permission, const struct region *region, struct access_decision *ret_decision)
{
    uint64_t size = region->handle ? region->handle->size : region->known_size;

    if (!access_may(daemon->access, principal, permission, region, ret_decision))
        return EXTENT_NONE;
    if (!(permission_bit(permission) & ABOUT_OCTETS))
        return EXTENT_ALL;
    return access_may_range(daemon->access, daemon->inventory, principal, permission, region, 0,
                   size ? size - 1 : UINT64_MAX, ret_decision)
                   ? EXTENT_ALL
                   : EXTENT_PART;
}
