/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* driver_override says which driver alone may have the device; unbind takes it from the one that has it;
 * drivers_probe lets the kernel look for one. Between these the device has no driver: whatever fails there
 * is taken back. */
#include "backends/driver_binding.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/device_use.h"
#include "backends/pci_sysfs.h"
#include "backends/sysfs_path.h"
#include "util/cleanup.h"
#include "util/file.h"

const struct machine machine_here = {.sysfs = "/sys", .proc = "/proc", .dev = "/dev"};

/* What sysfs shows, and takes, for no override. */
static const char no_override[] = "(null)";

/* Names */

static int find_pci(const struct machine *machine, const struct device_description *description,
        struct bus_place *place, struct error *error)
{
    unsigned vendor, id, index;
    char root[PATH_MAX];
    int r = -EINVAL;

    place->bus = "pci";
    if (!sysfs_path(root, "%s/bus/pci/devices", machine->sysfs))
        return error_set(error, -ENODEV, "%s has no PCI bus", machine->sysfs);
    if (description->address)
        r = pci_address_parse(description->address, place->name);
    else if (pci_id_parse(description->id, &vendor, &id, &index) == 0)
        r = pci_find(root, vendor, id, index, place->name);
    if (r < 0)
        return error_set(error, -ENODEV, "%s is not there: no PCI function is %s", description->name,
                description->address ? description->address : description->id);
    return 0;
}

static int find_platform(const struct machine *machine, const struct device_description *description,
        struct bus_place *place, struct error *error)
{
    char path[PATH_MAX];

    place->bus = "platform";
    if (strlen(description->platform) >= sizeof(place->name) ||
            !sysfs_path(path, "%s/bus/platform/devices/%s", machine->sysfs, description->platform) ||
            access(path, F_OK) < 0)
        return error_set(error, -ENODEV, "%s is not there: no platform device is called %s",
                description->name, description->platform);
    strcpy(place->name, description->platform);
    return 0;
}

int driver_binding_find(const struct machine *machine, const struct device_description *description,
        struct bus_place *ret_place, struct error *error)
{
    struct bus_place place = {0};
    int r;

    if (!description->address && !description->id && !description->platform)
        return error_set(error, -EOPNOTSUPP, "%s is %s: there is no driver to bind", description->name,
                description->model ? "simulated"
                                   : "described by where its registers are, not as a device on a bus");
    if (description->platform)
        r = find_platform(machine, description, &place, error);
    else
        r = find_pci(machine, description, &place, error);
    if (r == 0)
        *ret_place = place;
    return r;
}

bool bus_place_equal(const struct bus_place *a, const struct bus_place *b)
{
    return strcmp(a->bus, b->bus) == 0 && strcmp(a->name, b->name) == 0;
}

int driver_name_check(const char *name, struct error *error)
{
    size_t length = strlen(name);

    if (length == 0)
        return error_set(error, -EINVAL, "the driver's name is empty");
    if (length >= DRIVER_NAME_SIZE)
        return error_set(error, -EINVAL, "the driver's name has %zu octets: %d are the limit", length,
                DRIVER_NAME_SIZE - 1);
    if (name[0] == '.' || strchr(name, '/'))
        return error_set(error, -EINVAL, "'%s' is no name of a driver", name);
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return error_set(error, -EINVAL, "the driver's name has a character that no driver's has");
    }
    return 0;
}

/* sysfs */

static bool device_path(const struct driver_change *change, const char *attribute, char path[PATH_MAX])
{
    return sysfs_path(path, "%s/bus/%s/devices/%s/%s", change->machine->sysfs, change->place.bus,
            change->place.name, attribute);
}

/* The driver's name, or an empty text. */
static const char *look(const struct driver_change *change, char driver[DRIVER_NAME_SIZE])
{
    char path[PATH_MAX];

    driver[0] = 0;
    if (device_path(change, "driver", path))
        file_read_link_name_at(AT_FDCWD, path, driver, DRIVER_NAME_SIZE);
    return driver;
}

static const char *or_none(const char *driver)
{
    return driver[0] ? driver : "no driver";
}

static int write_attribute(const char *path, const char *value)
{
    size_t length = strlen(value);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t size;
    int r;

    if (fd < 0)
        return -errno;
    size = write(fd, value, length);
    r = size < 0 ? -errno : size == (ssize_t)length ? 0 : -EIO;
    close(fd);
    return r;
}

static int store(struct driver_change *change, const char *path, const char *value)
{
    change->touched = true;
    return change->machine->store ? change->machine->store(path, value) : write_attribute(path, value);
}

static int store_override(struct driver_change *change, const char *driver)
{
    bool none = !driver[0] || strcmp(driver, no_override) == 0;
    char path[PATH_MAX];

    if (!device_path(change, "driver_override", path))
        return -ENAMETOOLONG;
    return store(change, path, none ? "\n" : driver);
}

/* verb: "bind" or "unbind". */
static int store_driver(struct driver_change *change, const char *driver, const char *verb)
{
    char path[PATH_MAX];

    if (!sysfs_path(
                path, "%s/bus/%s/drivers/%s/%s", change->machine->sysfs, change->place.bus, driver, verb))
        return -ENAMETOOLONG;
    return store(change, path, change->place.name);
}

static int store_probe(struct driver_change *change)
{
    char path[PATH_MAX];

    if (!sysfs_path(path, "%s/bus/%s/drivers_probe", change->machine->sysfs, change->place.bus))
        return -ENAMETOOLONG;
    return store(change, path, change->place.name);
}

/* Failures */

static int code_of(int r)
{
    switch (r) {
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return -ENODATA;
    case -ENOENT:
    case -ENODEV:
        return -ENODEV;
    default:
        return -EIO;
    }
}

static const char *advice_for(int code)
{
    return code == -ENODATA ? ": devregd must run as root, with /sys writable for it" : "";
}

/* A step before which nothing had changed. */
static int fail_step(const char *step, int r, struct error *error)
{
    int code = code_of(r);

    return error_set(error, code, "%s failed: %s%s", step, strerror(-r), advice_for(code));
}

/* Puts the override and the driver back, and says how it is now. */
static int roll_back(
        struct driver_change *change, const char *override, int code, const char *what, struct error *error)
{
    char now[DRIVER_NAME_SIZE];
    int r = store_override(change, override);

    if (look(change, now)[0] && strcmp(now, change->before) != 0)
        store_driver(change, now, "unbind");
    if (change->before[0] && !look(change, now)[0] && store_driver(change, change->before, "bind") < 0)
        store_probe(change);
    look(change, now);
    return error_set(error, code, "%s; %s%s%s", what,
            strcmp(now, change->before) == 0 ? "taken back: it has " : "it could not be taken back: it has ",
            or_none(now), r < 0 ? ", and its driver_override could not be restored" : "");
}

/* Steps */

static int read_override(const struct driver_change *change, char override[DRIVER_NAME_SIZE])
{
    char path[PATH_MAX];

    if (!device_path(change, "driver_override", path))
        return -ENAMETOOLONG;
    return file_read_line_at(AT_FDCWD, path, override, DRIVER_NAME_SIZE);
}

static int unbind(struct driver_change *change, struct error *error)
{
    char now[DRIVER_NAME_SIZE], step[DRIVER_NAME_SIZE + 32];
    int r;

    if (!change->before[0])
        return 0;
    snprintf(step, sizeof(step), "unbinding from %s", change->before);
    r = store_driver(change, change->before, "unbind");
    if (r < 0)
        return fail_step(step, r, error);
    if (look(change, now)[0])
        return error_set(error, -EIO, "%s failed: it has %s still", step, now);
    return 0;
}

static int check_driver(const struct driver_change *change, struct error *error)
{
    char path[PATH_MAX];
    int r = driver_name_check(change->wanted, error);

    if (r < 0)
        return r;
    if (!sysfs_path(
                path, "%s/bus/%s/drivers/%s", change->machine->sysfs, change->place.bus, change->wanted) ||
            access(path, F_OK) < 0)
        return error_set(error, -EBUSY, "no driver %s on the %s bus: load the module first (modprobe %s)",
                change->wanted, change->place.bus, change->wanted);
    return 0;
}

void driver_binding_note(struct driver_change *change, const char *reason)
{
    size_t used = strlen(change->despite);

    snprintf(change->despite + used, sizeof(change->despite) - used, "%s%s", used ? "; " : "", reason);
}

/* Last of all before it begins, so that little can change in between. */
static int check_use(struct driver_change *change, struct error *error)
{
    char path[PATH_MAX], directory[PATH_MAX];
    struct error use;
    int r;

    if (!device_path(change, "", path) || !realpath(path, directory))
        return error_set(error, -ENODEV, "it is not there any more: nothing is at %s on the %s bus",
                change->place.name, change->place.bus);
    r = device_use_check_bridge(directory, error);
    if (r < 0)
        return r;
    r = device_use_check(change->machine, directory, &use);
    if (r < 0 && !change->force)
        return error_set(error, r, "%.200s: let go of that first, or force it", use.message);
    if (r < 0)
        driver_binding_note(change, use.message);
    if (atomic_load(&change->revoked))
        return error_set(error, -EUSERS, "what allowed it has ended: a reservation, or a token");
    return 0;
}

/* With the wanted driver or, when none is wanted, with whichever comes. */
static int rebind(struct driver_change *change, const char *override, struct error *error)
{
    char what[2 * DRIVER_NAME_SIZE + 128], now[DRIVER_NAME_SIZE];
    int r = store_probe(change);

    look(change, now);
    if (!change->wanted[0] && r < 0 && !now[0])
        return error_set(error, -EBUSY,
                "it has no driver now, as none took it: %s (the kernel's log may say why)", strerror(-r));
    if (!change->wanted[0] || strcmp(now, change->wanted) == 0)
        return 0;
    snprintf(what, sizeof(what), "binding to %s failed: %s%s%s (the kernel's log may say why)",
            change->wanted, now[0] ? "the kernel chose " : "that driver did not take it", now,
            r < 0 ? ", drivers_probe failed" : "");
    return roll_back(change, override, -EBUSY, what, error);
}

static int bind_to_wanted(struct driver_change *change, struct error *error)
{
    char override[DRIVER_NAME_SIZE];
    struct error cause;
    int r = read_override(change, override);

    if (r < 0)
        return fail_step("reading driver_override", r, error);
    r = store_override(change, change->wanted);
    if (r < 0)
        return fail_step("writing driver_override", r, error);
    r = unbind(change, &cause);
    if (r < 0)
        return roll_back(change, override, r, cause.message, error);
    return rebind(change, override, error);
}

static int leave_to_kernel(struct driver_change *change, struct error *error)
{
    char override[DRIVER_NAME_SIZE];
    struct error cause;
    int r = read_override(change, override);

    if (r < 0)
        return fail_step("reading driver_override", r, error);
    r = unbind(change, error);
    if (r < 0)
        return r;
    r = store_override(change, no_override);
    if (r < 0) {
        fail_step("clearing driver_override", r, &cause);
        return roll_back(change, override, cause.code, cause.message, error);
    }
    return rebind(change, override, error);
}

int driver_binding_look(struct driver_change *change, struct error *error)
{
    int r = change->wanted[0] ? check_driver(change, error) : 0;

    look(change, change->before);
    strcpy(change->now, change->before);
    if (r < 0)
        return r;
    return change->wanted[0] && strcmp(change->before, change->wanted) == 0;
}

int driver_binding_change(struct driver_change *change, struct error *error)
{
    int r = driver_binding_look(change, error);

    if (r != 0)
        return r < 0 ? r : 0;
    r = check_use(change, error);
    if (r < 0)
        return r;
    r = change->wanted[0] ? bind_to_wanted(change, error) : leave_to_kernel(change, error);
    look(change, change->now);
    return r;
}
