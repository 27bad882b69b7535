/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a source of interrupts comes too often, and for how long it is masked then. Arithmetic alone: time
 * is what the caller says. */
#pragma once

#include <stdint.h>

struct storm_meter {
    uint64_t window_ns; /* when the present window began, monotonic; 0: none yet */
    uint64_t count;     /* occurrences in it */
    uint64_t masked_us; /* how long it was masked for in the last storm; 0: there was none */
    uint64_t over_us;   /* when that was over, monotonic */
};

/* Counts so many occurrences, the last of them at time_ns. Returns 0, or how many come a second when they
 * are more than the limit, which is at least 1. */
uint64_t storm_count(struct storm_meter *meter, uint64_t time_ns, uint64_t occurrences, uint64_t limit);

/* A storm begins. Returns how long it is to be masked for: a second, and twice as long each time that it
 * storms again within a minute, up to a minute. */
uint64_t storm_begin(struct storm_meter *meter, uint64_t now_us);

/* The storm is over: counting begins anew. */
void storm_end(struct storm_meter *meter, uint64_t now_us);

/* What came so far does not count any more. */
void storm_restart(struct storm_meter *meter);
