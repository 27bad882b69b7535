/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and offsets, as people write and read them. */
#pragma once

#include <stdint.h>

#include "util/error.h"

/* Reads octets: 4096, 0x1000, or with a unit, as 64k, 4M or 1G, which are powers of 1024. Returns 0, or
 * -EINVAL with the error filled: what is wrong with it, and how it is written. */
int size_parse(const char *text, uint64_t *ret_octets, struct error *error);

enum { SIZE_TEXT = 32 };

/* "64 KiB", "1.5 MiB", "77 octets": three digits or so, for looking at. Returns text. */
const char *size_format(uint64_t octets, char text[SIZE_TEXT]);
