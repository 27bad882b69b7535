/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This file alone decides between the loop and a worker, and it alone opens and closes devices while the
 * daemon runs: it knows when a device is idle. */
#include "core/dispatch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/silence.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    /* The loop's other clients may be delayed by so much. */
    INLINE_NS = 200000,

    /* What takes this long was slow, if each of its accesses was: the device is sent to its worker, for
     * longer each time, so that even one that is slow only now and then rarely delays the loop. */
    SLOW_NS = 2000000,
    SLOW_ACCESS_NS = 20000,

    EXPIRY_INTERVAL_US = 500000,
};

static const uint64_t SLOW_FOR_LEAST_US = UINT64_C(10) * 1000000;
static const uint64_t SLOW_FOR_MOST_US = UINT64_C(3600) * 1000000;

struct dispatch {
    sd_event *event;
    struct completions *completions;
    struct dispatch_limits limits;
    sd_event_source *expiry; /* on while a device is busy */
    struct device *busy;
    void (*presence_changed)(struct device *device, void *context);
    void *context;
};

/* Learns from finished work how long the device's accesses take. */
static void learn(struct device *device, const struct work *work)
{
    uint64_t cost_ns = work->elapsed_ns / (work->accesses ? work->accesses : 1) + 1;

    if (work->elapsed_ns > SLOW_NS && cost_ns > SLOW_ACCESS_NS) {
        device->slow_for_us *= 2;
        if (device->slow_for_us < SLOW_FOR_LEAST_US)
            device->slow_for_us = SLOW_FOR_LEAST_US;
        if (device->slow_for_us > SLOW_FOR_MOST_US)
            device->slow_for_us = SLOW_FOR_MOST_US;
        device->slow_until_us = clock_now_us() + device->slow_for_us;
        device->cost_ns = 0;
    } else {
        device->cost_ns = device->cost_ns ? (device->cost_ns * 7 + cost_ns) / 8 : cost_ns;
    }
}

static void set_busy(struct dispatch *dispatch, struct device *device)
{
    if (device->busy)
        return;
    if (!dispatch->busy) {
        sd_event_source_set_time(dispatch->expiry, clock_now_us() + EXPIRY_INTERVAL_US);
        sd_event_source_set_enabled(dispatch->expiry, SD_EVENT_ON);
    }
    device->busy = true;
    device->next_busy = dispatch->busy;
    dispatch->busy = device;
}

static void give_to_worker(struct dispatch *dispatch, struct device *device, struct work *work)
{
    device->pending++;
    set_busy(dispatch, device);
    worker_submit(device->worker, work);
}

static void run_close(struct work *work)
{
    struct backend_device *handle = take_ptr(work->device->released);

    handle->backend->device_close(handle);
}

static void close_done(struct work *work)
{
    if (work->end != WORK_RAN)
        run_close(work);
}

/* The last descriptor of a device that retains memory resets it, which may take seconds. */
static void close_apart(struct dispatch *dispatch, struct device *device)
{
    device->close = (struct work){.run = run_close,
            .done = close_done,
            .device = device,
            .deadline_us = UINT64_MAX,
            .own = true,
            .apart = true};
    give_to_worker(dispatch, device, &device->close);
}

/* The device is idle: it can be closed, and its worker takes over. Or it is not, and this is called again
 * when it is. */
static void begin_closed(struct dispatch *dispatch, struct device *device)
{
    bool was_open = device->handle;
    char reason[128];

    snprintf(reason, sizeof(reason), "it %s: try again soon", device->closed_why);
    device->closed_for->deadline_us = UINT64_MAX; /* what has begun is not given up */
    if (device_leave(device, reason))
        return;
    device->released = device_release(device, reason);
    if (was_open)
        dispatch->presence_changed(device, dispatch->context);
    device->closed = true;
    if (device->released)
        close_apart(dispatch, device);
    give_to_worker(dispatch, device, device->closed_for);
}

static void tell_waiting(struct device *device)
{
    struct dispatch_wait *list = take_ptr(device->waiting_for_open);

    while (list) {
        struct dispatch_wait *wait = list;

        list = wait->next;
        wait->over(wait);
    }
}

/* Its work is told last, when the device is as it will be from now on. What waited goes before anybody who
 * comes. */
static void end_closed(struct dispatch *dispatch, struct device *device)
{
    struct work *work = take_ptr(device->closed_for);

    device->closed = device->recheck = false;
    dispatch_settle(dispatch, device);
    if (!device->handle)
        dispatch->presence_changed(device, dispatch->context); /* the reason is another one now */
    tell_waiting(device);
    work->done(work);
}

/* Gives back what still waits for the device to be closed. */
static void cancel_closed(struct device *device, enum work_end end)
{
    struct work *work = device->closed_for;

    if (!work || device->closed)
        return;
    device->closed_for = NULL;
    work->end = end;
    work->done(work);
}

static void handle_finished(struct work *work, void *context)
{
    struct dispatch *dispatch = context;
    struct device *device = work->device;

    device->pending--;
    if (work == device->closed_for) {
        end_closed(dispatch, device);
        return;
    }
    if (work->end == WORK_RAN && !work->apart)
        learn(device, work);
    work->done(work);
    if (device->pending > 0)
        return;
    if (device->closed_for && !device->closed)
        begin_closed(dispatch, device);
    else if (device->recheck)
        dispatch_recheck(dispatch, device);
    else if (device->lost)
        dispatch_settle(dispatch, device);
}

/* Work that waits behind an access which does not return can only be told from here that its time is over.
 */
static int handle_expiry(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct dispatch *dispatch = userdata;
    struct device **link = &dispatch->busy;
    uint64_t now = clock_now_us();

    (void)usec;
    while (*link) {
        struct device *device = *link;

        if (device->pending == 0) {
            *link = device->next_busy;
            device->busy = false;
            continue;
        }
        worker_cancel(device->worker, WORK_EXPIRED, now);
        if (device->closed_for && device->closed_for->deadline_us < now)
            cancel_closed(device, WORK_EXPIRED);
        link = &device->next_busy;
    }
    if (!dispatch->busy)
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return sd_event_source_set_time(source, now + EXPIRY_INTERVAL_US);
}

int dispatch_new(sd_event *event, const struct dispatch_limits *limits,
        void (*presence_changed)(struct device *device, void *context), void *context,
        struct dispatch **ret_dispatch)
{
    struct dispatch *dispatch = calloc(1, sizeof(*dispatch));
    int r;

    if (!dispatch)
        return -ENOMEM;
    dispatch->event = event;
    dispatch->limits = *limits;
    dispatch->presence_changed = presence_changed;
    dispatch->context = context;
    r = completions_new(event, handle_finished, dispatch, &dispatch->completions);
    if (r >= 0)
        r = sd_event_add_time(event, &dispatch->expiry, CLOCK_MONOTONIC, 0, 0, handle_expiry, dispatch);
    if (r >= 0)
        r = sd_event_source_set_enabled(dispatch->expiry, SD_EVENT_OFF);
    if (r < 0) {
        dispatch_free(dispatch);
        return r;
    }
    *ret_dispatch = dispatch;
    return 0;
}

void dispatch_free(struct dispatch *dispatch)
{
    if (!dispatch)
        return;
    sd_event_source_disable_unref(dispatch->expiry);
    completions_free(dispatch->completions);
    free(dispatch);
}

/* What of the device is open, as a number that changes when any of it comes or goes. */
static size_t count_open(const struct device *device)
{
    size_t count = (device->handle != NULL) + (device->interrupts != NULL);

    for (size_t i = 0; i < device->region_count; i++)
        count += device->regions[i].handle != NULL;
    return count;
}

void dispatch_settle(struct dispatch *dispatch, struct device *device)
{
    static const char gone[] = "it was removed, or its driver";
    size_t before = count_open(device);

    if (device->pending > 0)
        return;
    if (device->lost && device->handle) {
        /* Told before it is opened anew: a device that went and came back at once was away all the same. */
        if (device_leave(device, gone))
            return;
        device_detach(device, gone);
        dispatch->presence_changed(device, dispatch->context);
        before = 0;
    } else {
        if (device->faulted)
            device_close_regions(device);
        if (device->interrupts_lost)
            device_close_interrupts(device);
    }
    device->lost = device->faulted = false;
    if (!device_is_complete(device))
        device_attach(device);
    if (count_open(device) != before)
        dispatch->presence_changed(device, dispatch->context);
}

void dispatch_recheck(struct dispatch *dispatch, struct device *device)
{
    /* Also while it is busy: nothing new is begun with a device that is gone. */
    if (device->handle && silence_look(device) == SILENCE_GONE)
        device->lost = true;
    device->recheck = device->pending > 0;
    if (device->recheck)
        return;
    if (!device->lost && device_improve(device)) {
        device->faulted = false;
        dispatch->presence_changed(device, dispatch->context);
    }
    dispatch_settle(dispatch, device);
    device->recheck = device->better != NULL;
}

static bool is_declared_slow(const struct device *device)
{
    for (size_t i = 0; i < device->region_count; i++) {
        const struct region *region = &device->regions[i];

        if (region->description->slow || (region->handle && region->handle->slow))
            return true;
    }
    return false;
}

/* Only a device that has proven prompt is touched on the loop, and only for so long. */
static bool can_run_inline(const struct device *device, size_t accesses, uint64_t now_us)
{
    return device->pending == 0 && device->cost_ns && now_us >= device->slow_until_us &&
           accesses <= INLINE_NS / device->cost_ns && !is_declared_slow(device);
}

static int need_worker(struct dispatch *dispatch, struct device *device, struct error *error)
{
    int r = device->worker ? 0 : worker_new(dispatch->completions, &device->worker);

    return r < 0 ? error_set(error, -EAGAIN, "no thread for %s: %s", device_name(device), strerror(-r)) : 0;
}

static int hand_over(
        struct dispatch *dispatch, struct device *device, struct work *work, struct error *error)
{
    int r;

    if (device->pending >= dispatch->limits.queue && !work->own)
        return error_set(error, -EAGAIN,
                "%s is busy: %zu requests are waiting for it already, try again later", device_name(device),
                device->pending);
    r = need_worker(dispatch, device, error);
    if (r == 0)
        give_to_worker(dispatch, device, work);
    return r;
}

static int refuse_closed(const struct device *device, struct error *error)
{
    return error_set(error, -EAGAIN, "%s %s: try again soon", device_name(device), device->closed_why);
}

int dispatch_submit(struct dispatch *dispatch, struct device *device, struct work *work, size_t accesses,
        struct error *error)
{
    uint64_t now_us = 0;

    if (device->closed_for && (device->closed || !work->own))
        return refuse_closed(device, error);
    sd_event_now(dispatch->event, CLOCK_MONOTONIC, &now_us); /* of this round: costs nothing to ask for */
    if (device->lost)
        return error_set(
                error, -ENODEV, "%s is gone: the device was removed, or its driver", device_name(device));
    work->device = device;
    work->accesses = accesses;
    work->deadline_us = work->own ? UINT64_MAX : now_us + dispatch->limits.timeout_us;
    work->end = WORK_RAN;
    if (work->apart || !can_run_inline(device, accesses, now_us))
        return hand_over(dispatch, device, work, error);
    work_run(work);
    learn(device, work);
    work->done(work);
    return 0;
}

int dispatch_submit_last(struct dispatch *dispatch, struct device *device, struct work *work)
{
    int r = need_worker(dispatch, device, NULL);

    if (r < 0)
        return r;
    work->device = device;
    work->accesses = 0;
    work->deadline_us = UINT64_MAX;
    work->end = WORK_RAN;
    give_to_worker(dispatch, device, work);
    return 0;
}

int dispatch_check_closed(const struct device *device, struct error *error)
{
    return device->closed ? refuse_closed(device, error) : 0;
}

int dispatch_open(struct dispatch *dispatch, struct device *device, struct error *error)
{
    int r = dispatch_check_closed(device, error);

    if (r < 0)
        return r;
    if (!device->handle || device->lost)
        dispatch_settle(dispatch, device);
    if (!device->handle)
        return error_set(error, device->absent.code == -EBUSY ? -EBUSY : -ENODEV, "%s is absent: %s",
                device_name(device), device->absent.message);
    return 0;
}

int dispatch_submit_closed(struct dispatch *dispatch, struct device *device, struct work *work,
        const char *reason, struct error *error)
{
    int r;

    if (device->closed_for)
        return refuse_closed(device, error);
    if (atomic_load(&device->stopping))
        return error_set(error, -EAGAIN, "devregd is stopping: nothing was done to %s", device_name(device));
    r = need_worker(dispatch, device, error);
    if (r < 0)
        return r;
    work->device = device;
    work->accesses = 0;
    work->deadline_us = clock_now_us() + dispatch->limits.timeout_us;
    work->end = WORK_RAN;
    device->closed_for = work;
    device->closed_why = reason;
    if (device->pending == 0)
        begin_closed(dispatch, device);
    return 0;
}

void dispatch_wait_open(struct device *device, struct dispatch_wait *wait)
{
    struct dispatch_wait **end = &device->waiting_for_open;

    while (*end)
        end = &(*end)->next;
    wait->next = NULL;
    *end = wait;
}

void dispatch_cancel(struct device *device)
{
    atomic_store(&device->stopping, true);
    cancel_closed(device, WORK_STOPPED);
    if (device->worker)
        worker_cancel(device->worker, WORK_STOPPED, 0);
}

bool dispatch_stop(struct device *device, unsigned timeout_ms)
{
    return worker_free(take_ptr(device->worker), timeout_ms);
}
