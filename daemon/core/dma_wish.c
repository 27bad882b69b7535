/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be wished for at all, whatever the device: and how wishes are called. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/dma_buffers.h"
#include "util/cleanup.h"
#include "util/number.h"

enum { BITS_LEAST = 24, BITS_MOST = 64 };

static const char *const kind_names[] = {[BUFFER_COHERENT] = "coherent",
        [BUFFER_STREAMING] = "streaming",
        [BUFFER_SCATTERED] = "scattered",
        [BUFFER_POOL] = "pool"};

const char *dma_buffer_kind_name(enum buffer_kind kind)
{
    return kind_names[kind];
}

int dma_buffer_kind_parse(const char *name, enum buffer_kind *ret_kind)
{
    for (size_t i = 0; i < ELEMENTS(kind_names); i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *ret_kind = (enum buffer_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *dma_buffer_describe(const struct dma_buffer *buffer, char text[DMA_BUFFER_TEXT])
{
    char size[NUMBER_SIZE_TEXT];

    number_format_size(buffer->wish.size, size);
    if (buffer->wish.kind == BUFFER_POOL)
        snprintf(text, DMA_BUFFER_TEXT, "pool of %" PRIu64 " times %s on %.64s", buffer->wish.count, size,
                device_name(buffer->device));
    else
        snprintf(text, DMA_BUFFER_TEXT, "%s %s on %.64s", size, kind_names[buffer->wish.kind],
                device_name(buffer->device));
    return text;
}

static bool is_power_of_two(uint64_t value)
{
    return value && !(value & (value - 1));
}

/* What is one piece for the device must fit between two boundaries, and below the last address. */
static int check_piece(const struct buffer_wish *wish, struct error *error)
{
    if (wish->kind == BUFFER_SCATTERED)
        return 0;
    if (wish->boundary && wish->size > wish->boundary)
        return error_set(error, -EINVAL,
                "%" PRIu64 " octets in one piece always cross a multiple of %" PRIu64
                ": give a larger \"boundary\", or the kind scattered",
                wish->size, wish->boundary);
    if (wish->address_bits < 64 && wish->size > UINT64_C(1) << wish->address_bits)
        return error_set(error, -EINVAL,
                "%" PRIu64 " octets in one piece do not fit below 2^%u: give a smaller \"size\" or more "
                "\"address_bits\"",
                wish->size, wish->address_bits);
    return 0;
}

static bool round_up(uint64_t value, uint64_t to, uint64_t *ret_rounded)
{
    if (__builtin_add_overflow(value, to - 1, ret_rounded))
        return false;
    *ret_rounded &= ~(to - 1);
    return true;
}

/* What it takes, not what is used of it: what is aligned to more than its size is cut from a larger piece.
 * False when it is more than there can be. */
static bool count_bytes(const struct buffer_wish *wish, uint64_t *ret_bytes)
{
    uint64_t each = wish->size > wish->alignment ? wish->size : wish->alignment;

    if ((wish->kind == BUFFER_POOL || wish->kind == BUFFER_SCATTERED) &&
            !round_up(wish->size, wish->alignment, &each))
        return false;
    return !__builtin_mul_overflow(each, wish->count, &each) &&
           round_up(each, (uint64_t)sysconf(_SC_PAGESIZE), ret_bytes);
}

int dma_wish_check(const struct buffer_wish *wish, uint64_t *ret_bytes, struct error *error)
{
    if (wish->size == 0 || wish->count == 0)
        return error_set(error, -EINVAL, "a buffer has 1 octet at least, and a pool 1 object");
    if (wish->kind != BUFFER_POOL && wish->count != 1)
        return error_set(error, -EINVAL, "\"count\" is of a pool's objects: a %s buffer is one",
                kind_names[wish->kind]);
    if (wish->address_bits < BITS_LEAST || wish->address_bits > BITS_MOST)
        return error_set(error, -EINVAL, "\"address_bits\" %u is outside %d to %d", wish->address_bits,
                BITS_LEAST, BITS_MOST);
    if (!is_power_of_two(wish->alignment))
        return error_set(error, -EINVAL, "\"alignment\" %" PRIu64 " is no power of two", wish->alignment);
    if (wish->boundary && !is_power_of_two(wish->boundary))
        return error_set(error, -EINVAL, "\"boundary\" %" PRIu64 " is no power of two, nor 0 for none",
                wish->boundary);
    if (!count_bytes(wish, ret_bytes))
        return error_set(error, -E2BIG,
                "%" PRIu64 " times %" PRIu64 " octets, aligned to %" PRIu64 ", are more than there can be",
                wish->count, wish->size, wish->alignment);
    return check_piece(wish, error);
}
