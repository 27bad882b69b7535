/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See device_use.h. Network interfaces in other namespaces are not seen: sysfs does not show them. */
#include "backends/device_use.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backends/block_use.h"
#include "backends/pci_sysfs.h"
#include "backends/sysfs_path.h"
#include "util/file.h"

enum {
    PCI_CONFIG_HEADER = 0xe, /* PCI Local Bus Specification 3.0, 6.2.1 */
    PCI_HEADER_KIND = 0x7f,  /* without the bit that says that there are more functions */
    INTERFACE_UP = 1,        /* IFF_UP, netdevice(7) */
};

/* Bridges */

static int check_header(const char *directory, struct error *error)
{
    char path[PATH_MAX];
    uint8_t header;
    int fd;
    ssize_t size;

    if (!sysfs_path(path, "%s/config", directory))
        return error_set(error, -EBUSY, "its place in sysfs is too long");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0; /* not a PCI function */
    if (fd < 0)
        return error_set(error, -EBUSY, "its configuration space can't be read (%s)", strerror(errno));
    size = pread(fd, &header, 1, PCI_CONFIG_HEADER);
    close(fd);
    if (size != 1)
        return error_set(error, -EBUSY, "its configuration space can't be read");
    if (header & PCI_HEADER_KIND)
        return error_set(error, -EBUSY,
                "it is a PCI bridge: what is behind it would go with its driver, so that stays");
    return 0;
}

/* "pci0000:00", below a platform device that is a host bridge. */
static bool is_root_bus(const char *name)
{
    return strncmp(name, "pci", 3) == 0 && strchr(name, ':');
}

int device_use_check_bridge(const char *directory, struct error *error)
{
    _cleanup_closedir_ DIR *children = NULL;
    char address[PCI_ADDRESS_SIZE];
    const char *child;
    int r = check_header(directory, error);

    if (r < 0)
        return r;
    children = opendir(directory);
    if (!children)
        return error_set(error, -ENODEV, "it is not there any more (%s)", strerror(errno));
    while ((child = sysfs_next(children))) {
        if (pci_address_parse(child, address) == 0 || is_root_bus(child))
            return error_set(
                    error, -EBUSY, "%s is behind it and would go with its driver, so that stays", child);
    }
    return 0;
}

/* The network */

/* Up, and with somebody at the other end. */
static bool has_link(const struct machine *machine, const char *name)
{
    char path[PATH_MAX], line[32];

    if (!sysfs_path(path, "%s/class/net/%s/flags", machine->sysfs, name) ||
            file_read_line_at(AT_FDCWD, path, line, sizeof(line)) < 0 ||
            !(strtoul(line, NULL, 0) & INTERFACE_UP))
        return false;
    return sysfs_path(path, "%s/class/net/%s/carrier", machine->sysfs, name) &&
           file_read_line_at(AT_FDCWD, path, line, sizeof(line)) == 0 && strcmp(line, "1") == 0;
}

/* Bridges, bonds, VLANs and tunnels reach the world through another interface only. */
static bool is_virtual(const struct machine *machine, const char *name)
{
    char root[PATH_MAX], path[PATH_MAX];

    return sysfs_path(path, "%s/devices/virtual", machine->sysfs) && realpath(path, root) &&
           sysfs_is_below(machine, "net", name, root);
}

static int check_network(const struct machine *machine, const char *directory, struct error *error)
{
    _cleanup_closedir_ DIR *interfaces = NULL;
    const char *name;
    char path[PATH_MAX], own[64] = "";

    if (sysfs_path(path, "%s/class/net", machine->sysfs))
        interfaces = opendir(path);
    if (!interfaces && errno == ENOENT)
        return 0; /* a kernel without a network */
    if (!interfaces)
        return error_set(
                error, -ETXTBSY, "its network interfaces can't be looked for (%s)", strerror(errno));
    while ((name = sysfs_next(interfaces))) {
        if (!has_link(machine, name) || is_virtual(machine, name))
            continue;
        if (!sysfs_is_below(machine, "net", name, directory))
            return 0; /* there is another way */
        snprintf(own, sizeof(own), "%s", name);
    }
    if (!own[0])
        return 0;
    return error_set(error, -ETXTBSY, "its interface %s is the only network link that is up", own);
}

/* The console */

static int check_console(const struct machine *machine, const char *directory, struct error *error)
{
    char path[PATH_MAX], line[256], *rest = line, *name;

    if (sysfs_path(path, "%s/boot_vga", directory) &&
            file_read_line_at(AT_FDCWD, path, line, sizeof(line)) == 0 && strcmp(line, "1") == 0)
        return error_set(error, -ETXTBSY, "it is the display that the machine starts with");
    if (!sysfs_path(path, "%s/class/tty/console/active", machine->sysfs) ||
            file_read_line_at(AT_FDCWD, path, line, sizeof(line)) < 0)
        return 0;
    while ((name = strsep(&rest, " "))) {
        if (*name && sysfs_is_below(machine, "tty", name, directory))
            return error_set(error, -ETXTBSY, "the console is on its %s", name);
    }
    return 0;
}

/* Virtual functions that others were given */

static int check_virtual_functions(const char *directory, struct error *error)
{
    char path[PATH_MAX], line[32];

    if (!sysfs_path(path, "%s/sriov_numvfs", directory) ||
            file_read_line_at(AT_FDCWD, path, line, sizeof(line)) < 0 || strcmp(line, "0") == 0)
        return 0;
    return error_set(error, -ETXTBSY, "%.10s virtual functions of it are switched on", line);
}

int device_use_check(const struct machine *machine, const char *directory, struct error *error)
{
    int r = block_use_check(machine, directory, error);

    if (r >= 0)
        r = check_network(machine, directory, error);
    if (r >= 0)
        r = check_console(machine, directory, error);
    return r < 0 ? r : check_virtual_functions(directory, error);
}
