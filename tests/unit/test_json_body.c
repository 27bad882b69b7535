/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/json_body.c: hostile bodies, and values that a register can't hold. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_body.h"
#include "util/cleanup.h"

static int parse(const char *text, size_t size, const char *keys, json_t **ret_object, struct error *error)
{
    /* Not terminated, so that reading on shows. */
    struct call call = {.body = {.data = malloc(size ? size : 1), .size = size, .capacity = size}};
    int r;

    assert_non_null(call.body.data);
    memcpy(call.body.data, text, size);
    r = json_body_parse(&call, keys, ret_object, error);
    free(call.body.data);
    return r;
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        size_t size;         /* 0: of the text */
        const char *message; /* NULL: it is well */
    } rows[] = {
            {"{}", 0, NULL},
            {" {\"value\": 1}\n", 0, NULL},
            {"{\"value\": \"0x1\", \"mask\": [[{}]]}", 0, NULL},
            {"{\"value\": \"[[[[[[[[[[[[\\\"[[[[\"}", 0, NULL}, /* brackets in a string nest nothing */
            {"{\"val\\u0075e\": 1}", 0, NULL},
            {"", 0, "is empty"},
            {" ", 0, "is not JSON"},
            {"[]", 0, "is not a JSON object"},
            {"1", 0, "is not JSON"},
            {"\"value\"", 0, "is not JSON"},
            {"{\"value\": 1", 0, "is not JSON"},
            {"{\"value\": 1}}", 0, "is not JSON"},
            {"{\"value\": 1} x", 0, "is not JSON"},
            {"{\"value\": 1}{}", 0, "is not JSON"},
            {"{'value': 1}", 0, "is not JSON"},
            {"{\"value\": 0x1}", 0, "is not JSON"},
            {"{\"value\": 01}", 0, "is not JSON"},
            {"{\"value\": 1,}", 0, "is not JSON"},
            {"{\"value\": NaN}", 0, "is not JSON"},
            {"{\"value\": 99999999999999999999}", 0, "is not JSON"},
            {"{\"value\": 1, \"value\": 2}", 0, "duplicate"},
            {"{\"value\": 1, \"v\\u0061lue\": 2}", 0, "duplicate"},
            {"{\"mask\": {\"a\": 1, \"a\": 2}}", 0, "duplicate"},
            {"{\"value\": \"\xff\"}", 0, "is not JSON"},
            {"{\"value\": \"\xc0\x80\"}", 0, "is not JSON"},
            {"{\"value\": \"\xed\xa0\x80\"}", 0, "is not JSON"},
            {"{\"\xff\": 1}", 0, "is not JSON"},
            {"{\"value\": \"\\ud800\"}", 0, "is not JSON"},
            {"{\"value\": \"a\nb\"}", 0, "is not JSON"},
            {"{\"value\": 1}\0", 13, "is not JSON"},
            {"{\"value\"\0: 1}", 13, "is not JSON"},
            {"{\"value\": \"a\0b\"}", 16, "is not JSON"},
            {"{\"value\": \"a\\u0000b\"}", 0, "is not JSON"},
            {"{\"a\\u0000\": 1}", 0, "is not JSON"},
            {"\xef\xbb\xbf{}", 0, "is not JSON"}, /* a byte order mark */
            {"\0", 1, "is not JSON"},
            {"{\"values\": 1}", 0, "unknown key \"values\""},
            {"{\"val\": 1}", 0, "unknown key \"val\""},
            {"{\"\": 1}", 0, "unknown key \"\""},
            {"{\"mask value\": 1}", 0, "unknown key \"mask value\""},
            {"{\"value\": 1, \"k value\": 1}", 0, "unknown key"},
            {"{\" \": 1}", 0, "unknown key"},
            {"{\"value\": [[[[[[[[1]]]]]]]]}", 0, "more than 8 deep"},
            {"[[[[[[[[[", 0, "more than 8 deep"},
            {"]]]]]]]]]]]]", 0, "is not JSON"},
            {"{\"value\": \"\\", 0, "is not JSON"},
            {"\"\\", 0, "is not JSON"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        size_t size = rows[i].size ? rows[i].size : strlen(rows[i].text);
        struct error error = {0};
        json_t *object = NULL;
        int r = parse(rows[i].text, size, "mask value", &object, &error);

        if (rows[i].message) {
            check_error(r, -EINVAL, &error, rows[i].message);
            assert_null(object);
        } else {
            test_that(r == 0, "row %zu: %s", i, error.message);
            assert_true(json_is_object(object));
            json_decref(object);
        }
    }
}

static void test_deep(void **state)
{
    enum { DEPTH = 60000 };
    char *text = malloc(DEPTH);
    struct error error = {0};
    json_t *object = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, '[', DEPTH);
    check_error(parse(text, DEPTH, "value", &object, &error), -EINVAL, &error, "more than 8 deep");
    for (size_t i = 0; i < DEPTH; i++)
        text[i] = "{\"\":"[i % 4];
    check_error(parse(text, DEPTH, "value", &object, &error), -EINVAL, &error, "more than 8 deep");
    /* What closes what was never opened must not let deeper nesting through than it looks. */
    memset(text, ']', DEPTH / 2);
    memset(text + DEPTH / 2, '[', DEPTH / 2);
    assert_int_equal(parse(text, DEPTH, "value", &object, &error), -EINVAL);
    free(text);
}

static void test_value(void **state)
{
    static const struct {
        const char *json;
        unsigned width;
        int result;
        uint64_t value;
        const char *message;
    } rows[] = {
            {"\"0x12345678\"", 4, 0, 0x12345678, NULL},
            {"\"31\"", 1, 0, 31, NULL},
            {"31", 1, 0, 31, NULL},
            {"0", 1, 0, 0, NULL},
            {"255", 1, 0, 255, NULL},
            {"256", 1, -EOPNOTSUPP, 0, "8 bits"},
            {"\"0x100\"", 1, -EOPNOTSUPP, 0, "v does not fit the register's 8 bits"},
            {"\"0xffff\"", 2, 0, 0xffff, NULL},
            {"\"0x10000\"", 2, -EOPNOTSUPP, 0, "16 bits"},
            {"\"0xffffffff\"", 4, 0, UINT32_MAX, NULL},
            {"\"0x100000000\"", 4, -EOPNOTSUPP, 0, "32 bits"},
            {"\"0xffffffffffffffff\"", 8, 0, UINT64_MAX, NULL},
            {"\"0x10000000000000000\"", 8, -EOPNOTSUPP, 0, "64 bits"},
            {"9007199254740991", 8, 0, (UINT64_C(1) << 53) - 1, NULL},
            {"9007199254740993", 8, -EINVAL, 0, "send it as a string"},
            {"9223372036854775807", 8, -EINVAL, 0, "send it as a string"},
            {"-1", 4, -EINVAL, 0, "negative"},
            {"\"-1\"", 4, -EINVAL, 0, "'-1' is not a number"},
            {"\"\"", 4, -EINVAL, 0, "is not a number"},
            {"\" 1\"", 4, -EINVAL, 0, "is not a number"},
            {"\"0x\"", 4, -EINVAL, 0, "is not a number"},
            {"\"12 \"", 4, -EINVAL, 0, "is not a number"},
            {"1.0", 4, -EINVAL, 0, "missing or no number"},
            {"1e3", 4, -EINVAL, 0, "missing or no number"},
            {"true", 4, -EINVAL, 0, "missing or no number"},
            {"null", 4, -EINVAL, 0, "missing or no number"},
            {"[1]", 4, -EINVAL, 0, "missing or no number"},
            {"{}", 4, -EINVAL, 0, "missing or no number"},
    };
    struct error error = {0};
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        json_auto_t *json = json_loads(rows[i].json, JSON_DECODE_ANY, NULL);
        int r;

        assert_non_null(json);
        value = 0;
        r = json_body_value(json, "v", rows[i].width, &value, &error);
        if (rows[i].message)
            check_error(r, rows[i].result, &error, rows[i].message);
        else
            test_that(r == 0 && value == rows[i].value, "%s gave %d, 0x%" PRIx64, rows[i].json, r, value);
    }
    check_error(json_body_value(NULL, "mask", 4, &value, &error), -EINVAL, &error, "mask is missing");
}

/* What a string with a NUL in it names must not be cut at the NUL. */
static void test_value_with_nul(void **state)
{
    json_auto_t *json = json_stringn("1\0x", 3);
    struct error error = {0};
    uint64_t value;

    (void)state;
    assert_int_equal(json_body_value(json, "v", 4, &value, &error), -EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_parse),
            cmocka_unit_test(test_deep),
            cmocka_unit_test(test_value),
            cmocka_unit_test(test_value_with_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
