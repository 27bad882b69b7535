/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Request targets, decoded by the rules of RFC 3986 and without second guesses: a segment is decoded after
 * the path was split, and what could change the meaning of a path (encoded slashes, dot segments, NUL) is
 * refused rather than normalised. */
#pragma once

#include <stddef.h>

#include "api/call.h"

enum { URI_SEGMENTS = 8 };

struct uri {
    const char *segments[URI_SEGMENTS];
    size_t segment_count;
    struct call_argument arguments[CALL_ARGUMENTS];
    size_t argument_count;
};

/* Decodes in place; the parts point into text. Returns 0, -EINVAL, or -ENOENT for more segments than any
 * path has. */
int uri_parse(char *text, struct uri *ret_uri, struct error *error);
