// SPDX-License-Identifier: GPL-2.0-only
/* Large pieces of memory, set aside while there are some: after days of work memory is in small pieces. They
 * may be larger than what the kernel gives in one: then neighbours are looked for. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "internal.h"

static unsigned int reserve_count;
module_param(reserve_count, uint, 0444);
MODULE_PARM_DESC(reserve_count, "Pieces of memory to set aside for DMA buffers (default: 0)");

static unsigned int reserve_mib = 4;
module_param(reserve_mib, uint, 0444);
MODULE_PARM_DESC(reserve_mib, "MiB of each, in one piece (default: 4)");

static unsigned int reserve_bits = 32;
module_param(reserve_bits, uint, 0444);
MODULE_PARM_DESC(reserve_bits, "All of it is below 2^this (24 to 64, default: 32)");

#ifdef MAX_PAGE_ORDER
#define LARGEST_ORDER MAX_PAGE_ORDER
#else
#define LARGEST_ORDER (MAX_ORDER - 1)
#endif

#define EXTENTS_MAX 1024

struct extent {
    unsigned long pfn;
    bool used;
};

static DEFINE_MUTEX(lock);
static struct extent *extents;
static unsigned int extent_count;
static unsigned int block_order, blocks_per_extent;

static u64 extent_size(void)
{
    return ((u64)blocks_per_extent << block_order) << PAGE_SHIFT;
}

static void free_block(unsigned long pfn)
{
    __free_pages(pfn_to_page(pfn), block_order);
}

static bool is_below_limit(unsigned long pfn)
{
    u64 last = ((u64)(pfn + (1UL << block_order)) << PAGE_SHIFT) - 1;

    return last <= DMA_BIT_MASK(reserve_bits);
}

static gfp_t find_zone(void)
{
    if (reserve_bits <= 24 && IS_ENABLED(CONFIG_ZONE_DMA))
        return GFP_DMA;
    return reserve_bits <= 32 && IS_ENABLED(CONFIG_ZONE_DMA32) ? GFP_DMA32 : 0;
}

static int compare_pfn(const void *first, const void *second)
{
    unsigned long a = *(const unsigned long *)first, b = *(const unsigned long *)second;

    return a < b ? -1 : a > b;
}

/* Blocks that follow each other become extents; the others are moved to the front. Returns how many those
 * are. */
static size_t take_runs(unsigned long *blocks, size_t count)
{
    size_t left = 0, i = 0;

    sort(blocks, count, sizeof(*blocks), compare_pfn, NULL);
    while (i < count) {
        size_t run = 1;

        while (run < blocks_per_extent && i + run < count &&
                blocks[i + run] == blocks[i] + (run << block_order))
            run++;
        if (run == blocks_per_extent && extent_count < reserve_count) {
            extents[extent_count++].pfn = blocks[i];
            i += run;
        } else {
            blocks[left++] = blocks[i++];
        }
    }
    return left;
}

/* Blocks that are beyond the limit are kept meanwhile, or they would come again. */
static void collect(unsigned long *blocks, size_t room)
{
    size_t count = 0, beyond = 0, looked_at = 0;
    struct page *page;

    while (count + beyond < room && extent_count < reserve_count) {
        page = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY | find_zone(), block_order);
        if (!page)
            break;
        if (is_below_limit(page_to_pfn(page)))
            blocks[count++] = page_to_pfn(page);
        else
            blocks[room - ++beyond] = page_to_pfn(page);
        if (count >= looked_at + blocks_per_extent)
            count = looked_at = take_runs(blocks, count);
        cond_resched();
    }
    count = take_runs(blocks, count);
    while (count > 0)
        free_block(blocks[--count]);
    while (beyond > 0)
        free_block(blocks[room - beyond--]);
}

/* At most half of the memory is looked at. */
static int find_extents(void)
{
    size_t room = (totalram_pages() / 2) >> block_order;
    unsigned long *blocks = kvcalloc(room ?: 1, sizeof(*blocks), GFP_KERNEL);

    if (!blocks)
        return -ENOMEM;
    collect(blocks, room);
    kvfree(blocks);
    return 0;
}

int __init reserve_init(void)
{
    u64 pages = (u64)reserve_mib << (20 - PAGE_SHIFT);
    int r;

    if (reserve_count == 0)
        return 0;
    if (reserve_count > EXTENTS_MAX || reserve_mib == 0 || reserve_bits < DEVREG_ADDRESS_BITS_MIN ||
            reserve_bits > DEVREG_ADDRESS_BITS_MAX || pages > totalram_pages()) {
        pr_err("devreg: reserve_count, reserve_mib or reserve_bits is out of range\n");
        return -EINVAL;
    }
    block_order = min_t(unsigned int, order_base_2(pages), LARGEST_ORDER);
    blocks_per_extent = (pages + (1UL << block_order) - 1) >> block_order;
    extents = kcalloc(reserve_count, sizeof(*extents), GFP_KERNEL);
    if (!extents)
        return -ENOMEM;
    r = find_extents();
    if (r) {
        reserve_done();
        return r;
    }
    if (extent_count < reserve_count)
        pr_warn("devreg: only %u of %u pieces of %u MiB could be set aside; loading the module at boot, or writing 1 to /proc/sys/vm/compact_memory before, may help\n",
                extent_count, reserve_count, reserve_mib);
    return 0;
}

void reserve_done(void)
{
    unsigned int i, j;

    for (i = 0; i < extent_count; i++) {
        if (extents[i].used)
            continue; /* a device may still write to it, see memory_forget() */
        for (j = 0; j < blocks_per_extent; j++)
            free_block(extents[i].pfn + ((unsigned long)j << block_order));
    }
    kfree(extents);
    extents = NULL;
    extent_count = 0;
}

/* What needs no large piece does not get one unasked. */
static bool is_worth_it(u64 size, bool asked)
{
    return asked || size > extent_size() / 4;
}

static bool fits(const struct extent *extent, u64 size, u64 alignment, u64 limit)
{
    u64 start = PFN_PHYS(extent->pfn);

    return !extent->used && size <= extent_size() && !(start & (alignment - 1)) && start + size - 1 <= limit;
}

struct extent *reserve_take(u64 size, u64 alignment, u64 limit, bool asked)
{
    struct extent *found = NULL;
    unsigned int i;
    u64 offset;

    mutex_lock(&lock);
    for (i = 0; !found && is_worth_it(size, asked) && i < extent_count; i++) {
        if (fits(&extents[i], size, alignment, limit))
            found = &extents[i];
    }
    if (found)
        found->used = true;
    mutex_unlock(&lock);
    for (offset = 0; found && offset < size; offset += PAGE_SIZE) {
        clear_page(page_address(extent_page(found)) + offset);
        cond_resched();
    }
    return found;
}

void reserve_give_back(struct extent *extent)
{
    mutex_lock(&lock);
    extent->used = false;
    mutex_unlock(&lock);
}

struct page *extent_page(const struct extent *extent)
{
    return pfn_to_page(extent->pfn);
}

void reserve_describe(u64 *size, u64 *free)
{
    unsigned int i;

    mutex_lock(&lock);
    *size = *free = 0;
    for (i = 0; i < extent_count; i++) {
        *size += extent_size();
        if (!extents[i].used)
            *free += extent_size();
    }
    mutex_unlock(&lock);
}
