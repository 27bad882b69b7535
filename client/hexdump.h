/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Prints octets, 16 a line: the offset of the first, the octets in hex in the order they came, and what of
 * them is printable ASCII. */
void hexdump_write(FILE *stream, uint64_t offset, const void *data, size_t size);
