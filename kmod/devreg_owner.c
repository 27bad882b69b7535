// SPDX-License-Identifier: GPL-2.0-only
/* Whose a range is that we were refused. The kernel has no exported function that tells it: its tree of
 * resources is behind a lock of its own. /proc/iomem and /proc/ioports show that tree under the lock, so
 * they are read, and only after a refusal.
 *
 * By a kernel thread: what a path leads to is for the caller to choose, by a mount namespace of its own, and
 * the kernel would open it with rights that the caller does not have. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "internal.h"

#define OCTETS_MAX (16 * 1024 * 1024) /* these files have some thousand lines on the largest machines */

struct search {
    struct work_struct work;
    const char *path;
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

    while (position < OCTETS_MAX && read_more(file, buffer, &length, &position)) {
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

static void search_path(struct work_struct *work)
{
    struct search *search = container_of(work, struct search, work);
    struct file *file = filp_open(search->path, O_RDONLY, 0);
    char *buffer;

    if (IS_ERR(file))
        return;
    buffer = kmalloc(PAGE_SIZE, GFP_KERNEL);
    if (buffer && file_inode(file)->i_sb->s_magic == PROC_SUPER_MAGIC)
        search_file(file, buffer, search);
    kfree(buffer);
    fput(file);
}

void owner_of_range(bool ports, u64 start, u64 last, char owner[DEVREG_OWNER_SIZE])
{
    struct search search = {
            .path = ports ? "/proc/ioports" : "/proc/iomem",
            .start = start,
            .last = last,
            .depth = -1,
            .owner = owner,
    };

    INIT_WORK_ONSTACK(&search.work, search_path);
    queue_work(system_unbound_wq, &search.work);
    flush_work(&search.work);
    destroy_work_on_stack(&search.work);
}

bool resource_has_part(const struct resource *resource, bool ports, u64 start, u64 last)
{
    return resource_type(resource) == (ports ? IORESOURCE_IO : IORESOURCE_MEM) &&
           !(resource->flags & (IORESOURCE_UNSET | IORESOURCE_DISABLED)) && resource_size(resource) > 0 &&
           resource->start <= last && resource->end >= start;
}

struct owner_query {
    bool ports;
    u64 start, last;
    char *owner;
};

/* 1 when the device is bound to a driver. Who has its lock may be binding it right now. */
static int ask_device(struct device *device, const struct owner_query *query)
{
    bool bound;

    if (!device_trylock(device))
        return -EAGAIN;
    bound = device->driver;
    if (bound)
        strscpy(query->owner, device->driver->name, DEVREG_OWNER_SIZE);
    device_unlock(device);
    return bound;
}

static int ask_platform_device(struct device *device, void *data)
{
    const struct platform_device *platform = to_platform_device(device);
    const struct owner_query *query = data;
    u32 i;

    for (i = 0; i < platform->num_resources; i++) {
        if (resource_has_part(&platform->resource[i], query->ports, query->start, query->last))
            return ask_device(device, query);
    }
    return 0;
}

#ifdef CONFIG_PCI
static int ask_function(struct device *device, void *data)
{
    const struct pci_dev *function = to_pci_dev(device);
    const struct owner_query *query = data;
    int i;

    for (i = 0; i < PCI_OWN_RESOURCES; i++) {
        if (resource_has_part(&function->resource[i], query->ports, query->start, query->last))
            return ask_device(device, query);
    }
    return 0;
}
#endif

int owner_is_driver(bool ports, u64 start, u64 last, char owner[DEVREG_OWNER_SIZE])
{
    /* Outside all other locks. Two who ask about one device would find its lock taken, by each other. */
    static DEFINE_MUTEX(asking);
    struct owner_query query = {.ports = ports, .start = start, .last = last, .owner = owner};
    int r = 0;

    mutex_lock(&asking);
#ifdef CONFIG_PCI
    r = bus_for_each_dev(&pci_bus_type, NULL, &query, ask_function);
#endif
    if (r == 0)
        r = bus_for_each_dev(&platform_bus_type, NULL, &query, ask_platform_device);
    mutex_unlock(&asking);
    return r;
}
