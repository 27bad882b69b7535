/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See dispatch_fixture.h. */
#include "dispatch_fixture.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "util/cleanup.h"

struct dispatch_fixture fixture;

void run(struct work *work)
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

void done(struct work *work)
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

int set_up(void **state)
{
    (void)state;
    return set_up_with(UINT64_C(3600) * 1000000);
}

int set_up_impatient(void **state)
{
    (void)state;
    return set_up_with(1);
}

int tear_down(void **state)
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

int submit(size_t task, size_t accesses)
{
    return dispatch_submit(fixture.dispatch, &fixture.device, &fixture.tasks[task].work, accesses, NULL);
}

void wait_for(unsigned count)
{
    while (fixture.done_count < count)
        assert_true(sd_event_run(fixture.event, 10 * 1000 * 1000) > 0);
}

bool ran_inline(size_t task)
{
    assert_int_not_equal(fixture.tasks[task].ran_at, 0);
    return pthread_equal(fixture.tasks[task].ran_on, fixture.loop);
}

void prove_prompt(void)
{
    fixture.device.cost_ns = 1;
}
