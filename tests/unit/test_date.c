/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/date.c */
#include "test.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/date.h"

#define SECOND UINT64_C(1000000)

static void test_format(void **state)
{
    char text[DATE_SIZE];

    (void)state;
    assert_string_equal(date_format(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(date_format(UINT64_C(1709210096), text), "2024-02-29T12:34:56Z");
    assert_string_equal(date_format(UINT64_C(253402300799), text), "9999-12-31T23:59:59Z");
    assert_string_equal(date_format(UINT64_MAX, text), "9999-12-31T23:59:59Z");
    assert_string_equal(date_format_us(1709210096 * SECOND + 7, text), "2024-02-29T12:34:56.000007Z");
    assert_string_equal(
            date_format_ns(1709210096 * SECOND * 1000 + 123456789, text), "2024-02-29T12:34:56.123456789Z");
    assert_string_equal(date_format_ns(7, text), "1970-01-01T00:00:00.000000007Z");
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        uint64_t us;
    } rows[] = {
            {"1970-01-01T00:00:00Z", 0},
            {"2024-02-29T12:34:56Z", 1709210096 * SECOND},
            {"2024-02-29t12:34:56z", 1709210096 * SECOND},
            {"2024-02-29T12:34:56.5Z", 1709210096 * SECOND + 500000},
            {"2024-02-29T12:34:56.0000019Z", 1709210096 * SECOND + 1},
            {"2024-02-29T13:34:56+01:00", 1709210096 * SECOND},
            {"2024-02-29T07:04:56-05:30", 1709210096 * SECOND},
            {"2024-02-29T12:34:56+00:00", 1709210096 * SECOND},
            {"9999-12-31T23:59:59Z", 253402300799 * SECOND},
            {"2016-12-31T23:59:60Z", 1483228799 * SECOND},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        uint64_t us = 99;

        test_that(date_parse(rows[i].text, &us) == 0 && us == rows[i].us, "%s was read as %llu",
                rows[i].text, (unsigned long long)us);
    }
}

static void test_refused(void **state)
{
    static const char *const rows[] = {"", "2024", "2024-02-29", "2024-02-29T12:34:56",
            "2024-02-29 12:34:56Z", "2024-02-29T12:34Z", "2023-02-29T00:00:00Z", "2024-02-30T00:00:00Z",
            "2024-00-01T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-00T00:00:00Z", "2024-01-32T00:00:00Z",
            "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z", "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00Zx", "2024-01-01T00:00:00+1:00", "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+01:60", "2024-01-01T00:00:00+0100", "+024-01-01T00:00:00Z",
            " 2024-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
            "2024-1-01T00:00:00Z"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        uint64_t us = 99;

        test_that(date_parse(rows[i], &us) == -EINVAL && us == 99, "'%s' was read as %llu", rows[i],
                (unsigned long long)us);
    }
}

/* What is written can be read. */
static void test_round(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        uint64_t us = (uint64_t)test_random(&seed) * 1000000 * 50 + test_random(&seed) % 1000000, again = 0;
        char text[DATE_SIZE];

        assert_int_equal(date_parse(date_format_us(us, text), &again), 0);
        assert_true(again == us);
    }
    assert_true(date_now_us() / 1000000 - (uint64_t)time(NULL) + 1 <= 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_format),
            cmocka_unit_test(test_parse),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
