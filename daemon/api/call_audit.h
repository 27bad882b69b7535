/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which calls are recorded in the audit, and what is said of them. */
#pragma once

#include "api/call.h"

/* To be called once, when the call ends: error is NULL when it succeeded. Records what changed something,
 * may have before it failed, was refused, or administers; and reads of regions that ask for it. */
void call_audit(const struct call *call, const struct error *error);

/* Fail closed: what is to be recorded, and can't be, is not done. Returns 0 or -EAGAIN. To be asked before
 * it is started. */
int call_audit_room(const struct call *call, struct error *error);
