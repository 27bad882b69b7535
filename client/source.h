/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file or a pipe whose octets go to the daemon. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

struct source {
    int fd; /* -1 before it is open */
    const char *name;
    bool has_size;
    uint64_t size; /* of a regular file that has any, from where it is read on */
};

void source_done(struct source *source);
#define _cleanup_source_ _cleanup_(source_done)

/* NULL and "-" are standard input; without the dash a terminal is not meant. `verb` is for messages. */
int source_open(struct source *source, const char *verb, const char *file, struct failure *failure);

/* Fills it, as far as there are octets: less than `size` only at the end. */
int source_read(
        const struct source *source, char *octets, size_t size, size_t *ret_size, struct failure *failure);
