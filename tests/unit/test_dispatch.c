/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dispatch.c: where work runs, in which order, and what is given back. */
#include "dispatch_fixture.h"

#include <errno.h>

#include "util/clock.h"

static void test_unknown_device_is_not_trusted(void **state)
{
    (void)state;
    assert_int_equal(submit(0, 1), 0);
    wait_for(1);
    assert_false(ran_inline(0));
    test_that(fixture.device.cost_ns > 0 || fixture.device.slow_until_us > 0, "nothing was learnt from it");
}

static void test_short_work_is_inline(void **state)
{
    (void)state;
    prove_prompt();
    assert_int_equal(submit(0, 1), 0);
    assert_int_equal(fixture.tasks[0].done_at, 1); /* before the call returned */
    assert_true(ran_inline(0));
    assert_ptr_equal(fixture.tasks[0].work.device, &fixture.device);
    assert_int_equal(fixture.device.pending, 0);
    assert_null(fixture.device.worker);
}

static void test_long_work_is_not(void **state)
{
    (void)state;
    fixture.device.cost_ns = 1000;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    assert_int_equal(fixture.tasks[0].done_at, 0);
    assert_int_equal(fixture.device.pending, 1);
    wait_for(1);
    assert_false(ran_inline(0));
    assert_int_equal(fixture.device.pending, 0);
}

static void test_slow_regions_are_not(void **state)
{
    (void)state;
    prove_prompt();
    fixture.fault.regions[1].slow = true; /* one region makes the device slow */
    assert_int_equal(submit(0, 1), 0);
    wait_for(1);
    assert_false(ran_inline(0));

    fixture.fault.regions[1].slow = false;
    fixture.fault.slow = true; /* so does what the backend knows */
    device_attach(&fixture.device);
    prove_prompt();
    fixture.device.slow_until_us = 0;
    assert_int_equal(submit(1, 1), 0);
    wait_for(2);
    assert_false(ran_inline(1));
}

/* Inline work that took long sends what follows to the worker, for longer each time. */
static void test_demotion(void **state)
{
    uint64_t first;

    (void)state;
    prove_prompt();
    fixture.tasks[0].sleep_ns = 5000000;
    assert_int_equal(submit(0, 1), 0);
    assert_true(ran_inline(0));
    first = fixture.device.slow_for_us;
    assert_true(first > 0);
    assert_true(fixture.device.slow_until_us > clock_now_us());
    prove_prompt(); /* being prompt now and then is not enough */
    assert_int_equal(submit(1, 1), 0);
    wait_for(2);
    assert_false(ran_inline(1));

    fixture.device.slow_until_us = 1; /* its time is over */
    prove_prompt();
    fixture.tasks[2].sleep_ns = 5000000;
    assert_int_equal(submit(2, 1), 0);
    assert_true(ran_inline(2));
    assert_true(fixture.device.slow_for_us > first);
}

/* Long work is not slow because it is long. */
static void test_long_work_teaches_its_share(void **state)
{
    (void)state;
    fixture.tasks[0].sleep_ns = 3000000;
    assert_int_equal(submit(0, 100000000), 0);
    wait_for(1);
    assert_true(fixture.device.slow_until_us == 0);
    assert_true(fixture.device.cost_ns > 0);
}

static void test_order(void **state)
{
    unsigned seen = 0;

    (void)state;
    /* Short and long work behind one that blocks: none overtakes. */
    fixture.tasks[0].blocks = true;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    for (size_t i = 1; i < QUEUE_LIMIT; i++)
        assert_int_equal(submit(i, i % 2 ? 1 : WORKER_ACCESSES), 0);
    sem_post(&fixture.gate);
    wait_for(QUEUE_LIMIT);
    for (size_t i = 0; i < QUEUE_LIMIT; i++) {
        test_that(fixture.tasks[i].ran_at == i + 1 && fixture.tasks[i].done_at == i + 1,
                "task %zu ran at place %u and was done at %u", i, fixture.tasks[i].ran_at,
                fixture.tasks[i].done_at);
    }

    /* As they come, going either way. */
    for (size_t i = QUEUE_LIMIT; i < TASKS; i++) {
        prove_prompt();
        fixture.device.slow_until_us = 0;
        while (submit(i, i % 3 ? 1 : 1000 * WORKER_ACCESSES) == -EAGAIN)
            assert_true(sd_event_run(fixture.event, 10 * 1000 * 1000) > 0);
        if (i % 7 == 0)
            sd_event_run(fixture.event, 0);
    }
    wait_for(TASKS);
    for (size_t i = 0; i < TASKS; i++) {
        test_that(
                fixture.tasks[i].ran_at == seen + 1, "task %zu ran at place %u", i, fixture.tasks[i].ran_at);
        seen = fixture.tasks[i].ran_at;
    }
}

static void test_queue_limit(void **state)
{
    struct error error = {0};

    (void)state;
    fixture.tasks[0].blocks = true;
    for (size_t i = 0; i < QUEUE_LIMIT; i++)
        assert_int_equal(submit(i, WORKER_ACCESSES), 0);
    check_error(dispatch_submit(fixture.dispatch, &fixture.device, &fixture.tasks[20].work, 1, &error),
            -EAGAIN, &error, "fault is busy: 8 requests");
    sem_post(&fixture.gate);
    wait_for(QUEUE_LIMIT);
    sd_event_run(fixture.event, 0);
    assert_int_equal(fixture.tasks[20].ran_at, 0);
    assert_int_equal(fixture.tasks[20].done_at, 0);
    assert_int_equal(submit(20, WORKER_ACCESSES), 0);
    wait_for(QUEUE_LIMIT + 1);
}

static void test_cancel(void **state)
{
    (void)state;
    dispatch_cancel(&fixture.device); /* nothing to cancel, no thread */
    fixture.tasks[0].blocks = true;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(submit(i, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    dispatch_cancel(&fixture.device);
    wait_for(3);
    for (size_t i = 1; i < 4; i++) {
        assert_true(fixture.tasks[i].work.end == WORK_STOPPED);
        assert_int_equal(fixture.tasks[i].ran_at, 0);
    }
    assert_int_equal(fixture.device.pending, 1);
    sem_post(&fixture.gate);
    wait_for(4);
    assert_true(fixture.tasks[0].work.end == WORK_RAN);
    assert_int_equal(fixture.device.pending, 0);
}

/* Work that waits behind an access which does not return is given back when its time is over. */
static void test_expiry(void **state)
{
    (void)state;
    fixture.tasks[0].blocks = true;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(submit(i, WORKER_ACCESSES), 0);
    sem_wait(&fixture.entered);
    wait_for(2);
    for (size_t i = 1; i < 3; i++) {
        assert_true(fixture.tasks[i].work.end == WORK_EXPIRED);
        assert_int_equal(fixture.tasks[i].ran_at, 0);
    }
    assert_int_equal(fixture.device.pending, 1);
    assert_int_equal(submit(3, WORKER_ACCESSES), 0); /* also what comes later */
    wait_for(3);
    assert_true(fixture.tasks[3].work.end == WORK_EXPIRED);
    sem_post(&fixture.gate);
    wait_for(4);
    assert_true(fixture.tasks[0].work.end == WORK_RAN);
    assert_int_equal(fixture.device.pending, 0);
}

/* The timer goes off when nothing is pending, and on again. */
static void test_expiry_again(void **state)
{
    (void)state;
    assert_int_equal(submit(0, WORKER_ACCESSES), 0);
    wait_for(1);
    for (unsigned i = 0; i < 20 && fixture.device.busy; i++)
        sd_event_run(fixture.event, 1000000);
    assert_false(fixture.device.busy);
    fixture.device.cost_ns = 0; /* nothing was done, which was quick */
    fixture.tasks[1].blocks = true;
    assert_int_equal(submit(1, WORKER_ACCESSES), 0);
    assert_int_equal(submit(2, WORKER_ACCESSES), 0);
    assert_true(fixture.device.busy);
    wait_for(2);
    assert_true(fixture.tasks[2].work.end == WORK_EXPIRED);
    sem_post(&fixture.gate);
    wait_for(3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_unknown_device_is_not_trusted, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_short_work_is_inline, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_long_work_teaches_its_share, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_expiry, set_up_impatient, tear_down),
            cmocka_unit_test_setup_teardown(test_expiry_again, set_up_impatient, tear_down),
            cmocka_unit_test_setup_teardown(test_long_work_is_not, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_slow_regions_are_not, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_demotion, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_queue_limit, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
