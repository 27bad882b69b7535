/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What registers and raw data have in common: a call's one operation on a place. */
#pragma once

#include "api/call.h"

/* Runs the call: prepare fills in call->operation and ends with place_prepare(); then the operation is
 * started. What fails in between ends the call, with the place as facts as far as it is known. */
void place_run(struct call *call, int (*prepare)(struct call *call, struct error *error));

/* Checks the place that call->operation names and finds memory for its values. When the operation has
 * succeeded, finish answers the call. Returns what operation_prepare() does, or -ENOMEM. */
int place_prepare(
        struct call *call, enum operation_kind kind, void (*finish)(struct call *call), struct error *error);
