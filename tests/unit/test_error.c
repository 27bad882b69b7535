/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/error.c: messages are cut, never lost, and nobody has to want one. */
#include "test.h"

#include <errno.h>
#include <string.h>

static void test_set(void **state)
{
    struct error error = {0};

    (void)state;
    assert_int_equal(error_set(&error, -EBUSY, "%s is %d", "edu", 3), -EBUSY);
    assert_int_equal(error.code, -EBUSY);
    assert_string_equal(error.message, "edu is 3");
    assert_int_equal(error_set(NULL, -EPERM, "nobody listens"), -EPERM);
}

static void test_long(void **state)
{
    struct error error = {0};
    char text[1000];

    (void)state;
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = 0;
    error_set(&error, -EIO, "%s", text);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_int_equal(error_prefix(&error, "device %s", "edu"), -EIO);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    assert_memory_equal(error.message, "device edu: aaa", 15);
    assert_int_equal(error_prefix(&error, "%s", text), -EIO);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

static void test_prefix(void **state)
{
    struct error error = {0};

    (void)state;
    error_set(&error, -ENODEV, "it has no BAR 3");
    assert_int_equal(error_prefix(&error, "%s", "0000:00:07.0"), -ENODEV);
    assert_string_equal(error.message, "0000:00:07.0: it has no BAR 3");
    assert_int_equal(error_prefix(&error, "device edu"), -ENODEV);
    assert_string_equal(error.message, "device edu: 0000:00:07.0: it has no BAR 3");
    assert_true(error_prefix(NULL, "nobody listens") < 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_set),
            cmocka_unit_test(test_long),
            cmocka_unit_test(test_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
