/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long something takes, as people write and read it. */
#pragma once

#include <stdint.h>

#include "util/error.h"

/* Reads 90, 90s, 10m, 2h, 30d or several of them from the longest unit down, as 1h30m. A number without a
 * unit is seconds. Returns 0, or -EINVAL with the error filled; never 0 seconds. */
int duration_parse(const char *text, uint64_t *ret_seconds, struct error *error);

enum { DURATION_TEXT = 48 };

/* "59 s", "4 min 10 s", "2 h 5 min", "3 d 1 h": the two units that say enough. Returns text. */
const char *duration_format(uint64_t seconds, char text[DURATION_TEXT]);
