/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs about DMA buffers share. */
#pragma once

#include "request.h"
#include "util/json_writer.h"

/* Starts "/v1/buffers/ID" of the first operand, or fails where that can be none. */
int buffer_begin_path(struct buffer *path, const char *id, struct failure *failure);

/* "offset" and "length", where they were given. */
void buffer_put_range(struct json_writer *writer, const struct options *options);

/* Judges --offset and --length: inside 64 bits, and not nothing. */
int buffer_judge_range(const struct options *options, struct failure *failure);

/* Keeps the answer when it is one about a buffer. */
int buffer_judge_answer(
        const struct call *call, int r, json_t *answer, json_t **ret_buffer, struct failure *failure);

/* The facts of a transfer, for --json. */
json_t *buffer_transfer_result(
        const char *id, uint64_t offset, uint64_t length, const char *file, struct failure *failure);
