/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/listen.c: where the daemon may listen, and what it finds there. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/listen.h"
#include "util/cleanup.h"

static const struct listen_policy policy_of_test;
static const struct listen_policy insecure_policy = {.insecure = true};

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

static void test_check(void **state)
{
    static const struct {
        const char *text;
        int secure, insecure; /* results without and with --insecure */
    } rows[] = {
            {"/run/devregd/devregd.sock", 0, 0},
            {"./devregd.sock", 0, 0},
            {"../x", 0, 0},
            {"127.0.0.1:7373", 0, 0},
            {"127.255.255.254:1", 0, 0},
            {"localhost:7373", 0, 0},
            {"[::1]:7373", 0, 0},
            {"127.0.0.1:0", 0, 0},
            {"127.0.0.1:65535", 0, 0},
            {"0.0.0.0:7373", -EPERM, 0},
            {"192.168.1.1:7373", -EPERM, 0},
            {"128.0.0.1:7373", -EPERM, 0},
            {"126.255.255.255:7373", -EPERM, 0},
            {"[::]:7373", -EPERM, 0},
            {"[fe80::1]:7373", -EPERM, 0},
            {"[::ffff:127.0.0.1]:7373", -EPERM, 0},
            {"[::ffff:10.0.0.1]:7373", -EPERM, 0},
            {"127.0.0.1:65536", -EINVAL, -EINVAL},
            {"127.0.0.1:", -EINVAL, -EINVAL},
            {"127.0.0.1", -EINVAL, -EINVAL},
            {"127.0.0.1:http", -EINVAL, -EINVAL},
            {"127.0.0.1:-1", -EINVAL, -EINVAL},
            {"127.0.0.1: 80", -EINVAL, -EINVAL},
            {"127.1:7373", -EINVAL, -EINVAL},
            {"0127.0.0.1:7373", -EINVAL, -EINVAL},
            {"2130706433:7373", -EINVAL, -EINVAL},
            {":7373", -EINVAL, -EINVAL},
            {"7373", -EINVAL, -EINVAL},
            {"", -EINVAL, -EINVAL},
            {":", -EINVAL, -EINVAL},
            {"[", -EINVAL, -EINVAL},
            {"[:80", -EINVAL, -EINVAL},
            {"[]:80", -EINVAL, -EINVAL},
            {"[::1:80", -EINVAL, -EINVAL},
            {"[::1]80", -EINVAL, -EINVAL},
            {"::1", -EINVAL, -EINVAL},
            {"localhost.example:80", -EINVAL, -EINVAL},
            {"*:80", -EINVAL, -EINVAL},
            {"devregd.sock", -EINVAL, -EINVAL},
            {"http://127.0.0.1:80", -EINVAL, -EINVAL},
            {"https://", -EINVAL, -EINVAL},
            {"https:///run/x.sock", -EINVAL, -EINVAL},
            {"https://https://127.0.0.1:80", -EINVAL, -EINVAL},
            {"0000000000000000000000000000000000000000000000000000000000000000000000000000000000:80",
                    -EINVAL, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        for (int insecure = 0; insecure < 2; insecure++) {
            int wanted = insecure ? rows[i].insecure : rows[i].secure;
            struct error error = {0};
            int r = listen_check(rows[i].text, insecure ? &insecure_policy : &policy_of_test, &error);

            test_that(r == wanted, "'%s' (insecure %d) gave %d, expected %d: %s", rows[i].text, insecure, r,
                    wanted, error.message);
            test_that(r == 0 || strstr(error.message, rows[i].text) || strlen(rows[i].text) > 60,
                    "'%s' is not named by '%s'", rows[i].text, error.message);
            if (r == -EPERM)
                assert_non_null(strstr(error.message, "--insecure"));
        }
    }
}

static void test_tls_policy(void **state)
{
    static const struct {
        const char *text;
        struct listen_policy policy;
        const char *problem; /* NULL: none */
    } rows[] = {
            {"https://127.0.0.1:0", {0}, "no tls.certificate and no tls.key"},
            {"https://127.0.0.1:0", {.has_key = true}, "no tls.certificate"},
            {"https://127.0.0.1:0", {.has_certificate = true}, "no tls.key"},
            {"https://127.0.0.1:0", {.has_certificate = true, .has_key = true}, NULL},
            {"https://[::1]:0", {.has_certificate = true, .has_key = true}, NULL},
            {"https://192.0.2.7:0", {.has_certificate = true, .has_key = true}, "set tls.client_ca"},
            {"https://0.0.0.0:0", {.has_certificate = true, .has_key = true}, "access rule for a token"},
            {"https://0.0.0.0:0", {.has_certificate = true, .has_key = true, .insecure = true}, NULL},
            {"https://0.0.0.0:0", {.has_certificate = true, .has_key = true, .authenticates = true}, NULL},
            {"0.0.0.0:0", {.has_certificate = true, .has_key = true, .authenticates = true},
                    "write https://0.0.0.0:0"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct error error = {0};
        int r = listen_check(rows[i].text, &rows[i].policy, &error);

        if (rows[i].problem)
            check_error(r, -EPERM, &error, rows[i].problem);
        else
            test_that(r == 0, "%s: %s", rows[i].text, error.message);
    }
}

static void test_opened(void **state)
{
    static const struct listen_policy policy = {
            .has_certificate = true, .has_key = true, .authenticates = true};
    struct listen_socket listener;
    struct error error = {0};

    (void)state;
    test_that(listen_open("https://127.0.0.1:0", &policy, &listener, &error) == 0, "%s", error.message);
    assert_true(
            strncmp(listener.name, "https://127.0.0.1:", 18) == 0 && strcmp(listener.name + 18, "0") != 0);
    assert_true(listener.tls && !listener.exposed && !listener.local);
    listen_close(&listener);
    test_that(listen_open("https://0.0.0.0:0", &policy, &listener, &error) == 0, "%s", error.message);
    assert_true(listener.tls && listener.exposed && !listener.local);
    listen_close(&listener);
}

static void test_is_path(void **state)
{
    (void)state;
    assert_true(listen_is_path("/run/x"));
    assert_true(listen_is_path("./x"));
    assert_false(listen_is_path("127.0.0.1:80"));
    assert_false(listen_is_path(""));
}

static void test_path_length(void **state)
{
    char path[200] = "/";
    struct error error = {0};
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    (void)state;
    memset(path + 1, 'a', most - 1);
    path[most] = 0;
    assert_int_equal(listen_check(path, &policy_of_test, &error), 0);
    path[most] = 'a';
    path[most + 1] = 0;
    check_error(listen_check(path, &policy_of_test, &error), -EINVAL, &error, "107 characters at most");
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static void test_socket_path(void **state)
{
    char path[128];
    struct listen_socket listener;
    struct error error = {0};
    struct stat information;

    snprintf(path, sizeof(path), "%s/run/devregd.sock", (char *)*state); /* its directory is made */
    test_that(listen_open(path, &policy_of_test, &listener, &error) == 0, "%s", error.message);
    assert_string_equal(listener.name, path);
    assert_int_equal(lstat(path, &information), 0);
    assert_true(S_ISSOCK(information.st_mode));
    test_that((information.st_mode & 07777) == 0660, "the socket has mode %o", information.st_mode & 07777);
    assert_true(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(listener.fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(connect_to(path), 0);
    listen_close(&listener);
    assert_int_equal(lstat(path, &information), -1);
    assert_int_equal(listener.fd, -1);
    listen_close(&listener);
}

static void test_second_daemon(void **state)
{
    char path[128];
    struct listen_socket first, second;
    struct error error = {0};

    snprintf(path, sizeof(path), "%s/devregd.sock", (char *)*state);
    assert_int_equal(listen_open(path, &policy_of_test, &first, &error), 0);
    check_error(listen_open(path, &policy_of_test, &second, &error), -EADDRINUSE, &error,
            "another devregd listens on");
    assert_int_equal(second.fd, -1);
    listen_close(&second);
    assert_int_equal(connect_to(path), 0); /* the first one is unharmed */
    listen_close(&first);
    assert_int_equal(listen_open(path, &policy_of_test, &second, &error), 0);
    listen_close(&second);
}

/* As a daemon leaves it that was killed: the socket is there, nobody listens, nobody holds the lock. */
static void test_left_behind(void **state)
{
    char path[128];
    struct listen_socket listener;
    struct error error = {0};

    snprintf(path, sizeof(path), "%s/devregd.sock", (char *)*state);
    assert_int_equal(listen_open(path, &policy_of_test, &listener, &error), 0);
    close(listener.fd);
    close(listener.lock);
    assert_int_equal(connect_to(path), -ECONNREFUSED);
    test_that(listen_open(path, &policy_of_test, &listener, &error) == 0, "%s", error.message);
    assert_int_equal(connect_to(path), 0);
    listen_close(&listener);
}

static void test_not_ours(void **state)
{
    char path[128], target[128];
    struct listen_socket listener;
    struct error error = {0};
    char *text;

    snprintf(path, sizeof(path), "%s/devregd.sock", (char *)*state);
    snprintf(target, sizeof(target), "%s/target", (char *)*state);
    test_write_text(path, "precious");
    check_error(listen_open(path, &policy_of_test, &listener, &error), -EEXIST, &error, "is no socket");
    text = test_read_text(path);
    assert_string_equal(text, "precious");
    free(text);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
    check_error(listen_open(path, &policy_of_test, &listener, &error), -EEXIST, &error, "is no socket");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    check_error(listen_open(path, &policy_of_test, &listener, &error), -EEXIST, &error, "is no socket");
    assert_int_equal(rmdir(path), 0);
    /* A lock that is a link could make any file; it is not followed. */
    snprintf(target, sizeof(target), "%s.lock", path);
    assert_int_equal(unlink(target), 0);
    assert_int_equal(symlink("elsewhere", target), 0);
    check_error(listen_open(path, &policy_of_test, &listener, &error), -ELOOP, &error, ".lock");
    assert_int_equal(access(test_path(*state, "elsewhere"), F_OK), -1);
}

static void test_no_directory(void **state)
{
    char path[128];
    struct listen_socket listener;
    struct error error = {0};

    snprintf(path, sizeof(path), "%s/a/b/devregd.sock", (char *)*state); /* only one level is made */
    check_error(
            listen_open(path, &policy_of_test, &listener, &error), -ENOENT, &error, "choose another path");
    test_write_text(test_path(*state, "file"), "");
    snprintf(path, sizeof(path), "%s/file/devregd.sock", (char *)*state);
    check_error(
            listen_open(path, &policy_of_test, &listener, &error), -ENOTDIR, &error, "choose another path");
}

static void test_address(void **state)
{
    struct listen_socket listener, second;
    struct error error = {0};
    unsigned port = 0;

    (void)state;
    test_that(listen_open("127.0.0.1:0", &policy_of_test, &listener, &error) == 0, "%s", error.message);
    assert_int_equal(sscanf(listener.name, "127.0.0.1:%u", &port), 1); /* the real port */
    assert_true(port > 0);
    assert_int_equal(listener.lock, -1);
    assert_true(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC);
    check_error(listen_open(listener.name, &policy_of_test, &second, &error), -EADDRINUSE, &error,
            "another program listens there");
    assert_int_equal(second.fd, -1);
    listen_close(&listener);
    check_error(listen_open("0.0.0.0:0", &policy_of_test, &listener, &error), -EPERM, &error,
            "not a loopback address");
    assert_int_equal(listener.fd, -1);
    assert_int_equal(listen_open("0.0.0.0:0", &insecure_policy, &listener, &error), 0);
    listen_close(&listener);
    check_error(listen_open("nonsense", &insecure_policy, &listener, &error), -EINVAL, &error,
            "no place to listen at");
    check_error(listen_open("192.0.2.1:0", &insecure_policy, &listener, &error), -EADDRNOTAVAIL, &error,
            "192.0.2.1:0");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_check),
            cmocka_unit_test(test_tls_policy),
            cmocka_unit_test(test_opened),
            cmocka_unit_test(test_is_path),
            cmocka_unit_test(test_path_length),
            cmocka_unit_test_setup_teardown(test_socket_path, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_second_daemon, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_left_behind, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_not_ours, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_no_directory, set_up, tear_down),
            cmocka_unit_test(test_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
