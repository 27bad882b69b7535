/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/byte_range.c: the first 8 octets are the size, the rest is the header. What is taken is inside, and is
 * taken as the same when it is written out. */
#include <errno.h>
#include <string.h>

#include "api/byte_range.h"
#include "fuzz.h"

static void check(const struct byte_range *range, uint64_t size)
{
    char text[BYTE_RANGE_SIZE];
    struct byte_range again;

    fuzz_assert(range->length > 0 && range->first < size && range->length <= size - range->first);
    byte_range_format(range, size, text);
    fuzz_assert(byte_range_parse_content(text, size, &again, NULL) == 0);
    fuzz_assert(again.first == range->first && again.length == range->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct byte_range range = {1, 2};
    struct error error = {0};
    uint64_t octets = 0;
    char *text;
    int r;

    if (size < sizeof(octets))
        return 0;
    memcpy(&octets, data, sizeof(octets));
    text = fuzz_text(data + sizeof(octets), size - sizeof(octets));
    r = byte_range_parse(text, octets, &range, &error);
    if (r == 0)
        check(&range, octets);
    else
        fuzz_assert((r == -EINVAL || r == -ERANGE) && error.code == r && range.first == 1);
    range = (struct byte_range){1, 2};
    r = byte_range_parse_content(text, octets, &range, &error);
    if (r == 0)
        check(&range, octets);
    else
        fuzz_assert((r == -EINVAL || r == -ERANGE) && error.code == r && range.first == 1);
    free(text);
    return 0;
}
