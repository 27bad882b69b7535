/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One table has a limit's name, its field and its range: a new limit is one line here, one in
 * devregd.schema.json and one in api/status.c. */
#include "config_limits.h"

#include <inttypes.h>

#include "util/cleanup.h"

#define LIMIT(key) offsetof(struct limits, key)

/* Ranges of the limits, by the field they are for. */
static const struct {
    size_t field;
    uint64_t least, most;
} limit_ranges[] = {
        {LIMIT(connections), 1, 65536},
        {LIMIT(connections_per_principal), 1, 65536},
        {LIMIT(requests_per_principal), 1, 65536},
        {LIMIT(head_bytes), 4096, 256 * 1024},
        {LIMIT(json_body_bytes), 1024, 1024 * 1024},
        {LIMIT(data_bytes), 1024 * 1024, 1024 * 1024 * 1024},
        {LIMIT(data_principal_bytes), 1024 * 1024, UINT64_C(64) * 1024 * 1024 * 1024},
        {LIMIT(data_total_bytes), 1024 * 1024, UINT64_C(64) * 1024 * 1024 * 1024},
        {LIMIT(values), 1, 65536},
        {LIMIT(queue), 1, 65536},
        {LIMIT(device_seconds), 1, 86400},
        {LIMIT(idle_seconds), 1, 86400},
        {LIMIT(request_seconds), 1, 86400},
        {LIMIT(reservations), 1, 4096},
        {LIMIT(reservations_per_principal), 1, 4096},
        {LIMIT(events), 16, 1048576},
        {LIMIT(interrupts_per_second), 1, 10000000},
        {LIMIT(tokens), 1, 65536},
        {LIMIT(streams), 1, 65536},
        {LIMIT(streams_per_principal), 1, 65536},
        {LIMIT(buffers), 1, 65536},
        {LIMIT(buffers_per_principal), 1, 65536},
        {LIMIT(buffer_bytes), 4096, UINT64_C(1) << 50},
        {LIMIT(buffer_bytes_per_principal), 4096, UINT64_C(1) << 50},
};

static void take_limit(struct config_reader *reader, const json_t *value, void *field)
{
    size_t offset = (size_t)((char *)field - (char *)&reader->config->limits);
    uint64_t number;

    if (!config_read_number(reader, value, &number))
        return;
    for (size_t i = 0; i < ELEMENTS(limit_ranges); i++) {
        if (limit_ranges[i].field != offset)
            continue;
        if (number < limit_ranges[i].least || number > limit_ranges[i].most)
            config_report(reader, false, "expected %" PRIu64 " to %" PRIu64, limit_ranges[i].least,
                    limit_ranges[i].most);
        else
            *(uint64_t *)field = number;
    }
}

static const struct config_key limit_keys[] = {
        {"connections", take_limit, LIMIT(connections), 0},
        {"connections_per_principal", take_limit, LIMIT(connections_per_principal), 0},
        {"requests_per_principal", take_limit, LIMIT(requests_per_principal), 0},
        {"head_bytes", take_limit, LIMIT(head_bytes), 0},
        {"json_body_bytes", take_limit, LIMIT(json_body_bytes), 0},
        {"data_bytes", take_limit, LIMIT(data_bytes), 0},
        {"data_principal_bytes", take_limit, LIMIT(data_principal_bytes), 0},
        {"data_total_bytes", take_limit, LIMIT(data_total_bytes), 0},
        {"values", take_limit, LIMIT(values), 0},
        {"queue", take_limit, LIMIT(queue), 0},
        {"device_seconds", take_limit, LIMIT(device_seconds), 0},
        {"idle_seconds", take_limit, LIMIT(idle_seconds), 0},
        {"request_seconds", take_limit, LIMIT(request_seconds), 0},
        {"reservations", take_limit, LIMIT(reservations), 0},
        {"reservations_per_principal", take_limit, LIMIT(reservations_per_principal), 0},
        {"events", take_limit, LIMIT(events), 0},
        {"interrupts_per_second", take_limit, LIMIT(interrupts_per_second), 0},
        {"tokens", take_limit, LIMIT(tokens), 0},
        {"streams", take_limit, LIMIT(streams), 0},
        {"streams_per_principal", take_limit, LIMIT(streams_per_principal), 0},
        {"buffers", take_limit, LIMIT(buffers), 0},
        {"buffers_per_principal", take_limit, LIMIT(buffers_per_principal), 0},
        {"buffer_bytes", take_limit, LIMIT(buffer_bytes), 0},
        {"buffer_bytes_per_principal", take_limit, LIMIT(buffer_bytes_per_principal), 0},
};

void config_take_limits(struct config_reader *reader, const json_t *value, void *field)
{
    uint32_t bits = 0;

    config_read_object(reader, value, limit_keys, ELEMENTS(limit_keys), field, &bits);
}
