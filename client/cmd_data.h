/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both directions of a block transfer share. */
#pragma once

#include "request.h"

enum {
    PIECE_MOST = 1024 * 1024,
    PIECE_LEAST = 4096, /* a daemon that refuses even this is not asked for less */
};

struct transfer {
    struct call *call;
    struct place place;
    size_t piece;  /* octets in one request; shrinks when the daemon answers 413 */
    uint64_t done; /* octets so far */
};

void transfer_done(struct transfer *transfer);
#define _cleanup_transfer_ _cleanup_(transfer_done)

/* Reads the first operand. */
int transfer_init(struct transfer *transfer, struct call *call, struct failure *failure);

/* The path for the next piece: from the offset that is next, or always the same one with --fixed. */
void transfer_begin_path(const struct transfer *transfer, struct buffer *path);

/* True when the failure only means that the piece is too big for the daemon: try again, with less. */
bool transfer_shrink(struct transfer *transfer, const struct failure *failure);

/* The facts of the whole transfer, for --json. */
json_t *transfer_result(const struct transfer *transfer, const char *file);
