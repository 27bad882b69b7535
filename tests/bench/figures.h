/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bench-interrupts and bench-events measure alike: how many interrupts a second are taken, and how long
 * after its handler's time each one is read. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct figures {
    uint64_t first_ns; /* the handler's time of the first one */
    uint64_t last_ns;  /* when the last one was read */
    uint64_t *latencies;
    size_t count, room;
};

static inline void figures_add(struct figures *figures, uint64_t handled_ns, uint64_t read_ns)
{
    if (figures->count == figures->room) {
        figures->room = figures->room ? figures->room * 2 : 4096;
        figures->latencies = reallocarray(figures->latencies, figures->room, sizeof(uint64_t));
        if (!figures->latencies)
            abort();
    }
    if (figures->count == 0 || handled_ns < figures->first_ns)
        figures->first_ns = handled_ns;
    figures->last_ns = read_ns;
    figures->latencies[figures->count++] = read_ns - handled_ns;
}

static inline int figures_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Of a burst, which went to so many readers: to each of them. */
static inline double figures_per_second(const struct figures *figures, size_t readers)
{
    return (double)figures->count / (double)readers * 1e9 / (double)(figures->last_ns - figures->first_ns);
}

static inline uint64_t figures_percentile(struct figures *figures, unsigned percent)
{
    qsort(figures->latencies, figures->count, sizeof(uint64_t), figures_compare);
    return figures->latencies[(figures->count - 1) * percent / 100];
}

/* "123456 20100 90300 4000 0": of the burst how many a second, of the paced ones the median latency and the
 * 99th percentile, nanoseconds; how many of the burst came to each reader; and of how many of all there is
 * no more than the number. */
static inline void figures_print(
        const struct figures *burst, struct figures *paced, size_t readers, uint64_t missed)
{
    printf("%.0f %llu %llu %zu %llu\n", figures_per_second(burst, readers),
            (unsigned long long)figures_percentile(paced, 50),
            (unsigned long long)figures_percentile(paced, 99), burst->count / readers,
            (unsigned long long)missed);
}
