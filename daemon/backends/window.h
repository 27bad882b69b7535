/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A region's window in what it is a window of: a BAR, a resource, a map. */
#pragma once

#include "backends/description.h"
#include "util/error.h"

/* Finds the window's size where `whole`, in octets or ports, is there of `what` ("BAR 0"). Returns 0, or
 * -ENODEV when the window is not inside it. */
int region_find_window(const struct region_description *description, uint64_t whole, const char *what,
        uint64_t *ret_size, struct error *error);
