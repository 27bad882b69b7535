/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/sim.c: what it takes, and the trace, which proves to other tests which accesses were made. */
#include "sim_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static void check_trace(const char *path, const char *expected)
{
    _cleanup_free_ char *text = test_read_text(path);

    test_that(strcmp(text, expected) == 0, "the trace is\n%sexpected\n%s", text, expected);
}

static void test_trace(void **state)
{
    _cleanup_free_ char *path = strdup(test_path(*state, "trace"));
    struct access access = {.offset = 0x100, .width = 2, .count = 3};
    struct access fifo = {.offset = 0x20, .width = 1, .count = 2, .fixed = true};
    struct access fault = {.offset = 0xfff8, .width = 8, .count = 3};
    struct sim_fixture odd;
    uint64_t values[3] = {0};
    size_t done;

    sim_fixture_open(&odd, "odd", 0, NULL, path);
    check_trace(path, ""); /* opening touches nothing */
    sim_write(&odd, 0x100, 8, 0x1122334455667788);
    sim_read(&odd, 0x00, 4);
    assert_int_equal(odd.region->backend->read(odd.region, &access, values, &done), 0);
    memcpy(values, "\x12\x34", 2);
    assert_int_equal(odd.region->backend->write(odd.region, &fifo, values, &done), 0);
    assert_int_equal(odd.region->backend->read(odd.region, &fifo, values, &done), 0);
    assert_int_equal(odd.region->backend->read(odd.region, &fault, values, &done), -EFAULT);
    assert_int_equal(done, 1);
    fault.offset = 0x1fff0;
    fault.count = 1;
    assert_int_equal(odd.region->backend->write(odd.region, &fault, values, &done), -EFAULT);
    sim_fixture_close(&odd);
    check_trace(path, "W 64 0x100 0x1122334455667788\n"
                      "R 32 0x0 0x0dd00001\n"
                      "R 16 0x100 0x7788\n"
                      "R 16 0x102 0x5566\n"
                      "R 16 0x104 0x3344\n"
                      "W 8 0x20 0x12\n"
                      "W 8 0x20 0x34\n"
                      "R 8 0x20 0x12\n"
                      "R 8 0x20 0x34\n"
                      "R 64 0xfff8 0xffffffffffffffff\n"
                      "R 64 0x10000 fault\n"
                      "W 64 0x1fff0 fault\n");
}

/* Memory goes another way without a trace; with one every access of a vector is there. */
static void test_trace_of_memory(void **state)
{
    _cleanup_free_ char *path = strdup(test_path(*state, "trace"));
    struct access access = {.offset = 8, .width = 4, .count = 2};
    uint32_t values[2];
    struct sim_fixture ram;
    size_t done;

    sim_fixture_open(&ram, "ram", 4096, NULL, path);
    memcpy(values, "\x78\x56\x34\x12\xef\xbe\xad\xde", 8);
    assert_int_equal(ram.region->backend->write(ram.region, &access, values, &done), 0);
    assert_int_equal(done, 2);
    assert_int_equal(ram.region->backend->read(ram.region, &access, values, &done), 0);
    assert_int_equal(done, 2);
    assert_memory_equal(values, "\x78\x56\x34\x12\xef\xbe\xad\xde", 8);
    sim_fixture_close(&ram);
    check_trace(
            path, "W 32 0x8 0x12345678\nW 32 0xc 0xdeadbeef\nR 32 0x8 0x12345678\nR 32 0xc 0xdeadbeef\n");
}

static void test_trace_goes_on(void **state)
{
    _cleanup_free_ char *path = strdup(test_path(*state, "trace"));
    struct sim_fixture edu;

    test_write_text(path, "before\n");
    for (unsigned i = 0; i < 2; i++) {
        sim_fixture_open(&edu, "edu", 0, NULL, path);
        sim_read(&edu, 0, 4);
        sim_fixture_close(&edu);
    }
    check_trace(path, "before\nR 32 0x0 0x010000ed\nR 32 0x0 0x010000ed\n");
}

/* A trace that has a hole would prove what is not true. */
static void test_trace_on_full_disk(void **state)
{
    struct access access = {.offset = 4, .width = 4, .count = 2};
    struct sim_fixture edu;
    uint32_t values[2] = {0};
    size_t done = 77;

    (void)state;
    sim_fixture_open(&edu, "edu", 0, NULL, "/dev/full");
    assert_int_equal(edu.region->backend->read(edu.region, &access, values, &done), -ENOSPC);
    assert_int_equal(done, 0);
    assert_int_equal(edu.region->backend->write(edu.region, &access, values, &done), -ENOSPC);
    assert_int_equal(done, 0);
    sim_fixture_close(&edu);
}

static void test_check(void **state)
{
    static const struct {
        const char *model;
        uint64_t size;
        const char *path;
        size_t regions;
        const char *message; /* NULL: it is well */
    } rows[] = {
            {"edu", 0, NULL, 1, NULL},
            {"edu", 0x100000, NULL, 1, NULL},
            {"edu", 0x1000, NULL, 1, "leave size out"},
            {"edu", 0, "/memory", 1, "takes no path"},
            {"edu", 0, NULL, 2, "exactly one region"},
            {"odd", 0x20000, NULL, 1, NULL},
            {"odd", 1, NULL, 1, "leave size out"},
            {"ram", 1, NULL, 1, NULL},
            {"ram", UINT64_C(1) << 30, "/memory", 1, NULL},
            {"ram", (UINT64_C(1) << 30) + 1, NULL, 1, "1 GiB at most"},
            {"ram", 0, NULL, 1, "needs a size"},
            {"rom", 0, NULL, 1, "there is no simulated board 'rom'"},
            {"", 0, NULL, 1, "there is no simulated board ''"},
    };
    const struct backend *sim = backend_find("sim");

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct region_description regions[2] = {{.size = rows[i].size}, {0}};
        struct device_description description = {.model = (char *)rows[i].model,
                .path = (char *)rows[i].path,
                .regions = regions,
                .region_count = rows[i].regions};
        struct backend_device *device = NULL;
        struct error error = {0};
        int r = sim->check(&description, &error);

        if (!rows[i].message) {
            test_that(r == 0, "row %zu: %s", i, error.message);
            continue;
        }
        check_error(r, -EINVAL, &error, rows[i].message);
        assert_int_equal(sim->device_open(&description, &device, &error), -EINVAL);
        assert_null(device);
    }
}

static void test_trace_file_impossible(void **state)
{
    struct region_description region = {0};
    struct device_description description = {.model = (char *)"edu", .regions = &region, .region_count = 1};
    struct backend_device *device = NULL;
    struct error error = {0};

    description.trace = (char *)test_path(*state, "missing/trace");
    check_error(backend_find("sim")->device_open(&description, &device, &error), -ENOENT, &error,
            "missing/trace");
    assert_null(device);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_trace, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_trace_of_memory, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_trace_goes_on, set_up, tear_down),
            cmocka_unit_test(test_trace_on_full_disk),
            cmocka_unit_test(test_check),
            cmocka_unit_test_setup_teardown(test_trace_file_impossible, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
