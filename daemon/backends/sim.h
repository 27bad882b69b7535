/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a simulated board implements. Each is one file with a `const struct sim_board`, named in the table of
 * sim.c. */
#pragma once

#include "backends/backend.h"

#define SIM_SIZE_LIMIT (UINT64_C(1) << 30)

/* Where a board raises its interrupts. */
struct sim_line;

/* What it reaches by DMA. */
struct sim_memory;

/* One occurrence each time it is called, as with message-signaled interrupts. From a board's own functions
 * alone. */
void sim_raise(struct sim_line *line, unsigned vector);

/* No two of a board's functions are ever called at once. */
struct sim_board {
    const char *name;
    const char *summary;
    uint64_t size; /* octets; 0: the description says */
    width_set widths;
    bool slow;
    unsigned vectors; /* how many interrupts it has */

    /* memory is NULL of a board without DMA. */
    int (*open)(const struct device_description *description, const struct region_description *region,
            struct sim_line *line, struct sim_memory *memory, void **ret_state, struct error *error);
    void (*close)(void *state);

    /* One access, in the device's own byte order, which is little-endian. Returns 0 or -EFAULT. */
    int (*read)(void *state, uint64_t offset, unsigned width, uint64_t *ret_value);
    int (*write)(void *state, uint64_t offset, unsigned width, uint64_t value);

    /* What a board does by itself, while somebody takes its interrupts or has buffers of it. Both NULL:
     * nothing. due_ns says when it is to be done next, monotonic; UINT64_MAX: not before the next access. */
    uint64_t (*due_ns)(const void *state);
    void (*act)(void *state);

    /* As it was when it was opened: what it was doing is not done, and nothing is raised. Returns 0 or a
     * negative errno. */
    int (*reset)(void *state);

    /* Whether it may write to memory without being told to once more. NULL: it has no DMA. */
    bool (*transfers)(const void *state);

    /* Boards that are plain memory make whole vectors; NULL otherwise. */
    int (*read_vector)(void *state, const struct access *access, void *values, size_t *ret_done);
    int (*write_vector)(void *state, const struct access *access, const void *values, size_t *ret_done);
};

/* What hardware gives where nothing answers: all ones of the width. */
static inline uint64_t sim_all_ones(unsigned width)
{
    return width >= 8 ? UINT64_MAX : (UINT64_C(1) << width * 8) - 1;
}
