/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a region of a UIO device is, by `uio_map`, `uio_port` or `bar`. */
#pragma once

#include <stdbool.h>

#include "backends/description.h"
#include "backends/uio_sysfs.h"
#include "util/error.h"

/* The region's window. */
struct uio_place {
    bool ports;       /* otherwise memory */
    unsigned map;     /* memory: which */
    uint64_t skip;    /* memory: octets from the map's start */
    uint64_t address; /* physical, or of the first port */
    uint64_t size;    /* octets, or ports */
};

/* `directory` is the UIO device's in sysfs, `function` that of the PCI function it belongs to, or -1 for
 * another device; `name` is what the device is called in messages. Returns 0, or -ENODEV: UIO has no such
 * window, maybe another backend does. */
int uio_find_place(int directory, int function, const char *name,
        const struct region_description *description, struct uio_place *ret_place, struct error *error);
