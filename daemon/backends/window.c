/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See window.h. */
#include "backends/window.h"

#include <errno.h>
#include <inttypes.h>

#include "util/number.h"

int region_find_window(const struct region_description *description, uint64_t whole, const char *what,
        uint64_t *ret_size, struct error *error)
{
    char text[NUMBER_SIZE_TEXT];

    if (description->offset >= whole || description->size > whole - description->offset)
        return error_set(error, -ENODEV, "the window 0x%" PRIx64 " + 0x%" PRIx64 " is outside %s (%s)",
                description->offset, description->size, what, number_format_size(whole, text));
    *ret_size = description->size ? description->size : whole - description->offset;
    return 0;
}
