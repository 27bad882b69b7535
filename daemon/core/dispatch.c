/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This file alone decides between the loop and a worker, and it alone opens and closes devices while the
 * daemon runs: it knows when a device is idle. */
#include "core/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"

enum {
    /* A PCIe read that misses all caches is about a microsecond, so that many stay near 0.1 ms. */
    INLINE_ACCESSES = 64,

    /* An inline access that took this long sends the device to its worker for a while. */
    SLOW_US = 2000,
    SLOW_FOR_US = 10 * 1000 * 1000,
};

struct dispatch {
    struct completions *completions;
    size_t queue_limit;
    void (*presence_changed)(struct device *device, void *context);
    void *context;
};

static void handle_finished(struct work *work, void *context)
{
    struct dispatch *dispatch = context;
    struct device *device = work->device;

    device->pending--;
    work->done(work);
    if (device->lost && device->pending == 0)
        dispatch_settle(dispatch, device);
}

int dispatch_new(sd_event *event, size_t queue_limit,
        void (*presence_changed)(struct device *device, void *context), void *context,
        struct dispatch **ret_dispatch)
{
    struct dispatch *dispatch = calloc(1, sizeof(*dispatch));
    int r;

    if (!dispatch)
        return -ENOMEM;
    dispatch->queue_limit = queue_limit;
    dispatch->presence_changed = presence_changed;
    dispatch->context = context;
    r = completions_new(event, handle_finished, dispatch, &dispatch->completions);
    if (r < 0) {
        free(dispatch);
        return r;
    }
    *ret_dispatch = dispatch;
    return 0;
}

void dispatch_free(struct dispatch *dispatch)
{
    if (!dispatch)
        return;
    completions_free(dispatch->completions);
    free(dispatch);
}

/* What of the device is open, as a number that changes when any of it comes or goes. */
static size_t count_open(const struct device *device)
{
    size_t count = device->handle != NULL;

    for (size_t i = 0; i < device->region_count; i++)
        count += device->regions[i].handle != NULL;
    return count;
}

void dispatch_settle(struct dispatch *dispatch, struct device *device)
{
    size_t before = count_open(device);

    if (device->pending > 0)
        return;
    if (device->lost && device->handle) {
        /* Told before it is opened anew: a device that went and came back at once was away all the same. */
        device_detach(device, "it was removed");
        dispatch->presence_changed(device, dispatch->context);
        before = 0;
    } else if (device->faulted) {
        device_close_regions(device);
    }
    device->lost = device->faulted = false;
    if (!device_is_complete(device))
        device_attach(device);
    if (count_open(device) != before)
        dispatch->presence_changed(device, dispatch->context);
}

void dispatch_recheck(struct dispatch *dispatch, struct device *device)
{
    if (device->pending == 0 && device->handle && device->backend->device_present &&
            !device->backend->device_present(device->handle))
        device->lost = true;
    dispatch_settle(dispatch, device);
}

static bool is_prompt(const struct device *device, uint64_t now)
{
    if (now < device->slow_until)
        return false;
    for (size_t i = 0; i < device->region_count; i++) {
        const struct region *region = &device->regions[i];

        if (region->description->slow || (region->handle && region->handle->slow))
            return false;
    }
    return true;
}

static void run_inline(struct work *work, uint64_t started)
{
    uint64_t ended;

    work->run(work);
    ended = clock_now_us();
    if (ended - started > SLOW_US)
        work->device->slow_until = ended + SLOW_FOR_US;
    work->done(work);
}

int dispatch_submit(struct dispatch *dispatch, struct device *device, struct work *work, size_t accesses,
        struct error *error)
{
    uint64_t now = clock_now_us();
    int r;

    work->device = device;
    if (device->lost)
        return error_set(error, -ENODEV, "%s is gone: the device was removed", device_name(device));
    if (device->pending == 0 && accesses <= INLINE_ACCESSES && is_prompt(device, now)) {
        run_inline(work, now);
        return 0;
    }
    if (device->pending >= dispatch->queue_limit)
        return error_set(error, -EAGAIN,
                "%s is busy: %zu requests are waiting for it already, try again later", device_name(device),
                device->pending);
    if (!device->worker) {
        r = worker_new(dispatch->completions, &device->worker);
        if (r < 0)
            return error_set(error, -EAGAIN, "no thread for %s: %s", device_name(device), strerror(-r));
    }
    device->pending++;
    worker_submit(device->worker, work);
    return 0;
}

void dispatch_cancel(struct device *device)
{
    if (device->worker)
        worker_cancel(device->worker);
}

bool dispatch_stop(struct device *device, unsigned timeout_ms)
{
    return worker_free(take_ptr(device->worker), timeout_ms);
}
