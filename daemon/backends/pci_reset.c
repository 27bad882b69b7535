/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See pci_reset.h; Documentation/ABI/testing/sysfs-bus-pci has the file. */
#include "backends/pci_reset.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"

/* Every device in sysfs has it, of whatever bus, for as long as it is there. */
static bool is_there(int directory)
{
    return faccessat(directory, "uevent", F_OK, 0) == 0;
}

/* The file stays when an administrator has taken all ways from the kernel, by an empty reset_method. */
bool pci_can_reset(int directory)
{
    char methods[64];

    if (file_read_line_at(directory, "reset_method", methods, sizeof(methods)) == 0 && !methods[0])
        return false;
    return faccessat(directory, "reset", F_OK, 0) == 0;
}

/* A program may have the function through the module, which alone can take its mappings away meanwhile. */
static int refuse_module(const char *name, struct error *error)
{
    return error_set(error, -EBUSY,
            "the driver devreg has %s, and maybe a program through it: reach it through the module "
            "(\"backend\": \"kmod\") and reset it there",
            name);
}

static int refuse_vfio(const char *driver, const char *name, struct error *error)
{
    return error_set(error, -EBUSY,
            "the driver %s has %s, which may be a running guest's: end that, and take it from that driver "
            "first (devregctl unbind)",
            driver, name);
}

static bool is_idle(int directory, const char *driver)
{
    return strcmp(driver, "pci-stub") == 0 || faccessat(directory, "uio", F_OK, 0) == 0;
}

/* Whoever has the function must not lose it unawares. */
static int check_driver(int directory, const char *name, struct error *error)
{
    char driver[64];
    int r = file_read_link_name_at(directory, "driver", driver, sizeof(driver));

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_set(error, r, "the driver of %s: %s", name, strerror(-r));
    if (strcmp(driver, "devreg") == 0)
        return refuse_module(name, error);
    if (strcmp(driver, "vfio-pci") == 0 || faccessat(directory, "vfio-dev", F_OK, 0) == 0)
        return refuse_vfio(driver, name, error);
    if (is_idle(directory, driver))
        return 0;
    return error_set(error, -EBUSY,
            "the kernel driver %s has %s and would lose what it does with it: take it from that driver "
            "first (devregctl bind)",
            driver, name);
}

int pci_reset_check_functions(int directory, const char *name, struct error *error)
{
    char count[16];
    int r = file_read_line_at(directory, "sriov_numvfs", count, sizeof(count));

    if (r < 0 || strcmp(count, "0") == 0)
        return 0;
    return error_set(error, -EBUSY,
            "%s has %s virtual functions, whose users would lose them: write 0 to its sriov_numvfs in sysfs "
            "first, while the driver has it that made them",
            name, count);
}

int pci_reset_explain(const char *name, const char *memory, int code, struct error *error)
{
    switch (code) {
    case -EOPNOTSUPP:
        return error_set(error, -EOPNOTSUPP,
                "%s can't be reset: the kernel knows no way, neither of its own nor of its bus. %sWhat sets it "
                "back is to switch it off and on",
                name, memory);
    case -ENODEV:
        return error_set(error, code, "%s went away", name);
    case -EAGAIN:
    case -EINTR:
        return error_set(error, -EAGAIN,
                "%s was not reset: the kernel is doing something else with it, try again", name);
    case -ENOTTY: /* of an attempt: what the kernel says when it has waited for it in vain */
        return error_set(error, -EIO,
                "the reset of %s failed: it did not come back in time: switch it off and on", name);
    default:
        return error_set(error, -EIO,
                "the reset of %s failed: %s. It may not answer any more: switch it off and on then", name,
                strerror(-code));
    }
}

int pci_reset(int directory, const char *name, struct error *error)
{
    _cleanup_close_ int file = -1;
    int r = check_driver(directory, name, error);

    if (r == 0)
        r = pci_reset_check_functions(directory, name, error);
    if (r < 0)
        return r;
    if (!pci_can_reset(directory))
        return pci_reset_explain(name, "", is_there(directory) ? -EOPNOTSUPP : -ENODEV, error);
    file = openat(directory, "reset", O_WRONLY | O_CLOEXEC);
    if (file < 0 && (errno == EACCES || errno == EPERM || errno == EROFS))
        return error_set(error, -ENODATA,
                "%s can't be reset: its file reset in sysfs: %s: run devregd as root", name,
                strerror(errno));
    if (file < 0)
        return pci_reset_explain(name, "", errno == ENOENT ? -ENODEV : -errno, error);
    return write(file, "1", 1) == 1 ? 0 : pci_reset_explain(name, "", -errno, error);
}
