/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a simulated board implements. Each is one file with a `const struct sim_board`, named in the table of
 * sim.c. */
#pragma once

#include "backends/backend.h"

#define SIM_SIZE_LIMIT (UINT64_C(1) << 30)

struct sim_board {
    const char *name;
    const char *summary;
    uint64_t size; /* octets; 0: the description says */
    width_set widths;
    bool slow;

    int (*open)(const struct device_description *description, const struct region_description *region,
            void **ret_state, struct error *error);
    void (*close)(void *state);

    /* One access, in the device's own byte order, which is little-endian. Returns 0 or -EFAULT. */
    int (*read)(void *state, uint64_t offset, unsigned width, uint64_t *ret_value);
    int (*write)(void *state, uint64_t offset, unsigned width, uint64_t value);

    /* Boards that are plain memory make whole vectors; NULL otherwise. */
    int (*read_vector)(void *state, const struct access *access, void *values, size_t *ret_done);
    int (*write_vector)(void *state, const struct access *access, const void *values, size_t *ret_done);
};

/* What hardware gives where nothing answers: all ones of the width. */
static inline uint64_t sim_all_ones(unsigned width)
{
    return width >= 8 ? UINT64_MAX : (UINT64_C(1) << width * 8) - 1;
}
