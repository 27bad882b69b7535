/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UIO drivers keep the interrupt off after each occurrence, until they are told that the device is quiet: by
 * a write to their node, where they take one. uio_pci_generic does not, and there the PCI function is told
 * itself, in its configuration space (the kernel's UIO howto says so). */
#include "backends/uio_interrupts.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/number.h"

enum {
    PCI_COMMAND = 4,               /* offset in the configuration space */
    PCI_COMMAND_INTX_OFF = 0x0400, /* Interrupt Disable, PCI Local Bus 3.0, 6.2.2 */
};

struct uio_interrupts {
    struct backend_interrupts base;
    int config;     /* the PCI function's configuration space, or -1 */
    uint32_t count; /* as the driver last told it */
};

void uio_interrupts_close(struct backend_interrupts *base)
{
    struct uio_interrupts *interrupts = container_of(base, struct uio_interrupts, base);

    closep(&base->fd);
    closep(&interrupts->config);
    free(interrupts);
}

static inline void uio_interrupts_closep(struct uio_interrupts **interrupts)
{
    if (*interrupts)
        uio_interrupts_close(&(*interrupts)->base);
}

static int tell_function(int config, bool masked)
{
    uint16_t command;

    if (pread(config, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
        return -EIO;
    command = masked ? le16toh(command) | PCI_COMMAND_INTX_OFF
                     : le16toh(command) & (uint16_t)~PCI_COMMAND_INTX_OFF;
    command = htole16(command);
    return pwrite(config, &command, sizeof(command), PCI_COMMAND) == sizeof(command) ? 0 : -EIO;
}

int uio_interrupts_mask(struct backend_interrupts *base, unsigned source, bool masked)
{
    const struct uio_interrupts *interrupts = container_of(base, struct uio_interrupts, base);
    int32_t on = !masked;

    (void)source; /* there is one */
    if (write(base->fd, &on, sizeof(on)) == sizeof(on))
        return 0;
    if (errno != ENOSYS)
        return -errno;
    return interrupts->config < 0 ? -EOPNOTSUPP : tell_function(interrupts->config, masked);
}

static int check_described(const struct device_description *description, struct error *error)
{
    if (description->interrupt_count > 1 || description->interrupts[0].vector != 0)
        return error_set(error, -ENOSPC,
                "UIO has one interrupt of a device, vector 0: bind %s to devreg for more",
                description->name);
    if (description->interrupt_type == INTERRUPT_MSI || description->interrupt_type == INTERRUPT_MSIX)
        return error_set(error, -EOPNOTSUPP,
                "UIO does not let its users choose msi or msi-x: bind %s to devreg for it",
                description->name);
    return 0;
}

/* The count before the node is opened: what comes after that is told. */
static int read_count(int directory, uint32_t *ret_count, struct error *error)
{
    char text[32];
    uint64_t count = 0;
    int r = file_read_line_at(directory, "event", text, sizeof(text));

    if (r == 0)
        r = number_parse(text, &count);
    if (r < 0)
        return error_set(error, r, "the count of the UIO device's interrupts: %s", strerror(-r));
    *ret_count = (uint32_t)count;
    return 0;
}

static int open_node(struct uio_interrupts *interrupts, const char *node, struct error *error)
{
    char path[32];
    uint32_t count;

    snprintf(path, sizeof(path), "/dev/%s", node);
    interrupts->base.fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (interrupts->base.fd < 0)
        return error_set(error, -errno, "%s: %s", path, strerror(errno));
    if (read(interrupts->base.fd, &count, sizeof(count)) < 0 && errno == EIO)
        return error_set(error, -EOPNOTSUPP, "the UIO driver of %s has no interrupt", path);
    return 0;
}

int uio_interrupts_open(const struct device_description *description, const char *node, int directory,
        int function, struct backend_interrupts **ret_interrupts, struct error *error)
{
    _cleanup_(uio_interrupts_closep) struct uio_interrupts *interrupts = calloc(1, sizeof(*interrupts));
    int r = check_described(description, error);

    if (!interrupts)
        return error_set(error, -ENOMEM, "out of memory");
    interrupts->base.fd = interrupts->config = -1;
    interrupts->base.type = "uio";
    if (r == 0)
        r = read_count(directory, &interrupts->count, error);
    if (r == 0)
        r = open_node(interrupts, node, error);
    if (r < 0)
        return r;
    if (function >= 0)
        interrupts->config = openat(function, "config", O_RDWR | O_CLOEXEC);
    r = uio_interrupts_mask(&interrupts->base, 0, false);
    if (r < 0)
        return error_set(error, r, "the UIO driver of %s can't let its interrupt come: %s",
                description->name, strerror(-r));
    *ret_interrupts = &take_ptr(interrupts)->base;
    return 0;
}

int uio_interrupts_read(
        struct backend_interrupts *base, struct interrupt_record *records, size_t count, size_t *ret_count)
{
    struct uio_interrupts *interrupts = container_of(base, struct uio_interrupts, base);
    uint32_t now;

    *ret_count = 0;
    if (count == 0)
        return 0;
    if (read(base->fd, &now, sizeof(now)) != sizeof(now))
        return errno == EAGAIN || errno == EINTR ? 0 : errno == EIO ? -ENODEV : -errno;
    if (now == interrupts->count)
        return 0;
    records[0] = (struct interrupt_record){
            .time_ns = clock_now_ns(), .missed = now - interrupts->count - 1, .masked = true};
    interrupts->count = now;
    *ret_count = 1;
    return 0;
}
