/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/number.c: only plain unsigned numbers pass, and none that does not fit. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/number.h"

struct row {
    const char *text;
    int result;
    uint64_t value;
};

static const struct row plain[] = {
        {"0", 0, 0}, {"7", 0, 7}, {"010", 0, 10}, /* not octal */
        {"4660", 0, 0x1234}, {"0x1234", 0, 0x1234}, {"0X1234", 0, 0x1234}, {"0xdeadBEEF", 0, 0xdeadbeef},
        {"0x00000000000000000000000000000001", 0, 1}, {"18446744073709551615", 0, UINT64_MAX},
        {"0xffffffffffffffff", 0, UINT64_MAX}, {"18446744073709551616", -ERANGE, 0},
        {"0x10000000000000000", -ERANGE, 0}, {"99999999999999999999999999", -ERANGE, 0},
        {"99999999999999999999999999x", -EINVAL, 0}, /* not a number, however large */
        {"", -EINVAL, 0}, {" 1", -EINVAL, 0}, {"1 ", -EINVAL, 0}, {"1\n", -EINVAL, 0}, {"+1", -EINVAL, 0},
        {"-1", -EINVAL, 0}, {"-0x1", -EINVAL, 0}, {"0x", -EINVAL, 0}, {"x1", -EINVAL, 0},
        {"0xg", -EINVAL, 0}, {"0x1g", -EINVAL, 0}, {"0x0x1", -EINVAL, 0}, {"a", -EINVAL, 0},
        {"1a", -EINVAL, 0}, {"1.0", -EINVAL, 0}, {"1e3", -EINVAL, 0}, {"1k", -EINVAL, 0},
        {"1_000", -EINVAL, 0}, {"\xd9\xa1", -EINVAL, 0}, /* an Arabic digit */
};

static const struct row sizes[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"0x1000", 0, 4096},
        {"4k", 0, 4096},
        {"4KiB", 0, 4096},
        {"0x4k", 0, 4096},
        {"1M", 0, 1 << 20},
        {"1MiB", 0, 1 << 20},
        {"2G", 0, UINT64_C(2) << 30},
        {"2GiB", 0, UINT64_C(2) << 30},
        {"17179869183G", 0, UINT64_C(17179869183) << 30},
        {"17179869184G", -ERANGE, 0},
        {"0xffffffffffffffff", 0, UINT64_MAX},
        {"0xffffffffffffffffk", -ERANGE, 0},
        {"18446744073709551616", -ERANGE, 0},
        {"18446744073709551616x", -EINVAL, 0},
        {"k", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"1 k", -EINVAL, 0},
        {"1kk", -EINVAL, 0},
        {"1T", -EINVAL, 0},
        {"1kB", -EINVAL, 0},
        {"-1k", -EINVAL, 0},
        {"1.5M", -EINVAL, 0},
};

static void check_rows(
        const struct row *rows, size_t count, int (*parse)(const char *text, uint64_t *ret_value))
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0x5a5a;
        int r = parse(rows[i].text, &value);

        test_that(r == rows[i].result, "'%s' gave %d, expected %d", rows[i].text, r, rows[i].result);
        if (r < 0)
            test_that(value == 0x5a5a, "'%s' failed and changed its result", rows[i].text);
        else
            test_that(value == rows[i].value, "'%s' is 0x%" PRIx64 ", expected 0x%" PRIx64, rows[i].text,
                    value, rows[i].value);
    }
}

static void test_parse(void **state)
{
    (void)state;
    check_rows(plain, ELEMENTS(plain), number_parse);
}

static void test_parse_size(void **state)
{
    (void)state;
    check_rows(sizes, ELEMENTS(sizes), number_parse_size);
}

static void test_fits(void **state)
{
    (void)state;
    for (unsigned bits = 8; bits <= 32; bits *= 2) {
        test_that(number_fits((UINT64_C(1) << bits) - 1, bits), "the largest of %u bits must fit", bits);
        test_that(!number_fits(UINT64_C(1) << bits, bits), "2^%u must not fit %u bits", bits, bits);
    }
    assert_true(number_fits(UINT64_MAX, 64));
    assert_true(number_fits(0, 8));
    assert_false(number_fits(UINT64_MAX, 32));
}

static void test_format_size(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
            {0, "0 bytes"},
            {2, "2 bytes"},
            {1023, "1023 bytes"},
            {1024, "1 KiB"},
            {1025, "0x401 bytes"},
            {0x1234, "0x1234 bytes"},
            {1 << 20, "1 MiB"},
            {3 << 19, "1536 KiB"},
            {UINT64_C(1) << 30, "1 GiB"},
            {UINT64_C(1) << 40, "1 TiB"},
            {UINT64_C(1) << 60, "1048576 TiB"},
            {UINT64_MAX, "0xffffffffffffffff bytes"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char text[NUMBER_SIZE_TEXT];

        assert_ptr_equal(number_format_size(rows[i].bytes, text), text);
        test_that(strcmp(text, rows[i].text) == 0, "0x%" PRIx64 " is '%s', expected '%s'", rows[i].bytes,
                text, rows[i].text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_parse),
            cmocka_unit_test(test_parse_size),
            cmocka_unit_test(test_fits),
            cmocka_unit_test(test_format_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
