// SPDX-License-Identifier: GPL-2.0-only
/* Platform devices, likewise only those whose driver_override names this driver. */
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>

#include "internal.h"

static struct device *platform_find(const char *name)
{
    return bus_find_device_by_name(&platform_bus_type, NULL, name);
}

static bool is_window(const struct resource *resource)
{
    return resource_type(resource) == IORESOURCE_MEM || resource_type(resource) == IORESOURCE_IO;
}

static struct resource *platform_resource(struct device *device, unsigned int index)
{
    struct platform_device *platform = to_platform_device(device);
    unsigned int i;

    for (i = 0; i < platform->num_resources; i++) {
        if (is_window(&platform->resource[i]) && index-- == 0)
            return &platform->resource[i];
    }
    return NULL;
}

static unsigned int platform_resource_count(struct device *device)
{
    unsigned int count = 0;

    while (platform_resource(device, count))
        count++;
    return count;
}

static void platform_describe(struct device *device, struct devreg_device_info *info)
{
}

static int platform_reset(struct device *device)
{
    return -EOPNOTSUPP;
}

/* No way to stop a platform device is known that all have. */
static void platform_quiet(struct device *device)
{
}

static bool platform_is_present(struct device *device)
{
    return true;
}

static unsigned int platform_vector_count(struct device *device, u32 kind)
{
    int count = kind == DEVREG_INTERRUPT_LINE ? platform_irq_count(to_platform_device(device)) : 0;

    return count > 0 ? count : 0;
}

static int platform_vectors_begin(struct device *device, u32 kind, unsigned int count)
{
    return 0;
}

static void platform_vectors_end(struct device *device, u32 kind)
{
}

static int platform_vector_number(struct device *device, u32 kind, unsigned int vector)
{
    return platform_get_irq_optional(to_platform_device(device), vector);
}

static bool platform_can_hold_line(struct device *device)
{
    return false;
}

static void platform_release_line(struct device *device)
{
}

const struct device_bus device_bus_platform = {
        .kind = DEVREG_DEVICE_PLATFORM,
        .lockdown = true,
        .find = platform_find,
        .resource_count = platform_resource_count,
        .resource = platform_resource,
        .describe = platform_describe,
        .reset = platform_reset,
        .quiet = platform_quiet,
        .is_present = platform_is_present,
        .vector_count = platform_vector_count,
        .vectors_begin = platform_vectors_begin,
        .vectors_end = platform_vectors_end,
        .vector_number = platform_vector_number,
        .can_hold_line = platform_can_hold_line,
        .release_line = platform_release_line,
};

/* Power stays on while it is bound: an access to what is off hangs some machines. */
static int platform_probe(struct platform_device *device)
{
    int r;

    pm_runtime_enable(&device->dev);
    r = pm_runtime_resume_and_get(&device->dev);
    if (r < 0)
        goto out_disable;
    r = device_add_bound(&device->dev, &device_bus_platform);
    if (r)
        goto out_put;
    return 0;

out_put:
    pm_runtime_put_sync(&device->dev);
out_disable:
    pm_runtime_disable(&device->dev);
    return r;
}

static void give_up(struct platform_device *device)
{
    device_remove_bound(&device->dev);
    pm_runtime_put_sync(&device->dev);
    pm_runtime_disable(&device->dev);
}

#ifdef HAVE_PLATFORM_REMOVE_VOID
static void platform_remove(struct platform_device *device)
{
    give_up(device);
}
#else
static int platform_remove(struct platform_device *device)
{
    give_up(device);
    return 0;
}
#endif

static struct platform_driver driver = {
        .driver = {.name = DEVREG_DRIVER},
        .probe = platform_probe,
        .remove = platform_remove,
};

int __init platform_init(void)
{
    return platform_driver_register(&driver);
}

void platform_done(void)
{
    platform_driver_unregister(&driver);
}
