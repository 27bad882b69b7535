/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dispatch.c: where work runs, in which order, and when a device is opened and closed. */
#include "fault_backend.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "core/dispatch.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    TASKS = 100,
    QUEUE_LIMIT = 8,
    WORKER_ACCESSES = 1000, /* more than is ever done inline */
    PRESENCE_LOG = 8,
};

struct task {
    struct work work;
    pthread_t ran_on;
    unsigned ran_at, done_at; /* 0: not */
    bool blocks;
    long sleep_ns;
};

static struct {
    sd_event *event;
    struct dispatch *dispatch;
    struct fault fault;
    struct device device;
    struct task tasks[TASKS];
    sem_t entered, gate;
    atomic_uint run_count;
    unsigned done_count;
    pthread_t loop;
    bool presence[PRESENCE_LOG]; /* of the device's handle, at each report */
    size_t reports;
    bool was_closed; /* while work that needs it was done */
} fixture;

static void run(struct work *work)
{
    struct task *task = container_of(work, struct task, work);

    if (task->blocks) {
        sem_post(&fixture.entered);
        while (sem_wait(&fixture.gate) < 0 && errno == EINTR)
            continue;
    }
    if (task->sleep_ns)
        nanosleep(&(struct timespec){.tv_nsec = task->sleep_ns}, NULL);
    task->ran_on = pthread_self();
    task->ran_at = atomic_fetch_add(&fixture.run_count, 1) + 1;
}

static void done(struct work *work)
{
    struct task *task = container_of(work, struct task, work);

    assert_true(pthread_equal(pthread_self(), fixture.loop));
    assert_int_equal(task->done_at, 0);
    task->done_at = ++fixture.done_count;
}

static void presence_changed(struct device *device, void *context)
{
    assert_ptr_equal(context, &fixture);
    assert_ptr_equal(device, &fixture.device);
    assert_true(fixture.reports < PRESENCE_LOG);
    fixture.presence[fixture.reports++] = device->handle;
}

static int set_up_with(uint64_t timeout_us)
{
    const struct dispatch_limits limits = {QUEUE_LIMIT, timeout_us};

    memset(&fixture, 0, sizeof(fixture));
    fixture.loop = pthread_self();
    for (size_t i = 0; i < TASKS; i++)
        fixture.tasks[i].work = (struct work){.run = run, .done = done};
    sem_init(&fixture.entered, 0, 0);
    sem_init(&fixture.gate, 0, 0);
    fault_init(&fixture.fault, 2);
    fault_device(&fixture.fault, &fault_backend, &fixture.device);
    assert_true(sd_event_new(&fixture.event) >= 0);
    assert_int_equal(dispatch_new(fixture.event, &limits, presence_changed, &fixture, &fixture.dispatch), 0);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(UINT64_C(3600) * 1000000);
}

static int set_up_impatient(void **state)
{
    (void)state;
    return set_up_with(1);
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(dispatch_stop(&fixture.device, 60000));
    dispatch_free(fixture.dispatch);
    dispatch_free(NULL);
    device_done(&fixture.device);
    sd_event_unref(fixture.event);
    fault_done(&fixture.fault);
    return 0;
}

static int submit(size_t task, size_t accesses)
{
    return dispatch_submit(fixture.dispatch, &fixture.device, &fixture.tasks[task].work, accesses, NULL);
}

static void wait_for(unsigned count)
{
    while (fixture.done_count < count)
        assert_true(sd_event_run(fixture.event, 10 * 1000 * 1000) > 0);
}

static bool ran_inline(size_t task)
{
    assert_int_not_equal(fixture.tasks[task].ran_at, 0);
    return pthread_equal(fixture.tasks[task].ran_on, fixture.loop);
}

/* As if it had been measured: how long its accesses really take here depends on what else the machine does.
 */
static void prove_prompt(void)
{
    fixture.device.cost_ns = 1;
}

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

/* Work that needs the device closed */

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
            cmocka_unit_test_setup_teardown(test_settle_opens, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_region_appears, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_is_closed, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_and_back, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_while_busy, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_faulted_is_mapped_anew, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_recheck, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_recheck_improves, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_recheck_while_busy, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_when_idle, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_after_what_is_under_way, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_and_gone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    test_closed_expires_behind_what_is_stuck, set_up_impatient, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_is_not_given_up, set_up_impatient, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_is_cancelled, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
