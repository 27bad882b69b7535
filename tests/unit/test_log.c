/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/log.c: one line a call, whatever is in it. */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

/* What the call puts on standard error. */
static void capture(char text[8192], void (*call)(const char *argument), const char *argument)
{
    _cleanup_close_ int fd = memfd_create("log", MFD_CLOEXEC);
    _cleanup_close_ int saved = dup(STDERR_FILENO);
    ssize_t size;

    assert_true(fd >= 0 && saved >= 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    call(argument);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    size = pread(fd, text, 8191, 0);
    assert_true(size >= 0);
    text[size] = 0;
}

static void warn(const char *argument)
{
    log_warning("%s", argument);
}

static void fail_with(const char *argument)
{
    log_error("%s", argument);
}

static int without_journal(void **state)
{
    (void)state;
    return unsetenv("JOURNAL_STREAM");
}

static int with_journal(void **state)
{
    (void)state;
    return setenv("JOURNAL_STREAM", "8:1234", 1);
}

static void test_plain(void **state)
{
    char text[8192];

    (void)state;
    capture(text, warn, "edu is absent");
    assert_string_equal(text, "devregd: edu is absent\n");
}

static void test_severity(void **state)
{
    char text[8192];

    (void)state;
    capture(text, warn, "edu is absent");
    assert_string_equal(text, "<4>edu is absent\n");
    capture(text, fail_with, "it failed");
    assert_string_equal(text, "<3>it failed\n");
}

/* A second line, or a terminal's escape sequence, would be a line that the daemon never wrote. */
static void test_forging(void **state)
{
    char text[8192], every[32];

    (void)state;
    capture(text, warn, "a\n<0>devregd: forged\r\x1b[2Jb\x7f");
    assert_string_equal(text, "devregd: a?<0>devregd: forged??[2Jb?\n");
    for (char character = 1; character < 32; character++)
        every[character - 1] = character;
    every[31] = 0;
    capture(text, warn, every);
    assert_string_equal(text, "devregd: ???????????????????????????????\n");
    capture(text, warn, "M\xc3\xbcnchen");
    assert_string_equal(text, "devregd: M\xc3\xbcnchen\n");
}

static void test_long(void **state)
{
    char text[8192], argument[6000];

    (void)state;
    for (size_t length = 4062; length < 4112; length++) {
        memset(argument, 'a', length);
        argument[length] = 0;
        capture(text, warn, argument);
        test_that(strchr(text, '\n') == text + strlen(text) - 1, "%zu characters are not one line", length);
        test_that(strlen(text) == (length < 4085 ? length + 10 : strlen(text)), "%zu characters became %zu",
                length, strlen(text));
        test_that(strlen(text) > 4072 - 1 && strlen(text) <= 4096, "%zu characters became %zu", length,
                strlen(text));
    }
    memset(argument, 'a', sizeof(argument));
    argument[sizeof(argument) - 1] = 0;
    capture(text, warn, argument);
    assert_true(strlen(text) <= 4096);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_plain, without_journal),
            cmocka_unit_test_setup(test_severity, with_journal),
            cmocka_unit_test_setup(test_forging, without_journal),
            cmocka_unit_test_setup(test_long, without_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
