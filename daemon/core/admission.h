/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether an operation may be made now: access rules and reservations, asked in one place for every way to a
 * register; and the operations under way, so that one whose ground is taken away makes no further access. */
#pragma once

#include "core/daemon.h"

/* Asks for a prepared operation; its values and mask are known. Returns 0, or
 *   -EPERM, -EKEYREJECTED  no access rule allows it
 *   -EUSERS                it is reserved by another; *ret_blocking says by whom, or is NULL when the
 *                          reservation that the request names is over */
int admission_ask(struct daemon *daemon, const struct operation *operation,
        const struct reservation **ret_blocking, struct error *error);

/* Asks for a whole device, to do with it what an administrator may. Without `force` nobody else may have any
 * of it reserved; with it, *ret_blocking is still set. Returns as above. */
int admission_ask_device(struct daemon *daemon, const struct principal *principal, const char *reservation,
        const struct device *device, bool force, const struct reservation **ret_blocking,
        struct error *error);

/* Asks for setting back a whole device: for writing whatever one likes to all of each region, and nobody
 * else may have any of it reserved. Returns as above. */
int admission_ask_reset(struct daemon *daemon, const struct principal *principal, const char *reservation,
        const struct device *device, const struct reservation **ret_blocking, struct error *error);

/* Asks for writing whatever one likes to all of a region. Returns as above. */
int admission_ask_region(struct daemon *daemon, const struct principal *principal,
        const struct region *region, const struct reservation **ret_blocking, struct error *error);

/* Asks for memory for DMA of the device: for any region of it by the rules, and nobody else may have any of
 * it reserved. Returns as above. */
int admission_ask_dma(struct daemon *daemon, const struct principal *principal, const struct device *device,
        const struct reservation **ret_blocking, struct error *error);

/* Asks, and starts the operation: it counts as under way until admission_end(), which its owner calls from
 * completed(). Returns what admission_ask() and operation_start() do; on failure nothing is to be ended. */
int admission_start(struct daemon *daemon, struct operation *operation,
        const struct reservation **ret_blocking, struct error *error);
void admission_end(struct operation *operation);

/* To be called when a reservation was granted or has ended, or a token was revoked: revokes the operations
 * under way that would not be admitted any more, and ends streams. */
void admission_recheck(struct daemon *daemon);
