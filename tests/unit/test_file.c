/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/file.c */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"

static int set_up(void **state)
{
    *state = test_directory_new();
    return 0;
}

static int tear_down(void **state)
{
    test_directory_remove(*state);
    return 0;
}

static void test_read_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 4094, 4095, 4096, 4097, 8190, 100000};
    _cleanup_free_ char *path = strdup(test_path(*state, "file"));
    char *data = malloc(100000);

    assert_non_null(data);
    for (size_t i = 0; i < 100000; i++)
        data[i] = (char)(i * 7);
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        _cleanup_free_ char *text = NULL;
        size_t size = 1;

        test_write_file(path, data, sizes[i]);
        test_that(file_read(path, 100000, &text, &size) == 0, "%zu octets can't be read", sizes[i]);
        test_that(size == sizes[i], "%zu octets were read as %zu", sizes[i], size);
        assert_memory_equal(text, data, size);
        test_that(text[size] == 0, "%zu octets are not terminated", sizes[i]);
    }
    free(data);
}

static void test_limit(void **state)
{
    _cleanup_free_ char *path = strdup(test_path(*state, "file"));
    _cleanup_free_ char *text = NULL;
    size_t size = 77;

    test_write_text(path, "0123456789");
    assert_int_equal(file_read(path, 9, &text, &size), -EFBIG);
    assert_null(text);
    assert_int_equal(size, 77);
    assert_int_equal(file_read("/dev/zero", 1 << 20, &text, &size), -EFBIG);
    assert_int_equal(file_read(path, 10, &text, &size), 0);
    assert_int_equal(size, 10);
}

static void test_unreadable(void **state)
{
    char *text = NULL;
    size_t size;

    assert_int_equal(file_read(test_path(*state, "missing"), 100, &text, &size), -ENOENT);
    assert_int_equal(file_read(*state, 100, &text, &size), -EISDIR);
    assert_int_equal(symlink("loop", test_path(*state, "loop")), 0);
    assert_int_equal(file_read(test_path(*state, "loop"), 100, &text, &size), -ELOOP);
    assert_null(text);
}

static void test_line(void **state)
{
    _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char line[8];

    assert_true(directory >= 0);
    test_write_text(test_path(*state, "two"), "0x1234\nmore\n");
    test_write_text(test_path(*state, "bare"), "abc");
    test_write_text(test_path(*state, "empty"), "");
    test_write_text(test_path(*state, "long"), "0123456789");
    assert_int_equal(file_read_line_at(directory, "two", line, sizeof(line)), 0);
    assert_string_equal(line, "0x1234");
    assert_int_equal(file_read_line_at(directory, "bare", line, sizeof(line)), 0);
    assert_string_equal(line, "abc");
    assert_int_equal(file_read_line_at(directory, "empty", line, sizeof(line)), 0);
    assert_string_equal(line, "");
    assert_int_equal(file_read_line_at(directory, "long", line, sizeof(line)), 0);
    assert_string_equal(line, "0123456");
    assert_int_equal(file_read_line_at(directory, "missing", line, sizeof(line)), -ENOENT);
    assert_int_equal(file_read_line_at(AT_FDCWD, test_path(*state, "bare"), line, sizeof(line)), 0);
    assert_string_equal(line, "abc");
}

static void test_link_name(void **state)
{
    _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[8];

    assert_int_equal(symlink("../../../bus/pci/drivers/e1000e", test_path(*state, "driver")), 0);
    assert_int_equal(symlink("plain", test_path(*state, "plain")), 0);
    assert_int_equal(symlink("a/very-long-name", test_path(*state, "long")), 0);
    assert_int_equal(file_read_link_name_at(directory, "driver", name, sizeof(name)), 0);
    assert_string_equal(name, "e1000e");
    assert_int_equal(file_read_link_name_at(directory, "plain", name, sizeof(name)), 0);
    assert_string_equal(name, "plain");
    assert_int_equal(file_read_link_name_at(directory, "long", name, sizeof(name)), 0);
    assert_string_equal(name, "very-lo");
    assert_int_equal(file_read_link_name_at(directory, "missing", name, sizeof(name)), -ENOENT);
    test_write_text(test_path(*state, "file"), "");
    assert_int_equal(file_read_link_name_at(directory, "file", name, sizeof(name)), -EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_read_whole, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_line, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_link_name, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
