/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dispatch.c: when a device is opened and closed, and when it gets a better backend. */
#include "dispatch_fixture.h"

#include <errno.h>

static void test_settle_opens(void **state)
{
    (void)state;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 0); /* absent before and after */
    atomic_store(&fixture.fault.open_result, 0);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 1);
    assert_true(fixture.presence[0]);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 1);
    assert_int_equal(atomic_load(&fixture.fault.opened), 1);
}

static void test_region_appears(void **state)
{
    (void)state;
    atomic_store(&fixture.fault.region_result[1], -EBUSY);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 1);
    assert_null(fixture.device.regions[1].handle);
    atomic_store(&fixture.fault.region_result[1], 0);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 2);
    assert_non_null(fixture.device.regions[1].handle);
}

static void test_lost_is_closed(void **state)
{
    struct error error = {0};

    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    fixture.device.lost = true;
    check_error(dispatch_submit(fixture.dispatch, &fixture.device, &fixture.tasks[0].work, 1, &error),
            -ENODEV, &error, "fault is gone");
    assert_int_equal(fixture.tasks[0].ran_at, 0);
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_null(fixture.device.handle);
    assert_false(fixture.device.lost);
    assert_int_equal(fixture.reports, 2);
    assert_false(fixture.presence[1]);
    assert_string_equal(fixture.device.absent.message, "it was told not to open");
}

/* A device that went and came back at once was away all the same. */
static void test_lost_and_back(void **state)
{
    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    fixture.device.lost = true;
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 3);
    assert_true(fixture.presence[0]);
    assert_false(fixture.presence[1]);
    assert_true(fixture.presence[2]);
    assert_true(device_is_complete(&fixture.device));
    assert_int_equal(atomic_load(&fixture.fault.opened), 2);
}

/* What is under way uses the mappings: the device is closed when the last of it has come back. */
static void test_lost_while_busy(void **state)
{
    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    fixture.tasks[0].blocks = true;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    assert_int_equal(submit(1, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    fixture.device.lost = true;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_non_null(fixture.device.handle);
    assert_int_equal(atomic_load(&fixture.fault.regions_closed), 0);
    sem_post(&fixture.gate);
    wait_for(2);
    assert_null(fixture.device.handle);
    assert_int_equal(fixture.reports, 2);
    assert_false(fixture.presence[1]);
}

static void test_faulted_is_mapped_anew(void **state)
{
    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    fixture.device.faulted = true;
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_false(fixture.device.faulted);
    assert_true(device_is_complete(&fixture.device));
    assert_int_equal(atomic_load(&fixture.fault.opened), 1);
    assert_int_equal(atomic_load(&fixture.fault.regions_opened), 4);
    assert_int_equal(fixture.reports, 1); /* nothing came or went */

    fixture.device.faulted = true;
    atomic_store(&fixture.fault.region_result[0], -EBUSY);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 2);
    assert_null(fixture.device.regions[0].handle);
    assert_string_equal(fixture.device.regions[0].absent.message, "its window was told not to open");
    assert_non_null(fixture.device.regions[1].handle);
}

static void test_recheck(void **state)
{
    (void)state;
    dispatch_recheck(fixture.dispatch, &fixture.device);
    assert_true(device_is_complete(&fixture.device));
    dispatch_recheck(fixture.dispatch, &fixture.device);
    assert_int_equal(atomic_load(&fixture.fault.opened), 1);
    atomic_store(&fixture.fault.present, false);
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_recheck(fixture.dispatch, &fixture.device);
    assert_null(fixture.device.handle);
    dispatch_recheck(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 2);
    atomic_store(&fixture.fault.present, true);
    atomic_store(&fixture.fault.open_result, 0);
    dispatch_recheck(fixture.dispatch, &fixture.device);
    assert_true(device_is_complete(&fixture.device));
    assert_int_equal(fixture.reports, 3);
}

/* What was bound to a better driver is taken over, once it is idle. */
static void test_recheck_improves(void **state)
{
    (void)state;
    fixture.fault.description.backend = NULL;
    fixture.fault.description.address = (char *)"0000:00:07.0";
    fault_choice = &fault_backend;
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 1);
    fault_choice = &fault_backend_better;
    dispatch_settle(fixture.dispatch, &fixture.device); /* nothing was reported */
    assert_ptr_equal(fixture.device.backend, &fault_backend);

    fixture.tasks[0].blocks = true;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    assert_int_equal(submit(1, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    dispatch_recheck(fixture.dispatch, &fixture.device);
    assert_ptr_equal(fixture.device.backend, &fault_backend); /* not with work pending */
    sem_post(&fixture.gate);
    wait_for(1);
    wait_for(2);
    assert_ptr_equal(fixture.device.backend, &fault_backend_better);
    assert_true(device_is_complete(&fixture.device));
    assert_int_equal(fixture.device.cost_ns, 0); /* nothing is known of it yet */
    assert_int_equal(fixture.reports, 2);
    assert_true(fixture.presence[1]);
    dispatch_recheck(fixture.dispatch, &fixture.device);
    assert_int_equal(fixture.reports, 2);
    fault_choice = NULL;
}

/* A device that was found gone while it is at work gets nothing new to do, and is closed when it is idle. */
static void test_recheck_while_busy(void **state)
{
    unsigned asked;

    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    fixture.tasks[0].blocks = true;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    asked = atomic_load(&fixture.fault.presence_asked);
    atomic_store(&fixture.fault.present, false);
    dispatch_recheck(fixture.dispatch, &fixture.device);
    assert_int_equal(atomic_load(&fixture.fault.presence_asked), asked + 1);
    assert_non_null(fixture.device.handle);
    assert_int_equal(submit(1, WORKER_ACCESSES), -ENODEV);
    atomic_store(&fixture.fault.open_result, -ENODEV);
    sem_post(&fixture.gate);
    wait_for(1);
    assert_null(fixture.device.handle);
    assert_int_equal(fixture.reports, 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_settle_opens, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_region_appears, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_is_closed, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_and_back, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_while_busy, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_faulted_is_mapped_anew, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_recheck, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_recheck_improves, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_recheck_while_busy, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
