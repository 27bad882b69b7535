/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/sim_ram.c: memory of its own, and a file that another program fills or truncates. */
#include "sim_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/bus_guard.h"
#include "util/cleanup.h"

static int set_up(void **state)
{
    *state = test_directory_new();
    return 0;
}

static int tear_down(void **state)
{
    test_directory_remove(*state);
    return 0;
}

static void test_own_memory(void **state)
{
    struct sim_fixture ram;

    (void)state;
    sim_fixture_open(&ram, "ram", 0x3000, NULL, NULL);
    assert_int_equal(ram.region->size, 0x3000);
    assert_int_equal(ram.region->widths, 1 | 2 | 4 | 8);
    sim_expect(&ram, 0x2ff8, 8, 0);
    sim_write(&ram, 0x2ff8, 8, 0x1122334455667788);
    sim_expect(&ram, 0x2ff8, 4, 0x55667788);
    sim_expect(&ram, 0x2ffe, 2, 0x1122);
    sim_expect(&ram, 0x2fff, 1, 0x11);
    sim_fixture_close(&ram);
}

static void test_vectors(void **state)
{
    static uint8_t written[0x10000], back[0x10000];
    struct access access = {.offset = 0x100, .width = 8, .count = sizeof(written) / 8};
    struct sim_fixture ram;
    size_t done;

    (void)state;
    for (size_t i = 0; i < sizeof(written); i++)
        written[i] = (uint8_t)(i * 31 >> 3);
    sim_fixture_open(&ram, "ram", 0x20000, NULL, NULL);
    assert_int_equal(ram.region->backend->write(ram.region, &access, written, &done), 0);
    assert_int_equal(done, access.count);
    access.width = 1;
    access.count = sizeof(back);
    assert_int_equal(ram.region->backend->read(ram.region, &access, back, &done), 0);
    assert_int_equal(done, sizeof(back));
    assert_memory_equal(back, written, sizeof(back));
    sim_fixture_close(&ram);
}

static void test_file(void **state)
{
    _cleanup_free_ char *path = strdup(test_path(*state, "memory"));
    _cleanup_free_ char *text = NULL;
    struct sim_fixture ram;

    test_write_text(path, "0123456789abcdef");
    sim_fixture_open(&ram, "ram", 16, path, NULL);
    sim_expect(&ram, 0, 4, 0x33323130);
    sim_write(&ram, 4, 2, 0x5a59);
    sim_fixture_close(&ram);
    text = test_read_text(path);
    assert_string_equal(text, "0123YZ6789abcdef");
}

/* Its own memory is zero again, a file's stays whoever's fills it. */
static void test_reset(void **state)
{
    _cleanup_free_ char *path = strdup(test_path(*state, "memory"));
    _cleanup_free_ char *text = NULL;
    struct sim_fixture ram;

    sim_fixture_open(&ram, "ram", 0x3001, NULL, NULL);
    for (uint64_t offset = 0; offset <= 0x3000; offset += 0x800)
        sim_write(&ram, offset, 1, 0xff);
    sim_reset(&ram);
    for (uint64_t offset = 0; offset <= 0x3000; offset += 0x800)
        sim_expect(&ram, offset, 1, 0);
    sim_write(&ram, 0x2ff8, 8, UINT64_MAX);
    sim_expect(&ram, 0x2ff8, 8, UINT64_MAX);
    sim_fixture_close(&ram);
    test_write_text(path, "0123456789abcdef");
    sim_fixture_open(&ram, "ram", 16, path, NULL);
    sim_reset(&ram);
    sim_expect(&ram, 0, 4, 0x33323130);
    sim_fixture_close(&ram);
    text = test_read_text(path);
    assert_string_equal(text, "0123456789abcdef");
}

static void test_truncated_file(void **state)
{
    _cleanup_free_ char *path = strdup(test_path(*state, "memory"));
    long page = sysconf(_SC_PAGESIZE);
    struct access access = {.offset = (uint64_t)page - 8, .width = 4, .count = 4};
    uint32_t values[4];
    struct sim_fixture ram;
    size_t done;

    test_write_text(path, "");
    assert_int_equal(truncate(path, 2 * page), 0);
    sim_fixture_open(&ram, "ram", 2 * (uint64_t)page, path, NULL);
    assert_int_equal(ram.region->backend->read(ram.region, &access, values, &done), 0);
    assert_int_equal(truncate(path, page), 0);
    assert_int_equal(ram.region->backend->read(ram.region, &access, values, &done), -EFAULT);
    assert_int_equal(done, 2);
    assert_int_equal(ram.region->backend->write(ram.region, &access, values, &done), -EFAULT);
    assert_int_equal(done, 2);
    sim_fixture_close(&ram);
}

static void test_impossible_files(void **state)
{
    const struct backend *sim = backend_find("sim");
    struct region_description region = {.name = (char *)"ram", .size = 4096};
    struct device_description description = {
            .name = (char *)"ram", .model = (char *)"ram", .regions = &region, .region_count = 1};
    struct backend_device *device;
    struct backend_region *opened = NULL;
    struct error error = {0};

    description.path = (char *)test_path(*state, "memory");
    assert_int_equal(sim->device_open(&description, &device, &error), 0);
    check_error(sim->region_open(device, &region, &opened, &error), -ENOENT, &error, description.path);
    test_write_text(description.path, "too short");
    check_error(sim->region_open(device, &region, &opened, &error), -EINVAL, &error,
            "has 9 octets, the region needs 4096");
    description.path = *state;
    check_error(sim->region_open(device, &region, &opened, &error), -EISDIR, &error, description.path);
    assert_null(opened);
    sim->device_close(device);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_own_memory, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_vectors, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_truncated_file, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_impossible_files, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
