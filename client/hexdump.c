/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines are put together here and written whole: a megabyte is 65536 of them. */
#include "hexdump.h"

#include <inttypes.h>

enum { LINE_OCTETS = 16, HALF = 8 };

static char *append_octets(char *end, const unsigned char *octets, size_t count)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < LINE_OCTETS; i++) {
        *end++ = ' ';
        if (i == HALF)
            *end++ = ' ';
        *end++ = i < count ? digits[octets[i] >> 4] : ' ';
        *end++ = i < count ? digits[octets[i] & 15] : ' ';
    }
    return end;
}

static char *append_ascii(char *end, const unsigned char *octets, size_t count)
{
    *end++ = ' ';
    *end++ = ' ';
    *end++ = '|';
    for (size_t i = 0; i < count; i++)
        *end++ = octets[i] >= 0x20 && octets[i] < 0x7f ? (char)octets[i] : '.';
    *end++ = '|';
    *end++ = '\n';
    return end;
}

void hexdump_write(FILE *stream, uint64_t offset, const void *data, size_t size)
{
    const unsigned char *octets = data;
    char line[128];

    for (size_t done = 0; done < size; done += LINE_OCTETS) {
        size_t count = size - done < LINE_OCTETS ? size - done : LINE_OCTETS;
        char *end = line + snprintf(line, 32, "0x%08" PRIx64 " ", offset + done);

        end = append_octets(end, octets + done, count);
        end = append_ascii(end, octets + done, count);
        fwrite(line, 1, (size_t)(end - line), stream);
    }
}
