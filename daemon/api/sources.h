/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what with sources of interrupts. */
#pragma once

#include "api/call.h"
#include "core/interrupts.h"

/* Whether the principal may be told of its interrupts: of one that is acknowledged, it may have interrupts
 * of the registers that are touched then; of another, of its region. */
bool sources_may_see(const struct daemon *daemon, const struct principal *principal,
        const struct interrupt_source *source, struct access_decision *ret_decision);

/* Finds it by name; *ret_source stays NULL and -ENOENT is returned when there is none. */
int sources_find(const struct daemon *daemon, const char *name, struct interrupt_source **ret_source,
        struct error *error);
