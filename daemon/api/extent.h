/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much of a region a permission is for. */
#pragma once

#include "core/daemon.h"

enum extent {
    EXTENT_NONE,
    EXTENT_PART, /* some octets, or some bits or values */
    EXTENT_ALL,
};

/* The decision is about the whole region: of EXTENT_PART it says what is not allowed. */
enum extent extent_of(const struct daemon *daemon, const struct principal *principal,
        enum permission permission, const struct region *region, struct access_decision *ret_decision);
