/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in the bodies of requests about buffers. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "util/error.h"

/* A string or a JSON integer, as register values are, of 64 bits. Leaves the value alone when the body has
 * none of this key. Returns 0 or -EINVAL. */
int dma_number_take(const json_t *body, const char *key, uint64_t *ret_value, struct error *error);
