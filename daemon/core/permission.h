/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may be permitted. None of them implies another. */
#pragma once

#include <stdint.h>

enum permission {
    PERMISSION_NONE, /* open to whoever can connect */
    PERMISSION_LIST,
    PERMISSION_READ,
    PERMISSION_WRITE,
    PERMISSION_INTERRUPT,
    PERMISSION_DMA,
    PERMISSION_RESERVE,
    PERMISSION_ADMIN,
};

enum { PERMISSION_COUNT = PERMISSION_ADMIN + 1 };

/* Permissions as a set of bits. */
typedef uint16_t permission_set;

static inline permission_set permission_bit(enum permission permission)
{
    return (permission_set)(1u << permission);
}

/* All but PERMISSION_NONE. */
enum { PERMISSIONS_ALL = (1u << PERMISSION_COUNT) - 2 };

/* "none", "list", "read", ... */
const char *permission_name(enum permission permission);

/* The permission of that name, or "all" as the set of all. Returns 0 or -EINVAL; "none" is none. */
int permission_parse(const char *name, permission_set *ret_set);
