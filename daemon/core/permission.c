/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See permission.h. The names are the configuration's and the API's: they do not change. */
#include "core/permission.h"

#include <errno.h>
#include <string.h>

static const char *const names[PERMISSION_COUNT] = {
        "none", "list", "read", "write", "interrupt", "dma", "reserve", "admin"};

const char *permission_name(enum permission permission)
{
    return names[permission];
}

int permission_parse(const char *name, permission_set *ret_set)
{
    if (strcmp(name, "all") == 0) {
        *ret_set = PERMISSIONS_ALL;
        return 0;
    }
    for (unsigned i = PERMISSION_NONE + 1; i < PERMISSION_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_set = permission_bit(i);
            return 0;
        }
    }
    return -EINVAL;
}
