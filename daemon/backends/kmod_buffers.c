/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See kmod_buffers.h. What becomes of the daemon, the kernel frees buffers in the right order: it closes
 * their descriptors, and nobody has let them go. */
#include "backends/kmod_buffers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backends/buffer_wish.h"
#include "backends/kmod_ioctl.h"
#include "backends/mapping.h"
#include "util/cleanup.h"

enum { BATCH = 128 }; /* segments of one call */

struct kmod_buffer {
    struct backend_buffer base;
    int file;
    struct mapping mapping;
};

static const uint32_t kinds[] = {[BUFFER_COHERENT] = DEVREG_BUFFER_COHERENT,
        [BUFFER_STREAMING] = DEVREG_BUFFER_STREAMING,
        [BUFFER_SCATTERED] = DEVREG_BUFFER_SCATTERED,
        [BUFFER_POOL] = DEVREG_BUFFER_POOL};

int kmod_buffers_describe(int device, const char *name, struct dma_state *ret_state, struct error *error)
{
    struct devreg_dma_info info = {.argsz = sizeof(info)};
    int r = kmod_call(device, DEVREG_DMA_INFO, &info);

    if (r == -EOPNOTSUPP)
        return error_set(error, r, "%s has no DMA", name);
    if (r < 0)
        return error_set(error, r, "DMA of %s: %s", name, strerror(-r));
    *ret_state = (struct dma_state){.translated = info.flags & DEVREG_BUFFER_TRANSLATED,
            .size_max = info.size_max < MAPPING_MOST ? info.size_max : MAPPING_MOST,
            .total_max = info.total_max,
            .total = info.total,
            .retained = info.retained,
            .reserved = info.reserved,
            .reserved_free = info.reserved_free};
    return 0;
}

/* Of one buffer, or of all of them. */
static int explain_too_large(int device, const struct buffer_wish *wish, struct error *error)
{
    struct dma_state state = {0};
    uint64_t size;

    if (kmod_buffers_describe(device, "the device", &state, NULL) < 0)
        return error_set(error, -E2BIG, "it is more than there may be: ask for less");
    if (__builtin_mul_overflow(wish->size, wish->count, &size) || size > state.size_max)
        return error_set(
                error, -E2BIG, "one buffer has %" PRIu64 " octets at most: ask for less", state.size_max);
    return error_set(error, -E2BIG,
            "buffers of all devices have %" PRIu64 " octets at most, and %" PRIu64
            " are taken: ask for less or free some",
            state.total_max, state.total);
}

static int explain_full(const char *name, const struct buffer_wish *wish, struct error *error)
{
    if (wish->kind == BUFFER_POOL && wish->count > DEVREG_OBJECTS_MAX)
        return error_set(error, -ENOSPC, "a pool has at most %u objects", DEVREG_OBJECTS_MAX);
    return error_set(
            error, -ENOSPC, "%s has %d buffers, which is the most: free some", name, DEVREG_BUFFERS_MAX);
}

static int explain_no_memory(const struct buffer_wish *wish, struct error *error)
{
    bool in_pieces = wish->kind == BUFFER_SCATTERED;

    return error_set(error, -ENOMEM, "there is no such memory%s now where %u address bits reach: %s%s",
            in_pieces || wish->kind == BUFFER_POOL ? "" : " in one piece", wish->address_bits,
            buffer_wish_advice(wish),
            in_pieces
                    ? ""
                    : "; memory is set aside with reserve_count and reserve_mib when the module is loaded");
}

static int explain_refusal(
        int device, const char *name, const struct buffer_wish *wish, int code, struct error *error)
{
    switch (code) {
    case -E2BIG:
        return explain_too_large(device, wish, error);
    case -ENOSPC:
        return explain_full(name, wish, error);
    case -ENOMEM:
        return explain_no_memory(wish, error);
    case -EPERM:
        return error_set(error, code,
                "kernel lockdown forbids %s to master the bus, which DMA needs: only a kernel "
                "that was booted without lockdown (lockdown= or Secure Boot) lets it",
                name);
    case -EOPNOTSUPP:
        return error_set(error, code,
                "%s has no DMA, or not with %u address bits on this "
                "machine: ask for more if the device has them",
                name, wish->address_bits);
    case -EINVAL:
        return error_set(error, code,
                "the module can't align a %s buffer of %" PRIu64 " octets to %" PRIu64
                " within boundaries of %" PRIu64 ": ask for less of these",
                buffer_kind_name(wish->kind), wish->size, wish->alignment, wish->boundary);
    case -ENODEV:
        return error_set(error, code, "%s went away", name);
    default:
        return error_set(error, code, "allocating a buffer for %s: %s", name, strerror(-code));
    }
}

static uint32_t flags_of(const struct buffer_wish *wish)
{
    uint32_t flags = kinds[wish->kind];

    if (wish->kind == BUFFER_STREAMING || wish->kind == BUFFER_SCATTERED)
        flags |= (wish->to_device ? DEVREG_BUFFER_TO_DEVICE : 0) |
                 (wish->from_device ? DEVREG_BUFFER_FROM_DEVICE : 0);
    return flags;
}

/* Returns a descriptor and what the module says it is. */
static int allocate(int device, const char *name, const struct buffer_wish *wish,
        struct devreg_allocate_buffer *ret_request, struct error *error)
{
    struct devreg_allocate_buffer request = {.argsz = sizeof(request),
            .flags = flags_of(wish),
            .address_bits = wish->address_bits,
            .count = (uint32_t)wish->count,
            .size = wish->size,
            .alignment = wish->alignment,
            .boundary = wish->boundary};
    int r = -E2BIG; /* what can't be mapped is not allocated first */

    if (wish->count > DEVREG_OBJECTS_MAX)
        r = -ENOSPC;
    else if (wish->size <= MAPPING_MOST / wish->count)
        r = kmod_call(device, DEVREG_ALLOCATE_BUFFER, &request);
    if (r < 0)
        return explain_refusal(device, name, wish, r, error);
    *ret_request = request;
    return r;
}

void kmod_buffer_close(struct backend_buffer *base, bool let_go)
{
    struct kmod_buffer *buffer = container_of(base, struct kmod_buffer, base);
    struct devreg_let_go request = {.argsz = sizeof(request)};

    mapping_close(&buffer->mapping);
    /* When it fails the device is gone, and with it what the answer would be for. */
    if (let_go && buffer->file >= 0)
        kmod_call(buffer->file, DEVREG_LET_GO, &request);
    closep(&buffer->file);
    free(buffer);
}

/* Nobody has told the device of it yet. */
static inline void buffer_dropp(struct kmod_buffer **buffer)
{
    if (*buffer)
        kmod_buffer_close(&(*buffer)->base, true);
}

int kmod_buffer_open(int device, const char *name, const struct buffer_wish *wish,
        struct backend_buffer **ret_buffer, struct error *error)
{
    _cleanup_(buffer_dropp) struct kmod_buffer *buffer = NULL;
    struct devreg_allocate_buffer got = {0};
    int r = buffer_wish_check(wish, error);

    if (r < 0)
        return r;
    buffer = calloc(1, sizeof(*buffer));
    if (!buffer)
        return error_set(error, -ENOMEM, "out of memory");
    buffer->file = allocate(device, name, wish, &got, error);
    if (buffer->file < 0)
        return buffer->file;
    r = mapping_open(buffer->file, 0, got.mapped_size, true, &buffer->mapping);
    if (r < 0) /* a pool may take more than its objects have */
        return error_set(error, got.mapped_size > MAPPING_MOST ? -E2BIG : r, "mapping a buffer of %s: %s",
                name, mapping_strerror(r));
    buffer->base.data = buffer->mapping.start;
    buffer->base.size = got.mapped_size;
    buffer->base.bus_address = got.bus_address;
    buffer->base.segment_count = got.segment_count;
    buffer->base.needs_sync = got.flags & DEVREG_BUFFER_SYNC;
    buffer->base.translated = got.flags & DEVREG_BUFFER_TRANSLATED;
    buffer->base.reserved = got.flags & DEVREG_BUFFER_RESERVED;
    *ret_buffer = &take_ptr(buffer)->base;
    return 0;
}

/* Fewer than asked for where the buffer has no more. */
static int get_batch(const struct kmod_buffer *buffer, uint64_t first, struct buffer_segment *segments,
        size_t count, size_t *ret_count)
{
    struct devreg_segment batch[BATCH] = {0};
    size_t room = count < BATCH ? count : BATCH;
    struct devreg_buffer_segments request = {.argsz = sizeof(request),
            .first = (uint32_t)first,
            .count = (uint32_t)room,
            .segments = (uintptr_t)batch};
    int r = kmod_call(buffer->file, DEVREG_BUFFER_SEGMENTS, &request);

    if (r < 0)
        return r;
    *ret_count = request.count < room ? request.count : room;
    for (size_t i = 0; i < *ret_count; i++)
        segments[i] = (struct buffer_segment){
                .bus_address = batch[i].bus_address, .offset = batch[i].offset, .size = batch[i].size};
    return 0;
}

int kmod_buffer_segments(struct backend_buffer *base, uint64_t first, struct buffer_segment *segments,
        size_t count, size_t *ret_count)
{
    const struct kmod_buffer *buffer = container_of(base, struct kmod_buffer, base);
    size_t done = 0;

    while (done < count && first < base->segment_count) {
        size_t given = 0;
        int r = get_batch(buffer, first, segments + done, count - done, &given);

        if (r < 0)
            return r;
        if (given == 0)
            return -EIO; /* never, by the ABI; but it must not go on for ever */
        done += given;
        first += given;
    }
    *ret_count = done;
    return 0;
}

int kmod_buffer_sync(struct backend_buffer *base, uint64_t offset, uint64_t size, bool for_device)
{
    const struct kmod_buffer *buffer = container_of(base, struct kmod_buffer, base);
    struct devreg_sync_buffer request = {.argsz = sizeof(request),
            .flags = for_device ? DEVREG_SYNC_DEVICE : DEVREG_SYNC_CPU,
            .offset = offset,
            .size = size};

    return kmod_call(buffer->file, DEVREG_SYNC_BUFFER, &request);
}
