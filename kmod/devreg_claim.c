// SPDX-License-Identifier: GPL-2.0-only
/* Taking a range: which ones can't be had, and whose they are then. */
#include <linux/file.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/security.h>
#include <linux/slab.h>

#include "internal.h"

#define CLAIM_FLAGS  (DEVREG_REGION_PORTS | DEVREG_REGION_READ_ONLY | DEVREG_REGION_WRITE_COMBINING)
#define WINDOW_FLAGS (DEVREG_REGION_READ_ONLY | DEVREG_REGION_WRITE_COMBINING)

/* Where resources have no limit the page tables do, and addresses beyond would become other bits of an
 * entry.
 */
static int check_range(bool ports, u64 start, u64 size)
{
    u64 limit = ports ? ioport_resource.end : iomem_resource.end;

#ifdef PHYS_MASK
    if (!ports && limit > PHYS_MASK)
        limit = PHYS_MASK;
#endif
    return size == 0 || size > SIZE_MAX || start > limit || size - 1 > limit - start ? -ERANGE : 0;
}

/* Mapped are whole pages, and only what was claimed. */
static bool is_mappable(const struct region *region)
{
    return !(region->flags & DEVREG_REGION_PORTS) && PAGE_ALIGNED(region->start) &&
           PAGE_ALIGNED(region->size);
}

static bool find_own(const struct region *wanted, char owner[DEVREG_OWNER_SIZE])
{
    const struct region *other;

    list_for_each_entry(other, &region_list, entry)
    {
        if ((other->flags ^ wanted->flags) & DEVREG_REGION_PORTS ||
                other->start > wanted->start + (wanted->size - 1) ||
                wanted->start > other->start + (other->size - 1))
            continue;
        strscpy(owner, other->label, DEVREG_OWNER_SIZE);
        return true;
    }
    return false;
}

/* Exclusive: neither /dev/mem nor sysfs map it, however the kernel was built. */
static struct resource *request_range(const struct region *region)
{
    if (region->flags & DEVREG_REGION_PORTS)
        return request_region(region->start, region->size, region->label);
    return request_mem_region_exclusive(region->start, region->size, region->label);
}

/* Where ports are addresses of the processor, only those in a bridge's window are mapped to anything. */
static bool leads_somewhere(const struct resource *resource)
{
    return IS_ENABLED(CONFIG_X86) || resource->parent != &ioport_resource;
}

/* One kind of caching for all mappings of a range: it is settled here, before the first one. */
static int settle_caching(struct region *region)
{
    int r = -EINVAL;

    if (!(region->flags & DEVREG_REGION_WRITE_COMBINING))
        return 0;
    if (region->flags & DEVREG_REGION_MAPPABLE)
        r = arch_io_reserve_memtype_wc(region->start, region->size);
    if (r == 0)
        return 0;
    region->flags &= ~DEVREG_REGION_WRITE_COMBINING;
    return r == -ENOMEM ? r : -EINVAL;
}

static bool is_one_too_many(const struct region *region)
{
    return region_count >= DEVREG_REGIONS_MAX ||
           (region->device && region->device->region_count >= DEVREG_DEVICE_REGIONS_MAX);
}

static int take_range(struct region *region, char owner[DEVREG_OWNER_SIZE])
{
    struct resource *resource;
    int r;

    lockdep_assert_held(&devreg_lock);
    if (region->device && region->device->gone)
        return -ENODEV;
    if (is_one_too_many(region))
        return -ENOSPC;
    resource = request_range(region);
    if (!resource) {
        find_own(region, owner);
        return -EBUSY;
    }
    region->claimed = true;
    list_add_tail(&region->entry, &region_list);
    region_count++;
    if (region->device)
        region->device->region_count++;
    r = leads_somewhere(resource) ? settle_caching(region) : -ERANGE;
    if (r)
        region_give_back(region);
    return r;
}

/* What holds data is not a device's, also where nobody uses it now. */
static int refuse_memory(u64 start, u64 size, char owner[DEVREG_OWNER_SIZE])
{
    if (region_intersects(start, size, IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) != REGION_DISJOINT)
        strscpy(owner, "System RAM", DEVREG_OWNER_SIZE);
    else if (region_intersects(start, size, IORESOURCE_MEM, IORES_DESC_PERSISTENT_MEMORY) != REGION_DISJOINT)
        strscpy(owner, "Persistent Memory", DEVREG_OWNER_SIZE);
    else
        return 0;
    return -EPERM;
}

int region_claim(struct region *region, u64 start, u64 size, char owner[DEVREG_OWNER_SIZE])
{
    bool ports = region->flags & DEVREG_REGION_PORTS;
    int r = check_range(ports, start, size);

    if (r)
        return r;
    r = ports ? 0 : refuse_memory(start, size, owner);
    if (r)
        return r;
    region->start = start;
    region->size = size;
    if (is_mappable(region))
        region->flags |= DEVREG_REGION_MAPPABLE;
    mutex_lock(&devreg_lock);
    r = take_range(region, owner);
    mutex_unlock(&devreg_lock);
    if (r == -EBUSY && !owner[0])
        owner_of_range(ports, start, start + (size - 1), owner);
    return r;
}

/* The file is closed again when the claim fails: that undoes everything. */
static int claim_file(struct call *call, struct region *region, struct file *file, u64 start, u64 size,
        char owner[DEVREG_OWNER_SIZE])
{
    int r = region_claim(region, start, size, owner);

    if (r)
        fput(file);
    else
        call->new_file = file;
    return r;
}

int region_call_claim(struct call *call, void *argument)
{
    struct devreg_claim *claim = argument;
    bool ports = claim->flags & DEVREG_REGION_PORTS;
    struct region *region;
    struct file *file;
    int r = check_flags(claim->flags, CLAIM_FLAGS) ?: check_text(claim->name, sizeof(claim->name));

    memset(claim->owner, 0, sizeof(claim->owner));
    if (r)
        return r;
    if (ports && (claim->flags & DEVREG_REGION_WRITE_COMBINING || !IS_ENABLED(CONFIG_HAS_IOPORT_MAP)))
        return -EINVAL;
    r = check_range(ports, claim->start, claim->size)
                ?: security_locked_down(ports ? LOCKDOWN_IOPORT : LOCKDOWN_DEV_MEM);
    if (r)
        return r;
    r = owner_is_driver(ports, claim->start, claim->start + (claim->size - 1), claim->owner);
    if (r)
        return r < 0 ? r : -EBUSY;
    region = region_new(claim->name, claim->flags, NULL, &file);
    if (IS_ERR(region))
        return PTR_ERR(region);
    return claim_file(call, region, file, claim->start, claim->size, claim->owner);
}

/* A window of a resource, as it is to be claimed. */
struct window {
    u64 start, size;
    u32 flags;
};

/* The device may not go while its resources are looked at. */
static int find_window(
        struct devreg_device *device, const struct devreg_claim_resource *claim, struct window *window)
{
    const struct resource *resource;
    u64 size;

    lockdep_assert_held(&devreg_lock);
    if (device->gone)
        return -ENODEV;
    resource = device_resource(device, claim->index);
    if (!resource || resource_size(resource) == 0)
        return -EINVAL;
    size = resource_size(resource);
    if (claim->offset >= size || claim->size > size - claim->offset)
        return -ERANGE;
    if (claim->flags & DEVREG_REGION_WRITE_COMBINING &&
            (resource->flags & IORESOURCE_IO ||
                    (device->bus->kind == DEVREG_DEVICE_PCI && !(resource->flags & IORESOURCE_PREFETCH))))
        return -EINVAL;
    window->start = resource->start + claim->offset;
    window->size = claim->size ? claim->size : size - claim->offset;
    window->flags = claim->flags | (resource->flags & IORESOURCE_IO ? DEVREG_REGION_PORTS : 0);
    return 0;
}

int region_call_claim_resource(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    struct devreg_claim_resource *claim = argument;
    struct window window;
    struct region *region;
    struct file *file;
    int r = check_flags(claim->flags, WINDOW_FLAGS) ?: check_reserved(claim->reserved) ?:
            check_text(claim->name, sizeof(claim->name));

    memset(claim->owner, 0, sizeof(claim->owner));
    if (r)
        return r;
    mutex_lock(&devreg_lock);
    r = find_window(device, claim, &window);
    mutex_unlock(&devreg_lock);
    if (r)
        return r;
    region = region_new(claim->name, window.flags, device, &file);
    if (IS_ERR(region))
        return PTR_ERR(region);
    return claim_file(call, region, file, window.start, window.size, claim->owner);
}
