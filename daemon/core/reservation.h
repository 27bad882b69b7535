/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One reservation by itself: for reservations.c, which has them all. */
#pragma once

#include "core/reservations.h"

/* Waits, with a new id. NULL out of memory, or without random numbers. */
struct reservation *reservation_new(const struct reservation_wish *wish);
void reservation_free(struct reservation *reservation);
DEFINE_CLEANUP(struct reservation *, reservation_free)

/* Whether they can't be held at the same time. */
bool reservation_conflicts(const struct reservation *reservation, const struct reservation *other);

/* The octets of the region that the window is behind, also through another region. False when none. */
bool reservation_window_in(const struct reservation_window *window, const struct region *region,
        uint64_t *ret_first, uint64_t *ret_last);
