/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Permission to use the instructions is a thread's own, and a device is touched by the loop and by its
 * worker. So it is gained by whoever makes an access, and remembered for the thread. It is not given back:
 * what it is for may be opened again at once, and the daemon may touch all ports anyway. */
#include "backends/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#define HAVE_INSTRUCTIONS 1
#include <sys/io.h>
#else
#define HAVE_INSTRUCTIONS 0
#endif

#include "backends/lockdown.h"
#include "util/cleanup.h"

#if HAVE_INSTRUCTIONS

/* Of the diagnostic codes at start: reading or writing it does nothing, and it is not even done. */
enum { PROBED_PORT = 0x80 };

/* The ranges that this thread was lately allowed to use. Asking the kernel costs several system calls' time,
 * so a few devices may take turns. */
static _Thread_local struct {
    struct {
        uint64_t first, size;
    } ranges[8];
    unsigned next;
} permitted;

static int gain_permission(const struct ports *ports)
{
    for (size_t i = 0; i < ELEMENTS(permitted.ranges); i++) {
        if (permitted.ranges[i].first == ports->first && permitted.ranges[i].size == ports->size)
            return 0;
    }
    if (ioperm((unsigned long)ports->first, (unsigned long)ports->size, 1) < 0)
        return -errno;
    permitted.ranges[permitted.next].first = ports->first;
    permitted.ranges[permitted.next].size = ports->size;
    permitted.next = (permitted.next + 1) % ELEMENTS(permitted.ranges);
    return 0;
}

/* Nothing but an attempt tells: capabilities, lockdown and the kernel's build have a say. The thread may
 * have been allowed that port, so what it remembers is forgotten. */
static int probe_instructions(void)
{
    if (ioperm(PROBED_PORT, 1, 1) < 0)
        return -errno;
    memset(&permitted, 0, sizeof(permitted));
    ioperm(PROBED_PORT, 1, 0);
    return 0;
}

static void read_port(uint16_t port, void *value, unsigned width)
{
    switch (width) {
    case 1:
        *(uint8_t *)value = inb(port);
        break;
    case 2:
        *(uint16_t *)value = inw(port);
        break;
    case 4:
        *(uint32_t *)value = inl(port);
        break;
    }
}

static void write_port(uint16_t port, const void *value, unsigned width)
{
    switch (width) {
    case 1:
        outb(*(const uint8_t *)value, port);
        break;
    case 2:
        outw(*(const uint16_t *)value, port);
        break;
    case 4:
        outl(*(const uint32_t *)value, port);
        break;
    }
}

#else

static int gain_permission(const struct ports *ports)
{
    (void)ports;
    return -ENOSYS;
}

static int probe_instructions(void)
{
    return -ENOSYS;
}

static void read_port(uint16_t port, void *value, unsigned width)
{
    (void)port;
    memset(value, 0xff, width);
}

static void write_port(uint16_t port, const void *value, unsigned width)
{
    (void)port;
    (void)value;
    (void)width;
}

#endif

static int explain(int code, const char *what, struct error *error)
{
    if (lockdown_is_on())
        return error_set(error, -EPERM,
                "kernel lockdown forbids I/O ports: describe the device itself (address, id or platform) "
                "and bind it to devreg.ko, or boot without lockdown");
    if (code == -EPERM || code == -EACCES)
        return error_set(
                error, code, "%s: %s: run devregd as root or with CAP_SYS_RAWIO", what, strerror(-code));
    if (code == -ENOENT)
        return error_set(error, code,
                "this kernel lets no program use I/O ports: it has neither ioperm nor /dev/port");
    return error_set(error, code, "%s: %s", what, strerror(-code));
}

/* Finds the way: *ret_file is /dev/port, or -1 for instructions. */
static int find_way(int *ret_file, struct error *error)
{
    int r = probe_instructions();
    int fd;

    *ret_file = -1;
    if (r == 0)
        return 0;
    if (r != -ENOSYS)
        return explain(r, "I/O ports", error);
    fd = open("/dev/port", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return explain(-errno, "/dev/port", error);
    *ret_file = fd;
    return 0;
}

int ports_usable(struct error *error)
{
    _cleanup_close_ int file = -1;

    return find_way(&file, error);
}

int ports_open(uint64_t first, uint64_t size, struct ports *ret_ports, struct error *error)
{
    int file;
    int r;

    if (size == 0 || first >= PORTS_LIMIT || size > PORTS_LIMIT - first)
        return error_set(error, -ERANGE, "I/O ports are 0 to 0x%x", PORTS_LIMIT - 1);
    r = find_way(&file, error);
    if (r < 0)
        return r;
    *ret_ports = (struct ports){first, size, file};
    return 0;
}

void ports_close(struct ports *ports)
{
    closep(&ports->file);
    ports->file = -1;
}

width_set ports_widths(const struct ports *ports)
{
    return ports->file < 0 ? 1 | 2 | 4 : 1;
}

int ports_read(const struct ports *ports, const struct access *access, void *values, size_t *ret_done)
{
    uint8_t *value = values;
    int r = ports->file < 0 ? gain_permission(ports) : 0;

    for (*ret_done = 0; r == 0 && *ret_done < access->count; value += access->width) {
        uint64_t port = ports->first + access_offset(access, *ret_done);

        if (ports->file < 0)
            read_port((uint16_t)port, value, access->width);
        else if (pread(ports->file, value, 1, (off_t)port) != 1)
            return errno == EPERM ? -ENODATA : -EIO;
        (*ret_done)++;
    }
    return r;
}

int ports_write(const struct ports *ports, const struct access *access, const void *values, size_t *ret_done)
{
    const uint8_t *value = values;
    int r = ports->file < 0 ? gain_permission(ports) : 0;

    for (*ret_done = 0; r == 0 && *ret_done < access->count; value += access->width) {
        uint64_t port = ports->first + access_offset(access, *ret_done);

        if (ports->file < 0)
            write_port((uint16_t)port, value, access->width);
        else if (pwrite(ports->file, value, 1, (off_t)port) != 1)
            return errno == EPERM ? -ENODATA : -EIO;
        (*ret_done)++;
    }
    return r;
}
