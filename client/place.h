/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A place, as a person types it:
 *
 *   REGION:0xOFFSET          one register
 *   REGION:0xSTART+COUNT     COUNT registers from START
 *   REGION:0xSTART-0xEND     every register with START <= offset <= END
 *   REGION:NAME              a register by its name; the daemon knows the names
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"

enum place_span {
    PLACE_SINGLE,
    PLACE_COUNT,
    PLACE_UNTIL,
};

struct place {
    const char *text; /* as it was typed; borrowed */
    char *region;     /* owned */
    const char *name; /* the register's name, NULL when there is an offset; points into text */
    uint64_t offset;
    enum place_span span;
    uint64_t count; /* PLACE_COUNT: at least 1 */
    uint64_t last;  /* PLACE_UNTIL: END, at least offset */
};

void place_done(struct place *place);
#define _cleanup_place_ _cleanup_(place_done)

/* Reads a place. The text must outlive it. Returns 0, -ENOMEM, or -EINVAL with the error filled. */
int place_parse(const char *text, struct place *ret_place, struct error *error);

/* How many registers of a width (8, 16, 32 or 64 bits) the place covers: never 0. Returns 0, or -ERANGE
 * when the number does not fit 64 bits. */
int place_count(const struct place *place, unsigned width_bits, uint64_t *ret_count);
