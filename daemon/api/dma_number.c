/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/dma_number.h"

#include <errno.h>

#include "api/json_body.h"

int dma_number_take(const json_t *body, const char *key, uint64_t *ret_value, struct error *error)
{
    const json_t *value = json_object_get(body, key);
    int r;

    if (!value)
        return 0;
    if (json_is_integer(value) && json_integer_value(value) < 0)
        return error_set(error, -EINVAL, "\"%s\" is negative: a buffer has no such number", key);
    r = json_body_value(value, key, 8, ret_value, error);
    if (r == -EOPNOTSUPP)
        return error_set(error, -EINVAL, "\"%s\" does not fit 64 bits: a buffer has no such number", key);
    return r;
}
