// SPDX-License-Identifier: GPL-2.0-only
/* Register accesses by ioctl: for ports, and for memory that can't be mapped because it does not fill its
 * pages. */
#include <linux/io.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "internal.h"

/* Values are moved through a piece of this size, so that nothing is copied from or to the program, which may
 * fault and sleep, while the hardware is held. */
#define PIECE_SIZE 256

union piece {
    u8 octets[PIECE_SIZE];
    u16 halves[PIECE_SIZE / 2];
    u32 words[PIECE_SIZE / 4];
    u64 longs[PIECE_SIZE / 8];
};

/* ioread16() and its like turn the device's order into the processor's, the repeated forms do not: the
 * values of a FIFO are taken as octets. Programs get the device's order from both. */
static void read_piece(void __iomem *from, u32 width, u32 count, bool repeat, union piece *piece)
{
    u32 i;

    if (repeat && width == 1) {
        ioread8_rep(from, piece->octets, count);
    } else if (repeat && width == 2) {
        ioread16_rep(from, piece->halves, count);
    } else if (repeat && width == 4) {
        ioread32_rep(from, piece->words, count);
    } else {
        for (i = 0; i < count; i++, from += repeat ? 0 : width) {
            if (width == 1)
                piece->octets[i] = ioread8(from);
            else if (width == 2)
                piece->halves[i] = (__force u16)cpu_to_le16(ioread16(from));
            else if (width == 4)
                piece->words[i] = (__force u32)cpu_to_le32(ioread32(from));
#ifdef CONFIG_64BIT
            else
                piece->longs[i] = (__force u64)cpu_to_le64(readq(from));
#endif
        }
    }
}

static void write_piece(void __iomem *to, u32 width, u32 count, bool repeat, const union piece *piece)
{
    u32 i;

    if (repeat && width == 1) {
        iowrite8_rep(to, piece->octets, count);
    } else if (repeat && width == 2) {
        iowrite16_rep(to, piece->halves, count);
    } else if (repeat && width == 4) {
        iowrite32_rep(to, piece->words, count);
    } else {
        for (i = 0; i < count; i++, to += repeat ? 0 : width) {
            if (width == 1)
                iowrite8(piece->octets[i], to);
            else if (width == 2)
                iowrite16(le16_to_cpu((__force __le16)piece->halves[i]), to);
            else if (width == 4)
                iowrite32(le32_to_cpu((__force __le32)piece->words[i]), to);
#ifdef CONFIG_64BIT
            else
                writeq(le64_to_cpu((__force __le64)piece->longs[i]), to);
#endif
        }
    }
}

/* Large regions are for mmap(). The kernel's mapping of one would take page tables that nobody accounts for,
 * so of those it maps the piece that is being moved alone. */
#define BASE_SIZE_MAX SZ_1M

static void __iomem *map_memory(const struct region *region, u64 offset, u64 size)
{
    if (region->flags & DEVREG_REGION_WRITE_COMBINING)
        return ioremap_wc(region->start + offset, size);
    return ioremap(region->start + offset, size);
}

static void __iomem *map_ports(const struct region *region)
{
#ifdef CONFIG_HAS_IOPORT_MAP
    return ioport_map(region->start, region->size);
#else
    return NULL; /* none were given away */
#endif
}

/* Made when it is first needed: most regions are mapped by their programs alone. */
static void __iomem *find_base(struct region *region)
{
    void __iomem *base = smp_load_acquire(&region->base);

    if (base)
        return base;
    mutex_lock(&region->mapped);
    base = region->base;
    if (!base) {
        base = region->flags & DEVREG_REGION_PORTS ? map_ports(region) : map_memory(region, 0, region->size);
        /* Others look at it without the mutex. */
        smp_store_release(&region->base, base);
    }
    mutex_unlock(&region->mapped);
    return base;
}

/* Under region->lock. */
static int move_piece(
        struct region *region, const struct devreg_access *access, u32 count, union piece *piece)
{
    bool repeat = access->flags & DEVREG_ACCESS_REPEAT;
    bool large = !(region->flags & DEVREG_REGION_PORTS) && region->size > BASE_SIZE_MAX;
    u64 offset = access->offset + (repeat ? 0 : (u64)access->done * access->width);
    void __iomem *base, *at;

    if (region->gone)
        return -ENODEV;
    base = large ? map_memory(region, offset, repeat ? access->width : (u64)count * access->width)
                 : find_base(region);
    if (!base)
        return -ENOMEM;
    at = large ? base : base + offset;
    if (access->flags & DEVREG_ACCESS_WRITE)
        write_piece(at, access->width, count, repeat, piece);
    else
        read_piece(at, access->width, count, repeat, piece);
    if (large)
        iounmap(base);
    return 0;
}

static int check_access(const struct region *region, const struct devreg_access *access)
{
    u64 span = access->flags & DEVREG_ACCESS_REPEAT ? access->width : (u64)access->count * access->width;
    int r = check_flags(access->flags, DEVREG_ACCESS_WRITE | DEVREG_ACCESS_REPEAT)
                    ?: check_reserved(access->reserved) ?: check_pointer(access->data);

    if (r)
        return r;
    if (access->width == 0 || access->width & (access->width - 1) ||
            !(region_widths(region) & access->width) || access->offset & (access->width - 1) ||
            access->count == 0 || access->count > DEVREG_ACCESS_COUNT_MAX)
        return -EINVAL;
    if (access->offset >= region->size || span > region->size - access->offset)
        return -ERANGE;
    if (access->flags & DEVREG_ACCESS_WRITE && region->flags & DEVREG_REGION_READ_ONLY)
        return -EACCES;
    return 0;
}

/* One piece of up to `count` accesses: from or to the program outside the lock, and the hardware under it.
 * When the program's memory ends inside the piece, those are made whose values are there. */
static int serve_piece(struct region *region, struct devreg_access *access, u32 count, union piece *piece)
{
    u8 __user *user = u64_to_user_ptr(access->data) + (size_t)access->done * access->width;
    bool write = access->flags & DEVREG_ACCESS_WRITE;
    unsigned long missing = 0;
    int r;

    if (write)
        missing = copy_from_user(piece, user, (size_t)count * access->width);
    count -= DIV_ROUND_UP(missing, access->width);
    if (count == 0)
        return -EFAULT;
    down_read(region->lock);
    r = move_piece(region, access, count, piece);
    up_read(region->lock);
    if (r)
        return r;
    if (!write) {
        missing = copy_to_user(user, piece, (size_t)count * access->width);
        count -= DIV_ROUND_UP(missing, access->width);
    }
    access->done += count;
    return missing ? -EFAULT : 0;
}

int region_call_access(struct call *call, void *argument)
{
    struct region *region = call->file->private_data;
    struct devreg_access *access = argument;
    union piece piece;
    int r;

    access->done = 0;
    r = check_access(region, access);
    while (r == 0 && access->done < access->count) {
        if (fatal_signal_pending(current))
            return -EINTR;
        r = serve_piece(region, access, min_t(u32, access->count - access->done, PIECE_SIZE / access->width),
                &piece);
        cond_resched();
    }
    return r;
}
