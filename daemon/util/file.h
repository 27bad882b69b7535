/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small files read and written whole. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Reads a whole file of at most `limit` octets; the text is terminated, *ret_size does not count that.
 * Release with free(). Returns 0 or a negative errno, -EFBIG when it is larger. */
int file_read(const char *path, size_t limit, char **ret_text, size_t *ret_size);

/* The same, below the directory. */
int file_read_at(int directory, const char *path, size_t limit, char **ret_text, size_t *ret_size);

/* Reads the first line of a small file (a sysfs attribute) below the directory, without its newline. */
int file_read_line_at(int directory, const char *name, char *line, size_t size);

/* The name that a symbolic link below the directory ends in, "e1000e" for ".../drivers/e1000e". */
int file_read_link_name_at(int directory, const char *name, char *target, size_t size);
