// SPDX-License-Identifier: LGPL-2.1-or-later
// Buffers, as functions.
#include "kmodtest.h"

#include <stdlib.h>
#include <sys/ioctl.h>

int allocate_as(int device, struct devreg_allocate_buffer *buffer)
{
    buffer->argsz = sizeof(*buffer);
    return ioctl(device, DEVREG_ALLOCATE_BUFFER, buffer);
}

int allocate(int device, uint32_t flags, uint32_t address_bits, uint64_t size,
        struct devreg_allocate_buffer *ret_buffer)
{
    struct devreg_allocate_buffer buffer = {
            .flags = flags, .address_bits = address_bits, .count = 1, .size = size};
    int result = allocate_as(device, &buffer);
    if (ret_buffer)
        *ret_buffer = buffer;
    return result;
}

struct devreg_dma_info dma_info(int device)
{
    struct devreg_dma_info info = {.argsz = sizeof(info)};
    check_equal(fine(ioctl(device, DEVREG_DMA_INFO, &info)), 0);
    return info;
}

int sync_buffer(int buffer, uint32_t flags, uint64_t offset, uint64_t size)
{
    struct devreg_sync_buffer sync = {.argsz = sizeof(sync), .flags = flags, .offset = offset, .size = size};
    return ioctl(buffer, DEVREG_SYNC_BUFFER, &sync);
}

int let_go(int buffer)
{
    struct devreg_let_go argument = {.argsz = sizeof(argument)};
    return ioctl(buffer, DEVREG_LET_GO, &argument);
}

struct devreg_segment *segments_of(int buffer, uint32_t *ret_count)
{
    struct devreg_buffer_info info = {.argsz = sizeof(info)};
    fine(ioctl(buffer, DEVREG_BUFFER_INFO, &info));
    struct devreg_segment *segments = calloc(info.segment_count + 1, sizeof(*segments));
    struct devreg_buffer_segments wanted = {
            .argsz = sizeof(wanted), .count = info.segment_count + 1, .segments = (uintptr_t)segments};
    fine(ioctl(buffer, DEVREG_BUFFER_SEGMENTS, &wanted));
    check_equal(wanted.count, info.segment_count);
    *ret_count = info.segment_count;
    return segments;
}

int set_safe_state(int device, const struct devreg_safe_write *writes, uint32_t count)
{
    struct devreg_safe_state safe_state = {
            .argsz = sizeof(safe_state), .count = count, .writes = (uintptr_t)writes};
    return ioctl(device, DEVREG_SET_SAFE_STATE, &safe_state);
}
