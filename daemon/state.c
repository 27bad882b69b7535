/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read here decides who may do what, so the directory must be this user's alone; then nothing in it
 * need be distrusted. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"

enum { FILE_LIMIT = 64 * 1024 * 1024 };

struct state {
    int directory;
    int lock;
    char *path;
};

DEFINE_CLEANUP(struct state *, state_close)

/* Makes what is above the last part of the path. */
static int make_parents(const char *path, struct error *error)
{
    char copy[STATE_PATH_SIZE];

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            return error_set(error, -errno, "%s can't be made: %s: give --state DIR", copy, strerror(errno));
        *slash = '/';
    }
    return 0;
}

int state_default(bool demo, const char *socket, char path[STATE_PATH_SIZE], struct error *error)
{
    const char *state_home = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length;

    if (demo && socket)
        length = snprintf(path, STATE_PATH_SIZE, "%s.state", socket);
    else if (geteuid() == 0)
        length = snprintf(path, STATE_PATH_SIZE, "/var/lib/devregd");
    else if (state_home && state_home[0] == '/')
        length = snprintf(path, STATE_PATH_SIZE, "%s/devregd", state_home);
    else if (home && home[0] == '/')
        length = snprintf(path, STATE_PATH_SIZE, "%s/.local/state/devregd", home);
    else
        return error_set(error, -ENOENT,
                "neither XDG_STATE_HOME nor HOME says where to "
                "keep tokens and reservations: give --state DIR");
    if (length >= STATE_PATH_SIZE)
        return error_set(
                error, -ENAMETOOLONG, "the path of the state directory is too long: give --state DIR");
    return make_parents(path, error);
}

/* In a directory where everybody may write, as /tmp, somebody else may have put a link there first, to a
 * directory of this user's that is for something else. */
static int check_link(const char *path, struct error *error)
{
    struct stat information;

    if (lstat(path, &information) < 0)
        return error_set(error, -errno, "the state directory %s: %s", path, strerror(errno));
    if (S_ISLNK(information.st_mode) && information.st_uid != 0 && information.st_uid != geteuid())
        return error_set(error, -EPERM,
                "the state directory %s is a link that belongs to another "
                "user (uid %u): remove it, or give --state DIR",
                path, (unsigned)information.st_uid);
    return 0;
}

static int check_directory(int directory, const char *path, struct error *error)
{
    struct stat information;

    if (fstat(directory, &information) < 0)
        return error_set(error, -errno, "the state directory %s: %s", path, strerror(errno));
    if (information.st_uid != geteuid())
        return error_set(error, -EPERM,
                "the state directory %s belongs to another user (uid %u, "
                "devregd runs as %u): chown it, or give --state DIR",
                path, (unsigned)information.st_uid, (unsigned)geteuid());
    if (information.st_mode & 022)
        return error_set(error, -EPERM,
                "the state directory %s can be written by others (mode %04o), who could make themselves "
                "tokens: look at what is in it, then chmod 700",
                path, (unsigned)information.st_mode & 07777);
    return 0;
}

static int open_directory(const char *path, int *ret_directory, struct error *error)
{
    _cleanup_close_ int directory = -1;
    int r;

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set(error, -errno, "the state directory %s can't be made: %s: give --state DIR", path,
                strerror(errno));
    r = check_link(path, error);
    if (r < 0)
        return r;
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_set(error, -errno, "the state directory %s: %s", path, strerror(errno));
    r = check_directory(directory, path, error);
    if (r < 0)
        return r;
    *ret_directory = take_fd(&directory);
    return 0;
}

static int lock_directory(const struct state *state, int *ret_lock, struct error *error)
{
    _cleanup_close_ int lock =
            openat(state->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    char text[24] = "";
    int length;

    if (lock < 0)
        return error_set(error, -errno, "%s/lock: %s", state->path, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        file_read_line_at(state->directory, "lock", text, sizeof(text));
        return error_set(error, -EBUSY,
                "another devregd (process %s) has the state directory %s: "
                "stop it, or give this one its own with --state DIR",
                text[0] ? text : "?", state->path);
    }
    /* Who has it is for that message alone, so a full disk is no reason not to start. */
    length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) < 0 || pwrite(lock, text, (size_t)length, 0) < 0)
        errno = 0;
    *ret_lock = take_fd(&lock);
    return 0;
}

int state_open(const char *path, struct state **ret_state, struct error *error)
{
    _cleanup_(state_closep) struct state *state = calloc(1, sizeof(*state));
    int r;

    if (!state)
        return error_set(error, -ENOMEM, "out of memory");
    state->directory = state->lock = -1;
    state->path = strdup(path);
    if (!state->path)
        return error_set(error, -ENOMEM, "out of memory");
    r = open_directory(path, &state->directory, error);
    if (r < 0)
        return r;
    r = lock_directory(state, &state->lock, error);
    if (r < 0)
        return r;
    *ret_state = take_ptr(state);
    return 0;
}

/* The lock file stays: whoever removed it could remove one that another daemon has just locked. */
void state_close(struct state *state)
{
    if (!state)
        return;
    closep(&state->lock);
    closep(&state->directory);
    free(state->path);
    free(state);
}

const char *state_path(const struct state *state)
{
    return state->path;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        data += written;
        size -= (size_t)written;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int replace(
        const struct state *state, const char *temporary, const char *name, const void *data, size_t size)
{
    _cleanup_close_ int fd =
            openat(state->directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r;

    if (fd < 0)
        return -errno;
    r = write_all(fd, data, size);
    if (r < 0)
        return r;
    /* Some file systems tell of a lack of room only here. */
    if (close(take_fd(&fd)) < 0)
        return -errno;
    if (renameat(state->directory, temporary, state->directory, name) < 0)
        return -errno;
    return fsync(state->directory) < 0 ? -errno : 0;
}

static const char *advice(int code)
{
    switch (code) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return "make room there and try again";
    case -EROFS:
    case -EACCES:
    case -EPERM:
        return "make it writable for devregd and try again";
    default:
        return "look at the system's log for what is wrong with the disk";
    }
}

int state_write(
        const struct state *state, const char *name, const void *data, size_t size, struct error *error)
{
    char temporary[NAME_MAX + 1];
    int r;

    snprintf(temporary, sizeof(temporary), ".%s.new", name);
    r = replace(state, temporary, name, data, size);
    if (r == 0)
        return 0;
    unlinkat(state->directory, temporary, 0);
    /* One of these has a status of its own, which would be wrong here. */
    return error_set(error, -EIO, "%s/%s can't be saved: %s: nothing was changed, %s", state->path, name,
            strerror(-r), advice(r));
}

int state_read(
        const struct state *state, const char *name, char **ret_text, size_t *ret_size, struct error *error)
{
    int r = file_read_at(state->directory, name, FILE_LIMIT, ret_text, ret_size);

    if (r < 0)
        return error_set(error, r, "%s/%s can't be read: %s", state->path, name, strerror(-r));
    return 0;
}
