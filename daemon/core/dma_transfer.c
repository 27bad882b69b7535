/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Octets of buffers on their way to and from clients: memory that is touched on the loop, and handed over
 * between the device and the processor as work of the device. */
#include <errno.h>
#include <string.h>

#include "backends/buffer_memory.h"
#include "core/dma_buffers.h"

int dma_buffer_check_live(const struct dma_buffer *buffer, struct error *error)
{
    if (buffer->state == DMA_BUFFER_LIVE)
        return 0;
    return error_set(error, -ENODEV, "buffer %s is lost: %s: free it, and allocate another", buffer->id,
            buffer->lost.message);
}

int dma_transfer_begin(struct dma_transfer *transfer, struct dma_buffer *buffer, struct error *error)
{
    int r = dma_buffer_check_live(buffer, error);

    if (r < 0)
        return r;
    transfer->buffer = buffer;
    transfer->next = buffer->transfers;
    transfer->link = &buffer->transfers;
    if (transfer->next)
        transfer->next->link = &transfer->next;
    buffer->transfers = transfer;
    return 0;
}

void dma_transfer_end(struct dma_transfer *transfer)
{
    if (!transfer->buffer)
        return;
    *transfer->link = transfer->next;
    if (transfer->next)
        transfer->next->link = transfer->link;
    transfer->buffer = NULL;
}

int dma_transfer_read(struct dma_transfer *transfer, uint64_t offset, void *data, size_t size)
{
    if (!transfer->buffer)
        return -ENODEV;
    return buffer_memory_read(transfer->buffer->handle, offset, data, size) < 0 ? -ENODEV : 0;
}

int dma_transfer_write(struct dma_transfer *transfer, uint64_t offset, const void *data, size_t size)
{
    if (!transfer->buffer)
        return -ENODEV;
    return buffer_memory_write(transfer->buffer->handle, offset, data, size) < 0 ? -ENODEV : 0;
}

uint64_t dma_buffer_size(const struct dma_buffer *buffer)
{
    if (buffer->wish.kind == BUFFER_POOL)
        return buffer->mapped_size;
    return buffer->wish.size;
}

static void run(struct work *work)
{
    struct dma_sync *sync = container_of(work, struct dma_sync, work);

    sync->result =
            sync->handle->backend->buffer_sync(sync->handle, sync->offset, sync->size, sync->for_device);
}

static void done(struct work *work)
{
    struct dma_sync *sync = container_of(work, struct dma_sync, work);
    const char *name = device_name(work->device);

    if (work->end == WORK_STOPPED)
        sync->result = error_set(&sync->error, -EAGAIN, "devregd is stopping: nothing was handed over");
    else if (work->end == WORK_EXPIRED)
        sync->result = error_set(&sync->error, -ETIMEDOUT,
                "%s was busy for too long with requests before this one: nothing was handed over", name);
    else if (sync->result < 0)
        error_set(&sync->error, sync->result, "%s: handing over failed: %s", name, strerror(-sync->result));
    sync->completed(sync);
}

/* The buffer is closed by work that comes after this one, or when the device is idle. */
int dma_sync_start(
        struct daemon *daemon, struct dma_buffer *buffer, struct dma_sync *sync, struct error *error)
{
    int r = dma_buffer_check_live(buffer, error);

    if (r < 0)
        return r;
    sync->handle = buffer->handle;
    sync->work.run = run;
    sync->work.done = done;
    sync->work.apart = true;
    return dispatch_submit(daemon->dispatch, buffer->device, &sync->work, 0, error);
}
