/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ids of events: which start of the daemon, and which event of it, "4fa1000000000000-123". */
#pragma once

#include "core/daemon.h"

enum { EVENT_ID_SIZE = 40 };

/* Returns id. */
const char *event_id_format(const struct daemon *daemon, uint64_t sequence, char id[EVENT_ID_SIZE]);

/* Reads exactly what is written. Returns 0 or -EINVAL. */
int event_id_parse(const char *text, uint64_t *ret_identity, uint64_t *ret_sequence);
