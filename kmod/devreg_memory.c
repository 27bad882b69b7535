// SPDX-License-Identifier: GPL-2.0-only
/* Memory that a device reaches: found, mapped for it, and told to programs as segments. It is made of
 * chunks, each in one piece for both sides: one chunk where the device needs one piece, many of a pool or
 * where pieces will do. Whoever allocates and frees has the device, and nobody sets its masks meanwhile. */
#ifdef HAVE_CC_PLATFORM
#include <linux/cc_platform.h>
#else
#include <linux/mem_encrypt.h>
#endif
#include <linux/dma-map-ops.h>
#include <linux/iommu.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "internal.h"

static unsigned int buffer_mib;
module_param(buffer_mib, uint, 0444);
MODULE_PARM_DESC(buffer_mib, "MiB that all DMA buffers may take (default: a quarter of the memory)");

/* As hard as may be without ending processes for it, and without a word in the kernel's log: the program is
 * told. */
#define GFP_BUFFER (GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* Where smaller ones will do. */
#define GFP_PIECE  (GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY)

#define PIECE_MAX  SZ_2M /* of scattered memory: larger ones gain nothing, and are hard to find */
#define POOL_CHUNK SZ_64K

static atomic64_t total;

u64 memory_total(void)
{
    return atomic64_read(&total);
}

u64 memory_total_max(void)
{
    return buffer_mib ? (u64)buffer_mib << 20 : ((u64)totalram_pages() << PAGE_SHIFT) / 4;
}

u64 memory_size_max(void)
{
    return min_t(u64, memory_total_max(), IS_ENABLED(CONFIG_64BIT) ? SZ_4G : SZ_1G);
}

#ifdef CONFIG_IOMMU_API
bool device_is_translated(struct device *device)
{
    const struct iommu_domain *domain = iommu_get_domain_for_dev(device);

    return domain && domain->type & __IOMMU_DOMAIN_PAGING;
}
#else
bool device_is_translated(struct device *device)
{
    return false;
}
#endif

static bool is_memory_encrypted(void)
{
#ifdef HAVE_CC_PLATFORM
    return cc_platform_has(CC_ATTR_MEM_ENCRYPT);
#else
    return mem_encrypt_active();
#endif
}

static bool is_coherent(const struct memory *memory)
{
    return memory->flags & (DEVREG_BUFFER_COHERENT | DEVREG_BUFFER_POOL);
}

/* Counts it, if that is not too much. */
static int take_total(u64 size)
{
    u64 most = memory_total_max();

    if (size > most || (u64)atomic64_add_return(size, &total) > most) {
        if (size <= most)
            atomic64_sub(size, &total);
        return -E2BIG;
    }
    return 0;
}

/* --- Chunks --- */

static struct chunk *next_chunk(struct memory *memory, size_t size)
{
    struct chunk *chunk = &memory->chunks[memory->chunk_count];

    *chunk = (struct chunk){.size = size};
    if (memory->chunk_count > 0)
        chunk->offset = chunk[-1].offset + chunk[-1].size;
    return chunk;
}

static void free_chunk(const struct memory *memory, const struct chunk *chunk)
{
    if (memory->extent)
        dma_unmap_page(memory->device, chunk->bus, chunk->size, memory->direction);
    else if (is_coherent(memory))
        dma_free_coherent(memory->device, chunk->size, chunk->address, chunk->bus);
    else
        dma_free_pages(memory->device, chunk->size, chunk->page, chunk->bus, memory->direction);
}

/* The kernel aligns a piece to its size, rounded up to a power of two; but not wherever it comes from. */
static bool is_well_placed(const struct memory *memory, const struct chunk *chunk)
{
    u64 last = chunk->bus + (chunk->size - 1);

    if (chunk->bus & (memory->alignment - 1))
        return false;
    return !memory->boundary || !((chunk->bus ^ last) & ~(memory->boundary - 1));
}

/* The one that next_chunk() gave, which is there now. */
static int keep_chunk(struct memory *memory)
{
    const struct chunk *chunk = &memory->chunks[memory->chunk_count];

    if (!is_well_placed(memory, chunk)) {
        free_chunk(memory, chunk);
        return -ENOMEM;
    }
    memory->chunk_count++;
    return 0;
}

static int add_chunk(struct memory *memory, size_t size, gfp_t gfp)
{
    struct chunk *chunk = next_chunk(memory, size);

    if (is_coherent(memory))
        chunk->address = dma_alloc_coherent(memory->device, size, &chunk->bus, gfp);
    else
        chunk->page = dma_alloc_pages(memory->device, size, &chunk->bus, memory->direction, gfp);
    /* What checks drivers' use of DMA wants this asked of pages too, although there are none then. */
    if (!chunk->address && (!chunk->page || dma_mapping_error(memory->device, chunk->bus)))
        return -ENOMEM;
    return keep_chunk(memory);
}

static void free_chunks(struct memory *memory)
{
    while (memory->chunk_count > 0) {
        free_chunk(memory, &memory->chunks[--memory->chunk_count]);
        cond_resched();
    }
}

static int make_room(struct memory *memory, u64 count)
{
    if (count > INT_MAX / sizeof(*memory->chunks))
        return -E2BIG;
    kvfree(memory->chunks);
    memory->chunks = kvcalloc(count, sizeof(*memory->chunks), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
    return memory->chunks ? 0 : -ENOMEM;
}

/* --- In one piece --- */

/* What was set aside is mapped as any memory of a program's would be. That is coherent where the processor's
 * caches know of the device, and no copy is in between. */
static int map_extent(struct memory *memory, struct chunk *chunk)
{
    chunk->page = extent_page(memory->extent);
    chunk->bus = dma_map_page(memory->device, chunk->page, 0, chunk->size, memory->direction);
    if (dma_mapping_error(memory->device, chunk->bus))
        return -ENOMEM;
    if (is_coherent(memory) && dma_need_sync(memory->device, chunk->bus)) {
        free_chunk(memory, chunk);
        return -ENOMEM;
    }
    return keep_chunk(memory);
}

static int use_extent(struct memory *memory, const struct devreg_allocate_buffer *wanted)
{
    bool translated = device_is_translated(memory->device);
    bool asked = wanted->flags & DEVREG_BUFFER_RESERVED;
    int r;

    if (is_coherent(memory) && !dev_is_dma_coherent(memory->device))
        return -ENOMEM;
    memory->extent = reserve_take(memory->size, translated ? PAGE_SIZE : memory->alignment,
            translated ? U64_MAX : DMA_BIT_MASK(wanted->address_bits), asked);
    if (!memory->extent)
        return -ENOMEM;
    r = map_extent(memory, next_chunk(memory, memory->size));
    if (r) {
        reserve_give_back(memory->extent);
        memory->extent = NULL;
        return r;
    }
    memory->flags |= DEVREG_BUFFER_RESERVED;
    return 0;
}

static int fill_with_one(struct memory *memory, const struct devreg_allocate_buffer *wanted)
{
    int r = make_room(memory, 1);

    if (r)
        return r;
    r = -ENOMEM;
    if (!(wanted->flags & DEVREG_BUFFER_RESERVED))
        r = add_chunk(memory, max(memory->size, memory->alignment), GFP_BUFFER);
    return r == -ENOMEM ? use_extent(memory, wanted) : r;
}

/* --- In pieces --- */

static int fill_with_pieces(struct memory *memory, const struct devreg_allocate_buffer *wanted)
{
    u64 least = memory->alignment;
    u64 piece = max_t(u64, PIECE_MAX, least);
    u64 done = 0;
    int r;

    if (wanted->boundary)
        piece = min(piece, wanted->boundary);
    r = make_room(memory, ALIGN(memory->size, least) >> ilog2(least));
    while (r == 0 && done < memory->size) {
        while (piece > least && piece > memory->size - done)
            piece /= 2;
        r = add_chunk(memory, piece, piece > least ? GFP_PIECE : GFP_BUFFER);
        if (r == 0) {
            done += piece;
        } else if (piece > least) {
            piece /= 2;
            r = 0;
        }
        if (fatal_signal_pending(current))
            r = -EINTR;
        cond_resched();
    }
    memory->size = max(done, memory->size);
    return r;
}

static bool continues(const struct devreg_segment *segment, const struct chunk *chunk, u64 boundary)
{
    return segment->bus_address + segment->size == chunk->bus &&
           !(boundary && !(chunk->bus & (boundary - 1)));
}

/* Chunks that happen to lie side by side are one segment. */
static int list_segments(struct memory *memory, u64 boundary)
{
    struct devreg_segment *segment;
    u32 i;

    memory->segments = kvcalloc(memory->chunk_count, sizeof(*segment), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
    if (!memory->segments)
        return -ENOMEM;
    for (i = 0; i < memory->chunk_count; i++) {
        const struct chunk *chunk = &memory->chunks[i];

        segment = &memory->segments[memory->segment_count];
        if (i > 0 && continues(segment - 1, chunk, boundary)) {
            segment[-1].size += chunk->size;
            continue;
        }
        *segment = (struct devreg_segment){
                .bus_address = chunk->bus, .offset = chunk->offset, .size = chunk->size};
        memory->segment_count++;
    }
    /* The last chunk may be larger than what is shown, for its alignment. */
    segment = &memory->segments[memory->segment_count - 1];
    segment->size = min(segment->size, memory->size - segment->offset);
    return 0;
}

/* --- Pools --- */

/* How objects lie in chunks of this size, each of which is aligned to it. */
static void lay_out(struct memory *memory, const struct devreg_allocate_buffer *wanted, u64 chunk_size)
{
    memory->block = wanted->boundary && wanted->boundary < chunk_size ? wanted->boundary : chunk_size;
    memory->alignment = max_t(u64, wanted->alignment, PAGE_SIZE);
    if (wanted->boundary)
        memory->alignment = max(memory->alignment, memory->block);
    memory->per_block = div64_u64(memory->block, memory->stride);
    memory->per_chunk = memory->per_block << (ilog2(chunk_size) - ilog2(memory->block));
}

static int fill_with_objects(
        struct memory *memory, const struct devreg_allocate_buffer *wanted, u64 chunk_size, gfp_t gfp)
{
    u64 count;
    int r;

    lay_out(memory, wanted, chunk_size);
    count = DIV_ROUND_UP(wanted->count, memory->per_chunk);
    r = make_room(memory, count);
    while (r == 0 && memory->chunk_count < count) {
        r = fatal_signal_pending(current) ? -EINTR : add_chunk(memory, chunk_size, gfp);
        cond_resched();
    }
    memory->size = count * chunk_size;
    if (r)
        free_chunks(memory);
    return r;
}

/* Larger chunks are quicker to get, smaller ones always there. */
static int fill_pool(struct memory *memory, const struct devreg_allocate_buffer *wanted)
{
    u64 alignment = max_t(u64, wanted->alignment, 8);
    u64 least, usual;
    int r = -ENOMEM;

    memory->object_size = wanted->size;
    memory->stride = ALIGN(wanted->size, alignment);
    memory->segment_count = wanted->count;
    least = max_t(u64, roundup_pow_of_two(memory->stride), PAGE_SIZE);
    usual = min_t(
            u64, roundup_pow_of_two(min_t(u64, memory->stride * wanted->count, POOL_CHUNK)), POOL_CHUNK);
    if (usual > least)
        r = fill_with_objects(memory, wanted, usual, GFP_PIECE);
    if (r == -ENOMEM)
        r = fill_with_objects(memory, wanted, least, GFP_BUFFER);
    return r;
}

static void describe_object(const struct memory *memory, u32 index, struct devreg_segment *segment)
{
    const struct chunk *chunk = &memory->chunks[index / memory->per_chunk];
    u32 place = index % memory->per_chunk;
    u64 offset = place / memory->per_block * memory->block + place % memory->per_block * memory->stride;

    *segment = (struct devreg_segment){.bus_address = chunk->bus + offset,
            .offset = chunk->offset + offset,
            .size = memory->object_size};
}

/* --- All kinds --- */

void memory_segment(const struct memory *memory, u32 index, struct devreg_segment *segment)
{
    if (memory->flags & DEVREG_BUFFER_POOL)
        describe_object(memory, index, segment);
    else
        *segment = memory->segments[index];
}

/* The last chunk that begins at or before this octet. */
static u32 find_chunk(const struct memory *memory, u64 offset)
{
    u32 first = 0, end = memory->chunk_count;

    while (end - first > 1) {
        u32 middle = first + (end - first) / 2;

        if (memory->chunks[middle].offset <= offset)
            first = middle;
        else
            end = middle;
    }
    return first;
}

unsigned long memory_pfn(const void *data, unsigned long page)
{
    const struct memory *memory = data;
    u64 offset = (u64)page << PAGE_SHIFT;
    const struct chunk *chunk = &memory->chunks[find_chunk(memory, offset)];
    void *address = chunk->address ? chunk->address + (offset - chunk->offset) : NULL;

    if (!address)
        return page_to_pfn(chunk->page) + ((offset - chunk->offset) >> PAGE_SHIFT);
    return is_vmalloc_addr(address) ? vmalloc_to_pfn(address) : page_to_pfn(virt_to_page(address));
}

static void sync_chunk(const struct memory *memory, dma_addr_t bus, size_t size, bool for_device)
{
    if (for_device)
        dma_sync_single_for_device(memory->device, bus, size, memory->direction);
    else
        dma_sync_single_for_cpu(memory->device, bus, size, memory->direction);
}

void memory_sync(const struct memory *memory, u64 offset, u64 size, bool for_device)
{
    u32 i;

    mb(); /* the device is told by a register, in its own time, and coherent memory needs no more */
    if (is_coherent(memory))
        return;
    for (i = find_chunk(memory, offset); size > 0; i++) {
        const struct chunk *chunk = &memory->chunks[i];
        u64 part = min(size, chunk->offset + chunk->size - offset);

        sync_chunk(memory, chunk->bus + (offset - chunk->offset), part, for_device);
        offset += part;
        size -= part;
        cond_resched();
    }
}

static bool needs_sync(const struct memory *memory)
{
    u32 i;

    for (i = 0; !is_coherent(memory) && i < memory->chunk_count; i++) {
        if (dma_need_sync(memory->device, memory->chunks[i].bus))
            return true;
    }
    return false;
}

static enum dma_data_direction find_direction(u32 flags)
{
    switch (flags & (DEVREG_BUFFER_TO_DEVICE | DEVREG_BUFFER_FROM_DEVICE)) {
    case DEVREG_BUFFER_TO_DEVICE:
        return DMA_TO_DEVICE;
    case DEVREG_BUFFER_FROM_DEVICE:
        return DMA_FROM_DEVICE;
    default:
        return DMA_BIDIRECTIONAL;
    }
}

static int fill(struct memory *memory, const struct devreg_allocate_buffer *wanted)
{
    int r;

    if (memory->flags & DEVREG_BUFFER_POOL)
        return fill_pool(memory, wanted);
    r = memory->flags & DEVREG_BUFFER_SCATTERED ? fill_with_pieces(memory, wanted)
                                                : fill_with_one(memory, wanted);
    return r ?: list_segments(memory, wanted->boundary);
}

/* What is taken can be more than what was counted before it was known. */
static int settle_total(struct memory *memory)
{
    u64 taken = 0;
    u32 i;

    for (i = 0; i < memory->chunk_count; i++)
        taken += PAGE_SIZE << get_order(memory->chunks[i].size);
    if (taken > memory->taken && take_total(taken - memory->taken))
        return -E2BIG;
    memory->taken = max(taken, memory->taken);
    return 0;
}

int memory_new(
        struct device *device, const struct devreg_allocate_buffer *wanted, struct memory **ret_memory)
{
    struct memory *memory;
    int r;

    /* Where memory is encrypted, what programs see of it and what devices see would be two things. */
    if (is_memory_encrypted() || dma_set_mask_and_coherent(device, DMA_BIT_MASK(wanted->address_bits)))
        return -EOPNOTSUPP;
    memory = kzalloc(sizeof(*memory), GFP_KERNEL_ACCOUNT);
    if (!memory)
        return -ENOMEM;
    memory->device = device;
    memory->flags = wanted->flags & ~DEVREG_BUFFER_RESERVED;
    memory->direction = find_direction(wanted->flags);
    memory->address_bits = wanted->address_bits;
    memory->alignment = max_t(u64, wanted->alignment, PAGE_SIZE);
    memory->boundary = memory->flags & DEVREG_BUFFER_POOL ? 0 : wanted->boundary;
    memory->size = PAGE_ALIGN(wanted->size * wanted->count);
    r = take_total(memory->size);
    if (r == 0) {
        memory->taken = memory->size;
        r = fill(memory, wanted) ?: settle_total(memory);
    }
    if (r) {
        memory_free(memory);
        return r;
    }
    if (needs_sync(memory))
        memory->flags |= DEVREG_BUFFER_SYNC;
    if (device_is_translated(device))
        memory->flags |= DEVREG_BUFFER_TRANSLATED;
    *ret_memory = memory;
    return 0;
}

/* Some ways to memory depend on how far the device reaches, and go back as they came. */
void memory_free(struct memory *memory)
{
    dma_set_mask_and_coherent(memory->device, DMA_BIT_MASK(memory->address_bits));
    free_chunks(memory);
    if (memory->extent)
        reserve_give_back(memory->extent);
    atomic64_sub(memory->taken, &total);
    kvfree(memory->segments);
    kvfree(memory->chunks);
    kfree(memory);
}

void memory_restore_mask(struct device *device)
{
    if (device->dma_mask)
        dma_set_mask_and_coherent(device, DMA_BIT_MASK(32));
}

void memory_forget(struct memory *memory)
{
    kvfree(memory->segments);
    kvfree(memory->chunks);
    kfree(memory);
}
