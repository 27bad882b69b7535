/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways around in sysfs, which is folders of links into one tree of devices. */
#pragma once

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>

#include "backends/machine.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(DIR *, closedir)
#define _cleanup_closedir_ _cleanup_(closedirp)

/* False when it is too long. */
bool sysfs_path(char path[PATH_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The next entry's name that does not begin with a dot, valid until the one after; NULL after the last, or
 * when there is no directory. */
const char *sysfs_next(DIR *directory);

/* Where class/CLASS/NAME really is, without links; false when it is not there. */
bool sysfs_real(const struct machine *machine, const char *class, const char *name, char real[PATH_MAX]);

/* Whether that is the directory, or below it. */
bool sysfs_is_below(
        const struct machine *machine, const char *class, const char *name, const char *directory);
