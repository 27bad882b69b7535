/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers as people and programs write them: 4660, 0x1234. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads an unsigned number: decimal, or hexadecimal after 0x. No sign, no blanks, nothing after it.
 * Returns 0, -EINVAL when it is not a number, -ERANGE when it does not fit 64 bits. */
int number_parse(const char *text, uint64_t *ret_value);

/* As number_parse(), with an optional unit k, M or G (1024, 1024^2, 1024^3; KiB, MiB, GiB too). */
int number_parse_size(const char *text, uint64_t *ret_bytes);

/* True when value can be held by `bits` bits (8, 16, 32 or 64). */
static inline bool number_fits(uint64_t value, unsigned bits)
{
    return bits >= 64 || value >> bits == 0;
}

enum { NUMBER_SIZE_TEXT = 32 };

/* Writes a size as a person reads it: "1 MiB" when it is whole, "0x1234 bytes" otherwise. Returns text. */
const char *number_format_size(uint64_t bytes, char text[NUMBER_SIZE_TEXT]);
