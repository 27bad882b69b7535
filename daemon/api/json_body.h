/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request's JSON body: bounded in depth, no duplicate keys, no unknown ones. */
#pragma once

#include <jansson.h>

#include "api/call.h"

/* Parses the body, which must be an object with no other keys than these (separated by blanks). The caller
 * owns the object. Returns 0 or -EINVAL. */
int json_body_parse(const struct call *call, const char *keys, json_t **ret_object, struct error *error);

/* A register value: a string ("0x1f", "31") or a JSON integer below 2^53, of at most width octets. `what`
 * names it in the error. Returns 0, -EINVAL, or -EOPNOTSUPP when it is too wide. */
int json_body_value(
        const json_t *value, const char *what, unsigned width, uint64_t *ret_value, struct error *error);
