/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every backend with buffers demands of a wish for one. */
#pragma once

#include "backends/backend.h"

#define ADDRESS_BITS_LEAST 24
#define ADDRESS_BITS_MOST  64

/* The smallest boundary, and the smallest alignment but of a pool's objects. Octets. */
#define BUFFER_PAGE 4096

/* Returns 0, or -EINVAL with what can't be and what would do. */
int buffer_wish_check(const struct buffer_wish *wish, struct error *error);

/* What to try when there is no such memory. */
const char *buffer_wish_advice(const struct buffer_wish *wish);

/* "coherent", "streaming", "scattered" or "pool". */
const char *buffer_kind_name(enum buffer_kind kind);
