/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void source_done(struct source *source)
{
    if (source->fd > STDIN_FILENO)
        close(source->fd);
}

int source_open(struct source *source, const char *verb, const char *file, struct failure *failure)
{
    struct stat status;
    off_t position;

    if (!file && isatty(STDIN_FILENO))
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s writes a FILE or what is piped into it; to type octets in, say - for the FILE", verb);
    source->name = file;
    source->fd = STDIN_FILENO;
    if (file && strcmp(file, "-") != 0)
        source->fd = open(file, O_RDONLY | O_CLOEXEC);
    else
        source->name = "standard input";
    if (source->fd < 0 || fstat(source->fd, &status) < 0)
        return failure_set(failure, EXIT_CODE_OTHER, "%s: %s", source->name, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return failure_set(failure, EXIT_CODE_OTHER, "%s: %s", source->name, strerror(EISDIR));
    /* The kernel's own files (/proc) are regular, say that they have 0 octets, and have more. */
    position = lseek(source->fd, 0, SEEK_CUR);
    source->has_size = S_ISREG(status.st_mode) && position >= 0 && position < status.st_size;
    if (source->has_size)
        source->size = (uint64_t)(status.st_size - position);
    return 0;
}

int source_read(
        const struct source *source, char *octets, size_t size, size_t *ret_size, struct failure *failure)
{
    size_t done = 0;

    while (done < size) {
        ssize_t part = read(source->fd, octets + done, size - done);

        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return failure_set(failure, EXIT_CODE_OTHER, "%s: %s", source->name, strerror(errno));
        if (part == 0)
            break;
        done += (size_t)part;
    }
    *ret_size = done;
    return 0;
}
