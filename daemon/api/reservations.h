/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the handlers of reservations have in common. */
#pragma once

#include <jansson.h>

#include "api/call.h"
#include "core/reservations.h"

/* Answers with the reservation. What was asked for by its holder has been claimed. */
void reservations_answer(struct call *call, struct reservation *reservation, unsigned status);

/* Reads "seconds": leaves the time alone when it is NULL. Returns 0 or -EINVAL. */
int reservations_seconds(const json_t *value, uint64_t *ret_duration_us, struct error *error);

/* Whether the principal has the permission on all octets of all windows. Returns 0, -EPERM or
 * -EKEYREJECTED. */
int reservations_check(const struct call *call, const struct reservation_window *windows,
        size_t window_count, enum permission permission, struct error *error);

/* The last octet of the window as far as it is known. */
uint64_t reservations_last(const struct reservation_window *window);
