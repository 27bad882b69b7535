/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits as they are when the configuration says nothing, and the few things that are nobody else's. */
#include "core/daemon.h"

#include <errno.h>

const struct limits limits_default = {
        .connections = 256,
        .json_body_bytes = 64 * 1024,
        .data_bytes = 16 * 1024 * 1024,
        .data_total_bytes = 64 * 1024 * 1024,
        .values = 2048,
        .queue = 64,
        .device_seconds = 30,
        .idle_seconds = 60,
        .request_seconds = 30,
        .reservations = 1024,
        .reservations_per_principal = 64,
        .tokens = 1024,
};

int daemon_claim_data(struct daemon *daemon, uint64_t size, struct error *error)
{
    if (size > daemon->limits.data_total_bytes - daemon->data_bytes_in_use)
        return error_set(error, -EAGAIN, "too much raw data is on its way already: try again later");
    daemon->data_bytes_in_use += size;
    return 0;
}

void daemon_return_data(struct daemon *daemon, uint64_t size)
{
    daemon->data_bytes_in_use -= size;
}
