/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/worker.c: order, cancelling, and ending beside work that never ends. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/worker.h"
#include "util/cleanup.h"

enum { WORKS = 200 };

struct task {
    struct work work;
    unsigned number;
    bool ran;
    sem_t *entered, *gate; /* NULL: does not wait */
};

struct finished {
    unsigned numbers[WORKS];
    size_t count;
    pthread_t thread;
};

static sd_event *event;
static struct completions *completions;
static struct finished finished;
static struct task tasks[WORKS];
static sem_t entered, gate;

static void run(struct work *work)
{
    struct task *task = container_of(work, struct task, work);

    if (task->gate) {
        sem_post(task->entered);
        while (sem_wait(task->gate) < 0 && errno == EINTR)
            continue;
    }
    task->ran = true;
}

static void note_finished(struct work *work, void *context)
{
    struct task *task = container_of(work, struct task, work);

    assert_ptr_equal(context, &finished);
    assert_true(pthread_equal(pthread_self(), finished.thread)); /* on the loop */
    finished.numbers[finished.count++] = task->number;
}

static void wait_for(size_t count)
{
    while (finished.count < count)
        assert_true(sd_event_run(event, 10 * 1000 * 1000) > 0);
}

static int set_up(void **state)
{
    (void)state;
    finished = (struct finished){.thread = pthread_self()};
    for (unsigned i = 0; i < WORKS; i++)
        tasks[i] = (struct task){.work = {.run = run}, .number = i};
    sem_init(&entered, 0, 0);
    sem_init(&gate, 0, 0);
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(completions_new(event, note_finished, &finished, &completions), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    completions_free(completions);
    completions_free(NULL);
    sd_event_unref(event);
    return 0;
}

static void test_order(void **state)
{
    struct worker *worker = NULL;

    (void)state;
    assert_int_equal(worker_new(completions, &worker), 0);
    for (unsigned i = 0; i < WORKS; i++)
        worker_submit(worker, &tasks[i].work);
    wait_for(WORKS);
    for (unsigned i = 0; i < WORKS; i++) {
        test_that(finished.numbers[i] == i, "work %u came back at place %u", finished.numbers[i], i);
        assert_true(tasks[i].ran);
        assert_true(tasks[i].work.end == WORK_RAN);
    }
    assert_true(worker_free(worker, 60000));
}

static void test_two_workers(void **state)
{
    struct worker *stuck = NULL, *other = NULL;

    (void)state;
    assert_int_equal(worker_new(completions, &stuck), 0);
    assert_int_equal(worker_new(completions, &other), 0);
    tasks[0].entered = &entered;
    tasks[0].gate = &gate;
    worker_submit(stuck, &tasks[0].work);
    sem_wait(&entered);
    worker_submit(other, &tasks[1].work);
    wait_for(1);
    assert_int_equal(finished.numbers[0], 1); /* one that stalls delays no other */
    sem_post(&gate);
    wait_for(2);
    assert_true(worker_free(stuck, 60000));
    assert_true(worker_free(other, 60000));
}

static void test_cancel(void **state)
{
    struct worker *worker = NULL;

    (void)state;
    assert_int_equal(worker_new(completions, &worker), 0);
    tasks[0].entered = &entered;
    tasks[0].gate = &gate;
    for (unsigned i = 0; i < 4; i++)
        worker_submit(worker, &tasks[i].work);
    sem_wait(&entered);
    worker_cancel(worker, WORK_STOPPED, 0);
    wait_for(3); /* what waited comes back while the first is still under way */
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(finished.numbers[i], i + 1);
        assert_true(tasks[i + 1].work.end == WORK_STOPPED);
        assert_false(tasks[i + 1].ran);
    }
    sem_post(&gate);
    wait_for(4);
    assert_int_equal(finished.numbers[3], 0);
    assert_true(tasks[0].work.end == WORK_RAN);
    assert_true(tasks[0].ran);
    worker_submit(worker, &tasks[4].work); /* and it goes on */
    wait_for(5);
    assert_true(tasks[4].ran);
    assert_true(worker_free(worker, 60000));
}

/* Only those whose time is over come back; the others keep their order. */
static void test_expire(void **state)
{
    struct worker *worker = NULL;

    (void)state;
    assert_int_equal(worker_new(completions, &worker), 0);
    tasks[0].entered = &entered;
    tasks[0].gate = &gate;
    for (unsigned i = 0; i < 6; i++) {
        tasks[i].work.deadline_us = i % 2 ? 100 : 300;
        worker_submit(worker, &tasks[i].work);
    }
    sem_wait(&entered);
    worker_cancel(worker, WORK_EXPIRED, 100); /* not yet */
    worker_cancel(worker, WORK_EXPIRED, 200);
    wait_for(3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(finished.numbers[i], 2 * i + 1);
        assert_true(tasks[2 * i + 1].work.end == WORK_EXPIRED);
        assert_false(tasks[2 * i + 1].ran);
    }
    worker_submit(worker, &tasks[6].work); /* behind those that were kept */
    sem_post(&gate);
    wait_for(7);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(finished.numbers[3 + i], 2 * i);
        assert_true(tasks[2 * i].ran);
        assert_true(tasks[2 * i].work.end == WORK_RAN);
    }
    worker_cancel(worker, WORK_EXPIRED, UINT64_MAX); /* nothing is left */
    worker_submit(worker, &tasks[7].work);
    wait_for(8);
    assert_true(worker_free(worker, 60000));
}

static void test_elapsed(void **state)
{
    struct task task = {.work = {.run = run}, .entered = &entered, .gate = &gate};

    (void)state;
    sem_post(&gate);
    work_run(&task.work);
    assert_true(task.ran);
    assert_true(task.work.elapsed_ns > 0);
}

static void test_end_does_what_was_given(void **state)
{
    struct worker *worker = NULL;

    (void)state;
    assert_int_equal(worker_new(completions, &worker), 0);
    for (unsigned i = 0; i < WORKS; i++)
        worker_submit(worker, &tasks[i].work);
    assert_true(worker_free(worker, 60000));
    for (unsigned i = 0; i < WORKS; i++)
        assert_true(tasks[i].ran);
    wait_for(WORKS);
    assert_true(worker_free(NULL, 0));
}

/* In a child, because a thread that is stuck can't be cleared away. */
static void end_beside_stuck_work(void *context)
{
    struct worker *worker = NULL;

    (void)context;
    if (worker_new(completions, &worker) < 0)
        _exit(2);
    tasks[0].entered = &entered;
    tasks[0].gate = &gate;
    worker_submit(worker, &tasks[0].work);
    worker_submit(worker, &tasks[1].work);
    sem_wait(&entered);
    _exit(worker_free(worker, 20) || tasks[1].ran ? 3 : 0);
}

static void test_end_beside_stuck_work(void **state)
{
    (void)state;
    assert_int_equal(test_in_child(end_beside_stuck_work, NULL), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_two_workers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_expire, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_elapsed, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_end_does_what_was_given, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_end_beside_stuck_work, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
