/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See dma_extent.h. */
#include "api/dma_extent.h"

#include <errno.h>
#include <inttypes.h>

#include "api/call_audit.h"
#include "backends/buffer_memory.h"
#include "util/json_writer.h"

int dma_extent_check(const struct byte_range *range, uint64_t size, struct error *error)
{
    if (range->length == 0)
        return error_set(error, -EINVAL, "a length of 0 is nothing to do: give 1 octet or more");
    if (range->first >= size)
        return error_set(error, -ERANGE,
                "offset 0x%" PRIx64 " is outside the buffer, which has %" PRIu64 " octets", range->first,
                size);
    if (range->length > size - range->first)
        return error_set(error, -ERANGE,
                "%" PRIu64 " octets from 0x%" PRIx64
                " on go beyond the end of the buffer, which has %" PRIu64 ": ask for %" PRIu64 " at most",
                range->length, range->first, size, size - range->first);
    return 0;
}

int dma_extent_begin(struct dma_extent *extent, struct call *call, struct dma_buffer *buffer,
        const struct byte_range *range, struct error *error)
{
    *extent = (struct dma_extent){.call = call, .range = *range, .act = {.offset = range->first}};
    return dma_transfer_begin(&extent->transfer, buffer, error);
}

void dma_extent_done(struct dma_extent *extent)
{
    dma_transfer_end(&extent->transfer);
}

int dma_extent_read(struct dma_extent *extent, void *octets, size_t size)
{
    int r = dma_transfer_read(&extent->transfer, extent->range.first + extent->done, octets, size);

    if (r == 0)
        extent->done += size;
    return r;
}

/* Once it has begun, nobody knows how much of a piece was written. */
static int note_written(struct dma_extent *extent, int r, size_t size)
{
    extent->act.attempted = true;
    if (r == 0)
        extent->act.octets = extent->done += size;
    return r;
}

int dma_extent_write(struct dma_extent *extent, const void *octets, size_t size)
{
    int r = dma_transfer_write(&extent->transfer, extent->range.first + extent->done, octets, size);

    return note_written(extent, r, size);
}

int dma_extent_fill(struct dma_extent *extent, const void *pattern, size_t pattern_size, size_t size)
{
    const struct dma_buffer *buffer = extent->transfer.buffer;
    int r = -ENODEV;

    if (buffer && buffer_memory_fill(buffer->handle, extent->range.first + extent->done, size, pattern,
                          pattern_size) == 0)
        r = 0;
    return note_written(extent, r, size);
}

void dma_extent_answer(struct dma_extent *extent)
{
    struct call *call = extent->call;
    struct json_writer writer = json_writer(&call->reply);

    call->act = &extent->act;
    json_begin_object(&writer, NULL);
    json_put_count(&writer, "written", extent->done);
    json_end_object(&writer);
    call_answer_json(call);
}

void dma_extent_fail(struct dma_extent *extent)
{
    struct call *call = extent->call;
    const char *id = call->parameters[0];
    const struct dma_buffer *buffer;
    struct error error;

    buffer = dma_buffers_find(call->daemon, call->principal, id, &error);
    if (!buffer)
        error_set(&error, -ENOENT, "buffer %.64s has ended: %" PRIu64 " of %" PRIu64 " octets were written",
                id, extent->done, extent->range.length);
    else
        error_set(&error, -ENODEV, "buffer %s is lost: %s: %" PRIu64 " of %" PRIu64 " octets were written",
                id, buffer->state == DMA_BUFFER_LOST ? buffer->lost.message : "its memory is gone",
                extent->done, extent->range.length);
    call->act = &extent->act;
    call_fail_at(call, &error, NULL, extent->range.first + extent->done, extent->done);
}

void dma_extent_record_end(struct dma_extent *extent, const char *why)
{
    struct error error;

    error_set(&error, -EINVAL, "%s when %" PRIu64 " of %" PRIu64 " octets were written", why, extent->done,
            extent->range.length);
    extent->call->act = &extent->act;
    call_audit(extent->call, &error);
}
