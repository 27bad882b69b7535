/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writes that make hardware safe when a reservation ends, whoever asks for what meanwhile. They are
 * submitted at once: work on a device is done in the order in which it was submitted, so they are made
 * before any access of the next holder, and in their own order. No limit of queue or time holds for them, so
 * they are counted in their holder's account until they are made. */
#pragma once

#include "core/dispatch.h"
#include "core/operation.h"
#include "core/reservations.h"

struct safe_state;

/* report is called on the loop for each write with how it went, also when it could not be tried: the
 * operation has the region, the access, one value, the result and its error. first_failure: none of this
 * reservation had failed before. The accounts must outlive it.
 */
int safe_state_new(struct dispatch *dispatch, struct accounts *accounts,
        void (*report)(const struct operation *operation, const char *reservation, bool first_failure,
                void *context),
        void *context, struct safe_state **ret_safe_state);

/* Only after all devices have stopped; what was not made by then is not reported. */
void safe_state_free(struct safe_state *safe_state);

/* Submits the writes of a reservation that ends. One that fails does not keep the others from being made. A
 * device that is absent now fails it; one that is stuck in an access makes it when it comes back. The
 * reservation need not outlive this. */
void safe_state_run(struct safe_state *safe_state, const struct reservation *reservation);

/* How many writes are still to be made. */
size_t safe_state_pending(const struct safe_state *safe_state);
