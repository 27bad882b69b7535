// SPDX-License-Identifier: GPL-2.0-only
/* A region as a file: what it is, and how it ends. It ends in one of two ways, whichever comes first: its
 * file is closed (region_release), or its hardware goes (region_revoke); the hardware's range is given back
 * at that moment. */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "internal.h"

LIST_HEAD(region_list);
unsigned int region_count;

struct region *region_new(const char *name, u32 flags, struct devreg_device *device, struct file **ret_file)
{
    struct region *region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
    int access = flags & DEVREG_REGION_READ_ONLY ? O_RDONLY : O_RDWR;
    struct file *file;

    if (!region)
        return ERR_PTR(-ENOMEM);
    INIT_LIST_HEAD(&region->entry);
    init_rwsem(&region->own_lock);
    region->lock = device ? &device->lock : &region->own_lock;
    mutex_init(&region->mapped);
    init_waitqueue_head(&region->wait);
    region->flags = flags;
    snprintf(region->label, sizeof(region->label), "devreg:%s", name);
    file = file_new(region->label, &region_operations, region, access);
    if (IS_ERR(file)) {
        kfree(region);
        return ERR_CAST(file);
    }
    region->mapping = file->f_mapping;
    if (device) {
        kref_get(&device->references);
        mutex_lock(&devreg_lock);
        device_use(device);
        mutex_unlock(&devreg_lock);
        region->device = device;
    }
    *ret_file = file;
    return region;
}

void region_give_back(struct region *region)
{
    lockdep_assert_held(&devreg_lock);
    if (!region->claimed)
        return;
    if (region->flags & DEVREG_REGION_PORTS) {
#ifdef CONFIG_HAS_IOPORT_MAP
        if (region->base)
            ioport_unmap(region->base);
#endif
        release_region(region->start, region->size);
    } else {
        if (region->base)
            iounmap(region->base);
        if (region->flags & DEVREG_REGION_WRITE_COMBINING)
            arch_io_free_memtype_wc(region->start, region->size);
        release_mem_region(region->start, region->size);
    }
    region->base = NULL;
    region->claimed = false;
    region_count--;
    if (region->device)
        region->device->region_count--;
    list_del_init(&region->entry);
}

void region_revoke(struct region *region)
{
    lockdep_assert_held(&devreg_lock);
    down_write(region->lock);
    WRITE_ONCE(region->gone, true);
    up_write(region->lock);
    /* No fault puts back what is zapped here, as it would find the region gone. */
    unmap_mapping_range(region->mapping, 0, 0, 1);
    region_give_back(region);
    wake_up_all(&region->wait);
}

void region_unmap_all(const struct devreg_device *device)
{
    struct region *region;

    lockdep_assert_held(&devreg_lock);
    list_for_each_entry(region, &region_list, entry)
    {
        if (region->device == device)
            unmap_mapping_range(region->mapping, 0, 0, 1);
    }
}

static int region_release(struct inode *inode, struct file *file)
{
    struct region *region = file->private_data;
    struct devreg_device *device = region->device;

    mutex_lock(&devreg_lock);
    region_give_back(region);
    mutex_unlock(&devreg_lock);
    if (device) {
        device_unuse(device);
        device_unref(device);
    }
    kfree(region);
    file_released();
    return 0;
}

u32 region_widths(const struct region *region)
{
    u32 widths = 1 | 2 | 4;
    u32 width;

    if (IS_ENABLED(CONFIG_64BIT) && !(region->flags & DEVREG_REGION_PORTS))
        widths |= 8;
    /* Offsets are multiples of the width, so the start must be one too. */
    for (width = 2; width <= 8; width *= 2) {
        if (region->start & (width - 1) || region->size < width)
            widths &= ~width;
    }
    return widths;
}

/* Not under region->lock: nobody has to wait for a reset to learn this. */
static u32 current_flags(const struct region *region)
{
    return region->flags | (READ_ONCE(region->gone) ? DEVREG_REGION_GONE : 0);
}

static int call_info(struct call *call, void *argument)
{
    struct region *region = call->file->private_data;
    struct devreg_region_info *info = argument;
    int r = check_flags(info->flags, 0) ?: check_reserved(info->reserved);

    if (r)
        return r;
    info->flags = current_flags(region);
    info->start = region->start;
    info->size = region->size;
    info->widths = region_widths(region);
    strscpy_pad(info->name, region_name(region), sizeof(info->name));
    return 0;
}

static const struct call_row calls[] = {
        {DEVREG_REGION_INFO, sizeof(struct devreg_region_info), call_info},
        {DEVREG_ACCESS, sizeof(struct devreg_access), region_call_access},
};

static long region_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
    return call_serve(calls, ARRAY_SIZE(calls), file, command, argument);
}

static __poll_t region_poll(struct file *file, poll_table *table)
{
    struct region *region = file->private_data;

    poll_wait(file, &region->wait, table);
    return current_flags(region) & DEVREG_REGION_GONE ? EPOLLHUP | EPOLLERR : 0;
}

/* /proc/PID/fdinfo/N, for whoever looks for the process that holds something. */
static void region_show(struct seq_file *text, struct file *file)
{
    struct region *region = file->private_data;
    u32 flags = current_flags(region);

    seq_printf(text, "devreg-region:\t%s\n", region_name(region));
    seq_printf(text, "devreg-range:\t%s 0x%llx + 0x%llx%s\n",
            flags & DEVREG_REGION_PORTS ? "ports" : "memory", region->start, region->size,
            flags & DEVREG_REGION_GONE ? ", gone" : "");
}

const struct file_operations region_operations = {
        .owner = THIS_MODULE,
        .release = region_release,
        .unlocked_ioctl = region_ioctl,
        .compat_ioctl = compat_ptr_ioctl,
        .mmap = region_mmap,
        .poll = region_poll,
        .show_fdinfo = region_show,
};
