/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lock order: none is ever held while another is taken, nor while work runs. */
#include "core/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

struct work_list {
    struct work *first;
    struct work **end;
};

struct completions {
    pthread_mutex_t lock;
    struct work_list finished; /* under lock */
    int wake;                  /* eventfd */
    sd_event_source *source;
    void (*callback)(struct work *work, void *context);
    void *context;
};

struct worker {
    struct completions *completions;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct work_list waiting; /* under lock */
    bool ending, ended;       /* under lock */
};

static void list_append(struct work_list *list, struct work *work)
{
    work->next = NULL;
    if (!list->first)
        list->end = &list->first;
    *list->end = work;
    list->end = &work->next;
}

static struct work *list_take_first(struct work_list *list)
{
    struct work *work = list->first;

    if (work)
        list->first = work->next;
    return work;
}

void work_run(struct work *work)
{
    uint64_t started = clock_now_ns();

    work->run(work);
    work->elapsed_ns = clock_now_ns() - started;
}

static int handle_finished(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct completions *completions = userdata;
    struct work_list list;
    struct work *work;
    uint64_t count;

    (void)source;
    (void)revents;
    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        return -errno;
    pthread_mutex_lock(&completions->lock);
    list = completions->finished;
    completions->finished.first = NULL;
    pthread_mutex_unlock(&completions->lock);
    while ((work = list_take_first(&list)))
        completions->callback(work, completions->context);
    return 0;
}

static void completions_add(struct completions *completions, struct work *work)
{
    const uint64_t one = 1;
    bool first;

    pthread_mutex_lock(&completions->lock);
    first = !completions->finished.first;
    list_append(&completions->finished, work);
    pthread_mutex_unlock(&completions->lock);
    /* An eventfd write fails only when its counter is full, and then the loop is awake already. */
    if (first && write(completions->wake, &one, sizeof(one)) < 0)
        return;
}

int completions_new(sd_event *event, void (*finished)(struct work *work, void *context), void *context,
        struct completions **ret_completions)
{
    struct completions *completions = calloc(1, sizeof(*completions));
    int r;

    if (!completions)
        return -ENOMEM;
    completions->callback = finished;
    completions->context = context;
    pthread_mutex_init(&completions->lock, NULL);
    completions->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = completions->wake < 0 ? -errno
                              : sd_event_add_io(event, &completions->source, completions->wake, EPOLLIN,
                                        handle_finished, completions);
    if (r < 0) {
        completions_free(completions);
        return r;
    }
    *ret_completions = completions;
    return 0;
}

void completions_free(struct completions *completions)
{
    if (!completions)
        return;
    sd_event_source_disable_unref(completions->source);
    closep(&completions->wake);
    pthread_mutex_destroy(&completions->lock);
    free(completions);
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    struct work *work;

    for (;;) {
        pthread_mutex_lock(&worker->lock);
        while (!worker->waiting.first && !worker->ending)
            pthread_cond_wait(&worker->changed, &worker->lock);
        work = list_take_first(&worker->waiting);
        if (!work) {
            worker->ended = true;
            pthread_cond_broadcast(&worker->changed);
        }
        pthread_mutex_unlock(&worker->lock);
        if (!work)
            return NULL;
        work_run(work);
        completions_add(worker->completions, work);
    }
}

int worker_new(struct completions *completions, struct worker **ret_worker)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    pthread_condattr_t monotonic;
    int r;

    if (!worker)
        return -ENOMEM;
    worker->completions = completions;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    r = pthread_create(&worker->thread, NULL, run_worker, worker);
    if (r != 0) {
        free(worker);
        return -r;
    }
    *ret_worker = worker;
    return 0;
}

void worker_submit(struct worker *worker, struct work *work)
{
    pthread_mutex_lock(&worker->lock);
    list_append(&worker->waiting, work);
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

void worker_cancel(struct worker *worker, enum work_end end, uint64_t now_us)
{
    struct work_list kept = {0}, cancelled = {0};
    struct work *work;

    pthread_mutex_lock(&worker->lock);
    while ((work = list_take_first(&worker->waiting))) {
        bool hit = end == WORK_STOPPED || work->deadline_us < now_us;

        list_append(hit ? &cancelled : &kept, work);
    }
    worker->waiting.first = kept.first;
    if (kept.first)
        worker->waiting.end = kept.end;
    pthread_mutex_unlock(&worker->lock);
    while ((work = list_take_first(&cancelled))) {
        work->end = end;
        completions_add(worker->completions, work);
    }
}

/* Waits until the thread has said its last word, or the time is over. */
static bool wait_until_ended(struct worker *worker, unsigned timeout_ms)
{
    uint64_t until_ns = clock_now_ns() + (uint64_t)timeout_ms * 1000000;
    struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    bool ended;

    pthread_mutex_lock(&worker->lock);
    worker->ending = true;
    pthread_cond_broadcast(&worker->changed);
    while (!worker->ended && pthread_cond_timedwait(&worker->changed, &worker->lock, &until) != ETIMEDOUT)
        continue;
    ended = worker->ended;
    pthread_mutex_unlock(&worker->lock);
    return ended;
}

bool worker_free(struct worker *worker, unsigned timeout_ms)
{
    if (!worker)
        return true;
    if (!wait_until_ended(worker, timeout_ms))
        return false;
    pthread_join(worker->thread, NULL);
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->changed);
    free(worker);
    return true;
}
