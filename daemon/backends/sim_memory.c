/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A page table for each window of bus addresses says where in the daemon's memory each page is. A buffer is
 * one mapping, and chunks of it, all of one size, have bus addresses: one chunk in the kinds that are in one
 * piece, pages elsewhere, or whole pages for an object that is larger. */
#include "backends/sim_memory.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "backends/buffer_wish.h"
#include "util/cleanup.h"

enum {
    PAGE = BUFFER_PAGE, /* of the bus, whatever this machine's are */
    OBJECT_ALIGNMENT = 8,

    /* Odd, so that stepping by it comes to every page of a window once, all windows being powers of two; in
     * none of them the step is to a neighbour. */
    STEP = 40503,
};

static const struct {
    uint64_t start, size;
} windows[] = {
        {UINT64_C(0x100000000), UINT64_C(256) << 20},
        {UINT64_C(0x80000000), UINT64_C(256) << 20},
        {UINT64_C(0x8000000), UINT64_C(128) << 20},
        {UINT64_C(0x800000), UINT64_C(8) << 20},
};

struct sim_memory {
    void *owner;
    unsigned char **pages[ELEMENTS(windows)]; /* NULL: nothing is there */
    struct sim_buffer *buffers;
    uint64_t total, retained;
};

/* How a buffer is made of chunks and those of segments. Octets. */
struct layout {
    uint64_t chunk_size, chunk_count;
    uint64_t alignment, boundary; /* of chunks */
    uint64_t segment_size, stride, segments_each;
};

struct sim_buffer {
    struct backend_buffer base;
    struct sim_memory *memory;
    struct sim_buffer *next, **link;
    struct layout layout;
    bool retained;
    uint64_t addresses[]; /* of the chunks */
};

/* Where the search for the next chunk goes on. */
struct cursor {
    size_t window;
    uint64_t index;
};

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) & ~(to - 1);
}

int sim_memory_new(void *owner, struct sim_memory **ret_memory)
{
    struct sim_memory *memory = calloc(1, sizeof(*memory));

    if (!memory)
        return -ENOMEM;
    memory->owner = owner;
    for (size_t i = 0; i < ELEMENTS(windows); i++) {
        memory->pages[i] = calloc(windows[i].size / PAGE, sizeof(*memory->pages[i]));
        if (!memory->pages[i]) {
            sim_memory_free(memory);
            return -ENOMEM;
        }
    }
    *ret_memory = memory;
    return 0;
}

void sim_memory_free(struct sim_memory *memory)
{
    sim_memory_free_retained(memory);
    assert(!memory->buffers);
    for (size_t i = 0; i < ELEMENTS(windows); i++)
        free(memory->pages[i]);
    free(memory);
}

void *sim_memory_owner(const struct backend_buffer *buffer)
{
    return container_of(buffer, struct sim_buffer, base)->memory->owner;
}

/* NULL: no window has the address. */
static unsigned char **find_page(const struct sim_memory *memory, uint64_t bus_address)
{
    for (size_t i = 0; i < ELEMENTS(windows); i++) {
        if (bus_address - windows[i].start < windows[i].size)
            return &memory->pages[i][(bus_address - windows[i].start) / PAGE];
    }
    return NULL;
}

static void set_pages(
        const struct sim_memory *memory, uint64_t bus_address, uint64_t size, unsigned char *data)
{
    unsigned char **page = find_page(memory, bus_address);

    for (uint64_t i = 0; i < size / PAGE; i++)
        page[i] = data ? data + i * PAGE : NULL;
}

static bool is_reached(size_t window, unsigned address_bits)
{
    return address_bits >= 64 || windows[window].start + windows[window].size <= UINT64_C(1) << address_bits;
}

/* Pages one by one are taken from all over a window, like those of a machine that has run for long; a chunk
 * of several is the first that fits. Returns how far to go on in the search: 0 when it fits here. */
static uint64_t try_place(const struct sim_memory *memory, const struct layout *layout, size_t window,
        uint64_t index, uint64_t *ret_address)
{
    uint64_t total = windows[window].size / PAGE, count = layout->chunk_size / PAGE;
    uint64_t page = count == 1 ? index * STEP % total : index, address = windows[window].start + page * PAGE;

    if (count > total - page)
        return total;
    if (address & (layout->alignment - 1) ||
            (layout->boundary && (address ^ (address + layout->chunk_size - 1)) & ~(layout->boundary - 1)))
        return 1;
    for (uint64_t i = count; i-- > 0;) {
        if (memory->pages[window][page + i])
            return i + 1;
    }
    *ret_address = address;
    return 0;
}

static bool find_chunk(const struct sim_memory *memory, const struct layout *layout, unsigned address_bits,
        struct cursor *cursor, uint64_t *ret_address)
{
    for (; cursor->window < ELEMENTS(windows); cursor->window++, cursor->index = 0) {
        while (is_reached(cursor->window, address_bits) &&
                cursor->index < windows[cursor->window].size / PAGE) {
            uint64_t step = try_place(memory, layout, cursor->window, cursor->index, ret_address);

            if (step == 0)
                return true;
            cursor->index += step;
        }
    }
    return false;
}

static int explain_too_large(struct error *error)
{
    return error_set(error, -E2BIG,
            "the simulated board has %" PRIu64 " MiB for all buffers: ask for less or free some",
            SIM_MEMORY_MOST >> 20);
}

static int lay_out_pool(const struct buffer_wish *wish, struct layout *layout, struct error *error)
{
    uint64_t alignment = wish->alignment > OBJECT_ALIGNMENT ? wish->alignment : OBJECT_ALIGNMENT;

    if (wish->count > SIM_MEMORY_OBJECTS)
        return error_set(error, -ENOSPC, "a pool has at most %" PRIu64 " objects", SIM_MEMORY_OBJECTS);
    layout->segment_size = wish->size;
    layout->stride = round_up(wish->size, alignment < PAGE ? alignment : PAGE);
    layout->chunk_size = round_up(layout->stride, PAGE);
    layout->alignment = alignment > PAGE ? alignment : PAGE;
    if (layout->chunk_size == PAGE && alignment <= PAGE)
        layout->segments_each = PAGE / layout->stride;
    layout->chunk_count = (wish->count + layout->segments_each - 1) / layout->segments_each;
    return layout->chunk_count > SIM_MEMORY_MOST / layout->chunk_size ? explain_too_large(error) : 0;
}

static int lay_out(const struct buffer_wish *wish, struct layout *ret_layout, struct error *error)
{
    uint64_t size;

    if (wish->size > SIM_MEMORY_MOST)
        return explain_too_large(error);
    size = round_up(wish->size, PAGE);
    *ret_layout = (struct layout){.chunk_size = wish->kind == BUFFER_SCATTERED ? PAGE : size,
            .alignment = wish->alignment > PAGE ? wish->alignment : PAGE,
            .boundary = wish->boundary,
            .segments_each = 1};
    if (wish->kind == BUFFER_POOL)
        return lay_out_pool(wish, ret_layout, error);
    ret_layout->chunk_count = size / ret_layout->chunk_size;
    ret_layout->segment_size = ret_layout->stride = ret_layout->chunk_size;
    return 0;
}

static int explain_no_room(const struct buffer_wish *wish, const struct layout *layout, struct error *error)
{
    return error_set(error, -ENOMEM,
            "the simulated board has no %" PRIu64 " octets%s free now where %u address bits reach: %s",
            layout->chunk_size * layout->chunk_count, layout->chunk_count == 1 ? " in one piece" : "",
            wish->address_bits, buffer_wish_advice(wish));
}

static void free_chunks(const struct sim_memory *memory, struct sim_buffer *buffer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        set_pages(memory, buffer->addresses[i], buffer->layout.chunk_size, NULL);
}

static int place_chunks(const struct sim_memory *memory, const struct buffer_wish *wish,
        struct sim_buffer *buffer, struct error *error)
{
    const struct layout *layout = &buffer->layout;
    struct cursor cursor = {0};

    for (uint64_t i = 0; i < layout->chunk_count; i++) {
        if (!find_chunk(memory, layout, wish->address_bits, &cursor, &buffer->addresses[i])) {
            free_chunks(memory, buffer, i);
            return explain_no_room(wish, layout, error);
        }
        set_pages(memory, buffer->addresses[i], layout->chunk_size,
                buffer->base.data + i * layout->chunk_size);
    }
    return 0;
}

/* Mapped and zero, with no bus addresses yet. */
static struct sim_buffer *buffer_new(const struct layout *layout, uint64_t segment_count)
{
    struct sim_buffer *buffer =
            calloc(1, sizeof(*buffer) + (size_t)layout->chunk_count * sizeof(buffer->addresses[0]));
    void *data;

    if (!buffer)
        return NULL;
    buffer->layout = *layout;
    buffer->base.size = layout->chunk_count * layout->chunk_size;
    buffer->base.segment_count = segment_count;
    /* cppcheck-suppress invalidFunctionArg ; the descriptor of anonymous memory */
    data = mmap(NULL, (size_t)buffer->base.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        free(buffer);
        return NULL;
    }
    buffer->base.data = data;
    return buffer;
}

static void buffer_free(struct sim_buffer *buffer)
{
    munmap(buffer->base.data, (size_t)buffer->base.size);
    free(buffer);
}

DEFINE_CLEANUP(struct sim_buffer *, buffer_free)

static void link_buffer(struct sim_memory *memory, struct sim_buffer *buffer)
{
    buffer->memory = memory;
    buffer->link = &memory->buffers;
    buffer->next = memory->buffers;
    if (buffer->next)
        buffer->next->link = &buffer->next;
    memory->buffers = buffer;
    memory->total += buffer->base.size;
}

int sim_memory_allocate(struct sim_memory *memory, const struct buffer_wish *wish,
        struct backend_buffer **ret_buffer, struct error *error)
{
    _cleanup_(buffer_freep) struct sim_buffer *buffer = NULL;
    struct layout layout = {0};
    int r = buffer_wish_check(wish, error);

    if (r == 0)
        r = lay_out(wish, &layout, error);
    if (r < 0)
        return r;
    if (layout.chunk_size * layout.chunk_count > SIM_MEMORY_MOST - memory->total)
        return explain_too_large(error);
    buffer = buffer_new(&layout, wish->kind == BUFFER_POOL ? wish->count : layout.chunk_count);
    if (!buffer)
        return error_set(error, -ENOMEM, "out of memory: ask for less");
    r = place_chunks(memory, wish, buffer, error);
    if (r < 0)
        return r;
    buffer->base.bus_address = buffer->addresses[0];
    link_buffer(memory, buffer);
    *ret_buffer = &take_ptr(buffer)->base;
    return 0;
}

static void forget(struct sim_memory *memory, struct sim_buffer *buffer)
{
    free_chunks(memory, buffer, buffer->layout.chunk_count);
    memory->total -= buffer->base.size;
    *buffer->link = buffer->next;
    if (buffer->next)
        buffer->next->link = buffer->link;
    buffer_free(buffer);
}

void sim_memory_release(struct sim_memory *memory, struct backend_buffer *base, bool retain)
{
    struct sim_buffer *buffer = container_of(base, struct sim_buffer, base);

    if (!retain) {
        forget(memory, buffer);
        return;
    }
    buffer->retained = true;
    memory->retained += buffer->base.size;
}

void sim_memory_free_retained(struct sim_memory *memory)
{
    if (memory->retained == 0)
        return;
    for (struct sim_buffer *buffer = memory->buffers, *next; buffer; buffer = next) {
        next = buffer->next;
        if (buffer->retained)
            forget(memory, buffer);
    }
    memory->retained = 0;
}

bool sim_memory_is_used(const struct sim_memory *memory)
{
    return memory->buffers;
}

void sim_memory_describe(const struct sim_memory *memory, struct dma_state *ret_state)
{
    *ret_state = (struct dma_state){.size_max = SIM_MEMORY_MOST,
            .total_max = SIM_MEMORY_MOST,
            .total = memory->total,
            .retained = memory->retained};
}

void sim_memory_segments(const struct backend_buffer *base, uint64_t first, struct buffer_segment *segments,
        size_t count, size_t *ret_count)
{
    const struct sim_buffer *buffer = container_of(base, const struct sim_buffer, base);
    const struct layout *layout = &buffer->layout;
    size_t given = 0;

    for (; given < count && first < base->segment_count; given++, first++) {
        uint64_t chunk = first / layout->segments_each;
        uint64_t place = first % layout->segments_each * layout->stride;

        segments[given] = (struct buffer_segment){.bus_address = buffer->addresses[chunk] + place,
                .offset = chunk * layout->chunk_size + place,
                .size = layout->segment_size};
    }
    *ret_count = given;
}

/* A device copies whenever it does, also while the daemon reads or writes the same octets: there is nothing
 * that could be locked, on real hardware neither, and whoever does that gets some of each. So these are the
 * only accesses that the thread sanitizer is not to see; they are volatile, or the compiler would make them
 * a memcpy(), which it does see. */
__attribute__((noinline, no_sanitize("thread"))) static void copy_unseen(
        volatile unsigned char *to, const volatile unsigned char *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = from[i];
}

/* The part that is in the page of the first octet; NULL where nothing is. */
static unsigned char *find_part(
        const struct sim_memory *memory, uint64_t bus_address, size_t size, size_t *ret_part)
{
    size_t place = bus_address % PAGE;
    unsigned char **page = find_page(memory, bus_address);

    *ret_part = size < PAGE - place ? size : PAGE - place;
    return page && *page ? *page + place : NULL;
}

void sim_memory_read(const struct sim_memory *memory, uint64_t bus_address, void *data, size_t size)
{
    for (size_t done = 0, part; done < size; done += part) {
        const unsigned char *from = find_part(memory, bus_address + done, size - done, &part);

        if (from)
            copy_unseen((unsigned char *)data + done, from, part);
    }
}

void sim_memory_write(const struct sim_memory *memory, uint64_t bus_address, const void *data, size_t size)
{
    for (size_t done = 0, part; done < size; done += part) {
        unsigned char *to = find_part(memory, bus_address + done, size - done, &part);

        if (to)
            copy_unseen(to, (const unsigned char *)data + done, part);
    }
}
