/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/json_writer.c: exact texts for what clients compare, and for everything else what a parser makes of
 * it. */
#include "test.h"

#include <math.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/json_writer.h"
#include "util/utf8.h"

static void check_text(const struct buffer *buffer, const char *expected)
{
    assert_false(buffer_failed(buffer));
    test_that(buffer->size == strlen(expected) && memcmp(buffer->data, expected, buffer->size) == 0,
            "wrote %.*s, expected %s", (int)buffer->size, buffer->data, expected);
}

static void test_structure(void **state)
{
    _cleanup_buffer_ struct buffer buffer = {0};
    struct json_writer writer = json_writer(&buffer);

    (void)state;
    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "empty");
    json_end_array(&writer);
    json_begin_object(&writer, "none");
    json_end_object(&writer);
    json_put_bool(&writer, "yes", true);
    json_put_bool(&writer, "no", false);
    json_put_string(&writer, "null", NULL);
    json_begin_array(&writer, "list");
    json_put_count(&writer, NULL, 0);
    json_begin_array(&writer, NULL);
    json_put_hex(&writer, NULL, 4);
    json_put_hex(&writer, NULL, 8);
    json_end_array(&writer);
    json_put_count(&writer, NULL, 10);
    json_end_array(&writer);
    json_put_string(&writer, "last", "x");
    json_end_object(&writer);
    check_text(&buffer, "{\"empty\":[],\"none\":{},\"yes\":true,\"no\":false,\"null\":null,"
                        "\"list\":[0,[\"0x4\",\"0x8\"],10],\"last\":\"x\"}");
}

static void test_strings(void **state)
{
    static const struct {
        const char *value, *written;
    } rows[] = {
            {"", "\"\""}, {"plain", "\"plain\""}, {"\"\\", "\"\\\"\\\\\""}, {"a\nb\tc", "\"a\\nb\\tc\""},
            {"\x01\x1f\r\b\f", "\"\\u0001\\u001f\\u000d\\u0008\\u000c\""}, {"\x7f", "\"\\u007f\""},
            {"/</script>", "\"/</script>\""},
            {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
            {"\xff", "\"\xef\xbf\xbd\""}, {"a\xc3", "\"a\xef\xbf\xbd\""}, /* cut short */
            {"\xc3(", "\"\xef\xbf\xbd(\""},                               /* what follows is kept */
            {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* overlong */
            {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
            {"\xf4\x90\x80\x80z",
                    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\""}, /* above U+10FFFF */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        _cleanup_buffer_ struct buffer buffer = {0};
        struct json_writer writer = json_writer(&buffer);

        json_put_string(&writer, NULL, rows[i].value);
        check_text(&buffer, rows[i].written);
    }
}

static void test_numbers(void **state)
{
    static const struct {
        unsigned width;
        uint64_t value;
        const char *written;
    } values[] = {
            {8, 0, "\"0x00\""},
            {8, 0xff, "\"0xff\""},
            {16, 0x12, "\"0x0012\""},
            {32, 0x010000ed, "\"0x010000ed\""},
            {32, UINT32_MAX, "\"0xffffffff\""},
            {64, 1, "\"0x0000000000000001\""},
            {64, UINT64_MAX, "\"0xffffffffffffffff\""},
    };
    static const struct {
        uint64_t value;
        const char *hex, *count;
    } plain[] = {
            {0, "\"0x0\"", "0"},
            {9, "\"0x9\"", "9"},
            {16, "\"0x10\"", "16"},
            {1234567890, "\"0x499602d2\"", "1234567890"},
            {UINT64_C(1) << 53, "\"0x20000000000000\"", "9007199254740992"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(values); i++) {
        _cleanup_buffer_ struct buffer buffer = {0};
        struct json_writer writer = json_writer(&buffer);

        json_put_value(&writer, NULL, values[i].value, values[i].width);
        check_text(&buffer, values[i].written);
    }
    for (size_t i = 0; i < ELEMENTS(plain); i++) {
        _cleanup_buffer_ struct buffer hex = {0}, count = {0};
        struct json_writer writer = json_writer(&hex);

        json_put_hex(&writer, NULL, plain[i].value);
        check_text(&hex, plain[i].hex);
        writer = json_writer(&count);
        json_put_count(&writer, NULL, plain[i].value);
        check_text(&count, plain[i].count);
    }
}

static void test_tenths(void **state)
{
    static const struct {
        double value;
        const char *written;
    } values[] = {{0, "0.0"}, {3.5, "3.5"}, {0.04, "0.0"}, {0.05, "0.1"}, {9.96, "10.0"}, {-1, "0.0"},
            {1234567.8, "1234567.8"}, {NAN, "0.0"}, {INFINITY, "1000000000000000.0"}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(values); i++) {
        _cleanup_buffer_ struct buffer buffer = {0};
        struct json_writer writer = json_writer(&buffer);

        json_put_tenths(&writer, NULL, values[i].value);
        check_text(&buffer, values[i].written);
    }
}

/* Octets of any kind; most sequences are not valid UTF-8. */
static void random_octets(uint32_t *seed, char *text, size_t limit)
{
    size_t length = test_random(seed) % limit;

    for (size_t i = 0; i < length; i++)
        text[i] = (char)(test_random(seed) % 255 + 1);
    text[length] = 0;
}

static void random_text(uint32_t *seed, char *text, size_t limit)
{
    static const char *const pieces[] = {"a", "\"", "\\", "\n", "\t", "\x01", "\x7f", "\xc3\xa9",
            "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\u0000", "/"};
    size_t used = 0;

    text[0] = 0;
    while (test_random(seed) % 12 && used + 8 < limit)
        used += (size_t)snprintf(
                text + used, limit - used, "%s", pieces[test_random(seed) % ELEMENTS(pieces)]);
}

static json_t *write_random(struct json_writer *writer, uint32_t *seed, const char *key, unsigned depth)
{
    char text[64];
    uint64_t number = (uint64_t)test_random(seed) << 20 ^ test_random(seed);
    json_t *value;

    switch (test_random(seed) % (depth ? 7 : 5)) {
    case 0:
        random_text(seed, text, sizeof(text));
        json_put_string(writer, key, text);
        return json_string(text);
    case 1:
        json_put_bool(writer, key, number & 1);
        return json_boolean(number & 1);
    case 2:
        json_put_count(writer, key, number);
        return json_integer((json_int_t)number);
    case 3:
        json_put_string(writer, key, NULL);
        return json_null();
    case 4:
        json_put_value(writer, key, number & UINT32_MAX, 32);
        return json_sprintf("0x%08x", (unsigned)(number & UINT32_MAX));
    case 5:
        value = json_array();
        json_begin_array(writer, key);
        for (size_t i = test_random(seed) % 5; i > 0; i--)
            json_array_append_new(value, write_random(writer, seed, NULL, depth - 1));
        json_end_array(writer);
        return value;
    default:
        value = json_object();
        json_begin_object(writer, key);
        for (size_t i = test_random(seed) % 5; i > 0; i--) {
            char name[8];

            snprintf(name, sizeof(name), "key%zu", i);
            json_object_set_new(value, name, write_random(writer, seed, name, depth - 1));
        }
        json_end_object(writer);
        return value;
    }
}

static void test_parses_back(void **state)
{
    uint32_t seed = 0x0dd00001;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        _cleanup_buffer_ struct buffer buffer = {0};
        struct json_writer writer = json_writer(&buffer);
        json_auto_t *expected = write_random(&writer, &seed, NULL, 4);
        json_error_t where;
        json_auto_t *parsed =
                json_loadb(buffer.data, buffer.size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);

        test_that(parsed, "document %u does not parse (%s): %.*s", i, where.text, (int)buffer.size,
                buffer.data);
        test_that(json_equal(parsed, expected), "document %u reads differently: %.*s", i, (int)buffer.size,
                buffer.data);
    }
}

static void test_any_octets_parse(void **state)
{
    uint32_t seed = 0x010000ed;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        _cleanup_buffer_ struct buffer buffer = {0};
        struct json_writer writer = json_writer(&buffer);
        char text[48];
        json_error_t where;
        json_t *parsed;

        random_octets(&seed, text, sizeof(text));
        json_put_string(&writer, NULL, text);
        parsed = json_loadb(buffer.data, buffer.size, JSON_DECODE_ANY, &where);
        test_that(parsed, "string %u does not parse: %s", i, where.text);
        json_decref(parsed);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_tenths),
            cmocka_unit_test(test_structure),
            cmocka_unit_test(test_strings),
            cmocka_unit_test(test_numbers),
            cmocka_unit_test(test_parses_back),
            cmocka_unit_test(test_any_octets_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
