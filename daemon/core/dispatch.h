/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a device's work runs: short work for a prompt device inline on the loop, all other work on the
 * device's own thread, so that one device that stalls delays nobody else. Work for one device runs in the
 * order it was submitted and never two at once, whichever way it goes. */
#pragma once

#include "core/device.h"
#include "core/worker.h"

struct dispatch;

struct dispatch_limits {
    size_t queue;        /* works pending for one device */
    uint64_t timeout_us; /* for one work, from submitting it to its end */
};

/* presence_changed is called on the loop after a device, one of its regions or its interrupts came or went.
 */
int dispatch_new(sd_event *event, const struct dispatch_limits *limits,
        void (*presence_changed)(struct device *device, void *context), void *context,
        struct dispatch **ret_dispatch);
void dispatch_free(struct dispatch *dispatch);

/* Brings the device up to date when it is idle: closes it when it was found gone, maps it anew after a bus
 * fault, opens what is absent. */
void dispatch_settle(struct dispatch *dispatch, struct device *device);

/* To be called when the kernel reports that devices or drivers came or went: a device that is busy is looked
 * at when it is idle. One that can be reached through a better backend now is, when its buffers are
 * closed. */
void dispatch_recheck(struct dispatch *dispatch, struct device *device);

/* Submits work; accesses is how many register accesses it will make. work->done may be called before this
 * returns. Returns 0; -ENODEV when the device is gone and its last work not back yet; -EAGAIN when its queue
 * is full or no thread can be started. On failure neither run nor done is called. */
int dispatch_submit(struct dispatch *dispatch, struct device *device, struct work *work, size_t accesses,
        struct error *error);

/* Submits the daemon's own work with a device that is to be closed, found gone maybe: what is left to do
 * before. Returns 0, or a negative errno, and then neither run nor done is called. */
int dispatch_submit_last(struct dispatch *dispatch, struct device *device, struct work *work);

/* Submits work that needs the device closed. What is under way or waits for it is finished first; of what
 * comes, only the daemon's own is still taken, clients get -EAGAIN with the reason, "is being bound to a
 * driver". Then the device is closed, the work is run on its thread, however long that takes, and the device
 * is opened anew before work->done. Until it is closed, the work can expire. Returns 0; -EAGAIN when there
 * is such work already, the device is stopping, or no thread can be started. */
int dispatch_submit_closed(struct dispatch *dispatch, struct device *device, struct work *work,
        const char *reason, struct error *error);

/* Returns 0, or -EAGAIN with the reason while the device is closed for such work. */
int dispatch_check_closed(const struct device *device, struct error *error);

/* Opens the device when it was absent. Returns 0; -EAGAIN as above; -EBUSY when something else holds it,
 * -ENODEV when it is absent otherwise. */
int dispatch_open(struct dispatch *dispatch, struct device *device, struct error *error);

/* What must be done all the same, as soon as the device is open again. */
struct dispatch_wait {
    void (*over)(struct dispatch_wait *wait); /* on the loop */
    struct dispatch_wait *next;
};

/* To be called while dispatch_check_closed() refuses. They are told in the order in which they came, before
 * anybody else is served. */
void dispatch_wait_open(struct device *device, struct dispatch_wait *wait);

/* Gives back the device's work that has not begun, as WORK_STOPPED, and tells what has begun to end. */
void dispatch_cancel(struct device *device);

/* Ends the device's thread. False when it is stuck in an access: then the device must not be freed. */
bool dispatch_stop(struct device *device, unsigned timeout_ms);
