// SPDX-License-Identifier: GPL-2.0-only
/* What quietens a device inside the handler of its interrupt: a status register is read, another one
 * written. The two are mapped for this alone, as nothing can be mapped there. */
#include <linux/slab.h>

#include "internal.h"

#define ACKNOWLEDGE_FLAGS (DEVREG_ACKNOWLEDGE_READ | DEVREG_ACKNOWLEDGE_WRITE | DEVREG_ACKNOWLEDGE_CONSTANT)

struct acknowledge {
    bool ports;
    u32 flags, width;
    u64 value, mask;
    void __iomem *status, *acknowledge;
};

bool acknowledge_run(const struct acknowledge *acknowledge, u64 *status)
{
    *status = register_read(acknowledge->status, acknowledge->width);
    if (!(*status & acknowledge->mask))
        return false;
    if (acknowledge->flags & DEVREG_ACKNOWLEDGE_CONSTANT)
        register_write(acknowledge->acknowledge, acknowledge->width, acknowledge->value);
    else if (acknowledge->flags & DEVREG_ACKNOWLEDGE_WRITE)
        register_write(acknowledge->acknowledge, acknowledge->width, *status);
    return true;
}

static int check_flags_of(const struct devreg_acknowledge *wanted)
{
    bool writes = wanted->flags & DEVREG_ACKNOWLEDGE_WRITE;
    int r = check_flags(wanted->flags, ACKNOWLEDGE_FLAGS) ?: check_reserved(wanted->reserved);

    if (r)
        return r;
    if ((writes && !(wanted->flags & DEVREG_ACKNOWLEDGE_READ)) ||
            (!writes && wanted->flags & DEVREG_ACKNOWLEDGE_CONSTANT))
        return -EINVAL;
    return 0;
}

static int check_wanted(const struct devreg_device *device, const struct resource *resource,
        const struct devreg_acknowledge *wanted)
{
    int r = register_check(device, resource, wanted->status, wanted->width, false);

    if (r == 0 && wanted->flags & DEVREG_ACKNOWLEDGE_WRITE)
        r = register_check(device, resource, wanted->acknowledge, wanted->width, true);
    return r;
}

struct acknowledge *acknowledge_new(struct devreg_device *device, const struct devreg_acknowledge *wanted)
{
    const struct resource *resource;
    struct acknowledge *acknowledge;
    int r = check_flags_of(wanted);

    if (r)
        return ERR_PTR(r);
    if (!(wanted->flags & DEVREG_ACKNOWLEDGE_READ))
        return NULL;
    resource = device_resource(device, wanted->index);
    r = check_wanted(device, resource, wanted);
    if (r)
        return ERR_PTR(r);
    acknowledge = kzalloc(sizeof(*acknowledge), GFP_KERNEL_ACCOUNT);
    if (!acknowledge)
        return ERR_PTR(-ENOMEM);
    acknowledge->ports = resource->flags & IORESOURCE_IO;
    acknowledge->flags = wanted->flags;
    acknowledge->width = wanted->width;
    acknowledge->value = wanted->value;
    acknowledge->mask = wanted->mask;
    acknowledge->status = register_map(acknowledge->ports, resource->start + wanted->status, wanted->width);
    if (wanted->flags & DEVREG_ACKNOWLEDGE_WRITE)
        acknowledge->acknowledge =
                register_map(acknowledge->ports, resource->start + wanted->acknowledge, wanted->width);
    if (!acknowledge->status || (wanted->flags & DEVREG_ACKNOWLEDGE_WRITE && !acknowledge->acknowledge)) {
        acknowledge_free(acknowledge);
        return ERR_PTR(-ENOMEM);
    }
    return acknowledge;
}

void acknowledge_free(struct acknowledge *acknowledge)
{
    if (!acknowledge)
        return;
    register_unmap(acknowledge->ports, acknowledge->status);
    register_unmap(acknowledge->ports, acknowledge->acknowledge);
    kfree(acknowledge);
}
