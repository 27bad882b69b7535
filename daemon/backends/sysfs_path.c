/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sysfs_path.h. */
#include "backends/sysfs_path.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sysfs_path(char path[PATH_MAX], const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(path, PATH_MAX, format, arguments);
    va_end(arguments);
    return length >= 0 && length < PATH_MAX;
}

const char *sysfs_next(DIR *directory)
{
    const struct dirent *entry;

    /* cppcheck-suppress readdirCalled; each stream is one thread's own, so it is safe (readdir(3)) */
    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] != '.')
            return entry->d_name;
    }
    return NULL;
}

bool sysfs_real(const struct machine *machine, const char *class, const char *name, char real[PATH_MAX])
{
    char path[PATH_MAX];

    return sysfs_path(path, "%s/class/%s/%s", machine->sysfs, class, name) && realpath(path, real);
}

bool sysfs_is_below(
        const struct machine *machine, const char *class, const char *name, const char *directory)
{
    size_t length = strlen(directory);
    char real[PATH_MAX];

    return sysfs_real(machine, class, name, real) && strncmp(real, directory, length) == 0 &&
           (real[length] == '/' || real[length] == 0);
}
