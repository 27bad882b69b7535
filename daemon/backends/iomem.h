/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who holds a range of physical addresses or of I/O ports, from /proc/iomem and /proc/ioports
 * (Documentation/filesystems/proc.rst): lines of "start-end : name", indented by two blanks a level.
 * Unprivileged readers see zeros for the numbers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "backends/description.h"

/* Writes the name of the innermost holder that overlaps the range. False when nobody holds it or the file
 * can't be read with its numbers. */
bool iomem_owner(enum region_type type, uint64_t base, uint64_t size, char *name, size_t name_size);

/* Whether any part of the range is the kernel's own memory: "System RAM", or an image or reservation in it.
 */
bool iomem_is_system_memory(uint64_t base, uint64_t size);

/* The same from an open stream, for tests. */
bool iomem_owner_in(FILE *stream, uint64_t base, uint64_t size, char *name, size_t name_size);
bool iomem_is_system_memory_in(FILE *stream, uint64_t base, uint64_t size);
