/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copies to and from the memory of buffers. It is memory, not registers, so the widths of the copies do not
 * matter; but it is gone when its device is, and then a touch would end the process: each copy is guarded.
 *
 * Each returns 0, or -EFAULT when the memory is gone: then part of it may have been copied. Whoever calls
 * them has checked that the octets are inside the buffer. Any thread may, at any time while it is open. */
#pragma once

#include "backends/backend.h"

int buffer_memory_read(const struct backend_buffer *buffer, uint64_t offset, void *data, size_t size);
int buffer_memory_write(const struct backend_buffer *buffer, uint64_t offset, const void *data, size_t size);

/* Repeats the pattern, 1 2 4 or 8 octets, from offset on; size is a multiple of its size. */
int buffer_memory_fill(const struct backend_buffer *buffer, uint64_t offset, uint64_t size,
        const void *pattern, size_t pattern_size);
