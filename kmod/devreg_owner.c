// SPDX-License-Identifier: GPL-2.0-only
/* Whose a range is that we were refused. The kernel has no exported function that tells it: its tree of
 * resources is behind a lock of its own. /proc/iomem and /proc/ioports show that tree under the lock, so
 * they are read, as a program would, with the kernel's rights (others see no addresses), and only after a
 * refusal. */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "internal.h"

#define LINE_SIZE 192

struct search {
    u64 start, last;
    int depth; /* of the innermost owner so far, -1: none */
    char *owner;
};

/* "  fed00000-fed003ff : HPET 0": two blanks a level. */
static void take_line(struct search *search, char *line)
{
    int depth = (int)strspn(line, " ");
    unsigned long long first, last;
    int name = 0;

    if (sscanf(line, "%llx-%llx : %n", &first, &last, &name) < 2 || name == 0)
        return;
    if (first > search->last || last < search->start || depth < search->depth)
        return;
    search->depth = depth;
    strscpy(search->owner, line + name, DEVREG_OWNER_SIZE);
}

static struct file *open_as_kernel(const char *path)
{
    struct cred *kernel = prepare_kernel_cred(&init_task);
    const struct cred *own;
    struct file *file;

    if (!kernel)
        return ERR_PTR(-ENOMEM);
    own = override_creds(kernel);
    file = filp_open(path, O_RDONLY, 0);
    revert_creds(own);
    put_cred(kernel);
    return file;
}

/* Reads on from *length; returns whether there was more. */
static bool read_more(struct file *file, char *buffer, size_t *length, loff_t *position)
{
    ssize_t size = kernel_read(file, buffer + *length, PAGE_SIZE - 1 - *length, position);

    if (size <= 0)
        return false;
    *length += (size_t)size;
    buffer[*length] = 0;
    return true;
}

static void search_file(struct file *file, char *buffer, struct search *search)
{
    size_t length = 0;
    loff_t position = 0;

    while (read_more(file, buffer, &length, &position)) {
        char *line = buffer;
        char *end;

        while ((end = strchr(line, '\n'))) {
            *end = 0;
            take_line(search, line);
            line = end + 1;
        }
        length -= (size_t)(line - buffer);
        memmove(buffer, line, length + 1);
        if (length == PAGE_SIZE - 1)
            length = 0; /* no line is so long */
    }
}

void owner_of_range(bool ports, u64 start, u64 last, char owner[DEVREG_OWNER_SIZE])
{
    struct search search = {.start = start, .last = last, .depth = -1, .owner = owner};
    struct file *file = open_as_kernel(ports ? "/proc/ioports" : "/proc/iomem");
    char *buffer;

    if (IS_ERR(file))
        return;
    buffer = kmalloc(PAGE_SIZE, GFP_KERNEL);
    if (buffer)
        search_file(file, buffer, &search);
    kfree(buffer);
    fput(file);
}

static bool has_part(const struct resource *resource, bool ports, u64 start, u64 last)
{
    return resource_type(resource) == (ports ? IORESOURCE_IO : IORESOURCE_MEM) &&
           !(resource->flags & IORESOURCE_UNSET) && resource->start <= last && resource->end >= start;
}

/* Bound, or just being bound or unbound. */
static bool has_driver(struct device *device, char owner[DEVREG_OWNER_SIZE])
{
    bool bound = true;

    if (!device_trylock(device)) {
        snprintf(owner, DEVREG_OWNER_SIZE, "a driver that is being bound or unbound");
        return true;
    }
    if (device->driver)
        strscpy(owner, device->driver->name, DEVREG_OWNER_SIZE);
    else
        bound = false;
    device_unlock(device);
    return bound;
}

struct owner_query {
    bool ports;
    u64 start, last;
    char *owner;
};

static int ask_platform_device(struct device *device, void *data)
{
    const struct platform_device *platform = to_platform_device(device);
    struct owner_query *query = data;
    u32 i;

    for (i = 0; i < platform->num_resources; i++) {
        if (has_part(&platform->resource[i], query->ports, query->start, query->last))
            return has_driver(device, query->owner);
    }
    return 0;
}

#ifdef CONFIG_PCI
static int ask_function(struct device *device, void *data)
{
    struct pci_dev *function = to_pci_dev(device);
    struct owner_query *query = data;
    int i;

    for (i = 0; i < PCI_STD_NUM_BARS; i++) {
        if (has_part(&function->resource[i], query->ports, query->start, query->last))
            return has_driver(device, query->owner);
    }
    return 0;
}
#endif

bool owner_is_driver(bool ports, u64 start, u64 last, char owner[DEVREG_OWNER_SIZE])
{
    struct owner_query query = {.ports = ports, .start = start, .last = last, .owner = owner};

#ifdef CONFIG_PCI
    if (bus_for_each_dev(&pci_bus_type, NULL, &query, ask_function))
        return true;
#endif
    return bus_for_each_dev(&platform_bus_type, NULL, &query, ask_platform_device);
}
