/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See sysfs.h. */
#include "backends/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "uapi/devreg.h"
#include "util/cleanup.h"
#include "util/file.h"

int sysfs_read_driver(const char *root, const char *device, char *driver, size_t size)
{
    _cleanup_close_ int directory = -1;
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", root, device);
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return errno == ENOENT ? -ENODEV : -errno;
    return file_read_link_name_at(directory, "driver", driver, size);
}

int sysfs_check_bound(const char *root, const char *device, const char *name, struct error *error)
{
    char driver[64];
    int r = sysfs_read_driver(root, device, driver, sizeof(driver));

    if (r == 0 && strcmp(driver, DEVREG_DRIVER) == 0)
        return 0;
    if (r == 0)
        return error_set(error, -EBUSY, "%s is not bound to devreg, but to %s: devregctl bind %s", device,
                driver, name);
    if (r == -ENOENT)
        return error_set(error, -ENODEV, "%s is not bound to devreg: devregctl bind %s", device, name);
    if (r == -ENODEV)
        return error_set(error, r, "no device %s is there", device);
    return error_set(error, r, "%s/%s: %s", root, device, strerror(-r));
}
