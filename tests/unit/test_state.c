/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state.c: a directory of this user's alone, and files that are whole or as they were. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state.h"
#include "util/cleanup.h"

enum { NOBODY = 65534 };

static char *directory, *path;
static struct state *state;
static struct error error;

static int set_up(void **context)
{
    (void)context;
    directory = test_directory_new();
    path = strdup(test_path(directory, "state"));
    error = (struct error){0};
    return 0;
}

static int tear_down(void **context)
{
    (void)context;
    state_close(take_ptr(state));
    free(path);
    test_directory_remove(directory);
    return 0;
}

static void open_state(void)
{
    test_that(state_open(path, &state, &error) == 0, "%s", error.message);
}

static void expect(const char *name, const char *wanted)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0;

    test_that(state_read(state, name, &text, &size, &error) == 0, "%s", error.message);
    assert_string_equal(text, wanted);
    assert_int_equal(size, strlen(wanted));
}

static unsigned count_files(void)
{
    unsigned count = 0;
    char command[512];
    FILE *pipe;

    snprintf(command, sizeof(command), "ls -A %s", path);
    pipe = popen(command, "r"); /* NOLINT: the path is this test's own */
    assert_non_null(pipe);
    while (fgets(command, sizeof(command), pipe))
        count++;
    pclose(pipe);
    return count;
}

static void test_made(void **context)
{
    struct stat information;

    (void)context;
    umask(0);
    open_state();
    assert_int_equal(stat(path, &information), 0);
    assert_int_equal(information.st_mode & 07777, 0700);
    assert_string_equal(state_path(state), path);
    assert_int_equal(state_write(state, "a.json", "{}", 2, &error), 0);
    assert_int_equal(stat(test_path(path, "a.json"), &information), 0);
    assert_int_equal(information.st_mode & 07777, 0600);
    umask(022);
}

static void test_write_and_read(void **context)
{
    char *text = NULL;
    size_t size;

    (void)context;
    open_state();
    check_error(state_read(state, "a.json", &text, &size, &error), -ENOENT, &error, "/state/a.json");
    assert_int_equal(state_write(state, "a.json", "first", 5, &error), 0);
    expect("a.json", "first");
    assert_int_equal(state_write(state, "a.json", "2", 1, &error), 0);
    assert_int_equal(state_write(state, "b.json", "", 0, &error), 0);
    expect("a.json", "2");
    expect("b.json", "");
    assert_int_equal(count_files(), 3); /* with the lock, and nothing else */
    state_close(take_ptr(state));
    open_state();
    expect("a.json", "2");
}

/* What the last daemon left when it was killed does not matter. */
static void test_left_over(void **context)
{
    (void)context;
    open_state();
    test_write_text(test_path(path, ".a.json.new"), "half of someth");
    assert_int_equal(state_write(state, "a.json", "all", 3, &error), 0);
    expect("a.json", "all");
    assert_int_equal(count_files(), 2);
}

static void write_too_much(void *context)
{
    const struct rlimit limit = {100, 100};
    char data[1000];

    (void)context;
    memset(data, 'x', sizeof(data));
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0 ||
            state_write(state, "a.json", data, sizeof(data), &error) != -EIO ||
            !strstr(error.message, "a.json can't be saved: File too large: nothing was changed, make room"))
        _exit(1);
}

/* A write that is cut off, as on a full disk. */
static void test_no_room(void **context)
{
    (void)context;
    open_state();
    assert_int_equal(state_write(state, "a.json", "before", 6, &error), 0);
    assert_int_equal(test_in_child(write_too_much, NULL), 0);
    expect("a.json", "before");
    assert_int_equal(count_files(), 2);
}

static void test_not_writable(void **context)
{
    (void)context;
    open_state();
    assert_int_equal(state_write(state, "a.json", "before", 6, &error), 0);
    assert_int_equal(mkdir(test_path(path, ".a.json.new"), 0700), 0);
    check_error(state_write(state, "a.json", "after", 5, &error), -EIO, &error,
            "can't be saved: Is a directory");
    expect("a.json", "before");
    assert_int_equal(mkdir(test_path(path, "b.json"), 0700), 0);
    check_error(state_write(state, "b.json", "after", 5, &error), -EIO, &error, "b.json can't be saved");
}

static void test_two_daemons(void **context)
{
    struct state *second = NULL;
    char process[64];

    (void)context;
    open_state();
    check_error(state_open(path, &second, &error), -EBUSY, &error, "another devregd");
    snprintf(process, sizeof(process), "(process %ld) has the state directory %s", (long)getpid(), path);
    assert_non_null(strstr(error.message, process));
    assert_non_null(strstr(error.message, "--state DIR"));
    assert_null(second);
    state_close(take_ptr(state));
    open_state();
}

static void test_writable_by_others(void **context)
{
    static const mode_t modes[] = {0770, 0720, 0702, 0777, 01777};

    (void)context;
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < ELEMENTS(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        check_error(state_open(path, &state, &error), -EPERM, &error, "can be written by others");
    }
    assert_int_equal(chmod(path, 0755), 0);
    open_state();
}

static void test_not_a_directory(void **context)
{
    (void)context;
    test_write_text(path, "");
    check_error(state_open(path, &state, &error), -ENOTDIR, &error, "Not a directory");
    check_error(state_open(test_path(path, "below"), &state, &error), -ENOTDIR, &error, "can't be made");
    check_error(
            state_open(test_path(directory, "no/where"), &state, &error), -ENOENT, &error, "--state DIR");
}

static void test_link(void **context)
{
    (void)context;
    assert_int_equal(mkdir(test_path(directory, "elsewhere"), 0700), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    open_state();
    assert_int_equal(state_write(state, "a", "x", 1, &error), 0);
    assert_int_equal(access(test_path(directory, "elsewhere/a"), F_OK), 0);
}

static void as_nobody(void *context)
{
    struct state *other = NULL;

    if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
        _exit(2);
    if (state_open(path, &other, &error) != -EPERM || !strstr(error.message, context))
        _exit(1);
}

/* Only root can give a file away or become somebody else; others can at least look at what root owns. */
static void test_foreign(void **context)
{
    (void)context;
    if (geteuid() != 0) {
        check_error(state_open("/usr", &state, &error), -EPERM, &error, "belongs to another user (uid 0");
        return;
    }
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    check_error(state_open(path, &state, &error), -EPERM, &error, "belongs to another user (uid 65534");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/var", path), 0);
    assert_int_equal(lchown(path, NOBODY, NOBODY), 0);
    check_error(state_open(path, &state, &error), -EPERM, &error, "is a link that belongs to another user");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(test_in_child(as_nobody, (void *)"belongs to another user (uid 0"), 0);
}

static void test_default(void **context)
{
    char text[STATE_PATH_SIZE];

    (void)context;
    assert_int_equal(state_default(true, test_path(directory, "run/d.sock"), text, &error), 0);
    assert_string_equal(text, test_path(directory, "run/d.sock.state"));
    assert_int_equal(access(test_path(directory, "run"), W_OK), 0);
    assert_int_equal(state_default(true, "./d.sock", text, &error), 0);
    assert_string_equal(text, "./d.sock.state");
    if (geteuid() == 0) {
        assert_int_equal(state_default(false, "/x/d.sock", text, &error), 0);
        assert_string_equal(text, "/var/lib/devregd");
    }
}

static void default_as_nobody(void *context)
{
    char text[STATE_PATH_SIZE];

    (void)context;
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
        _exit(2);
    setenv("XDG_STATE_HOME", test_path(directory, "home/state"), 1);
    if (state_default(false, NULL, text, &error) < 0 ||
            strcmp(text, test_path(directory, "home/state/devregd")) != 0 ||
            state_open(text, &state, &error) < 0)
        _exit(3);
    setenv("XDG_STATE_HOME", "relative", 1);
    setenv("HOME", test_path(directory, "home"), 1);
    if (state_default(false, NULL, text, &error) < 0 ||
            strcmp(text, test_path(directory, "home/.local/state/devregd")) != 0)
        _exit(4);
    unsetenv("HOME");
    if (state_default(false, NULL, text, &error) != -ENOENT || !strstr(error.message, "--state DIR"))
        _exit(5);
}

static void test_default_of_user(void **context)
{
    (void)context;
    assert_int_equal(chmod(directory, 0777), 0);
    assert_int_equal(WEXITSTATUS(test_in_child(default_as_nobody, NULL)), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            TEST(test_made),
            TEST(test_write_and_read),
            TEST(test_left_over),
            TEST(test_no_room),
            TEST(test_not_writable),
            TEST(test_two_daemons),
            TEST(test_writable_by_others),
            TEST(test_not_a_directory),
            TEST(test_link),
            TEST(test_foreign),
            TEST(test_default),
            TEST(test_default_of_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
