/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See buffer_wish.h. */
#include "backends/buffer_wish.h"

#include <errno.h>
#include <inttypes.h>

const char *buffer_kind_name(enum buffer_kind kind)
{
    static const char *const names[] = {[BUFFER_COHERENT] = "coherent",
            [BUFFER_STREAMING] = "streaming",
            [BUFFER_SCATTERED] = "scattered",
            [BUFFER_POOL] = "pool"};

    return names[kind];
}

/* What the device takes as one piece must fit between two multiples of the boundary. */
static int check_boundary(const struct buffer_wish *wish, struct error *error)
{
    if (wish->boundary == 0)
        return 0;
    if (wish->boundary < BUFFER_PAGE)
        return error_set(error, -EINVAL,
                "a boundary of %" PRIu64 " is smaller than a page: give %d at least", wish->boundary,
                BUFFER_PAGE);
    if (wish->kind == BUFFER_POOL && wish->size > wish->boundary)
        return error_set(error, -EINVAL,
                "objects of %" PRIu64 " octets can't be between boundaries of %" PRIu64, wish->size,
                wish->boundary);
    if (wish->kind != BUFFER_POOL && wish->kind != BUFFER_SCATTERED && wish->size > wish->boundary)
        return error_set(error, -EINVAL,
                "%" PRIu64 " octets in one piece can't be between boundaries of %" PRIu64
                ": ask for kind scattered or a larger boundary",
                wish->size, wish->boundary);
    return 0;
}

int buffer_wish_check(const struct buffer_wish *wish, struct error *error)
{
    if (wish->size == 0 || wish->count == 0)
        return error_set(error, -EINVAL, "a buffer has one octet at least");
    if (wish->count != 1 && wish->kind != BUFFER_POOL)
        return error_set(error, -EINVAL, "only a pool has a count");
    if (wish->address_bits < ADDRESS_BITS_LEAST || wish->address_bits > ADDRESS_BITS_MOST)
        return error_set(error, -EINVAL, "%u address bits: there are buffers for %d to %d",
                wish->address_bits, ADDRESS_BITS_LEAST, ADDRESS_BITS_MOST);
    return check_boundary(wish, error);
}

const char *buffer_wish_advice(const struct buffer_wish *wish)
{
    if (wish->kind == BUFFER_COHERENT || wish->kind == BUFFER_STREAMING)
        return "ask for less, for kind scattered, or for more address bits if the device has them";
    return "ask for less, or for more address bits if the device has them";
}
