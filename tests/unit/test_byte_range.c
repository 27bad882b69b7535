/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/byte_range.c. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>

#include "api/byte_range.h"
#include "util/cleanup.h"

#define TOO_MUCH "18446744073709551616" /* 2^64 */

struct row {
    const char *text;
    uint64_t size;
    int result;
    uint64_t first, length;
};

static void check(const char *name, const struct row *row,
        int (*parse)(const char *text, uint64_t size, struct byte_range *ret_range, struct error *error))
{
    struct byte_range range = {77, 88};
    struct error error = {0};
    int r = parse(row->text, row->size, &range, &error);

    test_that(r == row->result, "%s '%s' of %" PRIu64 " gave %d, expected %d: %s", name, row->text,
            row->size, r, row->result, error.message);
    if (r == 0)
        test_that(range.first == row->first && range.length == row->length,
                "%s '%s' of %" PRIu64 " is %" PRIu64 " octets from %" PRIu64, name, row->text, row->size,
                range.length, range.first);
    else
        test_that(error.code == r && error.message[0] && range.first == 77 && range.length == 88,
                "%s '%s': no error, or a range all the same", name, row->text);
}

static void test_ranges(void **state)
{
    static const struct row rows[] = {
            {"bytes=0-0", 100, 0, 0, 1},
            {"bytes=0-99", 100, 0, 0, 100},
            {"bytes=0-100", 100, 0, 0, 100},
            {"bytes=10-19", 100, 0, 10, 10},
            {"bytes=99-99", 100, 0, 99, 1},
            {"bytes=99-", 100, 0, 99, 1},
            {"bytes=0-", 100, 0, 0, 100},
            {"bytes=-1", 100, 0, 99, 1},
            {"bytes=-100", 100, 0, 0, 100},
            {"bytes=-101", 100, 0, 0, 100},
            {"bytes=-" TOO_MUCH, 100, 0, 0, 100},
            {"bytes=1-" TOO_MUCH, 100, 0, 1, 99},
            {"Bytes=007-008", 100, 0, 7, 2},
            {"bytes=0-18446744073709551615", UINT64_MAX, 0, 0, UINT64_MAX},
            {"bytes=18446744073709551614-", UINT64_MAX, 0, UINT64_MAX - 1, 1},
            {"bytes=100-", 100, -ERANGE, 0, 0},
            {"bytes=100-200", 100, -ERANGE, 0, 0},
            {"bytes=-0", 100, -ERANGE, 0, 0},
            {"bytes=" TOO_MUCH "-", 100, -ERANGE, 0, 0},
            {"bytes=18446744073709551615-", UINT64_MAX, -ERANGE, 0, 0},
            {"bytes=2-1", 100, -EINVAL, 0, 0},
            {"bytes=0-0,2-3", 100, -EINVAL, 0, 0},
            {"bytes=0-0,", 100, -EINVAL, 0, 0},
            {"bytes=", 100, -EINVAL, 0, 0},
            {"bytes=-", 100, -EINVAL, 0, 0},
            {"bytes=--1", 100, -EINVAL, 0, 0},
            {"bytes=5", 100, -EINVAL, 0, 0},
            {"bytes=0x1-0x2", 100, -EINVAL, 0, 0},
            {"bytes=+1-2", 100, -EINVAL, 0, 0},
            {"bytes= 1-2", 100, -EINVAL, 0, 0},
            {"bytes=1-2 ", 100, -EINVAL, 0, 0},
            {"bytes 1-2", 100, -EINVAL, 0, 0},
            {"lines=1-2", 100, -EINVAL, 0, 0},
            {"byte=1-2", 100, -EINVAL, 0, 0},
            {"", 100, -EINVAL, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        check("Range", &rows[i], byte_range_parse);
}

static void test_content_ranges(void **state)
{
    static const struct row rows[] = {
            {"bytes 0-0/*", 100, 0, 0, 1},
            {"bytes 0-99/*", 100, 0, 0, 100},
            {"bytes 10-19/100", 100, 0, 10, 10},
            {"bytes 0-18446744073709551614/*", UINT64_MAX, 0, 0, UINT64_MAX},
            {"bytes 0-100/*", 100, -ERANGE, 0, 0},
            {"bytes 100-100/*", 100, -ERANGE, 0, 0},
            {"bytes 0-" TOO_MUCH "/*", 100, -ERANGE, 0, 0},
            {"bytes 0-9/99", 100, -EINVAL, 0, 0},
            {"bytes 0-9/" TOO_MUCH, 100, -EINVAL, 0, 0},
            {"bytes */100", 100, -EINVAL, 0, 0},
            {"bytes 0-9", 100, -EINVAL, 0, 0},
            {"bytes 0-9/", 100, -EINVAL, 0, 0},
            {"bytes 0-/*", 100, -EINVAL, 0, 0},
            {"bytes -9/*", 100, -EINVAL, 0, 0},
            {"bytes 9-0/*", 100, -EINVAL, 0, 0},
            {"bytes=0-9/*", 100, -EINVAL, 0, 0},
            {"bytes 0-9/**", 100, -EINVAL, 0, 0},
            {"bytes 0-9/*,10-11/*", 100, -EINVAL, 0, 0},
            {"", 100, -EINVAL, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        check("Content-Range", &rows[i], byte_range_parse_content);
}

static void test_texts(void **state)
{
    char text[BYTE_RANGE_SIZE];

    (void)state;
    assert_string_equal(byte_range_format(&(struct byte_range){0, 1}, 1, text), "bytes 0-0/1");
    assert_string_equal(byte_range_format(&(struct byte_range){16, 4}, 4096, text), "bytes 16-19/4096");
    assert_string_equal(byte_range_format(NULL, 4096, text), "bytes */4096");
    assert_string_equal(byte_range_format(&(struct byte_range){UINT64_MAX - 1, 1}, UINT64_MAX, text),
            "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_ranges),
            cmocka_unit_test(test_content_ranges),
            cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
