/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that came from somewhere else, on its way to a terminal. A region's description, a driver's name or
 * a fake daemon's answer may hold escape sequences, line breaks or characters that reorder the line; they
 * are made visible ("\x1b", "\u{202e}") instead of obeyed. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "util/buffer.h"

/* Appends text with everything that is not plainly printable made visible. Doing it twice changes nothing.
 */
void text_append_safe(struct buffer *buffer, const char *text);

/* Writes text the same way. */
void text_write_safe(FILE *stream, const char *text);

/* The number of characters of safe text: what it takes on a terminal, wide characters aside. */
size_t text_columns(const char *text);

/* Cuts safe text after `columns` characters: the length in octets of what stays. */
size_t text_cut(const char *text, size_t columns);
