/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Physical address ranges through /dev/mem (mem(4)). What the kernel lets through depends on its build and
 * state: STRICT_DEVMEM forbids its own memory, IO_STRICT_DEVMEM also what a driver claimed, lockdown
 * everything; the errors say which. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/iomem.h"
#include "backends/lockdown.h"
#include "backends/mapping.h"
#include "util/cleanup.h"

struct devmem_region {
    struct backend_region base;
    struct mapping mapping;
};

/* Returns a descriptor. O_SYNC asks for an uncached mapping where that is not the only kind. */
static int open_devmem(bool writable, struct error *error)
{
    int fd = open("/dev/mem", (writable ? O_RDWR : O_RDONLY) | O_SYNC | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    if (errno == ENOENT)
        return error_set(
                error, -ENOENT, "this machine has no /dev/mem: reach the device through pci instead");
    if (lockdown_is_on())
        return error_set(error, -EPERM,
                "kernel lockdown forbids /dev/mem: describe the device itself (address, id or platform) and "
                "bind it to devreg.ko, or boot without lockdown");
    if (errno == EPERM || errno == EACCES)
        return error_set(
                error, -errno, "/dev/mem: %s: run devregd as root or with CAP_SYS_RAWIO", strerror(errno));
    return error_set(error, -errno, "/dev/mem: %s", strerror(errno));
}

static int devmem_usable(struct error *error)
{
    int fd = open_devmem(true, error);

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

static int devmem_device_open(const struct device_description *description,
        struct backend_device **ret_device, struct error *error)
{
    struct backend_device *device;
    int r;

    (void)description;
    r = devmem_usable(error);
    if (r < 0)
        return r;
    device = calloc(1, sizeof(*device));
    if (!device)
        return error_set(error, -ENOMEM, "out of memory");
    *ret_device = device;
    return 0;
}

static void devmem_device_close(struct backend_device *device)
{
    free(device);
}

/* The kernel's own memory is refused even where the kernel would let it through. A process that may not see
 * /proc/iomem has the kernel's own refusal alone. */
static int refuse_system_memory(const struct region_description *description, struct error *error)
{
    if (!iomem_is_system_memory(description->base, description->size))
        return 0;
    return error_set(error, -EPERM,
            "0x%" PRIx64 " + 0x%" PRIx64
            " has the kernel's own memory in it: give the addresses of a device",
            description->base, description->size);
}

static int explain_refusal(const struct region_description *description, int code, struct error *error)
{
    char owner[128];

    if (code == -EPERM &&
            iomem_owner(REGION_MMIO, description->base, description->size, owner, sizeof(owner)))
        return error_set(error, -EBUSY, "the kernel forbids /dev/mem at 0x%" PRIx64 ", which %s holds: %s",
                description->base, owner,
                strncmp(owner, "devreg:", 7) == 0
                        ? "another region, or another program, has claimed it through devreg.ko"
                        : "unbind that driver first");
    return error_set(
            error, code, "mapping 0x%" PRIx64 " of /dev/mem: %s", description->base, mapping_strerror(code));
}

static int devmem_region_open(struct backend_device *device, const struct region_description *description,
        struct backend_region **ret_region, struct error *error)
{
    _cleanup_close_ int fd = -1;
    _cleanup_free_ struct devmem_region *region = calloc(1, sizeof(*region));
    int r;

    (void)device;
    if (!region)
        return error_set(error, -ENOMEM, "out of memory");
    r = refuse_system_memory(description, error);
    if (r < 0)
        return r;
    fd = open_devmem(!description->read_only, error);
    if (fd < 0)
        return fd;
    r = mapping_open(fd, description->base, description->size, !description->read_only, &region->mapping);
    if (r < 0)
        return explain_refusal(description, r, error);
    region->base.type = REGION_MMIO;
    region->base.size = description->size;
    region->base.address = description->base;
    region->base.widths = mapping_widths();
    *ret_region = &take_ptr(region)->base;
    return 0;
}

static void devmem_region_close(struct backend_region *base)
{
    struct devmem_region *region = container_of(base, struct devmem_region, base);

    mapping_close(&region->mapping);
    free(region);
}

static int devmem_read(
        struct backend_region *region, const struct access *access, void *values, size_t *ret_done)
{
    return mapping_read(
            &container_of(region, struct devmem_region, base)->mapping, access, values, ret_done);
}

static int devmem_write(
        struct backend_region *region, const struct access *access, const void *values, size_t *ret_done)
{
    return mapping_write(
            &container_of(region, struct devmem_region, base)->mapping, access, values, ret_done);
}

static const struct backend_form form = {
        .region_needs = KEY_BASE | KEY_SIZE,
        .region_takes = KEY_TYPE,
        .region_types = REGION_TYPE_SET(REGION_MMIO),
};

extern const struct backend backend_devmem;
const struct backend backend_devmem = {
        .name = "devmem",
        .summary = "physical address ranges through /dev/mem",
        .forms = &form,
        .form_count = 1,
        .revocable = true,
        .usable = devmem_usable,
        .device_open = devmem_device_open,
        .device_close = devmem_device_close,
        .region_open = devmem_region_open,
        .region_close = devmem_region_close,
        .read = devmem_read,
        .write = devmem_write,
};
