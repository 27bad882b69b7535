/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/utf8.h against a second reading of RFC 3629: every code point, and every malformed beginning. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/utf8.h"

static size_t encode(uint32_t point, char text[5])
{
    memset(text, 0, 5);
    if (point < 0x80) {
        text[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        text[0] = (char)(0xc0 | point >> 6);
        text[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        text[0] = (char)(0xe0 | point >> 12);
        text[1] = (char)(0x80 | (point >> 6 & 0x3f));
        text[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    text[0] = (char)(0xf0 | point >> 18);
    text[1] = (char)(0x80 | (point >> 12 & 0x3f));
    text[2] = (char)(0x80 | (point >> 6 & 0x3f));
    text[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

static void test_code_points(void **state)
{
    (void)state;
    for (uint32_t point = 1; point < 0x120000; point++) {
        char text[5];
        size_t length = encode(point, text);
        size_t expected = (point >= 0xd800 && point < 0xe000) || point > 0x10ffff ? 0 : length;

        test_that(utf8_length(text) == expected, "U+%04X: %zu octets, expected %zu", point,
                utf8_length(text), expected);
        /* Cut short, it is no character, and nothing behind the terminator is looked at. */
        for (size_t cut = 1; cut < length; cut++) {
            text[length - cut] = 0;
            test_that(utf8_length(text) == 0, "U+%04X without its last %zu octets was taken", point, cut);
        }
    }
}

/* Decodes by arithmetic alone, then asks whether that was the shortest form of a scalar value. */
static size_t length_of(const unsigned char c[4])
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = c[0] < 0x80             ? 1
                    : (c[0] & 0xe0) == 0xc0 ? 2
                    : (c[0] & 0xf0) == 0xe0 ? 3
                    : (c[0] & 0xf8) == 0xf0 ? 4
                                            : 0;
    uint32_t point = length == 1 ? c[0] : c[0] & (0x7fu >> length);

    if (length == 0 || c[0] == 0)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (c[i] & 0x3f);
    }
    return point < least[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : length;
}

static void test_all_beginnings(void **state)
{
    static const unsigned char rest[] = {0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};

    (void)state;
    for (unsigned i = 0; i < 256 * 256 * ELEMENTS(rest) * ELEMENTS(rest); i++) {
        unsigned char text[5] = {(unsigned char)i, (unsigned char)(i >> 8), rest[(i >> 16) % ELEMENTS(rest)],
                rest[(i >> 16) / ELEMENTS(rest) % ELEMENTS(rest)], 0};
        size_t length = utf8_length((const char *)text);

        test_that(length == length_of(text), "%02x %02x %02x %02x: %zu octets, expected %zu", text[0],
                text[1], text[2], text[3], length, length_of(text));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_code_points),
            cmocka_unit_test(test_all_beginnings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
