/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See test.h. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"

void test_check_error(int result, int wanted, const struct error *error, const char *text, const char *call,
        const char *file, int line)
{
    if (result != wanted) {
        print_error("%s:%d: %s gave %d (%s), expected %d (%s): %s\n", file, line, call, result,
                strerror(abs(result)), wanted, strerror(abs(wanted)), error->message);
        _fail(file, line);
    }
    if (error->code != wanted || !strstr(error->message, text)) {
        print_error("%s:%d: %s: code %d, message '%s': expected code %d and '%s' in it\n", file, line, call,
                error->code, error->message, wanted, text);
        _fail(file, line);
    }
}

char *test_directory_new(void)
{
    const char *parent = getenv("TMPDIR");
    char *directory = NULL;

    assert_true(asprintf(&directory, "%s/devreg-unit-XXXXXX", parent && parent[0] ? parent : "/tmp") > 0);
    test_that(mkdtemp(directory), "%s: %s", directory, strerror(errno));
    return directory;
}

static int remove_one(const char *path, const struct stat *information, int type, struct FTW *walk)
{
    (void)information;
    (void)type;
    (void)walk;
    return remove(path);
}

void test_directory_remove(char *directory)
{
    test_that(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "removing %s: %s", directory,
            strerror(errno));
    free(directory);
}

const char *test_path(const char *directory, const char *name)
{
    static char paths[4][PATH_MAX];
    static size_t next;
    char *path = paths[next++ % ELEMENTS(paths)];

    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

void test_write_file(const char *path, const void *data, size_t size)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    test_that(fd >= 0, "%s: %s", path, strerror(errno));
    test_that(write(fd, data, size) == (ssize_t)size, "writing %s: %s", path, strerror(errno));
}

void test_write_text(const char *path, const char *text)
{
    test_write_file(path, text, strlen(text));
}

char *test_read_text(const char *path)
{
    char *text = NULL;
    size_t size;

    test_that(file_read(path, 1 << 20, &text, &size) == 0, "reading %s", path);
    return text;
}

int test_in_child(void (*function)(void *context), void *context)
{
    const struct rlimit no_core = {0, 0};
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        function(context);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

uint32_t test_random(uint32_t *state)
{
    /* xorshift32 (Marsaglia, 2003) */
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}
