/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of names as tables have them: words separated by single blanks. */
#pragma once

#include <stdbool.h>
#include <string.h>

static inline bool words_have(const char *words, const char *word)
{
    size_t length = strlen(word);

    while (*words) {
        size_t size = strcspn(words, " ");

        if (size == length && memcmp(words, word, length) == 0)
            return true;
        words += size + strspn(words + size, " ");
    }
    return false;
}
