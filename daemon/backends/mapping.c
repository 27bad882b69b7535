/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loops go through volatile pointers of the exact width: gcc turns a plain copy loop into memcpy() or
 * into 16-octet moves, and a device would see both. */
#include "backends/mapping.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/bus_guard.h"

/* Where words have 32 bits the kernel takes an offset in one of them, as a number of 4 KiB. */
static bool is_beyond_words(uint64_t offset)
{
    return sizeof(long) < sizeof(offset) && offset >> 12 > UINT32_MAX;
}

int mapping_open_after(
        int fd, uint64_t offset, uint64_t skip, uint64_t size, bool writable, struct mapping *ret_mapping)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t length;
    void *start;

    if (size == 0 || __builtin_add_overflow(size, skip, &length) || length > MAPPING_MOST - page ||
            offset > INT64_MAX || is_beyond_words(offset))
        return -EOVERFLOW;
    length = (length + page - 1) & ~(page - 1);
    start = mmap(
            NULL, (size_t)length, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, (off_t)offset);
    if (start == MAP_FAILED)
        return -errno;
    *ret_mapping = (struct mapping){start, (size_t)length, (volatile uint8_t *)start + skip};
    return 0;
}

int mapping_open(int fd, uint64_t offset, uint64_t size, bool writable, struct mapping *ret_mapping)
{
    uint64_t before = offset & ((uint64_t)sysconf(_SC_PAGESIZE) - 1);

    return mapping_open_after(fd, offset - before, before, size, writable, ret_mapping);
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->start)
        munmap(mapping->start, mapping->length);
    *mapping = (struct mapping){0};
}

const char *mapping_strerror(int code)
{
    if (sizeof(void *) >= 8 || (code != -EOVERFLOW && code != -ENOMEM))
        return strerror(-code);
    return "a devregd of 32 bits can't map as much, or as far: take a smaller part of it, or a devregd of "
           "64 bits";
}

width_set mapping_widths(void)
{
    /* A 32-bit machine would split a 64-bit access in two. */
    return sizeof(void *) >= 8 ? 1 | 2 | 4 | 8 : 1 | 2 | 4;
}

/* `done` is volatile because it is read after the jump out of a fault. Its store is not ordered against the
 * device's by anything but being volatile too, which is all that the compiler needs. */
#define DEFINE_READ(type)                                                                                   \
    static void read_##type(                                                                                \
            const volatile uint8_t *from, size_t step, type *values, size_t count, volatile size_t *done)   \
    {                                                                                                       \
        for (size_t i = 0; i < count; i++) {                                                                \
            values[i] = *(const volatile type *)from;                                                       \
            from += step;                                                                                   \
            *done = i + 1;                                                                                  \
        }                                                                                                   \
    }

#define DEFINE_WRITE(type)                                                                                  \
    static void write_##type(                                                                               \
            volatile uint8_t *to, size_t step, const type *values, size_t count, volatile size_t *done)     \
    {                                                                                                       \
        for (size_t i = 0; i < count; i++) {                                                                \
            *(volatile type *)to = values[i];                                                               \
            to += step;                                                                                     \
            *done = i + 1;                                                                                  \
        }                                                                                                   \
    }

DEFINE_READ(uint8_t)
DEFINE_READ(uint16_t)
DEFINE_READ(uint32_t)
DEFINE_READ(uint64_t)
DEFINE_WRITE(uint8_t)
DEFINE_WRITE(uint16_t)
DEFINE_WRITE(uint32_t)
DEFINE_WRITE(uint64_t)

int mapping_read(const struct mapping *mapping, const struct access *access, void *values, size_t *ret_done)
{
    const volatile uint8_t *from = mapping->window + access->offset;
    size_t step = access->fixed ? 0 : access->width;
    struct bus_guard guard; /* its large buffer is not to be cleared at each access */
    volatile size_t done = 0;

    assert(((uintptr_t)from & (access->width - 1)) == 0);
    guard.start = mapping->start;
    guard.size = mapping->length;
    if (BUS_GUARD(&guard)) {
        switch (access->width) {
        case 1:
            read_uint8_t(from, step, values, access->count, &done);
            break;
        case 2:
            read_uint16_t(from, step, values, access->count, &done);
            break;
        case 4:
            read_uint32_t(from, step, values, access->count, &done);
            break;
        case 8:
            read_uint64_t(from, step, values, access->count, &done);
            break;
        }
        bus_guard_disarm();
    }
    *ret_done = done;
    return done == access->count ? 0 : -EFAULT;
}

int mapping_write(
        const struct mapping *mapping, const struct access *access, const void *values, size_t *ret_done)
{
    volatile uint8_t *to = mapping->window + access->offset;
    size_t step = access->fixed ? 0 : access->width;
    struct bus_guard guard; /* its large buffer is not to be cleared at each access */
    volatile size_t done = 0;

    assert(((uintptr_t)to & (access->width - 1)) == 0);
    guard.start = mapping->start;
    guard.size = mapping->length;
    if (BUS_GUARD(&guard)) {
        switch (access->width) {
        case 1:
            write_uint8_t(to, step, values, access->count, &done);
            break;
        case 2:
            write_uint16_t(to, step, values, access->count, &done);
            break;
        case 4:
            write_uint32_t(to, step, values, access->count, &done);
            break;
        case 8:
            write_uint64_t(to, step, values, access->count, &done);
            break;
        }
        bus_guard_disarm();
    }
    *ret_done = done;
    return done == access->count ? 0 : -EFAULT;
}
