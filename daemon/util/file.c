/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See file.h. */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/buffer.h"
#include "util/cleanup.h"

int file_read_at(int directory, const char *path, size_t limit, char **ret_text, size_t *ret_size)
{
    _cleanup_close_ int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    _cleanup_buffer_ struct buffer buffer = {0};
    struct stat information;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &information) < 0)
        return -errno;
    if (S_ISDIR(information.st_mode))
        return -EISDIR;
    for (;;) {
        char *room = buffer_reserve(&buffer, 4096);
        ssize_t size;

        if (!room)
            return -ENOMEM;
        size = read(fd, room, 4095);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return -errno;
        buffer.size += (size_t)size;
        if (buffer.size > limit)
            return -EFBIG;
        if (size == 0)
            break;
    }
    buffer.data[buffer.size] = 0;
    *ret_text = buffer_take(&buffer, ret_size);
    return 0;
}

int file_read(const char *path, size_t limit, char **ret_text, size_t *ret_size)
{
    return file_read_at(AT_FDCWD, path, limit, ret_text, ret_size);
}

int file_read_line_at(int directory, const char *name, char *line, size_t size)
{
    _cleanup_close_ int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    ssize_t length;

    if (fd < 0)
        return -errno;
    length = read(fd, line, size - 1);
    if (length < 0)
        return -errno;
    line[length] = 0;
    line[strcspn(line, "\n")] = 0;
    return 0;
}

int file_read_link_name_at(int directory, const char *name, char *target, size_t size)
{
    char path[PATH_MAX];
    ssize_t length = readlinkat(directory, name, path, sizeof(path) - 1);
    const char *slash;

    if (length < 0)
        return -errno;
    path[length] = 0;
    slash = strrchr(path, '/');
    snprintf(target, size, "%s", slash ? slash + 1 : path);
    return 0;
}
