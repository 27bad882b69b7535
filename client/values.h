/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Register values and widths, as people type them and as the daemon writes them. */
#pragma once

#include <stdint.h>

#include <jansson.h>

#include "util/error.h"

/* A value: decimal, hex after 0x or binary after 0b. Returns 0, or -EINVAL with the error filled. */
int value_parse(const char *text, uint64_t *ret_value, struct error *error);

/* A width in bits: 8, 16, 32 or 64. */
int width_parse(const char *text, unsigned *ret_width, struct error *error);

/* The number in an answer's string ("0x10"). Returns 0, or -EINVAL when there is none. */
int value_from_json(const json_t *value, uint64_t *ret_value);

/* A whole number of an answer, such as a width: 0 when it is not there or not in 1..limit. */
unsigned count_from_json(const json_t *value, unsigned limit);
