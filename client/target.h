/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is reserved, as a person types it: a region, a place or range in it, or "device:NAME" with all of its
 * regions. */
#pragma once

#include <jansson.h>

#include "failure.h"
#include "place.h"
#include "util/json_writer.h"

struct target {
    const char *text;   /* as it was typed; borrowed */
    const char *device; /* in text; NULL: it is a region */
    const char *region; /* of the place, or text; NULL: it is a device */
    struct place place; /* its region is NULL when all of the region is meant */
    uint64_t length;    /* octets of the place */
};

void target_done(struct target *target);
#define _cleanup_target_ _cleanup_(target_done)

/* Reads a target. Registers are of `width` bits (0: 32). Returns 0, or -1 with the failure filled. */
int target_parse(const char *text, unsigned width, struct target *ret_target, struct failure *failure);

/* Puts "region", "offset" and "length", or "device", into an object. */
void target_write(const struct target *target, struct json_writer *writer);

/* Whether a reservation, as the daemon lists it, is of exactly this target. */
bool target_matches(const struct target *target, const json_t *reservation);
