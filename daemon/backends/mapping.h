/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A window of device memory mapped into the daemon, and the accesses to it. Shared by every backend whose
 * regions can be mapped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"

/* Octets. No mapping is larger, whatever there is room for. */
#define MAPPING_MOST ((uint64_t)PTRDIFF_MAX)

struct mapping {
    void *start;              /* of the whole pages */
    size_t length;            /* octets mapped */
    volatile uint8_t *window; /* the window inside them */
};

/* Maps `size` octets of fd from `offset` on, which need not be on a page boundary: the pages around them are
 * mapped. The fd may be closed afterwards. Returns 0 or mmap()'s negative errno; -EOVERFLOW when the window
 * does not fit the address space. */
int mapping_open(int fd, uint64_t offset, uint64_t size, bool writable, struct mapping *ret_mapping);

/* The same where the offset in the file is not that of an octet but says what to map (a UIO device): maps it
 * from its start, and the window begins `skip` octets after that. */
int mapping_open_after(
        int fd, uint64_t offset, uint64_t skip, uint64_t size, bool writable, struct mapping *ret_mapping);
void mapping_close(struct mapping *mapping);

/* strerror() for what the two return; where addresses are scarce it says so. */
const char *mapping_strerror(int code);

/* The widths that one load or store of this machine can make. */
width_set mapping_widths(void);

/* Each access is exactly one volatile, naturally aligned load or store of the asked width, in order. Returns
 * 0, or -EFAULT after a bus fault; *ret_done is how many were completed before it. values is aligned to the
 * width. */
int mapping_read(const struct mapping *mapping, const struct access *access, void *values, size_t *ret_done);
int mapping_write(
        const struct mapping *mapping, const struct access *access, const void *values, size_t *ret_done);
