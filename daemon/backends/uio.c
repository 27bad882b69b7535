/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices that a UIO driver is bound to: their memory mapped from /dev/uioN, their ports touched directly.
 * UIO reserves nothing, and its mappings stay when the device is removed, reaching whatever is at the
 * address afterwards: so it is sysfs that tells whether the device is still there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/mapping.h"
#include "backends/pci_function.h"
#include "backends/pci_reset.h"
#include "backends/ports.h"
#include "backends/sysfs.h"
#include "backends/uio_interrupts.h"
#include "backends/uio_place.h"
#include "backends/uio_sysfs.h"
#include "util/cleanup.h"
#include "util/file.h"

struct uio_device {
    struct backend_device base;
    const struct device_description *description;
    char node[UIO_NODE_SIZE];
    int directory; /* in sysfs */
    int function;  /* likewise, of the PCI function; -1: it is another device */
    int file;      /* /dev/uioN: drivers notice when it is opened and closed */
};

struct uio_region {
    struct backend_region base;
    struct mapping mapping;
    struct ports ports;
};

static int uio_usable(struct error *error)
{
    if (access(UIO_SYSFS_ROOT, R_OK | X_OK) < 0)
        return error_set(error, -errno,
                "no UIO driver is loaded: modprobe uio_pci_generic, or the device's own UIO driver");
    return 0;
}

static void uio_device_close(struct backend_device *base)
{
    struct uio_device *device = container_of(base, struct uio_device, base);

    closep(&device->file);
    closep(&device->function);
    closep(&device->directory);
    free(device);
}

static inline void uio_device_closep(struct uio_device **device)
{
    if (*device)
        uio_device_close(&(*device)->base);
}

static int explain_unbound(
        const struct device_description *description, const char *address, int code, struct error *error)
{
    char driver[64];

    if (code == -ENODEV)
        return error_set(error, -ENODEV, "no PCI function is at %s", address);
    if (code != -ENOENT)
        return error_set(error, code, "looking for the UIO device of %s: %s", address, strerror(-code));
    if (sysfs_read_driver(PCI_SYSFS_ROOT, address, driver, sizeof(driver)) == 0)
        return error_set(error, -EBUSY,
                "%s is bound to %s, not to a UIO driver: devregctl bind %s --driver uio_pci_generic",
                address, driver, description->name);
    return error_set(error, -ENODEV,
            "%s is not bound to a UIO driver: devregctl bind %s --driver uio_pci_generic", address,
            description->name);
}

static int find_node(
        const struct device_description *description, struct uio_device *device, struct error *error)
{
    char address[PCI_ADDRESS_SIZE];
    int r;

    if (description->uio) {
        r = uio_find_named(UIO_SYSFS_ROOT, description->uio, device->node);
        if (r == -ENODEV)
            return error_set(error, r,
                    "no UIO device is called %s: load its driver, or bind it to one by hand; a PCI "
                    "function that is described by its address or id can be bound by devregctl",
                    description->uio);
        return r < 0 ? error_set(error, r, "%s: %s", UIO_SYSFS_ROOT, strerror(-r)) : 0;
    }
    r = pci_function_find(PCI_SYSFS_ROOT, description, address, error);
    if (r < 0)
        return r;
    r = uio_find_function(PCI_SYSFS_ROOT, address, device->node);
    if (r < 0)
        return explain_unbound(description, address, r, error);
    device->function = pci_open(PCI_SYSFS_ROOT, address);
    return 0;
}

static void note_facts(struct uio_device *device)
{
    unsigned vendor, id;

    if (file_read_link_name_at(
                device->directory, "device", device->base.address, sizeof(device->base.address)) < 0)
        snprintf(device->base.address, sizeof(device->base.address), "%s", device->node);
    if (pci_read_id(device->directory, "device/vendor", &vendor) == 0 &&
            pci_read_id(device->directory, "device/device", &id) == 0)
        snprintf(device->base.id, sizeof(device->base.id), "%04x:%04x", vendor & 0xffff, id & 0xffff);
}

/* What sysfs tells, without opening the device itself. */
static int look_up(
        const struct device_description *description, struct uio_device **ret_device, struct error *error)
{
    _cleanup_(uio_device_closep) struct uio_device *device = calloc(1, sizeof(*device));
    int r;

    if (!device)
        return error_set(error, -ENOMEM, "out of memory");
    device->description = description;
    device->directory = device->function = device->file = -1;
    r = uio_usable(error);
    if (r < 0)
        return r;
    r = find_node(description, device, error);
    if (r < 0)
        return r;
    device->directory = uio_open_directory(UIO_SYSFS_ROOT, device->node);
    if (device->directory < 0)
        return error_set(error, -ENODEV, "the UIO device %s went away", device->node);
    note_facts(device);
    *ret_device = take_ptr(device);
    return 0;
}

/* Also whether UIO has all of its regions: the next backend may. */
static int uio_suits(const struct device_description *description, struct error *error)
{
    _cleanup_(uio_device_closep) struct uio_device *device = NULL;
    int r = look_up(description, &device, error);

    for (size_t i = 0; device && r == 0 && i < description->region_count; i++) {
        struct uio_place place;

        r = uio_find_place(device->directory, device->function, device->base.address,
                &description->regions[i], &place, error);
    }
    return r;
}

/* The folder of what the UIO device belongs to, a PCI function maybe. */
static int open_parent(const struct uio_device *device)
{
    return openat(device->directory, "device", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool can_reset(const struct uio_device *device)
{
    _cleanup_close_ int parent = open_parent(device);

    return parent >= 0 && pci_can_reset(parent);
}

static int uio_device_reset(struct backend_device *base, struct error *error)
{
    _cleanup_close_ int parent = open_parent(container_of(base, struct uio_device, base));

    if (parent < 0)
        return error_set(error, -ENODEV, "the UIO device of %s went away", base->address);
    return pci_reset(parent, base->address, error);
}

static int uio_device_open(const struct device_description *description, struct backend_device **ret_device,
        struct error *error)
{
    _cleanup_(uio_device_closep) struct uio_device *device = NULL;
    char path[32];
    int r = look_up(description, &device, error);

    if (!device)
        return r;
    snprintf(path, sizeof(path), "/dev/%s", device->node);
    device->file = open(path, O_RDWR | O_CLOEXEC);
    if (device->file < 0 && (errno == EPERM || errno == EACCES))
        return error_set(error, -errno, "%s: %s: run devregd as root", path, strerror(errno));
    if (device->file < 0)
        return error_set(error, -errno, "%s: %s", path, strerror(errno));
    device->base.can_reset = can_reset(device);
    *ret_device = &take_ptr(device)->base;
    return 0;
}

static bool uio_device_present(struct backend_device *base)
{
    return faccessat(container_of(base, struct uio_device, base)->directory, "name", F_OK, 0) == 0;
}

static bool uio_device_driver(struct backend_device *base, char *name, size_t size)
{
    return file_read_link_name_at(
                   container_of(base, struct uio_device, base)->directory, "device/driver", name, size) == 0;
}

static void uio_region_close(struct backend_region *base)
{
    struct uio_region *region = container_of(base, struct uio_region, base);

    mapping_close(&region->mapping);
    ports_close(&region->ports);
    free(region);
}

static inline void uio_region_closep(struct uio_region **region)
{
    if (*region)
        uio_region_close(&(*region)->base);
}

static int map_memory(const struct uio_device *device, const struct uio_place *place, bool writable,
        struct mapping *ret_mapping, struct error *error)
{
    int r = mapping_open_after(device->file, place->map * (uint64_t)sysconf(_SC_PAGESIZE), place->skip,
            place->size, writable, ret_mapping);

    if (r == -EINVAL)
        return error_set(error, r,
                "the UIO driver of %s refuses to map its map %u: it must be made of whole pages",
                device->base.address, place->map);
    if (r < 0)
        return error_set(error, r, "mapping the UIO map %u of %s: %s", place->map, device->base.address,
                mapping_strerror(r));
    return 0;
}

static int uio_region_open(struct backend_device *base, const struct region_description *description,
        struct backend_region **ret_region, struct error *error)
{
    struct uio_device *device = container_of(base, struct uio_device, base);
    _cleanup_(uio_region_closep) struct uio_region *region = calloc(1, sizeof(*region));
    struct uio_place place;
    int r;

    if (!region)
        return error_set(error, -ENOMEM, "out of memory");
    region->ports.file = -1;
    r = uio_find_place(device->directory, device->function, base->address, description, &place, error);
    if (r < 0)
        return r;
    r = place.ports ? ports_open(place.address, place.size, &region->ports, error)
                    : map_memory(device, &place, !description->read_only, &region->mapping, error);
    if (r < 0)
        return r;
    region->base.type = place.ports ? REGION_IOPORT : REGION_MMIO;
    region->base.size = place.size;
    region->base.address = place.address;
    region->base.widths = place.ports ? ports_widths(&region->ports) : mapping_widths();
    *ret_region = &take_ptr(region)->base;
    return 0;
}

static int uio_read(struct backend_region *base, const struct access *access, void *values, size_t *ret_done)
{
    struct uio_region *region = container_of(base, struct uio_region, base);

    return base->type == REGION_IOPORT ? ports_read(&region->ports, access, values, ret_done)
                                       : mapping_read(&region->mapping, access, values, ret_done);
}

static int uio_write(
        struct backend_region *base, const struct access *access, const void *values, size_t *ret_done)
{
    struct uio_region *region = container_of(base, struct uio_region, base);

    return base->type == REGION_IOPORT ? ports_write(&region->ports, access, values, ret_done)
                                       : mapping_write(&region->mapping, access, values, ret_done);
}

static int open_interrupts(
        struct backend_device *base, struct backend_interrupts **ret_interrupts, struct error *error)
{
    const struct uio_device *device = container_of(base, struct uio_device, base);

    return uio_interrupts_open(
            device->description, device->node, device->directory, device->function, ret_interrupts, error);
}

static const struct backend_form forms[] = {
        {
                .device_needs_one = KEY_ADDRESS | KEY_ID,
                .region_needs_one = KEY_BAR | KEY_UIO_MAP | KEY_UIO_PORT,
                .region_takes = KEY_OFFSET | KEY_SIZE,
        },
        {
                .device_needs = KEY_UIO,
                .region_needs_one = KEY_UIO_MAP | KEY_UIO_PORT,
                .region_takes = KEY_OFFSET | KEY_SIZE,
        },
};

extern const struct backend backend_uio;
const struct backend backend_uio = {
        .name = "uio",
        .summary = "devices that a UIO driver is bound to",
        .forms = forms,
        .form_count = ELEMENTS(forms),
        .usable = uio_usable,
        .check = pci_function_check,
        .suits = uio_suits,
        .device_open = uio_device_open,
        .device_close = uio_device_close,
        .device_present = uio_device_present,
        .device_driver = uio_device_driver,
        .device_reset = uio_device_reset,
        .region_open = uio_region_open,
        .region_close = uio_region_close,
        .read = uio_read,
        .write = uio_write,
        .interrupts_open = open_interrupts,
        .interrupts_close = uio_interrupts_close,
        .interrupts_read = uio_interrupts_read,
        .interrupts_mask = uio_interrupts_mask,
};
