/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grows by doubling; starts at a size that holds a usual answer. */
#include "util/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_FIRST_CAPACITY = 256 };

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST_CAPACITY;
    char *data;

    if (buffer->failed)
        return NULL;
    if (size <= buffer->capacity - buffer->size)
        return buffer->data + buffer->size;
    while (capacity - buffer->size < size) {
        if (capacity > SIZE_MAX / 2) {
            buffer->failed = true;
            return NULL;
        }
        capacity *= 2;
    }
    data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return data + buffer->size;
}

void buffer_append_slowly(struct buffer *buffer, const void *data, size_t size)
{
    char *room = buffer_reserve(buffer, size);

    if (!room || size == 0)
        return;
    memcpy(room, data, size);
    buffer->size += size;
}

void buffer_append_string(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments, again;
    char *room;
    int size;

    va_start(arguments, format);
    va_copy(again, arguments);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size >= 0) {
        room = buffer_reserve(buffer, (size_t)size + 1);
        if (room) {
            vsnprintf(room, (size_t)size + 1, format, again);
            buffer->size += (size_t)size;
        }
    } else {
        buffer->failed = true;
    }
    va_end(again);
}

char *buffer_take(struct buffer *buffer, size_t *ret_size)
{
    char *data = take_ptr(buffer->data);

    *ret_size = buffer->size;
    *buffer = (struct buffer){0};
    return data;
}
