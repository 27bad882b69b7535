// SPDX-License-Identifier: GPL-2.0-only
/* What quietens a device inside the handler of its interrupt: a status register is read, another one
 * written. The two are mapped for this alone, as nothing can be mapped there. */
#include <linux/io.h>
#include <linux/slab.h>

#include "internal.h"

#define ACKNOWLEDGE_FLAGS (DEVREG_ACKNOWLEDGE_READ | DEVREG_ACKNOWLEDGE_WRITE | DEVREG_ACKNOWLEDGE_CONSTANT)

struct acknowledge {
    bool ports;
    u32 flags, width;
    u64 value, mask;
    void __iomem *status, *acknowledge;
};

static void __iomem *map_register(bool ports, u64 at, u32 width)
{
#ifdef CONFIG_HAS_IOPORT_MAP
    if (ports)
        return ioport_map(at, width);
#endif
    return ports ? NULL : ioremap(at, width);
}

static void unmap_register(bool ports, void __iomem *base)
{
    if (!base)
        return;
#ifdef CONFIG_HAS_IOPORT_MAP
    if (ports) {
        ioport_unmap(base);
        return;
    }
#endif
    iounmap(base);
}

static u64 read_register(const void __iomem *from, u32 width)
{
    switch (width) {
    case 1:
        return ioread8(from);
    case 2:
        return ioread16(from);
#ifdef CONFIG_64BIT
    case 8:
        return readq(from);
#endif
    default:
        return ioread32(from);
    }
}

static void write_register(void __iomem *to, u32 width, u64 value)
{
    switch (width) {
    case 1:
        iowrite8(value, to);
        break;
    case 2:
        iowrite16(value, to);
        break;
#ifdef CONFIG_64BIT
    case 8:
        writeq(value, to);
        break;
#endif
    default:
        iowrite32(value, to);
    }
}

bool acknowledge_run(const struct acknowledge *acknowledge, u64 *status)
{
    *status = read_register(acknowledge->status, acknowledge->width);
    if (!(*status & acknowledge->mask))
        return false;
    if (acknowledge->flags & DEVREG_ACKNOWLEDGE_CONSTANT)
        write_register(acknowledge->acknowledge, acknowledge->width, acknowledge->value);
    else if (acknowledge->flags & DEVREG_ACKNOWLEDGE_WRITE)
        write_register(acknowledge->acknowledge, acknowledge->width, *status);
    return true;
}

/* Whoever may touch a register through a region may have it touched. */
static bool is_claimed(const struct devreg_device *device, bool ports, u64 at, u32 width, bool write)
{
    const struct region *region;

    lockdep_assert_held(&devreg_lock);
    list_for_each_entry(region, &region_list, entry)
    {
        if (region->device == device && ports == !!(region->flags & DEVREG_REGION_PORTS) &&
                at >= region->start && at - region->start <= region->size - width && region->size >= width &&
                !(write && region->flags & DEVREG_REGION_READ_ONLY))
            return true;
    }
    return false;
}

static int check_register(const struct devreg_device *device, const struct resource *resource, u64 offset,
        u32 width, bool write)
{
    u64 size = resource_size(resource);

    if (offset & (width - 1))
        return -EINVAL;
    if (size < width || offset > size - width)
        return -ERANGE;
    return is_claimed(device, resource->flags & IORESOURCE_IO, resource->start + offset, width, write)
                   ? 0
                   : -EACCES;
}

static bool is_width(const struct resource *resource, u32 width)
{
    if (width == 8)
        return IS_ENABLED(CONFIG_64BIT) && !(resource->flags & IORESOURCE_IO);
    return width == 1 || width == 2 || width == 4;
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
    int r;

    if (!resource || resource_size(resource) == 0 || !is_width(resource, wanted->width) ||
            resource->start & (wanted->width - 1))
        return -EINVAL;
    r = check_register(device, resource, wanted->status, wanted->width, false);
    if (r == 0 && wanted->flags & DEVREG_ACKNOWLEDGE_WRITE)
        r = check_register(device, resource, wanted->acknowledge, wanted->width, true);
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
    acknowledge->status = map_register(acknowledge->ports, resource->start + wanted->status, wanted->width);
    if (wanted->flags & DEVREG_ACKNOWLEDGE_WRITE)
        acknowledge->acknowledge =
                map_register(acknowledge->ports, resource->start + wanted->acknowledge, wanted->width);
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
    unmap_register(acknowledge->ports, acknowledge->status);
    unmap_register(acknowledge->ports, acknowledge->acknowledge);
    kfree(acknowledge);
}
