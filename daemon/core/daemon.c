/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits as they are when the configuration says nothing, and the few things that are nobody else's. */
#include "core/daemon.h"

const struct limits limits_default = {
        .connections = 256,
        .json_body_bytes = 64 * 1024,
        .data_bytes = 16 * 1024 * 1024,
        .data_total_bytes = 64 * 1024 * 1024,
        .values = 4096,
        .queue = 256,
        .idle_seconds = 60,
        .request_seconds = 30,
};

bool daemon_claim_data(struct daemon *daemon, uint64_t size)
{
    if (size > daemon->limits.data_total_bytes - daemon->data_bytes_in_use)
        return false;
    daemon->data_bytes_in_use += size;
    return true;
}

void daemon_return_data(struct daemon *daemon, uint64_t size)
{
    daemon->data_bytes_in_use -= size;
}
