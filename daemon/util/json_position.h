/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where in a JSON text a value stands, for messages about a document that was parsed already. */
#pragma once

#include <stddef.h>

struct json_position {
    unsigned line, column; /* from 1; columns count octets */
};

/* Finds the value that a JSON pointer (RFC 6901) names in a text that is valid JSON, or its key when
 * want_key is set and it is an object's member. Returns 0, or -ENOENT when there is no such value. */
int json_position_find(
        const char *text, const char *pointer, int want_key, struct json_position *ret_position);
