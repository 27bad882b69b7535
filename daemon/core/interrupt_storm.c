/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See interrupt_storm.h. */
#include "core/interrupt_storm.h"

enum {
    /* A window is as short as this, or as long as it takes for so many: with a low limit a few that come
     * together are no storm. */
    WINDOW_NS = 100000000,
    WINDOW_LEAST = 10,

    LEAST_ELAPSED_NS = 1000000, /* what a rate is said of */
};

static const uint64_t SECOND_NS = 1000000000;
static const uint64_t MASKED_LEAST_US = 1000000;
static const uint64_t MASKED_MOST_US = 60000000;
static const uint64_t QUIET_US = 60000000;

static uint64_t window_length(uint64_t limit)
{
    uint64_t length = WINDOW_LEAST * SECOND_NS / limit;

    return length > WINDOW_NS ? length : WINDOW_NS;
}

/* How many may come in this time, its first and its last moment included; in parts, as the product of both
 * may be beyond 64 bits. */
static uint64_t allowed_in(uint64_t ns, uint64_t limit)
{
    return ns / SECOND_NS * limit + ns % SECOND_NS * limit / SECOND_NS + 1;
}

uint64_t storm_count(struct storm_meter *meter, uint64_t time_ns, uint64_t occurrences, uint64_t limit)
{
    uint64_t elapsed_ns = time_ns > meter->window_ns ? time_ns - meter->window_ns : 0;
    uint64_t length_ns = window_length(limit), count;

    meter->count += occurrences;
    count = meter->count;
    if (elapsed_ns >= length_ns) { /* those that were missed came at any time since it began */
        meter->window_ns = time_ns;
        meter->count = 0;
    }
    if (count <= allowed_in(elapsed_ns > length_ns ? elapsed_ns : length_ns, limit))
        return 0;
    if (elapsed_ns < LEAST_ELAPSED_NS)
        elapsed_ns = LEAST_ELAPSED_NS;
    return (uint64_t)((double)count * (double)SECOND_NS / (double)elapsed_ns) + 1; /* above the limit */
}

uint64_t storm_begin(struct storm_meter *meter, uint64_t now_us)
{
    if (meter->masked_us == 0 || now_us - meter->over_us >= QUIET_US)
        meter->masked_us = MASKED_LEAST_US;
    else
        meter->masked_us = meter->masked_us * 2 < MASKED_MOST_US ? meter->masked_us * 2 : MASKED_MOST_US;
    return meter->masked_us;
}

void storm_end(struct storm_meter *meter, uint64_t now_us)
{
    meter->over_us = now_us;
    storm_restart(meter);
}

/* The first one that comes then begins a window. */
void storm_restart(struct storm_meter *meter)
{
    meter->window_ns = 0;
    meter->count = 0;
}
