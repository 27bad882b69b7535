/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places and ranges, and values, as they are typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "place.h"
#include "values.h"

static void parses(const char *text, const char *region, uint64_t offset, enum place_span span)
{
    _cleanup_place_ struct place place = {0};
    struct error error = {.message = ""};

    if (place_parse(text, &place, &error) < 0)
        fail_msg("%s: %s", text, error.message);
    assert_string_equal(place.region, region);
    assert_null(place.name);
    assert_int_equal(place.offset, offset);
    assert_int_equal(place.span, span);
}

static void test_offsets(void **state)
{
    (void)state;
    parses("edu:0x0", "edu", 0, PLACE_SINGLE);
    parses("edu:0X1F", "edu", 0x1f, PLACE_SINGLE);
    parses("a.b-c_d:0x000000000000000000004", "a.b-c_d", 4, PLACE_SINGLE);
    parses("edu:0xffffffffffffffff", "edu", UINT64_MAX, PLACE_SINGLE);
    parses("edu:0x4+2", "edu", 4, PLACE_COUNT);
    parses("edu:0x4+0x10", "edu", 4, PLACE_COUNT);
    parses("edu:0x4-0x4", "edu", 4, PLACE_UNTIL);
    parses("edu:0x4-0xffffffffffffffff", "edu", 4, PLACE_UNTIL);
}

static void test_names(void **state)
{
    static const char *const texts[] = {
            "edu:STATUS", "edu:status.busy", "edu:a:b", "edu:a-0x4", "edu:..", "edu: x"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        _cleanup_place_ struct place place = {0};

        assert_int_equal(place_parse(texts[i], &place, NULL), 0);
        assert_string_equal(place.region, "edu");
        assert_string_equal(place.name, texts[i] + 4);
    }
}

static void test_mistakes(void **state)
{
    static const char *const texts[] = {"", ":", "edu", "edu:", ":0x0", "edu:0", "edu:4", "edu:0x",
            "edu:0xg", "edu:0x1 ", "edu:0x10000000000000000", "edu:0x4+", "edu:0x4+0", "edu:0x4+-1",
            "edu:0x4+1x", "edu:0x4+18446744073709551616", "edu:0x4-", "edu:0x4-8", "edu:0x4-0x3",
            "edu:0x4-0x", "edu:0x4-0x10000000000000000", "edu:0x4-0x8+2", "edu:0x4+2-0x8"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        struct place place = {.offset = 77};
        struct error error = {.message = ""};

        if (place_parse(texts[i], &place, &error) != -EINVAL)
            fail_msg("%s was taken", texts[i]);
        assert_true(*error.message);
        assert_int_equal(place.offset, 77);
        assert_null(place.region);
    }
}

static void counts(const char *text, unsigned width, uint64_t expected)
{
    _cleanup_place_ struct place place = {0};
    uint64_t count = 0;

    assert_int_equal(place_parse(text, &place, NULL), 0);
    assert_int_equal(place_count(&place, width, &count), 0);
    assert_int_equal(count, expected);
}

static void test_counts(void **state)
{
    _cleanup_place_ struct place everything = {0};
    uint64_t count = 77;

    (void)state;
    counts("edu:0x4", 32, 1);
    counts("edu:0x4+3", 32, 3);
    counts("edu:0x4+0xffffffffffffffff", 64, UINT64_MAX);
    /* Every register with START <= offset <= END. */
    counts("edu:0x0-0x0", 32, 1);
    counts("edu:0x0-0x3", 32, 1);
    counts("edu:0x0-0x4", 32, 2);
    counts("edu:0x0-0x7", 32, 2);
    counts("edu:0x0-0x8", 32, 3);
    counts("edu:0x4-0x8", 32, 2);
    counts("edu:0x0-0x8", 8, 9);
    counts("edu:0x0-0x8", 16, 5);
    counts("edu:0x0-0x8", 64, 2);
    counts("edu:0x0-0xffffffffffffffff", 64, UINT64_C(1) << 61);
    counts("edu:0x1-0xffffffffffffffff", 8, UINT64_MAX);
    assert_int_equal(place_parse("edu:0x0-0xffffffffffffffff", &everything, NULL), 0);
    assert_int_equal(place_count(&everything, 8, &count), -ERANGE);
    assert_int_equal(count, 77);
}

static void test_values(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } rows[] = {{"0", 0}, {"10", 10}, {"010", 10}, {"0x10", 16}, {"0XfF", 255}, {"0b101", 5}, {"0B0", 0},
            {"18446744073709551615", UINT64_MAX}, {"0xffffffffffffffff", UINT64_MAX},
            {"0b1111111111111111111111111111111111111111111111111111111111111111", UINT64_MAX}};
    static const char *const mistakes[] = {"", "x", "-1", "+1", " 1", "1 ", "0x", "0b", "0b2", "1_000",
            "0x1.0", "1e3", "18446744073709551616", "0x10000000000000000",
            "0b10000000000000000000000000000000000000000000000000000000000000000"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        uint64_t value = 0;

        assert_int_equal(value_parse(rows[i].text, &value, NULL), 0);
        assert_int_equal(value, rows[i].value);
    }
    for (size_t i = 0; i < ELEMENTS(mistakes); i++) {
        uint64_t value = 77;

        assert_int_equal(value_parse(mistakes[i], &value, NULL), -EINVAL);
        assert_int_equal(value, 77);
    }
}

static void test_widths(void **state)
{
    static const char *const mistakes[] = {"", "0", "1", "24", "128", "-8", "8x", "18446744073709551624"};
    unsigned width = 0;

    (void)state;
    assert_int_equal(width_parse("8", &width, NULL), 0);
    assert_int_equal(width, 8);
    assert_int_equal(width_parse("0x40", &width, NULL), 0);
    assert_int_equal(width, 64);
    for (size_t i = 0; i < ELEMENTS(mistakes); i++)
        assert_int_equal(width_parse(mistakes[i], &width, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_offsets),
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_mistakes),
            cmocka_unit_test(test_counts),
            cmocka_unit_test(test_values),
            cmocka_unit_test(test_widths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
