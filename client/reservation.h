/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reservations as the daemon's API has them, for the verbs that take, renew and end them. */
#pragma once

#include "request.h"

/* As call_connect(); what is asked then is not part of the reservation that DEVREG_RESERVATION names: one
 * that has ended can be looked at, and another be taken. */
int reservation_connect(struct call *call, struct failure *failure);

/* Each asks for the one of this id and gives what the daemon says of it: an object with "id" and "state". */
int reservation_get(struct call *call, const char *id, unsigned wait_seconds, json_t **ret_reservation,
        struct failure *failure);
int reservation_renew(struct call *call, const char *id, uint64_t seconds, json_t **ret_reservation,
        struct failure *failure); /* 0 seconds: as long as it was taken for */
int reservation_end(struct call *call, const char *id, json_t **ret_reservation, struct failure *failure);

/* POST: held or waiting. */
int reservation_take(
        struct call *call, const struct buffer *body, json_t **ret_reservation, struct failure *failure);

bool reservation_is(const json_t *reservation, const char *state);

/* Seconds that it still lasts; 0 when it does not say. */
uint64_t reservation_left(const json_t *reservation);

/* "2026-12-01T09:30:00Z": now and so many seconds. */
enum { MOMENT_TEXT = 32 };
const char *moment_format(uint64_t seconds_from_now, char text[MOMENT_TEXT]);
