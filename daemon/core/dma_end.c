/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How buffers end. One is closed by work of its device, so after what was submitted before: the safe-state
 * writes of the reservation that it ends with. When the device itself is closed before that, all that it has
 * is closed before it is, by work as well: giving back GiBs takes its time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/dma_buffers.h"
#include "core/dma_life.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { LOST_KEPT_US = 30000000 }; /* so that its owner can be told */

static void record_end(const struct dma_buffer *buffer, const char *reason)
{
    const struct audit_record record = {.principal = buffer->owner,
            .action = "buffer.end",
            .subject = buffer->id,
            .result = "ok",
            .reason = reason};

    audit_write(buffer->buffers->daemon->audit, &record);
}

void dma_buffer_claim(struct dma_buffer *buffer, uint64_t bytes)
{
    buffer->bytes = bytes;
    buffer->buffers->bytes += bytes;
    buffer->account->buffer_bytes += bytes;
}

void dma_buffer_return(struct dma_buffer *buffer)
{
    buffer->buffers->bytes -= buffer->bytes;
    buffer->account->buffer_bytes -= buffer->bytes;
    buffer->bytes = 0;
}

static void end_transfers(struct dma_buffer *buffer)
{
    while (buffer->transfers)
        dma_transfer_end(buffer->transfers);
}

void dma_buffer_forget(struct dma_buffer *buffer)
{
    struct dma_buffers *buffers = buffer->buffers;

    *buffer->link = buffer->next;
    if (buffer->next)
        buffer->next->link = buffer->link;
    dma_buffer_return(buffer);
    buffers->count--;
    buffer->account->buffers--;
    accounts_put(&buffers->daemon->accounts, buffer->account);
    principal_unref(&buffers->daemon->accounts, buffer->token);
    free(buffer);
}

void dma_waiter_tell(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error)
{
    if (!waiter)
        return;
    waiter->buffer = NULL;
    waiter->over(waiter, buffer, error);
}

/* What is told is what became of allocating it, or that it is freed. */
static void finish(struct dma_buffer *buffer)
{
    struct dma_waiter *waiter = buffer->waiter;
    struct error error = buffer->error;

    dma_buffer_forget(buffer);
    dma_waiter_tell(waiter, NULL, error.code ? &error : NULL);
}

static void close_memory(struct dma_buffer *buffer, bool let_go)
{
    struct backend_buffer *opened = take_ptr(buffer->opened);

    buffer->handle = NULL;
    if (opened)
        opened->backend->buffer_close(opened, let_go);
}

/* Of what nobody has let go, all may be retained, or nothing. */
static void note_closed(struct dma_buffer *buffer)
{
    dma_look_note(buffer->buffers, buffer->device, &buffer->seen);
    if (!buffer->let_go && buffer->bytes > 0 && buffer->seen.known && buffer->seen.state.retained > 0)
        dma_retained_keep(buffer);
    dma_buffer_return(buffer);
}

/* The device is idle. */
static void close_here(struct dma_buffer *buffer)
{
    close_memory(buffer, buffer->let_go);
    dma_look(buffer->device, &buffer->seen);
    note_closed(buffer);
}

/* Whether somebody said so, or the writes that stop the device were made, before its turn came. */
static bool may_let_go(const struct dma_buffer *buffer)
{
    return buffer->state == DMA_BUFFER_CLOSING && buffer->let_go && buffer->safe_writes_left == 0;
}

static void run_close(struct work *work)
{
    struct dma_buffer *buffer = container_of(work, struct dma_buffer, work);
    struct backend_buffer *opened = take_ptr(buffer->opened);

    opened->backend->buffer_close(opened, buffer->let_go);
    dma_look(buffer->device, &buffer->seen);
}

static void close_done(struct work *work)
{
    struct dma_buffer *buffer = container_of(work, struct dma_buffer, work);
    struct error error;

    buffer->working = false;
    if (!buffer->opened) {
        note_closed(buffer);
        if (buffer->state != DMA_BUFFER_LOST)
            finish(buffer);
        return;
    }
    /* The daemon stops: dma_buffers_free() closes it. */
    error_set(&error, -EAGAIN, "devregd is stopping: buffer %s is freed when it has", buffer->id);
    dma_waiter_tell(take_ptr(buffer->waiter), NULL, &error);
}

static void prepare_close(struct dma_buffer *buffer)
{
    buffer->work = (struct work){.run = run_close, .done = close_done, .own = true, .apart = true};
    buffer->working = true;
}

/* What can't be done by a worker is done here: then the device is idle. Of one that was found gone
 * dma_buffers_handle_closing() takes over, now or when it is idle. */
void dma_buffer_close(struct dma_buffer *buffer)
{
    struct dispatch *dispatch = buffer->buffers->daemon->dispatch;
    struct device *device = buffer->device;

    if (buffer->working)
        return; /* it was lost, and is being closed */
    if (!buffer->opened) {
        finish(buffer);
        return;
    }
    prepare_close(buffer);
    if (dispatch_submit(dispatch, device, &buffer->work, 0, NULL) == 0)
        return;
    buffer->working = false;
    if (device->lost) {
        dispatch_settle(dispatch, device);
        return;
    }
    close_here(buffer);
    finish(buffer);
}

/* From now on nobody finds it. One that is being opened is closed when it has been: nobody knows its bus
 * address, so the device can't use it. */
static void end(struct dma_buffer *buffer, bool let_go)
{
    bool opening = buffer->state == DMA_BUFFER_OPENING;

    end_transfers(buffer);
    buffer->state = DMA_BUFFER_CLOSING;
    if (opening || !buffer->working) /* otherwise it is being closed already */
        buffer->let_go = let_go || opening || buffer->safe_writes_left > 0;
    if (!opening && buffer->safe_writes_left == 0)
        dma_buffer_close(buffer);
}

/* One that is lost has had its record. */
void dma_buffer_end(struct dma_buffer *buffer, const char *reason)
{
    if (buffer->state == DMA_BUFFER_OPENING)
        error_set(&buffer->lost, -ESTALE, "while the buffer was allocated %s", reason);
    if (buffer->state == DMA_BUFFER_LIVE)
        record_end(buffer, reason);
    end(buffer, false);
}

/* Its memory stays on its owner's account until it is given back. */
static void lose(struct dma_buffer *buffer, const char *reason)
{
    uint64_t least_us = clock_boottime_us() + LOST_KEPT_US;
    char text[sizeof(buffer->lost.message)];

    snprintf(text, sizeof(text), "its device %s was closed: %s", device_name(buffer->device), reason);
    record_end(buffer, text);
    error_set(&buffer->lost, -ENODEV, "%s", text);
    end_transfers(buffer);
    buffer->handle = NULL;
    buffer->state = DMA_BUFFER_LOST;
    if (buffer->until_us && buffer->until_us < least_us)
        buffer->until_us = least_us;
}

static struct dma_buffer *find_open(const struct dma_buffers *buffers, const struct device *device)
{
    struct dma_buffer *buffer = buffers->first;

    while (buffer && (buffer->device != device || buffer->working || !buffer->opened))
        buffer = buffer->next;
    return buffer;
}

/* The device is idle, so no buffer's work is under way. Without a worker that can do it nobody is waited
 * for. */
bool dma_buffers_handle_leaving(struct device_buffers *devices, struct device *device, const char *reason)
{
    struct dma_buffers *buffers = container_of(devices, struct dma_buffers, devices);
    struct dma_buffer *buffer;
    bool any = false;

    while ((buffer = find_open(buffers, device))) {
        buffer->let_go = may_let_go(buffer);
        prepare_close(buffer);
        if (dispatch_submit_last(buffers->daemon->dispatch, device, &buffer->work) < 0) {
            buffer->working = false;
            break;
        }
        any = true;
        buffer->safe_writes_left = 0;
        if (buffer->state == DMA_BUFFER_LIVE)
            lose(buffer, reason);
    }
    dma_buffers_set_timer(buffers);
    return any;
}

/* The device is idle, so no buffer's work is under way. What its worker has closed is gone already; one that
 * is lost is still here when its work was cancelled. */
void dma_buffers_handle_closing(struct device_buffers *devices, struct device *device, const char *reason)
{
    struct dma_buffers *buffers = container_of(devices, struct dma_buffers, devices);
    struct dma_buffer *buffer;

    while ((buffer = find_open(buffers, device))) {
        buffer->let_go = may_let_go(buffer);
        close_here(buffer);
        if (buffer->state == DMA_BUFFER_LIVE)
            lose(buffer, reason);
        else if (buffer->state == DMA_BUFFER_CLOSING)
            finish(buffer);
    }
    dma_buffers_set_timer(buffers);
}

/* Closing the device gives nothing back by itself: a driver that could not stop it keeps what it retains. Of
 * one that can't be opened nothing is known; who had it does not pay for ever. */
void dma_buffers_handle_opened(struct device_buffers *devices, struct device *device)
{
    struct dma_buffers *buffers = container_of(devices, struct dma_buffers, devices);

    if (!device->has_dma || device->dma.retained == 0)
        dma_retained_give_back(buffers, device);
}

void dma_buffer_release(struct dma_buffer *buffer, struct dma_waiter *waiter)
{
    struct dma_buffers *buffers = buffer->buffers;

    buffer->waiter = waiter;
    if (waiter)
        waiter->buffer = buffer;
    end(buffer, true);
    dma_buffers_set_timer(buffers);
}

void dma_waiter_leave(struct dma_waiter *waiter)
{
    struct dma_buffer *buffer = take_ptr(waiter->buffer);

    if (!buffer)
        return;
    buffer->waiter = NULL;
    if (buffer->state == DMA_BUFFER_OPENING)
        end(buffer, true);
}

/* With its reservation */

static size_t count_safe_writes(const struct reservation *reservation, const struct device *device)
{
    size_t count = 0;

    for (size_t i = 0; reservation->granted && i < reservation->safe_write_count; i++)
        count += reservation->safe_writes[i].region->device == device;
    return count;
}

static struct dma_buffer *find_of_reservation(const struct dma_buffers *buffers, const char *reservation)
{
    struct dma_buffer *buffer = buffers->first;

    while (buffer && (buffer->state == DMA_BUFFER_CLOSING || strcmp(buffer->reservation, reservation) != 0))
        buffer = buffer->next;
    return buffer;
}

/* The writes stop the device, when there are any and all of them succeed: until it shows, that is how it
 * is. */
void dma_buffers_reservation_ended(struct daemon *daemon, const struct reservation *reservation)
{
    struct dma_buffers *buffers = daemon->dma_buffers;
    struct dma_buffer *buffer;

    while (buffers && (buffer = find_of_reservation(buffers, reservation->id))) {
        if (buffer->state == DMA_BUFFER_LIVE)
            buffer->safe_writes_left = count_safe_writes(reservation, buffer->device);
        dma_buffer_end(buffer, "its reservation ended");
    }
    if (buffers)
        dma_buffers_set_timer(buffers);
}

static struct dma_buffer *find_made(const struct dma_buffers *buffers)
{
    struct dma_buffer *buffer = buffers->first;

    while (buffer && !buffer->safe_writes_made)
        buffer = buffer->next;
    return buffer;
}

void dma_buffers_safe_write_made(
        struct daemon *daemon, const char *reservation, const struct device *device, int result)
{
    struct dma_buffers *buffers = daemon->dma_buffers;
    struct dma_buffer *buffer = buffers ? buffers->first : NULL;

    for (; buffer; buffer = buffer->next) {
        if (buffer->safe_writes_left == 0 || buffer->device != device ||
                strcmp(buffer->reservation, reservation) != 0)
            continue;
        buffer->let_go = buffer->let_go && result == 0;
        buffer->safe_writes_made = --buffer->safe_writes_left == 0;
    }
    while (buffers && (buffer = find_made(buffers))) {
        buffer->safe_writes_made = false;
        dma_buffer_close(buffer);
    }
}

void dma_buffer_cut(struct dma_buffer *buffer, const char *reason)
{
    if (buffer->state == DMA_BUFFER_LIVE)
        record_end(buffer, reason);
    end_transfers(buffer);
    close_memory(buffer, may_let_go(buffer));
    dma_buffer_forget(buffer);
}
