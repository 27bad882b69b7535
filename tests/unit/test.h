/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the unit tests share: cmocka with messages, scratch directories, and children that are expected to
 * die. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/error.h"

/* Fails the running test with a message. Only on the thread that runs it: cmocka jumps out of the test. */
#define test_that(condition, ...)                                                                           \
    do {                                                                                                    \
        if (!(condition))                                                                                   \
            fail_msg(__VA_ARGS__);                                                                          \
    } while (0)

/* A call that must fail with this code and a message that has `text` in it. */
#define check_error(result, wanted, error, text)                                                            \
    test_check_error((result), (wanted), (error), (text), #result, __FILE__, __LINE__)

void test_check_error(int result, int wanted, const struct error *error, const char *text, const char *call,
        const char *file, int line);

/* An empty directory of this test's own. Release with test_directory_remove(), which deletes what is in it.
 */
char *test_directory_new(void);
void test_directory_remove(char *directory);

/* "directory/name" in one of a few static buffers, which later calls use again. */
const char *test_path(const char *directory, const char *name);

void test_write_file(const char *path, const void *data, size_t size);
void test_write_text(const char *path, const char *text);

/* Terminated; release with free(). */
char *test_read_text(const char *path);

/* Calls the function in a child process, which exits with 0 when it returns. Gives what waitpid() does. */
int test_in_child(void (*function)(void *context), void *context);

/* Numbers that are the same in every run. */
uint32_t test_random(uint32_t *state);
