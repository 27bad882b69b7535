/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One principal's reset of a device: admitted, done by its worker in order with all other work of it, and
 * told. Buffers that are live stay; what was retained of others goes off their owners' accounts. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "core/daemon.h"
#include "core/dma_buffers.h"

struct device_reset {
    struct work work;

    /* The caller's; what they point to outlives the reset. */
    struct device *device;
    const struct principal *principal; /* who asks */
    const char *reservation;           /* the id that must be held, or NULL */

    struct daemon *daemon;
    struct device_reset *next, **link; /* in the daemon's list of those under way */
    atomic_bool revoked;               /* it must not begin any more; read by the worker */
    atomic_bool begun;                 /* the backend was asked; set by the worker */
    uint64_t retained;                 /* octets, right before */
    struct dma_seen seen;              /* right after */

    /* Results, valid in completed(). */
    bool attempted; /* the device may have been reset, also when it failed */
    int result;     /* 0 or a negative errno, with its error */
    struct error error;
    uint64_t given_back;                /* octets that were retained and are free now */
    const struct reservation *blocking; /* of -EUSERS, if there still is one */

    void (*completed)(struct device_reset *reset); /* on the loop; may free it */

    /* It is never completed, as devregd ends, and this is what can be said of it. */
    void (*left)(struct device_reset *reset, const struct error *error);
};

/* Starts it; completed() is called once, not before this returns. Returns 0, or a negative errno, and then
 * completed() is not called:
 *   -EPERM, -EKEYREJECTED, -EUSERS  as admission_ask_reset(), *ret_blocking likewise
 *   -EOPNOTSUPP                     the device, as it is reached now, has no way
 *   -EBUSY                          it has another name, or something else holds it
 *   -ENODEV                         it is absent
 *   -EAGAIN                         it is being bound to a driver, busy, or devregd is stopping
 * What the backend's device_reset() can fail with comes as the result. */
int device_reset_start(struct daemon *daemon, struct device_reset *reset,
        const struct reservation **ret_blocking, struct error *error);

/* Forgets one that is never completed, because the daemon has ended. */
void device_reset_forget(struct device_reset *reset);

/* To be called when devregd ends, after the devices' workers have or were left behind: tells of those that
 * have begun and are never completed. */
void device_resets_leave(struct daemon *daemon);

/* To be called when reservations or principals have changed: what has not begun, and is not allowed any
 * more, does not begin. */
void device_resets_recheck(struct daemon *daemon);
