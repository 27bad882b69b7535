/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that is there whole or not at all: what is written goes to one beside it, under another name, which
 * takes its place at the end. What is no regular file, as a FIFO or /dev/null, is written to as it is. */
#pragma once

#include <stdio.h>

#include "failure.h"

struct output_file {
    const char *name; /* as it was typed; borrowed */
    FILE *stream;
    char *target;    /* what is replaced: where a symbolic link leads to; NULL: nothing is replaced */
    char *temporary; /* beside it */
};

/* Drops what was written, unless it has been committed. */
void output_file_done(struct output_file *file);
#define _cleanup_output_file_ _cleanup_(output_file_done)

int output_file_open(struct output_file *file, const char *name, struct failure *failure);

/* Puts it in its place. */
int output_file_commit(struct output_file *file, struct failure *failure);
