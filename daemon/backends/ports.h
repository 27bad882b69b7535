/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* I/O ports that this process touches itself: with in and out instructions where the machine has them and
 * the kernel lets a thread use them (ioperm(2)), otherwise through /dev/port, which moves single octets. The
 * kernel reserves nothing by it: a driver may be using the same ports. */
#pragma once

#include <stdint.h>

#include "backends/backend.h"

enum { PORTS_LIMIT = 0x10000 };

struct ports {
    uint64_t first, size;
    int file; /* /dev/port, or -1: instructions */
};

/* Whether either way works for this process. Returns 0, or a negative errno with the reason. */
int ports_usable(struct error *error);

/* Prepares a range below PORTS_LIMIT. Returns 0 or a negative errno. */
int ports_open(uint64_t first, uint64_t size, struct ports *ret_ports, struct error *error);
void ports_close(struct ports *ports);

/* The widths that one access can have. */
width_set ports_widths(const struct ports *ports);

/* Each access is exactly one of the asked width, in order, on any thread. Returns 0 or a negative errno;
 * *ret_done is how many were completed before it. */
int ports_read(const struct ports *ports, const struct access *access, void *values, size_t *ret_done);
int ports_write(
        const struct ports *ports, const struct access *access, const void *values, size_t *ret_done);
