/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One client's access to the registers of a region: checked, put in the device's order of work, made, and
 * judged. It knows the rules that hold for every register whoever asks; who may ask is core/admission.c's
 * business. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dispatch.h"
#include "core/region.h"

enum operation_kind {
    OPERATION_READ,
    OPERATION_WRITE,
    OPERATION_MODIFY, /* of one register: (old & ~mask) | value, nothing in between */
};

struct operation {
    struct work work;
    enum operation_kind kind;

    /* For core/admission.c. */
    const struct principal *principal; /* who asks; outlives the operation */
    const char *reservation;           /* the id that must be held, or NULL */
    struct operation *next, **link;    /* in the daemon's list of those under way */
    /* What admitted it holds no more, a reservation that has ended: it makes no further access. Set on the
     * loop at any time between starting and completion, read by the worker. */
    atomic_bool revoked;

    struct region *region;
    struct access access;
    void *values;         /* access.count values in the device's own order of octets; the caller's */
    uint64_t mask, value; /* OPERATION_MODIFY */

    /* Results, valid in completed(). */
    uint64_t before; /* OPERATION_MODIFY: the value that was read */
    size_t done;     /* accesses completed */
    bool suspect;    /* a value was all ones: the device may be dead */
    int result;      /* 0 or a negative errno, with its error */
    struct error error;

    void (*completed)(struct operation *operation); /* on the loop */
};

/* Opens the region when it was absent, or must be mapped anew: what is known of it holds from then on until
 * the loop goes on. Returns 0, -EBUSY when something else holds it, -EAGAIN while its device is closed for
 * other work, -ENODEV when it is absent otherwise. */
int operation_open_region(struct dispatch *dispatch, struct region *region, struct error *error);

/* Opens the region likewise, and checks place and width without touching the device.
 * access->width 0 means the region's default, which is filled in. Returns 0, as above, or
 *   -ERANGE       outside the region
 *   -EOPNOTSUPP   a width, alignment or direction that the region does not take */
int operation_prepare(struct dispatch *dispatch, struct region *region, enum operation_kind kind,
        struct access *access, struct error *error);

/* Starts a prepared operation; completed() is called once, maybe before this returns. Returns 0, or a
 * negative errno, and then completed() is not called. The result is -EUSERS when it was revoked. */
int operation_start(struct dispatch *dispatch, struct operation *operation, struct error *error);

/* A register value to and from the region's order of octets. */
uint64_t operation_get_value(const struct operation *operation, size_t index);
void operation_set_value(struct operation *operation, size_t index, uint64_t value);
