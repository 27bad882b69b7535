/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fuzzer is one file with this function (libFuzzer's), which fails by abort() or by what a sanitizer
 * finds. It is linked with libFuzzer, or with standalone.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert() in every build. */
#define fuzz_assert(condition)                                                                              \
    do {                                                                                                    \
        if (!(condition))                                                                                   \
            abort();                                                                                        \
    } while (0)

/* The input as a string of its own size, so that reading behind its end shows. Release with free(). */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    fuzz_assert(text);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)data[i];
    text[size] = 0;
    return text;
}
