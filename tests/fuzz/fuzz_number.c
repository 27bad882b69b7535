/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/number.c, against strtoull() where both understand the text. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "util/number.h"

static void check_plain(const char *text, int r, uint64_t value)
{
    const char *digits = text;
    int base = 10;
    uint64_t expected;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        digits += 2;
    }
    if (!*digits || digits[strspn(digits, base == 16 ? "0123456789abcdefABCDEF" : "0123456789")]) {
        fuzz_assert(r == -EINVAL);
        return;
    }
    errno = 0;
    expected = strtoull(digits, NULL, base);
    if (errno == ERANGE)
        fuzz_assert(r == -ERANGE);
    else
        fuzz_assert(r == 0 && value == expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char written[NUMBER_SIZE_TEXT];
    uint64_t value = 0, bytes = 0;
    int r = number_parse(text, &value), r_size = number_parse_size(text, &bytes);

    check_plain(text, r, value);
    fuzz_assert(r_size == 0 || r_size == -EINVAL || r_size == -ERANGE);
    if (r != -EINVAL)
        fuzz_assert(r_size == r && bytes == value); /* a size without a unit */
    fuzz_assert(number_format_size(bytes, written) == written && strlen(written) > 0);
    free(text);
    return 0;
}
