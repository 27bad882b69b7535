/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits as they are when the configuration says nothing, and the few things that are nobody else's. */
#include "core/daemon.h"

#include <errno.h>
#include <inttypes.h>

const struct limits limits_default = {
        .connections = 256,
        .connections_per_principal = 128,
        .requests_per_principal = 64,
        .head_bytes = 16 * 1024,
        .json_body_bytes = 64 * 1024,
        .data_bytes = 16 * 1024 * 1024,
        .data_principal_bytes = 32 * 1024 * 1024,
        .data_total_bytes = 64 * 1024 * 1024,
        .values = 2048,
        .queue = 64,
        .device_seconds = 30,
        .idle_seconds = 60,
        .request_seconds = 30,
        .reservations = 1024,
        .reservations_per_principal = 64,
        .events = 65536,
        .interrupts_per_second = 20000,
        .tokens = 1024,
        .streams = 512,
        .streams_per_principal = 16,
        .buffers = 1024,
        .buffers_per_principal = 64,
        .buffer_bytes = UINT64_C(4) * 1024 * 1024 * 1024,
        .buffer_bytes_per_principal = UINT64_C(1024) * 1024 * 1024,
};

int daemon_claim_data(struct daemon *daemon, struct account *account, uint64_t size, struct error *error)
{
    uint64_t limit = daemon->limits.data_principal_bytes;

    if (account && (size > limit || account->data_bytes > limit - size))
        return error_set(error, -EDQUOT,
                "%s has too much raw data on its way, %" PRIu64 " octets are the limit: try again later",
                account->name, limit);
    if (size > daemon->limits.data_total_bytes - daemon->data_bytes_in_use)
        return error_set(error, -EAGAIN, "too much raw data is on its way already: try again later");
    daemon->data_bytes_in_use += size;
    if (account)
        account->data_bytes += size;
    return 0;
}

void daemon_return_data(struct daemon *daemon, struct account *account, uint64_t size)
{
    daemon->data_bytes_in_use -= size;
    if (account)
        account->data_bytes -= size;
}
