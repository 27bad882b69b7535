/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/arguments.c */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/arguments.h"
#include "api/routes.h"
#include "util/cleanup.h"

static const struct route route = {.method = "GET", .path = "/v1/x", .arguments = "width count fixed"};
static const struct route bare = {.method = "GET", .path = "/v1/x", .arguments = ""};

static struct call call_with(const char *name, const char *value)
{
    return (struct call){.route = &route, .arguments = {{name, value}}, .argument_count = 1};
}

static void test_check(void **state)
{
    struct call call = {.route = &route,
            .arguments = {{"count", "1"}, {"width", "8"}, {"fixed", ""}},
            .argument_count = 3};
    struct error error = {0};

    (void)state;
    assert_int_equal(arguments_check(&call, &error), 0);
    call.arguments[2].name = "count";
    check_error(arguments_check(&call, &error), -EINVAL, &error, "'count' twice");
    call = call_with("widths", "8");
    check_error(arguments_check(&call, &error), -EINVAL, &error, "unknown argument 'widths'");
    call = call_with("width count", "8");
    check_error(arguments_check(&call, &error), -EINVAL, &error, "unknown argument");
    call = call_with("", "");
    check_error(arguments_check(&call, &error), -EINVAL, &error, "takes width count fixed");
    call = call_with("width", "8");
    call.route = &bare;
    check_error(arguments_check(&call, &error), -EINVAL, &error, "takes none");
    call.argument_count = 0;
    assert_int_equal(arguments_check(&call, &error), 0);
}

static void test_find(void **state)
{
    struct call call = call_with("width", "8");

    (void)state;
    assert_string_equal(arguments_find(&call, "width"), "8");
    assert_null(arguments_find(&call, "widt"));
    assert_null(arguments_find(&call, "count"));
}

static void test_width(void **state)
{
    static const struct {
        const char *text;
        unsigned width; /* 0: refused */
    } rows[] = {{"8", 1}, {"16", 2}, {"32", 4}, {"64", 8}, {"", 0}, {"0", 0}, {"4", 0}, {"128", 0},
            {"08", 0}, {"0x8", 0}, {"32 ", 0}, {"-8", 0}};
    struct error error = {0};
    unsigned width = 77;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct call call = call_with("width", rows[i].text);
        int r = arguments_width(&call, &width, &error);

        if (!rows[i].width)
            check_error(r, -EINVAL, &error, "8, 16, 32 or 64");
        else
            test_that(r == 0 && width == rows[i].width, "width '%s' gave %d, %u", rows[i].text, r, width);
    }
    {
        struct call call = call_with("count", "8");

        assert_int_equal(arguments_width(&call, &width, &error), 0);
        assert_int_equal(width, 0);
    }
}

static void test_number(void **state)
{
    struct call call = call_with("count", "0x10");
    struct error error = {0};
    uint64_t value = 5;

    (void)state;
    assert_int_equal(arguments_number(&call, "width", &value, &error), 0);
    assert_true(value == 5); /* was not given */
    assert_int_equal(arguments_number(&call, "count", &value, &error), 0);
    assert_true(value == 16);
    call = call_with("count", "18446744073709551616");
    check_error(arguments_number(&call, "count", &value, &error), -EMSGSIZE, &error, "does not fit 64 bits");
    call = call_with("count", "-1");
    check_error(
            arguments_number(&call, "count", &value, &error), -EINVAL, &error, "count='-1' is not a number");
    call = call_with("count", "");
    check_error(arguments_number(&call, "count", &value, &error), -EINVAL, &error, "is not a number");
    assert_true(value == 16);
}

static void test_switch(void **state)
{
    struct call call = call_with("fixed", "1");
    struct error error = {0};
    bool value = false;

    (void)state;
    assert_int_equal(arguments_switch(&call, "fixed", &value, &error), 0);
    assert_true(value);
    assert_int_equal(arguments_switch(&call, "width", &value, &error), 0);
    assert_true(value);
    call = call_with("fixed", "0");
    assert_int_equal(arguments_switch(&call, "fixed", &value, &error), 0);
    assert_false(value);
    call = call_with("fixed", "yes");
    check_error(arguments_switch(&call, "fixed", &value, &error), -EINVAL, &error, "neither 0 nor 1");
    call = call_with("fixed", "");
    check_error(arguments_switch(&call, "fixed", &value, &error), -EINVAL, &error, "neither 0 nor 1");
}

static void test_offset(void **state)
{
    static const struct {
        const char *text;
        int result;
        uint64_t offset;
        const char *message;
    } rows[] = {
            {"0x0", 0, 0, NULL},
            {"0x1f", 0, 0x1f, NULL},
            {"0X1F", 0, 0x1f, NULL},
            {"0xffffffffffffffff", 0, UINT64_MAX, NULL},
            {"0x10000000000000000", -ERANGE, 0, "outside edu"},
            {"4", -EINVAL, 0, "not hexadecimal"},
            {"0", -EINVAL, 0, "not hexadecimal"},
            {"04", -EINVAL, 0, "not hexadecimal"},
            {"0x", -EINVAL, 0, "not an offset"},
            {"0x1g", -EINVAL, 0, "not an offset"},
            {"-0x4", -EINVAL, 0, "not an offset"},
            {"+4", -EINVAL, 0, "not an offset"},
            {" 0x4", -EINVAL, 0, "not an offset"},
            {"0x4 ", -EINVAL, 0, "not an offset"},
            {"0x4.0", -EINVAL, 0, "not an offset"},
            {"\xc3\xa9", -EINVAL, 0, "not an offset"},
            {"id", -ENOENT, 0, "no register 'id'"},
            {"_id", -ENOENT, 0, "no register '_id'"},
            {"x4", -ENOENT, 0, "no register"},
    };
    struct region_description description = {.name = (char *)"edu"};
    struct region region = {.description = &description};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct error error = {0};
        uint64_t offset = 0;
        int r = arguments_offset(&region, rows[i].text, &offset, &error);

        if (rows[i].message)
            check_error(r, rows[i].result, &error, rows[i].message);
        else
            test_that(
                    r == 0 && offset == rows[i].offset, "'%s' gave %d, 0x%" PRIx64, rows[i].text, r, offset);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_check),
            cmocka_unit_test(test_find),
            cmocka_unit_test(test_width),
            cmocka_unit_test(test_number),
            cmocka_unit_test(test_switch),
            cmocka_unit_test(test_offset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
