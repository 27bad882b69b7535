/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/json_body.c: the first octet chooses the width, the rest is the body. */
#include <errno.h>
#include <string.h>

#include "api/json_body.h"
#include "fuzz.h"
#include "util/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned width = size ? 1u << data[0] % 4 : 4;
    struct call call = {0};
    struct error error = {0};
    json_t *object = NULL;
    int r;

    if (size == 0)
        return 0;
    call.body.size = call.body.capacity = size - 1;
    call.body.data = malloc(size); /* not terminated */
    fuzz_assert(call.body.data);
    memcpy(call.body.data, data + 1, size - 1);
    r = json_body_parse(&call, "mask value values", &object, &error);
    fuzz_assert(r == 0 ? json_is_object(object) : r == -EINVAL && !object && error.message[0]);
    if (r == 0) {
        static const char *const keys[] = {"mask", "value", "values"};
        size_t known = 0;

        for (size_t i = 0; i < 3; i++) {
            const json_t *json = json_object_get(object, keys[i]);
            uint64_t value = 0;

            known += json != NULL;
            r = json_body_value(json, keys[i], width, &value, &error);
            fuzz_assert(r == 0 || r == -EINVAL || r == -EOPNOTSUPP);
            fuzz_assert(r < 0 || number_fits(value, width * 8));
        }
        fuzz_assert(known == json_object_size(object));
    }
    json_decref(object);
    free(call.body.data);
    return 0;
}
