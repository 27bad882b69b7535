/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/device.c: present, in part, or not at all. */
#include "fault_backend.h"

#include <errno.h>
#include <string.h>

static struct fault fault;
static struct device device;

static int set_up(void **state)
{
    (void)state;
    fault_init(&fault, 2);
    fault_device(&fault, &fault_backend, &device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    device_done(&device);
    assert_null(device.regions);
    device_done(&device);
    fault_done(&fault);
    return 0;
}

static void test_attach(void **state)
{
    (void)state;
    assert_false(device_is_complete(&device));
    device_attach(&device);
    assert_true(device_is_complete(&device));
    assert_non_null(device.handle);
    assert_ptr_equal(device.handle->backend, &fault_backend);
    assert_ptr_equal(device.regions[1].handle->backend, &fault_backend);
    assert_string_equal(device_name(&device), "fault");
    device_attach(&device); /* opens nothing twice */
    assert_int_equal(atomic_load(&fault.opened), 1);
    assert_int_equal(atomic_load(&fault.regions_opened), 2);
}

static void test_absent(void **state)
{
    (void)state;
    atomic_store(&fault.open_result, -ENODEV);
    device_attach(&device);
    assert_null(device.handle);
    assert_string_equal(device.absent.message, "it was told not to open");
    assert_int_equal(atomic_load(&fault.regions_opened), 0);
    atomic_store(&fault.open_result, 0);
    device_attach(&device);
    assert_true(device_is_complete(&device));
}

static void test_region_absent(void **state)
{
    (void)state;
    atomic_store(&fault.region_result[1], -EBUSY);
    device_attach(&device);
    assert_false(device_is_complete(&device));
    assert_non_null(device.handle);
    assert_non_null(device.regions[0].handle);
    assert_null(device.regions[1].handle);
    assert_string_equal(device.regions[1].absent.message, "its window was told not to open");
    atomic_store(&fault.region_result[1], 0);
    device_attach(&device);
    assert_true(device_is_complete(&device));
    assert_int_equal(atomic_load(&fault.opened), 1);
    assert_int_equal(atomic_load(&fault.regions_opened), 2);
}

static void test_detach(void **state)
{
    (void)state;
    device_attach(&device);
    device_detach(&device, "it was removed");
    assert_null(device.handle);
    assert_null(device.regions[0].handle);
    assert_null(device.regions[1].handle);
    assert_string_equal(device.absent.message, "it was removed");
    assert_int_equal(atomic_load(&fault.closed), 1);
    assert_int_equal(atomic_load(&fault.regions_closed), 2);
    device_detach(&device, "again");
    assert_int_equal(atomic_load(&fault.closed), 1);
}

static void test_close_regions(void **state)
{
    (void)state;
    device_attach(&device);
    device_close_regions(&device);
    assert_non_null(device.handle);
    assert_false(device_is_complete(&device));
    device_attach(&device);
    assert_true(device_is_complete(&device));
    assert_int_equal(atomic_load(&fault.opened), 1);
    assert_int_equal(atomic_load(&fault.regions_opened), 4);
}

/* Offsets are aligned from the region's start, so what that is not aligned to can't be had. */
static void test_possible_widths(void **state)
{
    static const struct {
        uint64_t address;
        width_set widths;
    } rows[] = {
            {ADDRESS_UNKNOWN, 15},
            {0x1000, 15},
            {0x1008, 15},
            {0x1004, 7},
            {0x1002, 3},
            {0x1001, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fault.address = rows[i].address;
        device_attach(&device);
        test_that(region_widths(&device.regions[0]) == rows[i].widths, "row %zu: widths are 0x%x", i,
                region_widths(&device.regions[0]));
        device_detach(&device, "next");
    }
}

static void test_no_width_left(void **state)
{
    (void)state;
    fault.regions[0].widths = 8;
    fault.address = 0x1004;
    device_attach(&device);
    assert_null(device.regions[0].handle);
    assert_non_null(strstr(device.regions[0].absent.message, "none of its configured widths is possible"));
    assert_non_null(device.regions[1].handle);
}

/* A device that is closed gets the backend that is the best then. */
static void test_chosen_anew(void **state)
{
    (void)state;
    fault.description.backend = NULL;
    fault_choice = &fault_backend_better;
    atomic_store(&fault.open_result, -ENODEV);
    device_attach(&device);
    assert_ptr_equal(device.backend, &fault_backend_better); /* the reason is its own */
    fault_choice = &fault_backend;
    atomic_store(&fault.open_result, 0);
    device_attach(&device);
    assert_ptr_equal(device.handle->backend, &fault_backend);
    assert_ptr_equal(device.regions[0].handle->backend, &fault_backend);
    assert_string_equal(device.why, "fault was chosen");
    fault_choice = &fault_backend_better;
    device_attach(&device); /* it is open: nothing changes */
    assert_ptr_equal(device.backend, &fault_backend);
    device_detach(&device, "it was removed");
    device_attach(&device);
    assert_ptr_equal(device.handle->backend, &fault_backend_better);
    fault_choice = NULL;
}

static void test_improve(void **state)
{
    (void)state;
    fault.description.backend = NULL;
    fault_choice = &fault_backend_better;
    assert_false(device_improve(&device)); /* it is not open */
    fault_choice = &fault_backend;
    device_attach(&device);
    fault_choice = &fault_backend_better;
    assert_false(device_improve(&device)); /* a window of addresses stays as it is */
    fault_choice = &fault_backend;
    fault.description.address = (char *)"0000:00:07.0";
    assert_false(device_improve(&device)); /* it has the best one */
    fault_choice = &fault_backend_revocable;
    assert_false(device_improve(&device)); /* another, but not a better one */
    assert_ptr_equal(device.backend, &fault_backend);

    fault_choice = &fault_backend_better;
    atomic_store(&fault.open_result, -EBUSY);
    assert_false(device_improve(&device)); /* which does not work: all stays as it is */
    assert_true(device_is_complete(&device));
    assert_ptr_equal(device.backend, &fault_backend);
    assert_string_equal(device.why, "fault was chosen");
    assert_int_equal(atomic_load(&fault.closed), 0);

    atomic_store(&fault.open_result, 0);
    atomic_store(&fault.region_result[1], -EBUSY);
    assert_true(device_improve(&device));
    assert_ptr_equal(device.backend, &fault_backend_better);
    assert_ptr_equal(device.handle->backend, &fault_backend_better);
    assert_ptr_equal(device.regions[0].handle->backend, &fault_backend_better);
    assert_null(device.regions[1].handle);
    assert_string_equal(device.regions[1].absent.message, "its window was told not to open");
    assert_string_equal(device.why, "better was chosen");
    assert_int_equal(atomic_load(&fault.closed), 1);
    assert_int_equal(atomic_load(&fault.regions_closed), 2);
    assert_false(device_improve(&device));
    fault.description.address = NULL;
    fault_choice = NULL;
}

/* A backend that the configuration names is kept. */
static void test_named_is_kept(void **state)
{
    (void)state;
    fault_choice = &fault_backend_better;
    device_attach(&device);
    assert_ptr_equal(device.backend, &fault_backend);
    assert_false(device_improve(&device));
    device_detach(&device, "it was removed");
    device_attach(&device);
    assert_ptr_equal(device.backend, &fault_backend);
    fault_choice = NULL;
}

static void test_init(void **state)
{
    struct region_description region = {.name = (char *)"edu"};
    struct device_description description = {.name = (char *)"edu",
            .model = (char *)"edu",
            .keys = KEY_MODEL,
            .regions = &region,
            .region_count = 1};
    struct device sim = {0};
    struct error error = {0};

    (void)state;
    assert_int_equal(device_init(&sim, &description, &error), 0);
    assert_string_equal(sim.backend->name, "sim");
    assert_true(sim.why[0]);
    assert_true(sim.absent.message[0]);
    assert_null(sim.handle);
    assert_ptr_equal(sim.regions[0].device, &sim);
    device_attach(&sim);
    assert_true(device_is_complete(&sim));
    device_done(&sim);

    sim = (struct device){0};
    description.backend = (char *)"nothing";
    check_error(device_init(&sim, &description, &error), -EINVAL, &error, "nothing");
    device_done(&sim);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_attach, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_absent, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_region_absent, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_detach, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_close_regions, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_possible_widths, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_no_width_left, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_chosen_anew, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_improve, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_named_is_kept, set_up, tear_down),
            cmocka_unit_test(test_init),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
