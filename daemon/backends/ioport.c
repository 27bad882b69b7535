/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ranges of I/O ports, touched by the daemon itself. Nobody is asked and nothing reserved: the ports of a
 * driver can be read beside it, as those of the CMOS clock usually are. Who holds them is among the region's
 * facts; to have them alone there is the backend kmod. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "backends/backend.h"
#include "backends/ports.h"
#include "util/cleanup.h"

struct ioport_region {
    struct backend_region base;
    struct ports ports;
};

static int ioport_check(const struct device_description *description, struct error *error)
{
    for (size_t i = 0; i < description->region_count; i++) {
        const struct region_description *region = &description->regions[i];

        if (region->base >= PORTS_LIMIT || region->size > PORTS_LIMIT - region->base)
            return error_set(error, -EINVAL, "0x%" PRIx64 " + 0x%" PRIx64 " is beyond the last port, 0x%x",
                    region->base, region->size, PORTS_LIMIT - 1);
    }
    return 0;
}

static int ioport_device_open(const struct device_description *description,
        struct backend_device **ret_device, struct error *error)
{
    struct backend_device *device;
    int r;

    (void)description;
    r = ports_usable(error);
    if (r < 0)
        return r;
    device = calloc(1, sizeof(*device));
    if (!device)
        return error_set(error, -ENOMEM, "out of memory");
    *ret_device = device;
    return 0;
}

static void ioport_device_close(struct backend_device *device)
{
    free(device);
}

static int ioport_region_open(struct backend_device *device, const struct region_description *description,
        struct backend_region **ret_region, struct error *error)
{
    _cleanup_free_ struct ioport_region *region = calloc(1, sizeof(*region));
    int r;

    (void)device;
    if (!region)
        return error_set(error, -ENOMEM, "out of memory");
    r = ports_open(description->base, description->size, &region->ports, error);
    if (r < 0)
        return r;
    region->base.type = REGION_IOPORT;
    region->base.size = description->size;
    region->base.address = description->base;
    region->base.widths = ports_widths(&region->ports);
    *ret_region = &take_ptr(region)->base;
    return 0;
}

static void ioport_region_close(struct backend_region *base)
{
    struct ioport_region *region = container_of(base, struct ioport_region, base);

    ports_close(&region->ports);
    free(region);
}

static int ioport_read(
        struct backend_region *region, const struct access *access, void *values, size_t *ret_done)
{
    return ports_read(&container_of(region, struct ioport_region, base)->ports, access, values, ret_done);
}

static int ioport_write(
        struct backend_region *region, const struct access *access, const void *values, size_t *ret_done)
{
    return ports_write(&container_of(region, struct ioport_region, base)->ports, access, values, ret_done);
}

static const struct backend_form form = {
        .region_needs = KEY_BASE | KEY_SIZE,
        .region_takes = KEY_TYPE,
        .region_types = REGION_TYPE_SET(REGION_IOPORT),
};

extern const struct backend backend_ioport;
const struct backend backend_ioport = {
        .name = "ioport",
        .summary = "I/O ports, beside whoever else uses them",
        .forms = &form,
        .form_count = 1,
        .usable = ports_usable,
        .check = ioport_check,
        .device_open = ioport_device_open,
        .device_close = ioport_device_close,
        .region_open = ioport_region_open,
        .region_close = ioport_region_close,
        .read = ioport_read,
        .write = ioport_write,
};
