/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void output_file_done(struct output_file *file)
{
    if (file->stream)
        fclose(file->stream);
    if (file->temporary)
        unlink(file->temporary);
    free(file->temporary);
    free(file->target);
    *file = (struct output_file){0};
}

static int fail(const struct output_file *file, struct failure *failure)
{
    return failure_set(failure, EXIT_CODE_OTHER, "%s: %s", file->name, strerror(errno));
}

static mode_t new_mode(void)
{
    mode_t mask = umask(0);

    umask(mask);
    return 0666 & ~mask;
}

/* ".NAME.XXXXXX" in the same folder: only there it can take the other's place. */
static char *name_beside(const char *target)
{
    const char *slash = strrchr(target, '/');
    const char *name = slash ? slash + 1 : target;
    char *beside = NULL;

    return asprintf(&beside, "%.*s.%s.XXXXXX", (int)(name - target), target, name) < 0 ? NULL : beside;
}

/* `status` is of what is there already, NULL: nothing. */
static int open_beside(struct output_file *file, const struct stat *status)
{
    int fd;

    file->target = status ? realpath(file->name, NULL) : strdup(file->name);
    /* Who may not write to it may not replace it either, though the folder allows that. */
    if (!file->target || (status && access(file->target, W_OK) < 0))
        return -1;
    file->temporary = name_beside(file->target);
    if (!file->temporary)
        return -1;
    fd = mkostemp(file->temporary, O_CLOEXEC);
    if (fd < 0) {
        free(take_ptr(file->temporary));
        return -1;
    }
    if (fchmod(fd, status ? status->st_mode & 07777 : new_mode()) == 0)
        file->stream = fdopen(fd, "w");
    if (!file->stream)
        close(fd);
    return file->stream ? 0 : -1;
}

int output_file_open(struct output_file *file, const char *name, struct failure *failure)
{
    struct stat status;
    bool exists = stat(name, &status) == 0;

    *file = (struct output_file){.name = name};
    if (!exists && errno != ENOENT)
        return fail(file, failure);
    if (exists && !S_ISREG(status.st_mode)) {
        file->stream = fopen(name, "we");
        return file->stream ? 0 : fail(file, failure);
    }
    return open_beside(file, exists ? &status : NULL) < 0 ? fail(file, failure) : 0;
}

int output_file_commit(struct output_file *file, struct failure *failure)
{
    FILE *stream = file->stream;

    file->stream = NULL;
    if (fclose(stream) != 0)
        return fail(file, failure);
    if (!file->temporary)
        return 0;
    if (rename(file->temporary, file->target) < 0)
        return fail(file, failure);
    free(take_ptr(file->temporary));
    return 0;
}
