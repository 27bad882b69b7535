/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Octets by the gigabyte, to and from the daemon: handed over piece by piece as they come, counted, and
 * never all in memory. The connection's time-out is how long nothing may move. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "connection.h"

/* Where they go. Both return 0, or -1 with the failure filled. */
struct octets_sink {
    int (*begin)(void *context, uint64_t size, struct failure *failure); /* so many will come */
    int (*take)(void *context, const void *octets, size_t size, struct failure *failure);
    void *context;
};

/* Where they come from: up to `size` of them, at least one. Returns 0, or -1 with the failure filled. */
struct octets_source {
    int (*read)(void *context, void *octets, size_t size, size_t *ret_size, struct failure *failure);
    void *context;
};

#define OCTETS_TO_END UINT64_MAX

/* Gets `length` octets from `offset` on, or all there are. Returns 0 when each of them was taken, or -1 with
 * the failure filled, which says how many were. `name` is for messages: what they are of. */
int octets_get(struct connection *connection, const char *path, const char *name, uint64_t offset,
        uint64_t length, const struct octets_sink *sink, struct failure *failure);

/* Puts `size` octets. */
int octets_put(struct connection *connection, const char *path, uint64_t size,
        const struct octets_source *source, json_t **ret_result, struct failure *failure);
