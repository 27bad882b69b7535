/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors as the API shows them: problem documents (RFC 9457). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/buffer.h"
#include "util/error.h"

/* The HTTP status of a negative errno; 500 for one that the table does not know. */
unsigned problem_status(int code);

/* Writes the document. region may be NULL, offset too; done is written for a failure in the middle of
 * several accesses. */
void problem_write(struct buffer *reply, const struct error *error, const char *region,
        const uint64_t *offset, size_t done);
