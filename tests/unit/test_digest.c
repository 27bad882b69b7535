/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/digest.c: against the standards' examples. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/digest.h"

/* FIPS 180-4's examples, and the empty text. */
static void test_sha256(void **state)
{
    static const struct {
        const char *text, *hex;
    } rows[] = {
            {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
            {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
            {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        uint8_t digest[DIGEST_SIZE], again[DIGEST_SIZE];
        char hex[2 * DIGEST_SIZE + 1];

        assert_int_equal(digest_sha256(rows[i].text, strlen(rows[i].text), digest), 0);
        digest_hex(digest, sizeof(digest), hex);
        assert_string_equal(hex, rows[i].hex);
        assert_int_equal(digest_from_hex(hex, again, sizeof(again)), 0);
        assert_memory_equal(again, digest, sizeof(digest));
    }
}

/* RFC 4648's examples without their padding, and the two characters that base64 has otherwise. */
static void test_base64url(void **state)
{
    static const struct {
        const char *data, *text;
    } rows[] = {
            {"", ""},
            {"f", "Zg"},
            {"fo", "Zm8"},
            {"foo", "Zm9v"},
            {"foob", "Zm9vYg"},
            {"fooba", "Zm9vYmE"},
            {"foobar", "Zm9vYmFy"},
            {"\xff\xfe\xfd", "__79"},
            {"\xfb\xef\xbe", "----"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char text[32];

        memset(text, 'x', sizeof(text));
        digest_base64url(rows[i].data, strlen(rows[i].data), text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(DIGEST_BASE64URL_SIZE(strlen(rows[i].data)), strlen(text));
    }
}

static void test_bad_hex(void **state)
{
    static const char *const rows[] = {
            "", "0", "000", "00000", "0g00", "00 0", "00A0", "0x00", "\xff\xff\xff\xff"};
    uint8_t data[2] = {1, 2};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        assert_int_equal(digest_from_hex(rows[i], data, 2), -EINVAL);
    assert_int_equal(data[0], 1);
    assert_int_equal(data[1], 2);
}

static void test_equal(void **state)
{
    uint8_t one[32], other[32];

    (void)state;
    memset(one, 0x5a, sizeof(one));
    memcpy(other, one, sizeof(one));
    assert_true(digest_equal(one, other, sizeof(one)));
    for (size_t i = 0; i < sizeof(one) * 8; i++) {
        other[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(digest_equal(one, other, sizeof(one)));
        /* Sizes that are no multiple of eight. */
        assert_true(digest_equal(one, other, i / 8));
        assert_false(digest_equal(one, other, i / 8 + 1));
        other[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_true(digest_equal(one, other, 0));
}

static void test_unforeseen(void **state)
{
    uint8_t data[1000] = {0}, none[32] = {0};

    (void)state;
    assert_int_equal(digest_random(data, sizeof(data)), 0);
    for (size_t i = 0; i + sizeof(none) <= sizeof(data); i += sizeof(none)) {
        assert_memory_not_equal(data + i, none, sizeof(none));
        for (size_t k = 0; k < i; k += sizeof(none))
            assert_memory_not_equal(data + i, data + k, sizeof(none));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sha256),
            cmocka_unit_test(test_base64url),
            cmocka_unit_test(test_bad_hex),
            cmocka_unit_test(test_equal),
            cmocka_unit_test(test_unforeseen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
