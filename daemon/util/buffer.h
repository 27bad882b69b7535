/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Octets that grow. An allocation failure is remembered instead of reported at every append: the owner
 * asks once, at the end, with buffer_failed(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "util/cleanup.h"

struct buffer {
    char *data; /* not terminated */
    size_t size;
    size_t capacity;
    bool failed;
};

void buffer_done(struct buffer *buffer);
#define _cleanup_buffer_ _cleanup_(buffer_done)

/* Makes room for `size` more octets. Returns where they go (then advance buffer->size), NULL out of memory.
 */
char *buffer_reserve(struct buffer *buffer, size_t size);

/* buffer_append() where there may be no room yet. */
void buffer_append_slowly(struct buffer *buffer, const void *data, size_t size);

static inline void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (!buffer->data || buffer->failed || size > buffer->capacity - buffer->size) {
        buffer_append_slowly(buffer, data, size);
        return;
    }
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void buffer_append_string(struct buffer *buffer, const char *text);
void buffer_append_format(struct buffer *buffer, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static inline void buffer_append_char(struct buffer *buffer, char character)
{
    if (buffer->data && buffer->size < buffer->capacity && !buffer->failed)
        buffer->data[buffer->size++] = character;
    else
        buffer_append(buffer, &character, 1);
}

static inline bool buffer_failed(const struct buffer *buffer)
{
    return buffer->failed;
}

/* Hands the octets over (release with free()); the buffer is empty afterwards. */
char *buffer_take(struct buffer *buffer, size_t *ret_size);
