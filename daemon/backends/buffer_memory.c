/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See buffer_memory.h. Whoever copies can't know how far it came when the memory goes: unlike registers,
 * octets may be touched in any order and more than once, which is what lets memcpy() be as fast as it is. */
#include "backends/buffer_memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "backends/bus_guard.h"

enum { PATTERN_MOST = 8, FILL_BLOCK = 4096 };

/* All that a copy needs between arming and disarming, where nothing may lock or allocate. */
static int copy(const struct backend_buffer *buffer, void *to, const void *from, size_t size)
{
    struct bus_guard guard; /* its large buffer is not to be cleared at each copy */

    guard.start = buffer->data;
    guard.size = (size_t)buffer->size;
    if (!BUS_GUARD(&guard))
        return -EFAULT;
    memcpy(to, from, size);
    bus_guard_disarm();
    return 0;
}

static void check_place(const struct backend_buffer *buffer, uint64_t offset, uint64_t size)
{
    assert(offset <= buffer->size && size <= buffer->size - offset);
    (void)buffer;
    (void)offset;
    (void)size;
}

int buffer_memory_read(const struct backend_buffer *buffer, uint64_t offset, void *data, size_t size)
{
    check_place(buffer, offset, size);
    return copy(buffer, data, buffer->data + offset, size);
}

int buffer_memory_write(const struct backend_buffer *buffer, uint64_t offset, const void *data, size_t size)
{
    check_place(buffer, offset, size);
    return copy(buffer, buffer->data + offset, data, size);
}

/* In blocks that hold the pattern a whole number of times, so each one begins with its first octet. */
int buffer_memory_fill(const struct backend_buffer *buffer, uint64_t offset, uint64_t size,
        const void *pattern, size_t pattern_size)
{
    _Alignas(PATTERN_MOST) unsigned char block[FILL_BLOCK];

    assert(pattern_size > 0 && pattern_size <= PATTERN_MOST && PATTERN_MOST % pattern_size == 0);
    assert(size % pattern_size == 0);
    check_place(buffer, offset, size);
    for (size_t i = 0; i < sizeof(block); i += pattern_size)
        memcpy(block + i, pattern, pattern_size);
    while (size > 0) {
        size_t piece = size < sizeof(block) ? (size_t)size : sizeof(block);
        int r = copy(buffer, buffer->data + offset, block, piece);

        if (r < 0)
            return r;
        offset += piece;
        size -= piece;
    }
    return 0;
}
