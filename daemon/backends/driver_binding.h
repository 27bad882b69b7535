/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which kernel driver a device is bound to, and how that is changed through sysfs: driver_override, unbind,
 * drivers_probe (Documentation/ABI/testing/sysfs-bus-pci). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "backends/description.h"
#include "backends/machine.h"
#include "util/error.h"

enum {
    DRIVER_NAME_SIZE = 64, /* with its NUL */
    BUS_NAME_SIZE = 64,
    DRIVER_DESPITE_SIZE = 320,
};

/* A device as sysfs names it. */
struct bus_place {
    const char *bus; /* "pci", "platform"; a literal */
    char name[BUS_NAME_SIZE];
};

/* Finds it by its description. Returns 0, -EOPNOTSUPP when what is described can have no driver, -ENODEV
 * when it is not there. */
int driver_binding_find(const struct machine *machine, const struct device_description *description,
        struct bus_place *ret_place, struct error *error);

bool bus_place_equal(const struct bus_place *a, const struct bus_place *b);

/* Whether it can be a driver's name at all. Returns 0 or -EINVAL. */
int driver_name_check(const char *name, struct error *error);

struct driver_change {
    const struct machine *machine;
    struct bus_place place;
    char wanted[DRIVER_NAME_SIZE]; /* empty: whichever the kernel chooses */
    bool force;                    /* also when the system needs the device */
    atomic_bool revoked;           /* it must not begin any more; set by any thread */

    /* Results, also of a failure. */
    char before[DRIVER_NAME_SIZE]; /* empty: none */
    char now[DRIVER_NAME_SIZE];
    bool touched;                      /* something was written to sysfs */
    char despite[DRIVER_DESPITE_SIZE]; /* what else would have been the reason to refuse it; empty: nothing
                                        */
};

/* Adds to what it is done despite of. */
void driver_binding_note(struct driver_change *change, const char *reason);

/* Looks, without changing anything, whether it is so already. Returns 1 when it is: then that is the result;
 * 0 when there is something to do; -EINVAL or -EBUSY as below. */
int driver_binding_look(struct driver_change *change, struct error *error);

/* Looks who needs the device, and then changes its driver. It takes as long as the drivers take, maybe for
 * ever. What fails half-way is rolled back, and the message says which step it was and what there is now.
 * Returns 0, also when it was so already, or
 *   -EINVAL   no name of a driver
 *   -EBUSY    there is no such driver, the device is a bridge, the driver did not take it
 *   -ETXTBSY  the system needs the device, and it was not forced
 *   -EUSERS   it was revoked; nothing was touched
 *   -ENODEV   it is not there (any more)
 *   -ENODATA  sysfs can't be written to
 *   -EIO      another failure of a step */
int driver_binding_change(struct driver_change *change, struct error *error);
