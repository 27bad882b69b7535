/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A thread that does one device's work in order, and the way its results come back to the loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

struct device;
struct worker;
struct completions;

enum work_end {
    WORK_RAN,
    WORK_EXPIRED, /* its time was over before it began */
    WORK_STOPPED, /* the daemon stops */
};

/* Something to do with a device. Embedded in what it is done for. */
struct work {
    void (*run)(struct work *work);  /* on the loop or on the device's worker */
    void (*done)(struct work *work); /* on the loop, after run; may free the work */

    /* Set by dispatch_submit(). */
    struct device *device;
    size_t accesses;
    uint64_t deadline_us; /* monotonic: run should give up then */

    /* Set by whoever submits it. */
    bool own;   /* the daemon's, not a client's: no limit of queue or time holds for it */
    bool apart; /* it makes no register accesses: always for the worker, and its time tells nothing of theirs
                 */

    /* How it went, for done. */
    enum work_end end;
    uint64_t elapsed_ns; /* in run */

    struct work *next;
};

/* Calls run, and takes its time. */
void work_run(struct work *work);

/* Where workers put what they have finished; `finished` is called on the loop for each. */
int completions_new(sd_event *event, void (*finished)(struct work *work, void *context), void *context,
        struct completions **ret_completions);
void completions_free(struct completions *completions);

/* Starts a thread. The completions must outlive it. Returns 0 or a negative errno. */
int worker_new(struct completions *completions, struct worker **ret_worker);

/* Never blocks. */
void worker_submit(struct worker *worker, struct work *work);

/* Gives back what waits: all of it as WORK_STOPPED, or as WORK_EXPIRED what has a deadline before now_us.
 * What has begun goes on. */
void worker_cancel(struct worker *worker, enum work_end end, uint64_t now_us);

/* Ends the thread after what it was given. Returns false when it did not end within the time: then it is in
 * a device access that does not return, and the worker must not be touched any more. */
bool worker_free(struct worker *worker, unsigned timeout_ms);
