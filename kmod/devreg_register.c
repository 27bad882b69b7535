// SPDX-License-Identifier: GPL-2.0-only
/* Single registers that the module itself reads and writes, for the program that claimed them. They are
 * mapped for this alone, when it is set up: in a handler nothing can be, and at the end nothing may fail. */
#include <linux/io.h>

#include "internal.h"

void __iomem *register_map(bool ports, u64 at, u32 width)
{
#ifdef CONFIG_HAS_IOPORT_MAP
    if (ports)
        return ioport_map(at, width);
#endif
    return ports ? NULL : ioremap(at, width);
}

void register_unmap(bool ports, void __iomem *base)
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

u64 register_read(const void __iomem *from, u32 width)
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

void register_write(void __iomem *to, u32 width, u64 value)
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

static bool is_width(const struct resource *resource, u32 width)
{
    if (width == 8)
        return IS_ENABLED(CONFIG_64BIT) && !(resource->flags & IORESOURCE_IO);
    return width == 1 || width == 2 || width == 4;
}

int register_check(const struct devreg_device *device, const struct resource *resource, u64 offset,
        u32 width, bool write)
{
    u64 size = resource ? resource_size(resource) : 0;

    if (size == 0 || !is_width(resource, width) || (resource->start | offset) & (width - 1))
        return -EINVAL;
    if (size < width || offset > size - width)
        return -ERANGE;
    return is_claimed(device, resource->flags & IORESOURCE_IO, resource->start + offset, width, write)
                   ? 0
                   : -EACCES;
}
