/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/uri.c: what it takes is split, decoded text and nothing else. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "http/uri.h"
#include "util/utf8.h"

static void check_text(const char *text)
{
    while (*text) {
        size_t length = utf8_length(text);

        fuzz_assert(length > 0);
        text += length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct error error = {0};
    struct uri uri;
    int r = uri_parse(text, &uri, &error);

    fuzz_assert(r == 0 || (r == error.code && error.message[0] && (r == -EINVAL || r == -ENOENT)));
    for (size_t i = 0; r == 0 && i < uri.segment_count; i++) {
        check_text(uri.segments[i]);
        fuzz_assert(uri.segments[i][0] && !strchr(uri.segments[i], '/'));
        fuzz_assert(strcmp(uri.segments[i], ".") != 0 && strcmp(uri.segments[i], "..") != 0);
    }
    for (size_t i = 0; r == 0 && i < uri.argument_count; i++) {
        check_text(uri.arguments[i].name);
        check_text(uri.arguments[i].value);
    }
    free(text);
    return 0;
}
