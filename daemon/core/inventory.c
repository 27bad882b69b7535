/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regions are looked up by name at every request, so they are kept sorted. */
#include "core/inventory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_regions(const void *a, const void *b)
{
    return strcmp(region_name(*(struct region *const *)a), region_name(*(struct region *const *)b));
}

static int index_regions(struct inventory *inventory, struct error *error)
{
    size_t count = 0;

    for (size_t i = 0; i < inventory->device_count; i++)
        count += inventory->devices[i].region_count;
    inventory->regions = calloc(count ? count : 1, sizeof(*inventory->regions));
    if (!inventory->regions)
        return error_set(error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < inventory->device_count; i++) {
        for (size_t k = 0; k < inventory->devices[i].region_count; k++)
            inventory->regions[inventory->region_count++] = &inventory->devices[i].regions[k];
    }
    qsort(inventory->regions, count, sizeof(*inventory->regions), compare_regions);
    return 0;
}

int inventory_new(const struct device_description *descriptions, size_t count,
        struct inventory **ret_inventory, struct error *error)
{
    _cleanup_(inventory_freep) struct inventory *inventory = calloc(1, sizeof(*inventory));
    int r;

    if (!inventory)
        return error_set(error, -ENOMEM, "out of memory");
    inventory->devices = calloc(count ? count : 1, sizeof(*inventory->devices));
    if (!inventory->devices)
        return error_set(error, -ENOMEM, "out of memory");
    inventory->device_count = count;
    for (size_t i = 0; i < count; i++) {
        r = device_init(&inventory->devices[i], &descriptions[i], error);
        if (r < 0)
            return error_prefix(error, "device %s", descriptions[i].name);
    }
    r = index_regions(inventory, error);
    if (r < 0)
        return r;
    *ret_inventory = take_ptr(inventory);
    return 0;
}

void inventory_free(struct inventory *inventory)
{
    if (!inventory)
        return;
    for (size_t i = 0; inventory->devices && i < inventory->device_count; i++)
        device_done(&inventory->devices[i]);
    free(inventory->devices);
    free(inventory->regions);
    free(inventory);
}

struct device *inventory_find_device(const struct inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->device_count; i++) {
        if (strcmp(device_name(&inventory->devices[i]), name) == 0)
            return &inventory->devices[i];
    }
    return NULL;
}

struct region *inventory_find_region(const struct inventory *inventory, const char *name)
{
    size_t low = 0, high = inventory->region_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, region_name(inventory->regions[middle]));

        if (order == 0)
            return inventory->regions[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
