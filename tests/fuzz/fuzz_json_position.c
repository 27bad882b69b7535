/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/json_position.c: a pointer, a NUL, and a text that need not be JSON. When it is, the value that a
 * parser finds by the pointer must be found too, unless its key is written with escapes. */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "util/json_position.h"

static bool has_value(const json_t *value, const char *pointer)
{
    while (value && *pointer == '/') {
        size_t length = strcspn(++pointer, "/");
        char part[256];

        if (length >= sizeof(part))
            return false;
        memcpy(part, pointer, length);
        part[length] = 0;
        pointer += length;
        if (strchr(part, '~'))
            return false;
        if (json_is_object(value)) {
            value = json_object_get(value, part);
        } else {
            if (length == 0 || length > 6 || part[strspn(part, "0123456789")])
                return false;
            value = json_array_get(value, strtoul(part, NULL, 10));
        }
    }
    return value && !*pointer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *whole = fuzz_text(data, size);
    size_t length = strlen(whole);
    char *text =
            fuzz_text(data + (length < size ? length + 1 : size), length < size ? size - length - 1 : 0);
    json_t *document = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

    for (int want_key = 0; want_key < 2; want_key++) {
        struct json_position position = {0, 0};
        int r = json_position_find(text, whole, want_key, &position);

        fuzz_assert(r == 0 || r == -ENOENT);
        fuzz_assert(r < 0 || (position.line >= 1 && position.column >= 1 &&
                                     position.line + position.column <= strlen(text) + 2));
        if (document && !strchr(text, '\\') && has_value(document, whole))
            fuzz_assert(r == 0);
    }
    json_decref(document);
    free(text);
    free(whole);
    return 0;
}
