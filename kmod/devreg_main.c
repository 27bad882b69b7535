// SPDX-License-Identifier: GPL-2.0-only
/* The module's begin and end, and /dev/devreg. */
#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>

#include "internal.h"

DEFINE_MUTEX(devreg_lock);

static int main_open(struct inode *inode, struct file *file)
{
    return capable(CAP_SYS_RAWIO) ? 0 : -EPERM;
}

static int call_info(struct call *call, void *argument)
{
    struct devreg_info *info = argument;
    int r = check_flags(info->flags, 0);

    if (r)
        return r;
    info->abi = DEVREG_ABI;
    info->page_size = PAGE_SIZE;
    info->capabilities = DEVREG_CAPABILITY_MEMORY | DEVREG_CAPABILITY_PLATFORM |
                         DEVREG_CAPABILITY_INTERRUPTS | DEVREG_CAPABILITY_SAFE_STATE;
    if (IS_ENABLED(CONFIG_HAS_DMA))
        info->capabilities |= DEVREG_CAPABILITY_DMA;
    if (IS_ENABLED(CONFIG_HAS_IOPORT_MAP))
        info->capabilities |= DEVREG_CAPABILITY_PORTS;
    if (IS_ENABLED(CONFIG_PCI))
        info->capabilities |= DEVREG_CAPABILITY_PCI;
    if (IS_ENABLED(CONFIG_64BIT))
        info->capabilities |= DEVREG_CAPABILITY_ACCESS_64;
    strscpy_pad(info->version, DEVREG_VERSION, sizeof(info->version));
    return 0;
}

static const struct call_row calls[] = {
        {DEVREG_GET_INFO, sizeof(struct devreg_info), call_info},
        {DEVREG_CLAIM_REGION, sizeof(struct devreg_claim), region_call_claim},
        {DEVREG_OPEN_DEVICE, sizeof(struct devreg_open_device), device_call_open},
};

static long main_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
    return call_serve(calls, ARRAY_SIZE(calls), file, command, argument);
}

static const struct file_operations main_operations = {
        .owner = THIS_MODULE,
        .open = main_open,
        .unlocked_ioctl = main_ioctl,
        .compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice node = {
        .minor = MISC_DYNAMIC_MINOR,
        .name = "devreg",
        .fops = &main_operations,
        .mode = 0600,
};

/* A claim of addresses alone knows no device, but they may be a device's that has no driver: when that
 * device is pulled out, the claim ends as that of a bound one does. */
static void revoke_inside(const struct resource *resource)
{
    struct region *region, *next;

    list_for_each_entry_safe(region, next, &region_list, entry)
    {
        if (!region->device && resource_has_part(resource, region->flags & DEVREG_REGION_PORTS,
                                       region->start, region->start + (region->size - 1)))
            region_revoke(region);
    }
}

static int handle_bus_event(struct notifier_block *block, unsigned long event, void *data)
{
    struct device *device = data;
    unsigned int i;

    /* Twice, as a claim may come in between; afterwards the device's addresses are nobody's. */
    if (event != BUS_NOTIFY_DEL_DEVICE && event != BUS_NOTIFY_REMOVED_DEVICE)
        return NOTIFY_DONE;
    mutex_lock(&devreg_lock);
    if (device->bus == &platform_bus_type) {
        for (i = 0; i < to_platform_device(device)->num_resources; i++)
            revoke_inside(&to_platform_device(device)->resource[i]);
#ifdef CONFIG_PCI
    } else if (device->bus == &pci_bus_type) {
        for (i = 0; i < PCI_OWN_RESOURCES; i++)
            revoke_inside(&to_pci_dev(device)->resource[i]);
#endif
    }
    mutex_unlock(&devreg_lock);
    return NOTIFY_DONE;
}

static struct notifier_block platform_events = {.notifier_call = handle_bus_event};
#ifdef CONFIG_PCI
static struct notifier_block pci_events = {.notifier_call = handle_bus_event};
#endif

static int __init watch_buses(void)
{
    int r = bus_register_notifier(&platform_bus_type, &platform_events);

#ifdef CONFIG_PCI
    if (r == 0) {
        r = bus_register_notifier(&pci_bus_type, &pci_events);
        if (r)
            bus_unregister_notifier(&platform_bus_type, &platform_events);
    }
#endif
    return r;
}

static void unwatch_buses(void)
{
#ifdef CONFIG_PCI
    bus_unregister_notifier(&pci_bus_type, &pci_events);
#endif
    bus_unregister_notifier(&platform_bus_type, &platform_events);
}

/* The node comes last, when all that it leads to is there. */
static int __init main_init(void)
{
    int r = reserve_init();

    if (r)
        return r;
    r = watch_buses();
    if (r)
        goto out_reserve;
    r = platform_init();
    if (r)
        goto out_buses;
    r = pci_init();
    if (r)
        goto out_platform;
    r = misc_register(&node);
    if (r)
        goto out_pci;
    return 0;

out_pci:
    pci_done();
out_platform:
    platform_done();
out_buses:
    unwatch_buses();
out_reserve:
    reserve_done();
    return r;
}

static void __exit main_exit(void)
{
    misc_deregister(&node);
    pci_done();
    platform_done();
    unwatch_buses();
    reserve_done();
}

module_init(main_init);
module_exit(main_exit);

MODULE_DESCRIPTION("Claims device registers for programs");
MODULE_AUTHOR("The devreg developers");
MODULE_VERSION(DEVREG_VERSION);
MODULE_LICENSE("GPL");
