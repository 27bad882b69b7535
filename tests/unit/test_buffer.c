/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/buffer.c: grows, keeps what it has, and remembers a failure. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"

static void test_append(void **state)
{
    _cleanup_buffer_ struct buffer buffer = {0};

    (void)state;
    buffer_append(&buffer, "a\0b", 3);
    buffer_append_string(&buffer, "text");
    buffer_append_char(&buffer, '!');
    buffer_append_format(&buffer, "%d-%s", 42, "x");
    buffer_append(&buffer, NULL, 0);
    buffer_append_string(&buffer, "");
    assert_false(buffer_failed(&buffer));
    assert_int_equal(buffer.size, 12);
    assert_memory_equal(buffer.data, "a\0btext!42-x", 12);
}

static void test_growth(void **state)
{
    _cleanup_buffer_ struct buffer buffer = {0};
    size_t size = 0;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        /* Each way of growing meets the end of the capacity at some time. */
        switch (i % 3) {
        case 0:
            buffer_append_char(&buffer, (char)('a' + i % 26));
            size += 1;
            break;
        case 1:
            buffer_append(&buffer, "0123456789", i % 11);
            size += i % 11;
            break;
        case 2:
            buffer_append_format(&buffer, "%05u", i);
            size += 5;
            break;
        }
        test_that(buffer.size == size, "after step %u: %zu octets, expected %zu", i, buffer.size, size);
        assert_true(buffer.capacity >= buffer.size);
    }
    assert_int_equal(buffer.data[0], 'a');
    assert_memory_equal(buffer.data + 1, "0", 1);
    assert_memory_equal(buffer.data + buffer.size - 5, "02999", 5);
}

static void test_reserve(void **state)
{
    _cleanup_buffer_ struct buffer buffer = {0};
    char *room;

    (void)state;
    buffer_append_string(&buffer, "kept");
    room = buffer_reserve(&buffer, 100000);
    assert_non_null(room);
    assert_ptr_equal(room, buffer.data + 4);
    assert_true(buffer.capacity - buffer.size >= 100000);
    assert_int_equal(buffer.size, 4);
    memset(room, 'x', 100000);
    buffer.size += 100000;
    assert_memory_equal(buffer.data, "keptx", 5);
}

static void test_take(void **state)
{
    struct buffer buffer = {0};
    size_t size;
    char *data;

    (void)state;
    buffer_append_string(&buffer, "mine");
    data = buffer_take(&buffer, &size);
    assert_int_equal(size, 4);
    assert_memory_equal(data, "mine", 4);
    assert_null(buffer.data);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer.capacity, 0);
    free(data);
    data = buffer_take(&buffer, &size);
    assert_null(data);
    assert_int_equal(size, 0);
    buffer_done(&buffer);
}

static void test_failure(void **state)
{
    _cleanup_buffer_ struct buffer buffer = {0};

    (void)state;
    buffer_append_string(&buffer, "before");
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    assert_true(buffer_failed(&buffer));
    buffer_append_string(&buffer, "after");
    buffer_append_char(&buffer, 'x');
    buffer_append_format(&buffer, "%d", 1);
    assert_null(buffer_reserve(&buffer, 1));
    assert_true(buffer_failed(&buffer));
    assert_int_equal(buffer.size, 6);
    buffer_done(&buffer);
    assert_false(buffer_failed(&buffer));
}

static void test_overflow(void **state)
{
    /* The request added to what is there does not fit a size_t. */
    _cleanup_buffer_ struct buffer buffer = {0};

    (void)state;
    buffer_append_string(&buffer, "0123456789");
    assert_null(buffer_reserve(&buffer, SIZE_MAX - 5));
    assert_true(buffer_failed(&buffer));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_append),
            cmocka_unit_test(test_growth),
            cmocka_unit_test(test_reserve),
            cmocka_unit_test(test_take),
            cmocka_unit_test(test_failure),
            cmocka_unit_test(test_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
