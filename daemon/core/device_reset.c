/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device stays open: its worker does nothing else meanwhile, and the loop does not look at it (it is
 * silent), so whoever wants something of it waits in its queue. */
#include "core/device_reset.h"

#include <errno.h>

#include "core/admission.h"
#include "core/binding.h"
#include "core/dma_life.h"
#include "core/events.h"
#include "core/silence.h"
#include "util/cleanup.h"
#include "util/log.h"

/* A buffer may have ended, and its memory be retained, since anybody looked. */
static void reset_now(struct device_reset *reset)
{
    struct device *device = reset->device;
    struct dma_seen before;

    dma_look(device, &before);
    reset->retained = before.known ? before.state.retained : 0;
    atomic_store(&reset->begun, true);
    silence_begin(device);
    reset->result = device->backend->device_reset(device->handle, &reset->error);
    silence_end(device);
    if (reset->result < 0)
        error_prefix(&reset->error, "%s", device_name(device));
    dma_look(device, &reset->seen);
}

static void run(struct work *work)
{
    struct device_reset *reset = container_of(work, struct device_reset, work);

    if (atomic_load(&reset->revoked))
        reset->result = -EUSERS; /* done() says why */
    else
        reset_now(reset);
}

void device_reset_forget(struct device_reset *reset)
{
    if (!reset->link)
        return;
    *reset->link = reset->next;
    if (reset->next)
        reset->next->link = reset->link;
    reset->link = NULL;
}

static void note_reset(const struct device_reset *reset)
{
    const struct event event = {
            .kind = EVENT_RESET, .device = reset->device, .text = (char *)reset->principal->name};

    if (reset->daemon->events)
        events_add(reset->daemon->events, &event);
}

static void note_end(struct device_reset *reset, enum work_end how)
{
    const char *name = device_name(reset->device);

    if (how == WORK_STOPPED)
        reset->result = error_set(&reset->error, -EAGAIN, "devregd is stopping: %s was not reset", name);
    if (how == WORK_EXPIRED)
        reset->result = error_set(&reset->error, -ETIMEDOUT,
                "%s was busy for too long with requests before this one: it was not reset", name);
}

/* Who or what is in its way now. If nothing is any more, its turn has passed all the same. */
static void explain_revoked(struct device_reset *reset)
{
    const char *name = device_name(reset->device);
    int r = 0;

    if (reset->principal->scope == 0) {
        error_set(&reset->error, -EUSERS,
                "%s was not reset: %s, which allowed it, ended before its turn came: ask again with another",
                name, reset->principal->name);
        return;
    }
    r = admission_ask_reset(reset->daemon, reset->principal, reset->reservation, reset->device,
            &reset->blocking, &reset->error);
    if (r < 0)
        reset->result = error_prefix(&reset->error, "%s was not reset", name);
    else
        error_set(&reset->error, -EUSERS,
                "%s was not reset: another had reserved some of it before its turn came, and has no more: "
                "ask again",
                name);
}

/* What backends refuse without having touched the device. */
static bool is_refusal(int code)
{
    return code == -EOPNOTSUPP || code == -EBUSY || code == -EAGAIN || code == -ENODATA;
}

static void note_memory(struct device_reset *reset)
{
    uint64_t left = reset->seen.state.retained;

    if (reset->seen.known && left < reset->retained)
        reset->given_back = reset->retained - left;
    if (reset->daemon->dma_buffers)
        dma_look_note(reset->daemon->dma_buffers, reset->device, &reset->seen);
}

/* After a failure nobody knows whether it is there at all; and while it was silent it could not be told. */
static void note_device(struct device_reset *reset)
{
    struct device *device = reset->device;

    note_memory(reset);
    if (reset->result == 0)
        note_reset(reset);
    if (device->watch)
        device->watch->was_reset(device->watch, reset->result == 0);
    if (device->recheck || (reset->attempted && reset->result < 0))
        dispatch_recheck(reset->daemon->dispatch, device);
}

static void done(struct work *work)
{
    struct device_reset *reset = container_of(work, struct device_reset, work);
    bool begun = atomic_load(&reset->begun);

    device_reset_forget(reset);
    note_end(reset, work->end);
    reset->attempted = begun && !is_refusal(reset->result);
    if (begun)
        note_device(reset);
    else if (work->end == WORK_RAN)
        explain_revoked(reset);
    reset->completed(reset);
}

/* What can't be told by a place on a bus has one name. */
static int check_one_name(const struct daemon *daemon, const struct device *device, struct error *error)
{
    struct bus_place place;

    if (binding_find_place(daemon, device, &place, NULL) < 0)
        return 0;
    return binding_check_one_name(daemon, device, &place, error);
}

/* Whether there is a way is the backend's to say: there may be one by now. */
static int check_device(struct daemon *daemon, struct device *device, struct error *error)
{
    int r = dispatch_open(daemon->dispatch, device, error);

    if (r < 0)
        return r;
    if (!device->backend->device_reset)
        return error_set(error, -EOPNOTSUPP,
                "the backend %s, through which %s is reached, has no reset: bind the device to the "
                "driver devreg (devregctl bind %s), or describe it by its \"address\" or \"id\"",
                device->backend->name, device_name(device), device_name(device));
    return check_one_name(daemon, device, error);
}

static void join(struct daemon *daemon, struct device_reset *reset)
{
    reset->daemon = daemon;
    reset->next = daemon->resets;
    reset->link = &daemon->resets;
    if (reset->next)
        reset->next->link = &reset->next;
    daemon->resets = reset;
}

int device_reset_start(struct daemon *daemon, struct device_reset *reset,
        const struct reservation **ret_blocking, struct error *error)
{
    int r = admission_ask_reset(
            daemon, reset->principal, reset->reservation, reset->device, ret_blocking, error);

    if (r < 0)
        return r;
    if (daemon->draining)
        return error_set(
                error, -EAGAIN, "devregd is stopping: %s was not reset", device_name(reset->device));
    r = check_device(daemon, reset->device, error);
    if (r < 0)
        return r;
    join(daemon, reset);
    reset->work = (struct work){.run = run, .done = done, .apart = true};
    r = dispatch_submit(daemon->dispatch, reset->device, &reset->work, 0, error);
    if (r < 0)
        device_reset_forget(reset);
    return r;
}

void device_resets_recheck(struct daemon *daemon)
{
    const struct reservation *blocking;

    for (struct device_reset *reset = daemon->resets; reset; reset = reset->next) {
        if (reset->principal->scope == 0 || admission_ask_reset(daemon, reset->principal, reset->reservation,
                                                    reset->device, &blocking, NULL) < 0)
            atomic_store(&reset->revoked, true);
    }
}

void device_resets_leave(struct daemon *daemon)
{
    for (struct device_reset *reset = daemon->resets; reset; reset = reset->next) {
        struct error error;

        if (!atomic_load(&reset->begun))
            continue;
        error_set(&error, -EIO, "devregd stopped while %s was being reset: how that went is not known",
                device_name(reset->device));
        log_warning("%s, asked for by %s", error.message, reset->principal->name);
        reset->left(reset, &error);
    }
}
