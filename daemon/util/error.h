/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A failure that a person must understand: a negative errno and one sentence. Functions that can fail for
 * reasons a person can mend take a last `struct error *` (it may be NULL) and fill it; the others just
 * return a negative errno. */
#pragma once

#include <stdint.h>

struct error {
    int code;          /* negative errno */
    char message[320]; /* what, on what, and what to do next */
};

/* Fills error, when it is not NULL, and returns code, so that a caller can `return error_set(...)`. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts a context before the message that is there: "context: message". Returns the code. */
int error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
