/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holds a reservation while a command runs, and ends the command when the hold is lost. */
#pragma once

#include <jansson.h>

#include "signals.h"
#include "verbs.h"

/* What did not work may work later: nobody answered, or who answered did not judge the request. */
bool failure_is_passing(const struct failure *failure);

/* Ends a reservation that is not wanted any more; a failure is only noted on standard error. `target` is for
 * that. */
void reservation_drop(struct call *call, const char *id, const char *target);

/* Runs call->command and renews the reservation until it ends, then releases it. `signals` has those of
 * ending. Returns 0 with call->exit_code set, or -1 with the failure filled: when the hold was lost it was
 * reported then, and the command is no more. */
int keeper_run(struct call *call, struct signals *signals, const json_t *reservation, uint64_t granted_us,
        struct failure *failure);
