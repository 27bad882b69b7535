/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BARs of a PCI function through sysfs: memory BARs mapped from `resourceN`, port BARs by read and write of
 * 1, 2 or 4 octets, which the kernel turns into one port access of that width. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/iomem.h"
#include "backends/lockdown.h"
#include "backends/mapping.h"
#include "backends/pci_function.h"
#include "backends/pci_reset.h"
#include "backends/pci_sysfs.h"
#include "backends/window.h"
#include "util/cleanup.h"
#include "util/file.h"

struct pci_device {
    struct backend_device base;
    int directory; /* the function's in sysfs */
    int config;    /* its configuration space */
    uint16_t vendor;
};

struct pci_region {
    struct backend_region base;
    struct mapping mapping; /* a memory BAR's window */
    int ports;              /* a port BAR's file, or -1 */
    uint64_t offset;        /* of the window in the BAR */
};

static int pci_usable(struct error *error)
{
    if (access(PCI_SYSFS_ROOT, R_OK | X_OK) < 0)
        return error_set(
                error, -errno, "%s: %s: this machine has no PCI bus", PCI_SYSFS_ROOT, strerror(errno));
    if (lockdown_is_on())
        return error_set(error, -EPERM,
                "kernel lockdown forbids mapping PCI resources: load devreg.ko and bind the device to it "
                "(devregctl bind), or boot without lockdown");
    if (geteuid() != 0)
        return error_set(error, -EPERM, "PCI resources belong to root: run devregd as root");
    return 0;
}

static void pci_device_close(struct backend_device *base)
{
    struct pci_device *device = container_of(base, struct pci_device, base);

    closep(&device->directory);
    closep(&device->config);
    free(device);
}

static inline void pci_device_closep(struct pci_device **device)
{
    if (*device)
        pci_device_close(&(*device)->base);
}

static bool pci_device_present(struct backend_device *base)
{
    struct pci_device *device = container_of(base, struct pci_device, base);
    uint8_t vendor[2];

    return pread(device->config, vendor, sizeof(vendor), 0) == sizeof(vendor) &&
           (uint16_t)(vendor[0] | vendor[1] << 8) == device->vendor;
}

static int pci_device_open(const struct device_description *description, struct backend_device **ret_device,
        struct error *error)
{
    _cleanup_(pci_device_closep) struct pci_device *device = calloc(1, sizeof(*device));
    char address[PCI_ADDRESS_SIZE];
    unsigned vendor, id;
    int r;

    if (!device)
        return error_set(error, -ENOMEM, "out of memory");
    device->directory = device->config = -1;
    r = pci_usable(error);
    if (r < 0)
        return r;
    r = pci_function_find(PCI_SYSFS_ROOT, description, address, error);
    if (r < 0)
        return r;
    device->directory = pci_open(PCI_SYSFS_ROOT, address);
    if (device->directory < 0)
        return error_set(error, device->directory, "no PCI function is at %s", address);
    device->config = openat(device->directory, "config", O_RDWR | O_CLOEXEC);
    if (device->config < 0)
        return error_set(error, -errno, "configuration space of %s: %s", address, strerror(errno));
    if (pci_read_id(device->directory, "vendor", &vendor) < 0 ||
            pci_read_id(device->directory, "device", &id) < 0)
        return error_set(error, -ENODEV, "the PCI function at %s went away", address);
    device->vendor = (uint16_t)vendor;
    snprintf(device->base.address, sizeof(device->base.address), "%s", address);
    snprintf(device->base.id, sizeof(device->base.id), "%04x:%04x", vendor & 0xffff, id & 0xffff);
    if (!pci_device_present(&device->base))
        return error_set(error, -ENODEV,
                "the PCI function at %s does not answer: its configuration space reads as all ones",
                address);
    device->base.can_reset = pci_can_reset(device->directory);
    *ret_device = &take_ptr(device)->base;
    return 0;
}

static bool pci_device_driver(struct backend_device *base, char *name, size_t size)
{
    return file_read_link_name_at(
                   container_of(base, struct pci_device, base)->directory, "driver", name, size) == 0;
}

static int pci_device_reset(struct backend_device *base, struct error *error)
{
    return pci_reset(container_of(base, struct pci_device, base)->directory, base->address, error);
}

static void pci_region_close(struct backend_region *base)
{
    struct pci_region *region = container_of(base, struct pci_region, base);

    mapping_close(&region->mapping);
    closep(&region->ports);
    free(region);
}

static inline void pci_region_closep(struct pci_region **region)
{
    if (*region)
        pci_region_close(&(*region)->base);
}

static int find_window(const struct pci_device *device, const struct region_description *description,
        struct pci_resource *ret_resource, uint64_t *ret_size, struct error *error)
{
    char name[16];
    int r = pci_read_resource(device->directory, description->bar, ret_resource);

    if (r < 0)
        return error_set(error, -ENODEV, "the PCI function at %s went away", device->base.address);
    if (ret_resource->size == 0)
        return error_set(error, -ENODEV, "%s has no BAR %u", device->base.address, description->bar);
    snprintf(name, sizeof(name), "BAR %u", description->bar);
    return region_find_window(description, ret_resource->size, name, ret_size, error);
}

/* Write-combining exists only as a file of its own, for prefetchable BARs; without it the mapping is
 * uncached, and the region says so. */
static int open_resource(const struct pci_device *device, const struct region_description *description,
        bool *ret_write_combining)
{
    int flags = (description->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_SYNC;
    char name[32];
    int fd;

    if (description->write_combining) {
        snprintf(name, sizeof(name), "resource%u_wc", description->bar);
        fd = openat(device->directory, name, flags);
        *ret_write_combining = fd >= 0;
        if (fd >= 0)
            return fd;
    }
    snprintf(name, sizeof(name), "resource%u", description->bar);
    fd = openat(device->directory, name, flags);
    return fd < 0 ? -errno : fd;
}

/* In /proc/iomem the BAR itself has the function's name. */
static int explain_refusal(const char *function, const struct pci_resource *resource,
        const struct region_description *description, struct error *error)
{
    char owner[128];

    if (!iomem_owner(REGION_MMIO, resource->start, resource->size, owner, sizeof(owner)) ||
            strcmp(owner, function) == 0)
        strcpy(owner, "a driver");
    return error_set(error, -EBUSY, "the kernel refuses to map BAR %u: %s has claimed it, %s",
            description->bar, owner,
            strncmp(owner, "devreg:", 7) == 0 ? "for another region or program" : "unbind it first");
}

static int map_memory(struct pci_region *region, const char *function, const struct pci_resource *resource,
        int fd, const struct region_description *description, struct error *error)
{
    /* A BAR smaller than a page may start inside one; the file then starts at that page. */
    uint64_t skew = resource->start & ((uint64_t)sysconf(_SC_PAGESIZE) - 1);
    int r = mapping_open(
            fd, skew + description->offset, region->base.size, !description->read_only, &region->mapping);

    if (r == -EINVAL)
        return explain_refusal(function, resource, description, error);
    if (r < 0)
        return error_set(error, r, "mapping BAR %u: %s", description->bar, mapping_strerror(r));
    return 0;
}

static int pci_region_open(struct backend_device *base, const struct region_description *description,
        struct backend_region **ret_region, struct error *error)
{
    struct pci_device *device = container_of(base, struct pci_device, base);
    _cleanup_(pci_region_closep) struct pci_region *region = calloc(1, sizeof(*region));
    _cleanup_close_ int fd = -1;
    struct pci_resource resource;
    bool ports;
    int r;

    if (!region)
        return error_set(error, -ENOMEM, "out of memory");
    region->ports = -1;
    r = find_window(device, description, &resource, &region->base.size, error);
    if (r < 0)
        return r;
    ports = resource.flags & PCI_RESOURCE_IO;
    r = pci_enable_decoding(device->directory, device->config, ports, error);
    if (r < 0)
        return error_prefix(error, "%s", base->address);
    fd = open_resource(device, description, &region->base.write_combining);
    if (fd < 0)
        return error_set(error, fd, "resource%u of %s: %s", description->bar, base->address, strerror(-fd));
    region->base.type = ports ? REGION_IOPORT : REGION_MMIO;
    region->base.address = resource.start + description->offset;
    region->base.widths = ports ? 1 | 2 | 4 : mapping_widths();
    region->offset = description->offset;
    if (ports) {
        region->ports = take_fd(&fd);
    } else {
        r = map_memory(region, base->address, &resource, fd, description, error);
        if (r < 0)
            return error_prefix(error, "%s", base->address);
    }
    *ret_region = &take_ptr(region)->base;
    return 0;
}

/* sysfs gives and takes port values in the machine's order, values travel in the device's, which for PCI is
 * little-endian. */
static void swap_port_value(void *value, unsigned width)
{
    uint16_t half;
    uint32_t word;

    if (width == 2) {
        memcpy(&half, value, width);
        half = htole16(half);
        memcpy(value, &half, width);
    } else if (width == 4) {
        memcpy(&word, value, width);
        word = htole32(word);
        memcpy(value, &word, width);
    }
}

/* What a port access through sysfs can fail with: the function was removed, or lockdown came. */
static int port_failure(ssize_t size)
{
    if (size >= 0 || errno == ENODEV)
        return -ENODEV;
    return errno == EPERM ? -EPERM : -EIO;
}

static int pci_read(struct backend_region *base, const struct access *access, void *values, size_t *ret_done)
{
    struct pci_region *region = container_of(base, struct pci_region, base);
    uint8_t *value = values;

    if (region->ports < 0)
        return mapping_read(&region->mapping, access, values, ret_done);
    for (*ret_done = 0; *ret_done < access->count; (*ret_done)++, value += access->width) {
        ssize_t size = pread(region->ports, value, access->width,
                (off_t)(region->offset + access_offset(access, *ret_done)));

        if (size != (ssize_t)access->width)
            return port_failure(size);
        swap_port_value(value, access->width);
    }
    return 0;
}

static int pci_write(
        struct backend_region *base, const struct access *access, const void *values, size_t *ret_done)
{
    struct pci_region *region = container_of(base, struct pci_region, base);
    const uint8_t *value = values;

    if (region->ports < 0)
        return mapping_write(&region->mapping, access, values, ret_done);
    for (*ret_done = 0; *ret_done < access->count; (*ret_done)++, value += access->width) {
        uint8_t swapped[4];
        ssize_t size;

        memcpy(swapped, value, access->width);
        swap_port_value(swapped, access->width);
        size = pwrite(region->ports, swapped, access->width,
                (off_t)(region->offset + access_offset(access, *ret_done)));
        if (size != (ssize_t)access->width)
            return port_failure(size);
    }
    return 0;
}

static const struct backend_form form = {
        .device_needs_one = KEY_ADDRESS | KEY_ID,
        .region_needs = KEY_BAR,
        .region_takes = KEY_OFFSET | KEY_SIZE | KEY_WRITE_COMBINING,
};

extern const struct backend backend_pci;
const struct backend backend_pci = {
        .name = "pci",
        .summary = "BARs of PCI functions through sysfs",
        .forms = &form,
        .form_count = 1,
        .revocable = true,
        .usable = pci_usable,
        .check = pci_function_check,
        .device_open = pci_device_open,
        .device_close = pci_device_close,
        .device_present = pci_device_present,
        .device_driver = pci_device_driver,
        .device_reset = pci_device_reset,
        .region_open = pci_region_open,
        .region_close = pci_region_close,
        .read = pci_read,
        .write = pci_write,
};
