/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors as the API shows them: problem documents (RFC 9457). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/reservations.h"
#include "util/buffer.h"
#include "util/error.h"

/* The HTTP status of a negative errno; 500 for one that the table does not know. */
unsigned problem_status(int code);

/* What a program may want to know besides the text. Each may be NULL or 0. */
struct problem_facts {
    const char *region;
    const uint64_t *offset;
    size_t done; /* of several accesses, when it failed in the middle */
    const char *request;
    const struct reservation *blocking;
};

void problem_write(struct buffer *reply, const struct error *error, const struct problem_facts *facts);
