/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sim_thread.h. It sleeps on an eventfd, so a wake that comes right before is not lost. */
#include "backends/sim_thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

struct sim_thread {
    uint64_t (*run)(void *context);
    void *context;
    pthread_t thread;
    int wake; /* eventfd: there is something for it to do */
    atomic_bool ending;
};

static void sleep_till(const struct sim_thread *thread, uint64_t till_ns)
{
    uint64_t now_ns = clock_now_ns(), left_ns = till_ns > now_ns ? till_ns - now_ns : 0, ignored;
    const struct timespec left = {(time_t)(left_ns / 1000000000), (long)(left_ns % 1000000000)};
    struct pollfd wait = {.fd = thread->wake, .events = POLLIN};

    if (ppoll(&wait, 1, till_ns == UINT64_MAX ? NULL : &left, NULL) > 0 &&
            read(thread->wake, &ignored, sizeof(ignored)) < 0)
        return;
}

static void *run(void *argument)
{
    struct sim_thread *thread = argument;

    while (!atomic_load(&thread->ending)) {
        uint64_t till_ns = thread->run(thread->context);

        if (till_ns == 0)
            sched_yield();
        else
            sleep_till(thread, till_ns);
    }
    return NULL;
}

int sim_thread_new(uint64_t (*function)(void *context), void *context, struct sim_thread **ret_thread)
{
    _cleanup_free_ struct sim_thread *thread = calloc(1, sizeof(*thread));
    _cleanup_close_ int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r;

    if (!thread)
        return -ENOMEM;
    if (wake < 0)
        return -errno;
    thread->run = function;
    thread->context = context;
    thread->wake = wake;
    r = -pthread_create(&thread->thread, NULL, run, thread);
    if (r < 0)
        return r;
    take_fd(&wake);
    *ret_thread = take_ptr(thread);
    return 0;
}

void sim_thread_free(struct sim_thread *thread)
{
    atomic_store(&thread->ending, true);
    sim_thread_wake(thread);
    pthread_join(thread->thread, NULL);
    closep(&thread->wake);
    free(thread);
}

/* An eventfd write fails only when its counter is full, and then the thread is awake already. */
void sim_thread_wake(const struct sim_thread *thread)
{
    const uint64_t one = 1;

    if (write(thread->wake, &one, sizeof(one)) < 0)
        return;
}
