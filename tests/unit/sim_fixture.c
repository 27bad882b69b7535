/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sim_fixture.h. */
#include "sim_fixture.h"

#include <endian.h>
#include <string.h>

#include "backends/bus_guard.h"

void sim_fixture_open(
        struct sim_fixture *fixture, const char *model, uint64_t size, const char *path, const char *trace)
{
    const struct backend *backend = backend_find("sim");
    struct error error = {0};

    /* In each test: cmocka puts its own handler there before. */
    assert_int_equal(bus_guard_install(), 0);
    assert_non_null(backend);
    *fixture = (struct sim_fixture){0};
    fixture->description.name = (char *)"board";
    fixture->description.model = (char *)model;
    fixture->description.path = (char *)path;
    fixture->description.trace = (char *)trace;
    fixture->description.keys = KEY_MODEL;
    fixture->description.regions = &fixture->region_description;
    fixture->description.region_count = 1;
    fixture->region_description.name = (char *)"board";
    fixture->region_description.size = size;
    test_that(backend->device_open(&fixture->description, &fixture->device, &error) == 0, "opening %s: %s",
            model, error.message);
    fixture->device->backend = backend;
    test_that(backend->region_open(
                      fixture->device, &fixture->region_description, &fixture->region, &error) == 0,
            "opening the region of %s: %s", model, error.message);
    fixture->region->backend = backend;
}

void sim_fixture_close(struct sim_fixture *fixture)
{
    fixture->region->backend->region_close(fixture->region);
    fixture->device->backend->device_close(fixture->device);
}

void sim_reset(struct sim_fixture *fixture)
{
    struct error error = {0};

    assert_true(fixture->device->can_reset);
    test_that(fixture->device->backend->device_reset(fixture->device, &error) == 0, "%s", error.message);
}

uint64_t sim_read(struct sim_fixture *fixture, uint64_t offset, unsigned width)
{
    struct access access = {.offset = offset, .width = width, .count = 1};
    uint64_t value = 0;
    size_t done = 77;
    int r = fixture->region->backend->read(fixture->region, &access, &value, &done);

    test_that(r == 0 && done == 1, "reading 0x%llx (%u octets) gave %d, %zu done",
            (unsigned long long)offset, width, r, done);
    return le64toh(value);
}

void sim_write(struct sim_fixture *fixture, uint64_t offset, unsigned width, uint64_t value)
{
    struct access access = {.offset = offset, .width = width, .count = 1};
    uint64_t octets = htole64(value);
    size_t done = 77;
    int r = fixture->region->backend->write(fixture->region, &access, &octets, &done);

    test_that(r == 0 && done == 1, "writing 0x%llx (%u octets) gave %d, %zu done",
            (unsigned long long)offset, width, r, done);
}
