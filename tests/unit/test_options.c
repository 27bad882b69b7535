/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* options.c: the command line. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "options.h"
#include "util/cleanup.h"

enum { ARGUMENTS = 24 };

static char output[8192];

/* What is printed, on either stream, goes to `output`. */
static int parse(const char *const *arguments, struct options *options)
{
    _cleanup_close_ int fd = memfd_create("output", MFD_CLOEXEC);
    _cleanup_close_ int saved_out = dup(STDOUT_FILENO), saved_error = dup(STDERR_FILENO);
    char *argv[ARGUMENTS + 2] = {(char *)"devregd"};
    ssize_t size;
    int argc = 1, r;

    while (arguments[argc - 1]) {
        argv[argc] = (char *)arguments[argc - 1];
        argc++;
    }
    optind = 0; /* getopt_long() starts anew */
    fflush(stdout);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    r = options_parse(argc, argv, options);
    fflush(stdout);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_error, STDERR_FILENO);
    size = pread(fd, output, sizeof(output) - 1, 0);
    assert_true(size >= 0);
    output[size] = 0;
    return r;
}

#define PARSE(options, ...) parse((const char *const[]){__VA_ARGS__, NULL}, (options))

static void test_defaults(void **state)
{
    struct options options;

    (void)state;
    assert_int_equal(PARSE(&options, NULL), 1);
    assert_string_equal(options.config, CONFIG_DEFAULT_PATH);
    assert_null(options.socket);
    assert_null(options.state);
    assert_null(options.listen[0]);
    assert_false(options.demo || options.insecure || options.check_config);
    assert_string_equal(output, "");
}

static void test_all(void **state)
{
    struct options options;

    (void)state;
    assert_int_equal(PARSE(&options, "--config", "/a", "--socket=/b", "--listen", "127.0.0.1:1",
                             "--listen=[::1]:2", "--insecure", "--check-config", "--state", "/c"),
            1);
    assert_string_equal(options.config, "/a");
    assert_string_equal(options.socket, "/b");
    assert_string_equal(options.listen[0], "127.0.0.1:1");
    assert_string_equal(options.listen[1], "[::1]:2");
    assert_null(options.listen[2]);
    assert_string_equal(options.state, "/c");
    assert_true(options.insecure && options.check_config && !options.demo);
    assert_int_equal(PARSE(&options, "--demo", "--socket", "./x"), 1);
    assert_true(options.demo);
    assert_string_equal(options.socket, "./x");
}

static void test_wrong(void **state)
{
    static const struct {
        const char *arguments[3];
        const char *message;
    } rows[] = {
            {{"--nonsense"}, "nonsense"},
            {{"-x"}, "x"},
            {{"-h"}, "h"},
            {{"--config"}, "requires an argument"},
            {{"--demo=1"}, "doesn't allow an argument"},
            {{"stray"}, "unexpected argument 'stray'"},
            {{"--demo", "stray"}, "unexpected argument 'stray'"},
            {{"--demo", "--check-config"}, "--demo brings its own configuration"},
            {{"--demo", "--config=/a"}, "--demo brings its own configuration"},
            {{"--socket", "devregd.sock"}, "begins with / or ./"},
            {{"--socket", ""}, "begins with / or ./"},
            {{"--state", "devregd"}, "--state devregd: expected a path that begins with / or ./"},
            {{"--state="}, "begins with / or ./"},
            {{"--state"}, "requires an argument"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        const char *arguments[4] = {rows[i].arguments[0], rows[i].arguments[1], rows[i].arguments[2], NULL};
        struct options options;
        int r = parse(arguments, &options);

        test_that(r == -EINVAL, "row %zu gave %d", i, r);
        test_that(strstr(output, rows[i].message) && strstr(output, "devregd --help"), "row %zu printed %s",
                i, output);
    }
}

static void test_too_many_addresses(void **state)
{
    const char *arguments[ARGUMENTS + 1] = {NULL};
    struct options options;
    size_t count = 0;

    (void)state;
    for (; count < OPTIONS_LISTEN; count++)
        arguments[count] = "--listen=127.0.0.1:0";
    assert_int_equal(parse(arguments, &options), 1);
    assert_non_null(options.listen[OPTIONS_LISTEN - 1]);
    assert_null(options.listen[OPTIONS_LISTEN]);
    arguments[count] = "--listen=127.0.0.1:0";
    assert_int_equal(parse(arguments, &options), -EINVAL);
    assert_non_null(strstr(output, "8 times at most"));
}

static void test_help(void **state)
{
    static const char *const names[] = {"--config FILE", "--socket PATH", "--listen ADDRESS:PORT",
            "--state DIR", "--demo", "--insecure", "--check-config", "--version", "--help"};
    struct options options;

    (void)state;
    assert_int_equal(PARSE(&options, "--help"), 0);
    for (size_t i = 0; i < ELEMENTS(names); i++)
        test_that(strstr(output, names[i]), "%s is missing in\n%s", names[i], output);
    assert_int_equal(PARSE(&options, "--version"), 0);
    assert_string_equal(output, "devregd " DEVREG_VERSION "\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_defaults),
            cmocka_unit_test(test_all),
            cmocka_unit_test(test_wrong),
            cmocka_unit_test(test_too_many_addresses),
            cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
