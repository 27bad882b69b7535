/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated board, opened through its backend's operations as the core does it. */
#pragma once

#include "backends/backend.h"
#include "test.h"

struct sim_fixture {
    struct device_description description;
    struct region_description region_description;
    struct backend_device *device;
    struct backend_region *region;
};

/* path and trace may be NULL, size 0. */
void sim_fixture_open(
        struct sim_fixture *fixture, const char *model, uint64_t size, const char *path, const char *trace);
void sim_fixture_close(struct sim_fixture *fixture);

/* One access that must succeed; the value is the register's, whatever this machine's endianness. */
uint64_t sim_read(struct sim_fixture *fixture, uint64_t offset, unsigned width);
void sim_write(struct sim_fixture *fixture, uint64_t offset, unsigned width, uint64_t value);

/* It must succeed. */
void sim_reset(struct sim_fixture *fixture);

#define sim_expect(fixture, offset, width, expected)                                                        \
    do {                                                                                                    \
        uint64_t sim_expect_value = sim_read((fixture), (offset), (width));                                 \
        test_that(sim_expect_value == (uint64_t)(expected), "0x%x (%u octets) is 0x%llx, expected 0x%llx",  \
                (unsigned)(offset), (unsigned)(width), (unsigned long long)sim_expect_value,                \
                (unsigned long long)(expected));                                                            \
    } while (0)
