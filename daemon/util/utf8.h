/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one UTF-8 check (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stddef.h>

/* The length in octets, 1 to 4, of the character that text starts with; 0 when it is not valid UTF-8 or
 * text is empty. */
static inline size_t utf8_length(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    if (c[0] == 0)
        return 0;
    if (c[0] < 0x80)
        return 1;
    if (c[0] < 0xc2 || c[0] > 0xf4 || (c[1] & 0xc0) != 0x80)
        return 0;
    if (c[0] < 0xe0)
        return 2;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
            (c[0] == 0xf4 && c[1] > 0x8f) || (c[2] & 0xc0) != 0x80)
        return 0;
    if (c[0] < 0xf0)
        return 3;
    return (c[3] & 0xc0) == 0x80 ? 4 : 0;
}
