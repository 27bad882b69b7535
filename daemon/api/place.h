/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What registers and raw data have in common: a call's one operation on a place. */
#pragma once

#include "api/call.h"

static inline struct call *place_call(struct operation *operation)
{
    return container_of(operation, struct call, operation);
}

/* Checks the place that call->operation names and finds memory for its values. Returns what
 * operation_prepare() does, or -ENOMEM. */
int place_prepare(struct call *call, enum operation_kind kind,
        void (*completed)(struct operation *operation), struct error *error);

/* Starts the prepared operation. */
int place_start(struct call *call, struct error *error);

/* Fails the call with the place as facts, as far as it is known. */
void place_fail(struct call *call, const struct error *error);
