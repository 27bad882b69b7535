/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes, as they are typed and printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "size.h"
#include "util/cleanup.h"

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t octets;
    } rows[] = {{"0", 0}, {"1", 1}, {"4096", 4096}, {"0x1000", 4096}, {"0X1000", 4096}, {"64k", 65536},
            {"64K", 65536}, {"64KiB", 65536}, {"4M", 4194304}, {"4mib", 4194304}, {"1G", 1073741824},
            {"0x10k", 16384}, {"0xfg", UINT64_C(15) << 30}, {"007", 7}, {"18446744073709551615", UINT64_MAX},
            {"0xffffffffffffffff", UINT64_MAX}, {"17179869183G", UINT64_C(17179869183) << 30}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct error error = {.message = ""};
        uint64_t octets = 77;

        assert_int_equal(size_parse(rows[i].text, &octets, &error), 0);
        assert_int_equal(octets, rows[i].octets);
        assert_string_equal(error.message, "");
    }
}

static void test_mistakes(void **state)
{
    static const struct {
        const char *text;
        const char *message; /* some of it */
    } rows[] = {{"", "an empty size"}, {"k", "\"k\" is no size"}, {"lots", "is no size"},
            {"x10", "is no size"}, {"-1", "no sign"}, {"+1k", "no sign"}, {"1.5M", "a whole number"},
            {"1,5M", "a whole number"}, {"64 k", "without a space"}, {"1T", "\"T\" is no unit"},
            {"64kB", "\"kB\" is no unit"}, {"10kk", "\"kk\" is no unit"}, {"0x", "\"0x\" is no size"},
            {"0xgf", "is no size"}, {"1e3", "\"e3\" is no unit"}, {" 1", "is no size"},
            {"18446744073709551616", "fit 64 bits"}, {"17179869184G", "fit 64 bits"},
            {"0x10000000000000000", "fit 64 bits"}, {"99999999999999999999999M", "fit 64 bits"}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct error error = {.message = ""};
        uint64_t octets = 77;

        assert_int_equal(size_parse(rows[i].text, &octets, &error), -EINVAL);
        assert_int_equal(octets, 77);
        if (!strstr(error.message, rows[i].message))
            fail_msg("%s: %s", rows[i].text, error.message);
    }
}

static void test_texts(void **state)
{
    static const struct {
        uint64_t octets;
        const char *text;
    } rows[] = {{0, "0 octets"}, {1, "1 octet"}, {1023, "1023 octets"}, {1024, "1 KiB"}, {1025, "1 KiB"},
            {1536, "1.5 KiB"}, {65536, "64 KiB"}, {102400 + 512, "100 KiB"}, {1048575, "1023 KiB"},
            {1048576 + 110000, "1.1 MiB"}, {UINT64_C(3) << 30, "3 GiB"}, {UINT64_MAX, "15.9 EiB"}};
    char text[SIZE_TEXT];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        assert_string_equal(size_format(rows[i].octets, text), rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sizes),
            cmocka_unit_test(test_mistakes),
            cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
