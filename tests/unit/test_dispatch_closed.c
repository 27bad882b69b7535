/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dispatch.c: work that needs the device closed. */
#include "dispatch_fixture.h"

#include <errno.h>

enum { STOP_MS = 60000 };

static int submit_closed(size_t task, struct error *error)
{
    return dispatch_submit_closed(
            fixture.dispatch, &fixture.device, &fixture.tasks[task].work, "is being changed", error);
}

/* On the worker, where cmocka can't be told. */
static void run_closed(struct work *work)
{
    run(work);
    fixture.was_closed = !fixture.device.handle && atomic_load(&fixture.fault.regions_closed) == 2;
}

static void done_open(struct work *work)
{
    assert_true(fixture.was_closed);
    assert_true(device_is_complete(&fixture.device));
    done(work);
}

static void test_closed_when_idle(void **state)
{
    struct error error = {0};

    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    prove_prompt();
    fixture.tasks[0].blocks = true;
    fixture.tasks[0].work = (struct work){.run = run_closed, .done = done_open};
    assert_int_equal(submit_closed(0, &error), 0);
    sem_wait(&fixture.entered);
    check_error(dispatch_check_closed(&fixture.device, &error), -EAGAIN, &error,
            "fault is being changed: try again soon");
    check_error(dispatch_submit(fixture.dispatch, &fixture.device, &fixture.tasks[1].work, 1, &error),
            -EAGAIN, &error, "is being changed");
    fixture.tasks[1].work.own = true;
    check_error(dispatch_submit(fixture.dispatch, &fixture.device, &fixture.tasks[1].work, 1, &error),
            -EAGAIN, &error, "is being changed");
    check_error(submit_closed(2, &error), -EAGAIN, &error, "is being changed");
    assert_string_equal(fixture.device.absent.message, "it is being changed: try again soon");
    /* Neither being asked for nor the kernel's reports open it. */
    dispatch_recheck(fixture.dispatch, &fixture.device);
    dispatch_settle(fixture.dispatch, &fixture.device);
    assert_null(fixture.device.handle);
    sem_post(&fixture.gate);
    wait_for(1);
    assert_false(ran_inline(0));
    assert_int_equal(dispatch_check_closed(&fixture.device, &error), 0);
    assert_int_equal(fixture.device.cost_ns, 0); /* it may be reached in another way now */
    assert_int_equal(fixture.reports, 3);
    assert_true(fixture.presence[0] && !fixture.presence[1] && fixture.presence[2]);
    prove_prompt();
    assert_int_equal(submit(3, 1), 0);
    assert_true(ran_inline(3));
}

/* Closing it may reset it, which takes long: the loop goes on, and what needs it closed waits. */
static void test_closing_takes_long(void **state)
{
    struct error error = {0};

    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    atomic_store(&fixture.fault.ending_blocks, true);
    fixture.tasks[0].work = (struct work){.run = run_closed, .done = done_open};
    assert_int_equal(submit_closed(0, &error), 0);
    sem_wait(&fixture.fault.entered);
    assert_int_equal(atomic_load(&fixture.fault.closed), 0);
    assert_int_equal(atomic_load(&fixture.run_count), 0);
    check_error(submit(1, 1) < 0 ? dispatch_check_closed(&fixture.device, &error) : 0, -EAGAIN, &error,
            "fault is being changed: try again soon");
    atomic_store(&fixture.fault.ending_blocks, false);
    sem_post(&fixture.fault.gate);
    wait_for(1);
    assert_int_equal(atomic_load(&fixture.fault.closed), 1);
    assert_int_equal(fixture.device.pending, 0);
    assert_non_null(fixture.device.handle);
}

/* The daemon stops meanwhile: what has begun ends. */
static void test_stopped_while_closing(void **state)
{
    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    atomic_store(&fixture.fault.ending_blocks, true);
    assert_int_equal(submit_closed(0, NULL), 0);
    sem_wait(&fixture.fault.entered);
    dispatch_cancel(&fixture.device);
    atomic_store(&fixture.fault.ending_blocks, false);
    sem_post(&fixture.fault.gate);
    wait_for(1);
    assert_true(fixture.tasks[0].work.end == WORK_STOPPED);
    assert_true(dispatch_stop(&fixture.device, STOP_MS));
    assert_int_equal(atomic_load(&fixture.fault.closed), 1);
}

static void test_closed_after_what_is_under_way(void **state)
{
    struct error error = {0};

    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    fixture.tasks[0].blocks = true;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    assert_int_equal(submit(1, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    fixture.tasks[2].work = (struct work){.run = run_closed, .done = done_open};
    assert_int_equal(submit_closed(2, &error), 0);
    assert_int_equal(submit(3, 1), -EAGAIN);
    assert_int_equal(submit_closed(3, &error), -EAGAIN);
    assert_non_null(fixture.device.handle); /* it is in use */
    assert_int_equal(dispatch_check_closed(&fixture.device, &error), 0);
    fixture.tasks[4].work.own = true; /* what makes it safe is not kept waiting */
    assert_int_equal(submit(4, 1), 0);
    sem_post(&fixture.gate);
    wait_for(4);
    assert_int_equal(fixture.tasks[0].ran_at, 1);
    assert_int_equal(fixture.tasks[1].ran_at, 2);
    assert_int_equal(fixture.tasks[4].ran_at, 3);
    assert_int_equal(fixture.tasks[2].ran_at, 4);
    assert_int_equal(fixture.device.pending, 0);
}

/* Removed while it was closed, and an access found it gone before. */
static void test_closed_and_gone(void **state)
{
    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    fixture.tasks[0].blocks = true;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    fixture.device.lost = true;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    assert_int_equal(submit_closed(1, NULL), 0);
    sem_post(&fixture.gate);
    wait_for(2);
    assert_false(fixture.device.lost);
    assert_string_equal(fixture.device.absent.message, "it was told not to open");
    assert_int_equal(fixture.reports, 3); /* the last for the reason, which is another one */
}

static void test_closed_expires_behind_what_is_stuck(void **state)
{
    (void)state;
    fixture.tasks[0].blocks = true;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    assert_int_equal(submit_closed(1, NULL), 0);
    wait_for(1);
    assert_true(fixture.tasks[1].work.end == WORK_EXPIRED);
    assert_int_equal(fixture.tasks[1].ran_at, 0);
    assert_int_equal(submit(2, WORKER_ACCESSES), 0); /* it is open for others again */
    sem_post(&fixture.gate);
    wait_for(3);
}

/* What has begun does not expire: nobody knows how long a driver takes. */
static void test_closed_is_not_given_up(void **state)
{
    (void)state;
    fixture.tasks[0].blocks = true;
    assert_int_equal(submit_closed(0, NULL), 0);
    sem_wait(&fixture.entered);
    for (unsigned i = 0; i < 2; i++)
        sd_event_run(fixture.event, 1000000);
    assert_int_equal(fixture.done_count, 0);
    sem_post(&fixture.gate);
    wait_for(1);
    assert_true(fixture.tasks[0].work.end == WORK_RAN);
}

static void test_closed_is_cancelled(void **state)
{
    struct error error = {0};

    (void)state;
    dispatch_settle(fixture.dispatch, &fixture.device);
    fixture.tasks[0].blocks = true;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    assert_int_equal(submit_closed(1, NULL), 0);
    dispatch_cancel(&fixture.device);
    assert_int_equal(fixture.done_count, 1);
    assert_true(fixture.tasks[1].work.end == WORK_STOPPED);
    check_error(submit_closed(2, &error), -EAGAIN, &error, "stopping");
    sem_post(&fixture.gate);
    wait_for(2);
    assert_non_null(fixture.device.handle);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_closed_when_idle, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closing_takes_long, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_stopped_while_closing, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_after_what_is_under_way, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_and_gone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    test_closed_expires_behind_what_is_stuck, set_up_impatient, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_is_not_given_up, set_up_impatient, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_is_cancelled, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
