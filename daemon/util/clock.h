/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time that never jumps; the system's own date can. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The system's date at a time of clock_now_ns(), as it is set now. It is asked between two looks at the
 * other clock, so that it matters least when something comes in between. */
static inline uint64_t clock_realtime_at(uint64_t monotonic_ns)
{
    uint64_t before = clock_now_ns(), after;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    after = clock_now_ns();
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec - (before + (after - before) / 2) +
           monotonic_ns;
}

/* Goes on while the machine sleeps, and begins anew when it boots. */
static inline uint64_t clock_boottime_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t clock_now_us(void)
{
    return clock_now_ns() / 1000;
}
