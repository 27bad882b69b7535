// SPDX-License-Identifier: GPL-2.0-only
/* Devices that are bound to the driver devreg. One lives as long as its driver's binding or any descriptor;
 * between the two it is gone: the descriptors are there, with nothing behind them. */
#include <linux/device.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "internal.h"

static LIST_HEAD(devices);

int device_add_bound(struct device *bound, const struct device_bus *bus)
{
    struct devreg_device *device = kzalloc(sizeof(*device), GFP_KERNEL);

    if (!device)
        return -ENOMEM;
    kref_init(&device->references);
    mutex_init(&device->reset);
    init_rwsem(&device->lock);
    init_waitqueue_head(&device->wait);
    INIT_LIST_HEAD(&device->buffers);
    INIT_LIST_HEAD(&device->retained);
    device->bus = bus;
    device->device = get_device(bound);
    dev_set_drvdata(bound, device);
    mutex_lock(&devreg_lock);
    list_add_tail(&device->entry, &devices);
    mutex_unlock(&devreg_lock);
    return 0;
}

static void revoke_regions(const struct devreg_device *device)
{
    struct region *region, *next;

    list_for_each_entry_safe(region, next, &region_list, entry)
    {
        if (region->device == device)
            region_revoke(region);
    }
}

void device_remove_bound(struct device *bound)
{
    struct devreg_device *device = dev_get_drvdata(bound);
    bool stopped;

    mutex_lock(&device->reset);
    stopped = device_stop_for_good(device);
    if (device->interrupts)
        interrupts_end(device->interrupts);
    mutex_lock(&devreg_lock);
    WRITE_ONCE(device->gone, true);
    list_del(&device->entry);
    revoke_regions(device);
    mutex_unlock(&devreg_lock);
    buffers_end(device, stopped);
    memory_restore_mask(bound);
    mutex_unlock(&device->reset);
    wake_up_all(&device->wait);
    device_unref(device);
}

void device_use(struct devreg_device *device)
{
    lockdep_assert_held(&devreg_lock);
    device->users++;
}

/* Nobody else opens it while it is being stopped: it still has a user. */
void device_unuse(struct devreg_device *device)
{
    bool last;

    mutex_lock(&device->reset);
    mutex_lock(&devreg_lock);
    last = device->users == 1 && !device->gone;
    mutex_unlock(&devreg_lock);
    if (last)
        device_stop(device);
    mutex_lock(&devreg_lock);
    device->users--;
    mutex_unlock(&devreg_lock);
    mutex_unlock(&device->reset);
}

static void device_free(struct kref *references)
{
    struct devreg_device *device = container_of(references, struct devreg_device, references);

    put_device(device->device);
    kfree(device);
}

void device_unref(struct devreg_device *device)
{
    kref_put(&device->references, device_free);
}

static int device_release(struct inode *inode, struct file *file)
{
    struct devreg_device *device = file->private_data;

    device_unuse(device);
    device_unref(device);
    file_released();
    return 0;
}

static bool is_gone(const struct devreg_device *device)
{
    return READ_ONCE(device->gone);
}

static int call_info(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    struct devreg_device_info *info = argument;
    int r = check_flags(info->flags, 0);

    if (r)
        return r;
    info->flags = device->bus->kind;
    info->resource_count = info->vendor = info->device = info->class_code = 0;
    mutex_lock(&devreg_lock);
    if (device->gone) {
        info->flags |= DEVREG_DEVICE_GONE;
    } else {
        info->resource_count = device->bus->resource_count(device->device);
        device->bus->describe(device->device, info);
    }
    mutex_unlock(&devreg_lock);
    return 0;
}

const struct resource *device_resource(const struct devreg_device *device, u32 index)
{
    u32 count = device->bus->resource_count(device->device);

    lockdep_assert_held(&devreg_lock);
    return index < count ? device->bus->resource(device->device, array_index_nospec(index, count)) : NULL;
}

static void describe_resource(const struct resource *resource, struct devreg_resource_info *info)
{
    if (resource->flags & IORESOURCE_IO)
        info->flags |= DEVREG_RESOURCE_PORTS;
    if (resource->flags & IORESOURCE_PREFETCH)
        info->flags |= DEVREG_RESOURCE_PREFETCHABLE;
    if (resource->flags & IORESOURCE_READONLY)
        info->flags |= DEVREG_RESOURCE_READ_ONLY;
    if (resource->flags & IORESOURCE_MEM_64)
        info->flags |= DEVREG_RESOURCE_64;
    info->start = resource->start;
    info->size = resource_size(resource);
    if (resource->name)
        strscpy(info->name, resource->name, sizeof(info->name));
}

static int call_resource(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    struct devreg_resource_info *info = argument;
    const struct resource *resource;
    int r = check_flags(info->flags, 0) ?: check_reserved(info->reserved);

    if (r)
        return r;
    info->start = info->size = 0;
    memset(info->name, 0, sizeof(info->name));
    mutex_lock(&devreg_lock);
    if (device->gone) {
        r = -ENODEV;
    } else if (info->index >= device->bus->resource_count(device->device)) {
        r = -EINVAL;
    } else {
        resource = device_resource(device, info->index);
        if (resource)
            describe_resource(resource, info);
    }
    mutex_unlock(&devreg_lock);
    return r;
}

/* While a device is being reset it answers nothing, and on some machines an access that is not answered ends
 * everything: so nobody touches it meanwhile. That can take long, and is not under devreg_lock: only this
 * device has to wait. */
int device_reset_alone(struct devreg_device *device)
{
    int r;

    lockdep_assert_held(&device->reset);
    mutex_lock(&devreg_lock);
    down_write(&device->lock);
    region_unmap_all(device);
    mutex_unlock(&devreg_lock);
    WRITE_ONCE(device->resetter, current);
    r = device->bus->reset(device->device);
    WRITE_ONCE(device->resetter, NULL);
    up_write(&device->lock);
    /* It has forgotten where it was to write to. */
    if (r == 0)
        device_free_retained(device);
    device_restore_master(device);
    return r;
}

void device_pause_bound(struct device *bound)
{
    struct devreg_device *device = dev_get_drvdata(bound);

    if (READ_ONCE(device->resetter) == current)
        return;
    mutex_lock(&device->reset);
    if (device->interrupts && !device->interrupts->paused)
        vectors_pause(device->interrupts);
    mutex_unlock(&device->reset);
}

void device_resume_bound(struct device *bound)
{
    struct devreg_device *device = dev_get_drvdata(bound);

    if (READ_ONCE(device->resetter) == current)
        return;
    mutex_lock(&device->reset);
    device_restore_master(device);
    if (device->interrupts && device->interrupts->paused)
        vectors_resume(device->interrupts);
    mutex_unlock(&device->reset);
}

static int call_reset(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    struct devreg_reset *reset = argument;
    int r = check_flags(reset->flags, 0);
    bool pause;

    if (r)
        return r;
    if (mutex_lock_killable(&device->reset))
        return -EINTR;
    pause = device->interrupts && !device->interrupts->paused;
    if (pause)
        vectors_pause(device->interrupts);
    r = device->gone ? -ENODEV : device_reset_alone(device);
    if (pause)
        vectors_resume(device->interrupts);
    mutex_unlock(&device->reset);
    return r;
}

static const struct call_row calls[] = {
        {DEVREG_DEVICE_INFO, sizeof(struct devreg_device_info), call_info},
        {DEVREG_RESOURCE_INFO, sizeof(struct devreg_resource_info), call_resource},
        {DEVREG_CLAIM_RESOURCE, sizeof(struct devreg_claim_resource), region_call_claim_resource},
        {DEVREG_RESET, sizeof(struct devreg_reset), call_reset},
        {DEVREG_INTERRUPT_INFO, sizeof(struct devreg_interrupt_info), interrupts_call_info},
        {DEVREG_OPEN_INTERRUPTS, sizeof(struct devreg_open_interrupts), interrupts_call_open},
        {DEVREG_SET_SAFE_STATE, sizeof(struct devreg_safe_state), safe_state_call},
        {DEVREG_DMA_INFO, sizeof(struct devreg_dma_info), buffer_call_info},
        {DEVREG_ALLOCATE_BUFFER, sizeof(struct devreg_allocate_buffer), buffer_call_allocate},
};

static long device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
    return call_serve(calls, ARRAY_SIZE(calls), file, command, argument);
}

static __poll_t device_poll(struct file *file, poll_table *table)
{
    struct devreg_device *device = file->private_data;

    poll_wait(file, &device->wait, table);
    return is_gone(device) ? EPOLLHUP | EPOLLERR : 0;
}

static void device_show(struct seq_file *text, struct file *file)
{
    struct devreg_device *device = file->private_data;

    seq_printf(text, "devreg-device:\t%s%s\n", dev_name(device->device), is_gone(device) ? ", gone" : "");
}

const struct file_operations device_operations = {
        .owner = THIS_MODULE,
        .release = device_release,
        .unlocked_ioctl = device_ioctl,
        .compat_ioctl = compat_ptr_ioctl,
        .poll = device_poll,
        .show_fdinfo = device_show,
};

/* With a reference for the caller, who is its user then. */
static struct devreg_device *use_device(u32 kind, const char *name, char owner[DEVREG_OWNER_SIZE])
{
    struct devreg_device *device;

    list_for_each_entry(device, &devices, entry)
    {
        if (device->bus->kind != kind || strcmp(dev_name(device->device), name) != 0)
            continue;
        if (device->users > 0) {
            strscpy(owner, device->holder, DEVREG_OWNER_SIZE);
            return ERR_PTR(-EBUSY);
        }
        snprintf(device->holder, sizeof(device->holder), "%s[%d]", current->comm, task_tgid_nr(current));
        device_use(device);
        kref_get(&device->references);
        return device;
    }
    return NULL;
}

/* Why a device of this name can't be opened. Its driver is only told when nobody binds or unbinds it right
 * now. */
static int explain_absence(const struct device_bus *bus, const char *name, char owner[DEVREG_OWNER_SIZE])
{
    struct device *device = bus->find(name);

    if (!device)
        return -ENODEV;
    if (device_trylock(device)) {
        if (device->driver)
            strscpy(owner, device->driver->name, DEVREG_OWNER_SIZE);
        device_unlock(device);
    }
    put_device(device);
    return -ENXIO;
}

static const struct device_bus *find_bus(u32 kind)
{
    if (kind == DEVREG_DEVICE_PLATFORM)
        return &device_bus_platform;
#ifdef CONFIG_PCI
    if (kind == DEVREG_DEVICE_PCI)
        return &device_bus_pci;
#endif
    return NULL;
}

int device_call_open(struct call *call, void *argument)
{
    struct devreg_open_device *open = argument;
    const struct device_bus *bus = find_bus(open->flags);
    struct devreg_device *device;
    struct file *file;
    int r = check_text(open->name, sizeof(open->name));

    memset(open->owner, 0, sizeof(open->owner));
    if (r || !bus)
        return -EINVAL;
    r = bus->lockdown ? security_locked_down(LOCKDOWN_DEV_MEM) : 0;
    if (r)
        return r;
    mutex_lock(&devreg_lock);
    device = use_device(bus->kind, open->name, open->owner);
    mutex_unlock(&devreg_lock);
    if (IS_ERR(device))
        return PTR_ERR(device);
    if (!device)
        return explain_absence(bus, open->name, open->owner);
    file = file_new("devreg-device", &device_operations, device, O_RDWR);
    if (IS_ERR(file)) {
        device_unuse(device);
        device_unref(device);
        return PTR_ERR(file);
    }
    call->new_file = file;
    return 0;
}
