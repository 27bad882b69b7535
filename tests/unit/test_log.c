/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/log.c: one line a call, whatever is in it. */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

/* A pipe or socket without room; returns how many octets are in it. */
static size_t fill(int ends[2], bool is_socket)
{
    const char octets[4096] = {0};
    size_t filled = 0;
    ssize_t written;

    if (is_socket)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    else
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETFL, O_NONBLOCK) >= 0);
    while ((written = write(ends[1], octets, sizeof(octets))) > 0 ||
            (written = write(ends[1], octets, 1)) > 0)
        filled += (size_t)written;
    assert_true(fcntl(ends[1], F_SETFL, 0) >= 0);
    return filled;
}

static void drain(int fd, size_t size)
{
    char octets[4096];

    while (size > 0) {
        ssize_t got = read(fd, octets, size < sizeof(octets) ? size : sizeof(octets));

        assert_true(got > 0);
        size -= (size_t)got;
    }
}

static void check_unread(bool is_socket)
{
    _cleanup_close_ int saved = dup(STDERR_FILENO);
    char text[8192];
    size_t filled;
    ssize_t size;
    int ends[2];

    filled = fill(ends, is_socket);
    alarm(10); /* a write that waits waits for ever */
    assert_true(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    log_warning("one");
    log_warning("two");
    drain(ends[0], filled);
    log_warning("three");
    log_warning("four");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    alarm(0);
    size = read(ends[0], text, sizeof(text) - 1);
    close(ends[0]);
    close(ends[1]);
    assert_true(size >= 0);
    text[size] = 0;
    assert_string_equal(
            text, "devregd: 2 lines before this one could not be written\ndevregd: three\ndevregd: four\n");
}

/* Nobody reads standard error: the caller goes on. */
static void test_unread(void **state)
{
    (void)state;
    check_unread(false);
    check_unread(true);
}

static void *write_waiting(void *argument)
{
    (void)argument;
    log_line_waiting(LOG_WARNING, "it waited");
    return NULL;
}

static void check_waiting(bool is_socket)
{
    _cleanup_close_ int saved = dup(STDERR_FILENO);
    char text[8192];
    pthread_t thread;
    size_t filled;
    ssize_t size;
    int ends[2];

    filled = fill(ends, is_socket);
    assert_true(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    assert_int_equal(pthread_create(&thread, NULL, write_waiting, NULL), 0);
    usleep(100000);
    drain(ends[0], filled);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    size = read(ends[0], text, sizeof(text) - 1);
    close(ends[0]);
    close(ends[1]);
    test_that(size > 0, "it did not wait");
    text[size] = 0;
    assert_string_equal(text, "devregd: it waited\n");
}

static void test_waiting(void **state)
{
    (void)state;
    check_waiting(false);
    check_waiting(true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_plain, without_journal),
            cmocka_unit_test_setup(test_severity, with_journal),
            cmocka_unit_test_setup(test_forging, without_journal),
            cmocka_unit_test_setup(test_long, without_journal),
            cmocka_unit_test_setup(test_unread, without_journal),
            cmocka_unit_test_setup(test_waiting, without_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
