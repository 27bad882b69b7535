/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One administrator's change of the kernel driver that a device is bound to: admitted, done while the device
 * is closed here, and told. */
#pragma once

#include <stdbool.h>

#include "backends/driver_binding.h"
#include "core/daemon.h"

struct binding {
    struct work work;
    struct driver_change change; /* wanted and force are the caller's */

    struct daemon *daemon;
    struct device *device;
    const struct principal *principal; /* who asks; outlives the binding */
    const char *reservation;           /* the id that must be held, or NULL; outlives it likewise */
    struct binding *next, **link;      /* in the daemon's list of those under way */

    /* Results, valid in completed(). */
    int result; /* 0 or a negative errno, with its error */
    struct error error;
    const struct reservation *blocking; /* of -EUSERS, if there still is one */

    void (*completed)(struct binding *binding); /* on the loop; may free it */
};

/* Starts it, for the device; completed() is called once, maybe before this returns. Returns 0, or a negative
 * errno, and then completed() is not called: what admission_ask_device() and driver_binding_find() return,
 * -EAGAIN when the device is being bound already or devregd is stopping, and what driver_binding_look()
 * does. When it is reserved by another, *ret_blocking says by whom. */
int binding_start(struct daemon *daemon, struct binding *binding, const struct reservation **ret_blocking,
        struct error *error);

/* Where the bus has the device: while it is open, also one that is described by the name of its UIO device.
 * Returns what driver_binding_find() does. */
int binding_find_place(const struct daemon *daemon, const struct device *device, struct bus_place *ret_place,
        struct error *error);

/* Whether the device is the only one of the configuration there: what is done to it is done to all. Returns
 * 0 or -EBUSY. */
int binding_check_one_name(const struct daemon *daemon, const struct device *device,
        const struct bus_place *place, struct error *error);

/* Forgets one that is never completed, because the daemon has ended. */
void binding_forget(struct binding *binding);

/* To be called when reservations or principals have changed: what has not begun, and is not allowed any
 * more, does not begin. */
void binding_recheck(struct daemon *daemon);
