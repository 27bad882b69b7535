/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All devices and regions, by name. Their number is fixed by the configuration. */
#pragma once

#include "core/device.h"
#include "util/cleanup.h"

struct inventory {
    struct device *devices; /* in the order of the configuration */
    size_t device_count;
    struct region **regions; /* sorted by name */
    size_t region_count;
};

/* The descriptions must outlive the inventory; their names are unique and not empty. Opens nothing yet. */
int inventory_new(const struct device_description *descriptions, size_t count,
        struct inventory **ret_inventory, struct error *error);
void inventory_free(struct inventory *inventory);
DEFINE_CLEANUP(struct inventory *, inventory_free)

/* NULL when there is none. */
struct device *inventory_find_device(const struct inventory *inventory, const char *name);
struct region *inventory_find_region(const struct inventory *inventory, const char *name);
