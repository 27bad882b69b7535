// SPDX-License-Identifier: LGPL-2.1-or-later
// DMA buffers as memory: kinds, sizes, address widths, alignment, segments, pools, limits, mapping. What
// devices do with them is in case_dma.c.
#include "kmodtest.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct {
    uint32_t flags;
    const char *name;
} kinds[] = {
        {DEVREG_BUFFER_COHERENT, "coherent"},
        {DEVREG_BUFFER_STREAMING, "streaming"},
        {DEVREG_BUFFER_STREAMING | DEVREG_BUFFER_TO_DEVICE, "to the device"},
        {DEVREG_BUFFER_SCATTERED, "scattered"},
        {DEVREG_BUFFER_SCATTERED | DEVREG_BUFFER_FROM_DEVICE, "scattered, from the device"},
        {DEVREG_BUFFER_POOL, "a pool"},
};

#define KIND_FLAGS 0x3fU

static struct devreg_buffer_info info_of(int buffer)
{
    struct devreg_buffer_info info = {.argsz = sizeof(info)};
    fine(ioctl(buffer, DEVREG_BUFFER_INFO, &info));
    return info;
}

static uint8_t *map_buffer(int buffer)
{
    return mapped(mmap(NULL, info_of(buffer).mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer, 0));
}

// Segments are in order, inside what is mapped, below 2^bits, and do not overlap for the device.
static void check_segments(int buffer, uint32_t address_bits, uint64_t alignment, uint64_t boundary)
{
    uint64_t limit = address_bits < 64 ? (UINT64_C(1) << address_bits) - 1 : UINT64_MAX;
    struct devreg_buffer_info info = info_of(buffer);
    uint32_t count;
    struct devreg_segment *segments = segments_of(buffer, &count);
    check(count > 0);
    check_equal(segments[0].bus_address, info.bus_address);
    check_equal(segments[0].offset, 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct devreg_segment *one = &segments[i];
        check(one->size > 0);
        check(one->bus_address + (one->size - 1) <= limit);
        check_equal(one->bus_address & (alignment - 1), 0);
        if (boundary)
            check_equal(one->bus_address / boundary, (one->bus_address + one->size - 1) / boundary);
        check(one->offset + one->size <= info.mapped_size);
        if (i > 0)
            check(one->offset >= segments[i - 1].offset + segments[i - 1].size);
    }
    free(segments);
}

static void check_zero(const uint8_t *map, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (map[i])
            fail("octet %zu is 0x%02x", i, map[i]);
}

static void every_kind_and_width(void)
{
    static const uint32_t widths[] = {24, 28, 31, 32, 36, 64};
    struct opened edu = open_edu();
    for (size_t k = 0; k < array_size(kinds); k++)
        for (size_t w = 0; w < array_size(widths); w++) {
            struct devreg_allocate_buffer buffer;
            context("%s, %u bits", kinds[k].name, widths[w]);
            int file = fine(allocate(edu.device, kinds[k].flags, widths[w], 100000, &buffer));
            struct devreg_buffer_info info = info_of(file);
            check_equal(info.flags & KIND_FLAGS, kinds[k].flags);
            check_equal(info.flags, buffer.flags);
            check_equal(info.address_bits, widths[w]);
            check_equal(info.size, 100000);
            check_equal(info.count, 1);
            check_equal(info.bus_address, buffer.bus_address);
            check_equal(info.mapped_size, buffer.mapped_size);
            check_equal(info.mapped_size % page_size(), 0);
            check(info.mapped_size >= 100000);
            check_equal(info.segment_count, buffer.segment_count);
            check_segments(file, widths[w], kinds[k].flags == DEVREG_BUFFER_POOL ? 8 : page_size(), 0);
            uint8_t *map = map_buffer(file);
            check_zero(map, info.mapped_size);
            memset(map, 0xa5, info.mapped_size); // the next one must be zero again
            fine(munmap(map, info.mapped_size));
            fine(let_go(file));
            close(file);
        }
    check_equal(dma_info(edu.device).total, 0);
}

static void sizes(void)
{
    static const uint64_t all[] = {1, 4095, 4096, 4097, 65536, 1000000, 1 << 20, 4 << 20};
    struct opened edu = open_edu();
    for (size_t k = 0; k < array_size(kinds); k++)
        for (size_t i = 0; i < array_size(all); i++) {
            context("%s, %llu octets", kinds[k].name, (unsigned long long)all[i]);
            int file = fine(allocate(edu.device, kinds[k].flags, 32, all[i], NULL));
            struct devreg_buffer_info info = info_of(file);
            check(info.mapped_size >= all[i]);
            uint8_t *map = map_buffer(file);
            for (size_t offset = 0; offset < info.mapped_size; offset += page_size())
                *(volatile uint32_t *)(map + offset) = (uint32_t)offset ^ 0x5a5a5a5a;
            for (size_t offset = 0; offset < info.mapped_size; offset += page_size())
                check_equal(*(volatile uint32_t *)(map + offset), (uint32_t)offset ^ 0x5a5a5a5a);
            fine(let_go(file));
            close(file);
            fine(munmap(map, info.mapped_size));
        }
    check_equal(dma_info(edu.device).total, 0);
}

static void alignment_and_boundary(void)
{
    struct opened edu = open_edu();
    for (size_t k = 0; k < array_size(kinds); k++)
        for (uint64_t alignment = 1; alignment <= 1 << 20; alignment *= 32)
            for (uint64_t boundary = 0; boundary <= 1 << 20; boundary = boundary ? boundary * 16 : 1 << 16) {
                struct devreg_allocate_buffer buffer = {.flags = kinds[k].flags,
                        .address_bits = 32,
                        .count = 1,
                        .size = 50000,
                        .alignment = alignment,
                        .boundary = boundary};
                context("%s, alignment %#llx, boundary %#llx", kinds[k].name, (unsigned long long)alignment,
                        (unsigned long long)boundary);
                if (boundary && alignment > boundary) {
                    check_error(allocate_as(edu.device, &buffer), EINVAL);
                    continue;
                }
                int file = fine(allocate_as(edu.device, &buffer));
                check_segments(file, 32, alignment, boundary);
                fine(let_go(file));
                close(file);
            }
    check_equal(dma_info(edu.device).total, 0);
}

// More than the kernel gives in one piece; and that a program sees all of it as one.
static void scattered_is_in_order(void)
{
    const uint64_t size = 24 << 20;
    struct opened edu = open_edu();
    int file = fine(allocate(edu.device, DEVREG_BUFFER_SCATTERED, 32, size, NULL));
    check_segments(file, 32, page_size(), 0);
    uint32_t count;
    struct devreg_segment *segments = segments_of(file, &count);
    uint64_t offset = 0;
    for (uint32_t i = 0; i < count; offset += segments[i++].size)
        check_equal(segments[i].offset, offset);
    check_equal(offset, info_of(file).mapped_size);
    uint8_t *map = map_buffer(file);
    for (uint64_t at = 0; at < size; at += 4)
        *(uint32_t *)(map + at) = (uint32_t)at;
    // Through another mapping, of a part.
    uint8_t *part = mapped(mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, file, 20 << 20));
    for (uint64_t at = 0; at < 1 << 20; at += 4)
        check_equal(*(uint32_t *)(part + at), (20 << 20) + at);
    struct devreg_buffer_segments some = {
            .argsz = sizeof(some), .first = count - 1, .count = 1000, .segments = (uintptr_t)segments};
    fine(ioctl(file, DEVREG_BUFFER_SEGMENTS, &some));
    check_equal(some.count, 1);
    some.first = count;
    check_error(ioctl(file, DEVREG_BUFFER_SEGMENTS, &some), EINVAL);
    some = (struct devreg_buffer_segments){.argsz = sizeof(some), .count = 0};
    fine(ioctl(file, DEVREG_BUFFER_SEGMENTS, &some));
    some.count = 1;
    some.segments = 8;
    check_error(ioctl(file, DEVREG_BUFFER_SEGMENTS, &some), EFAULT);
    check_equal(some.count, 0);
    free(segments);
}

static void pools(void)
{
    static const struct {
        uint64_t size, alignment, boundary;
        uint32_t count;
    } all[] = {
            {16, 0, 0, 1000},
            {24, 64, 4096, 5000},
            {64, 64, 4096, 70000},
            {100, 0, 0, 1},
            {4096, 4096, 0, 300},
            {5000, 0, 8192, 20},
            {65536, 65536, 0, 5},
            {200000, 0, 0, 3},
    };
    struct opened edu = open_edu();
    for (size_t i = 0; i < array_size(all); i++) {
        struct devreg_allocate_buffer pool = {.flags = DEVREG_BUFFER_POOL,
                .address_bits = 32,
                .count = all[i].count,
                .size = all[i].size,
                .alignment = all[i].alignment,
                .boundary = all[i].boundary};
        context("%u objects of %llu", all[i].count, (unsigned long long)all[i].size);
        int file = fine(allocate_as(edu.device, &pool));
        check_equal(pool.segment_count, all[i].count);
        check_segments(file, 32, all[i].alignment ? all[i].alignment : 8, all[i].boundary);
        uint32_t count;
        struct devreg_segment *objects = segments_of(file, &count);
        check_equal(count, all[i].count);
        uint8_t *map = map_buffer(file);
        check_zero(map, pool.mapped_size);
        for (uint32_t k = 0; k < count; k++) {
            check_equal(objects[k].size, all[i].size);
            *(volatile uint32_t *)(map + objects[k].offset) = k;
        }
        for (uint32_t k = 0; k < count; k++)
            check_equal(*(volatile uint32_t *)(map + objects[k].offset), k);
        free(objects);
        fine(munmap(map, pool.mapped_size));
        fine(let_go(file));
        close(file);
    }
    check_equal(dma_info(edu.device).total, 0);
}

static void wrong_wishes(void)
{
    struct opened edu = open_edu();
    const struct devreg_dma_info info = dma_info(edu.device);
    const uint64_t most = info.size_max;
    const struct {
        struct devreg_allocate_buffer wish;
        int error;
    } all[] = {
            {{.flags = 0, .address_bits = 32, .count = 1, .size = 1}, EINVAL},
            {{.flags = 3, .address_bits = 32, .count = 1, .size = 1}, EINVAL},
            {{.flags = DEVREG_BUFFER_GONE | 1, .address_bits = 32, .count = 1, .size = 1}, EINVAL},
            {{.flags = DEVREG_BUFFER_SYNC | 1, .address_bits = 32, .count = 1, .size = 1}, EINVAL},
            {{.flags = 1 | DEVREG_BUFFER_TO_DEVICE, .address_bits = 32, .count = 1, .size = 1}, EINVAL},
            {{.flags = 8 | DEVREG_BUFFER_RESERVED, .address_bits = 32, .count = 1, .size = 1}, EINVAL},
            {{.flags = 1, .address_bits = 23, .count = 1, .size = 1}, EINVAL},
            {{.flags = 1, .address_bits = 65, .count = 1, .size = 1}, EINVAL},
            {{.flags = 1, .address_bits = 32, .count = 0, .size = 1}, EINVAL},
            {{.flags = 1, .address_bits = 32, .count = 2, .size = 1}, EINVAL},
            {{.flags = 1, .address_bits = 32, .count = 1, .size = 0}, EINVAL},
            {{.flags = 8, .address_bits = 32, .count = DEVREG_OBJECTS_MAX + 1, .size = 8}, ENOSPC},
            {{.flags = 1, .address_bits = 32, .count = 1, .size = 1, .alignment = 3}, EINVAL},
            {{.flags = 1, .address_bits = 32, .count = 1, .size = 1, .boundary = 5000}, EINVAL},
            {{.flags = 1, .address_bits = 32, .count = 1, .size = 1, .boundary = 2048}, EINVAL},
            {{.flags = 1, .address_bits = 32, .count = 1, .size = 8193, .boundary = 8192}, EINVAL},
            {{.flags = 8, .address_bits = 32, .count = 2, .size = 8193, .boundary = 8192}, EINVAL},
            {{.flags = 1, .address_bits = 32, .count = 1, .size = most + 1}, E2BIG},
            {{.flags = 1, .address_bits = 32, .count = 1, .size = UINT64_MAX}, E2BIG},
            {{.flags = 4, .address_bits = 32, .count = 1, .size = UINT64_MAX - 4094}, E2BIG},
            {{.flags = 8, .address_bits = 32, .count = 1 << 20, .size = UINT64_C(1) << 44}, E2BIG},
            {{.flags = 8, .address_bits = 32, .count = 1 << 20, .size = 1, .alignment = 1 << 20}, E2BIG},
            {{.flags = 1, .address_bits = 32, .count = 1, .size = 1, .alignment = UINT64_C(1) << 63}, E2BIG},
    };
    for (size_t i = 0; i < array_size(all); i++) {
        struct devreg_allocate_buffer wish = all[i].wish;
        context("wish %zu", i);
        check_error(allocate_as(edu.device, &wish), all[i].error);
    }
    check_equal(dma_info(edu.device).total, 0);
    check_equal(dma_info(edu.device).buffer_count, 0);
}

// Until there is no more: a clear error, and everything is there again afterwards.
static void exhaustion(void)
{
    struct opened edu = open_edu();
    for (size_t k = 0; k < array_size(kinds); k++) {
        int files[256], error = 0;
        size_t count = 0;
        context("%s", kinds[k].name);
        while (count < array_size(files) && error == 0) {
            files[count] = allocate(edu.device, kinds[k].flags, 24, 1 << 20, NULL);
            if (files[count] < 0)
                error = errno;
            else
                count++;
        }
        check(error == ENOMEM || error == E2BIG);
        check(count > 0 && count <= 16); // 24 bits reach no more
        check_equal(dma_info(edu.device).buffer_count, count);
        check(dma_info(edu.device).total >= count << 20);
        for (size_t i = 0; i < count; i++) {
            fine(let_go(files[i]));
            close(files[i]);
        }
        check_equal(dma_info(edu.device).total, 0);
        // An IOMMU may take its time to forget addresses.
        int again = -1;
        for (unsigned tries = 0; again < 0 && tries < 100; tries++) {
            again = allocate(edu.device, kinds[k].flags, 24, 1 << 20, NULL);
            if (again < 0)
                sleep_ms(20);
        }
        fine(let_go(fine(again)));
        close(again);
    }
}

static void allow_descriptors(rlim_t count)
{
    fine(setrlimit(RLIMIT_NOFILE, &(struct rlimit){count, count}));
}

// Every other page is taken, so that there are no large pieces although half of the memory is free: a piece
// can't be had then, but pages can.
static void fragmentation(void)
{
    enum { MOST = 4000, LARGE = 64 << 10 };
    struct opened edu = open_edu();
    static int files[MOST], large[MOST];
    size_t count = 0, left = 0, large_count = 0;
    allow_descriptors(2 * MOST);
    for (; count < MOST; count++) {
        struct devreg_allocate_buffer buffer;
        files[count] = allocate(edu.device, DEVREG_BUFFER_COHERENT, 24, 4096, &buffer);
        if (files[count] < 0)
            break;
        if (buffer.bus_address & 4096)
            continue;
        fine(let_go(files[count]));
        large[left++] = files[count]; // closed below, or it would come again
    }
    if (dma_info(edu.device).flags & DEVREG_BUFFER_TRANSLATED) {
        check_equal(count, MOST); // any page will do, and any pages are one piece
        return;
    }
    check_equal(errno, ENOMEM);
    check(count > 1000 && count < MOST);
    for (size_t i = 0; i < left; i++)
        close(large[i]);
    while ((large[large_count] = allocate(edu.device, DEVREG_BUFFER_COHERENT, 24, LARGE, NULL)) >= 0)
        large_count++;
    check_equal(errno, ENOMEM);
    check(large_count < left * 4096 / LARGE / 2);
    struct devreg_allocate_buffer scattered;
    int file = fine(allocate(edu.device, DEVREG_BUFFER_SCATTERED, 24, left * 4096 / 2, &scattered));
    check(scattered.segment_count > left / 4);
    check_segments(file, 24, page_size(), 0);
    // A pool takes the chunks that there are, and keeps to the boundary in them.
    struct devreg_allocate_buffer pool = {.flags = DEVREG_BUFFER_POOL,
            .address_bits = 24,
            .count = 4000,
            .size = 96,
            .alignment = 64,
            .boundary = 16384};
    file = fine(allocate_as(edu.device, &pool));
    check_segments(file, 24, 64, 16384);
}

static void too_many(void)
{
    struct opened edu = open_edu();
    static int files[DEVREG_BUFFERS_MAX];
    allow_descriptors(DEVREG_BUFFERS_MAX + 100);
    for (size_t i = 0; i < DEVREG_BUFFERS_MAX; i++) {
        context("buffer %zu", i);
        files[i] = fine(allocate(edu.device, DEVREG_BUFFER_SCATTERED, 64, 1, NULL));
    }
    check_error(allocate(edu.device, DEVREG_BUFFER_SCATTERED, 64, 1, NULL), ENOSPC);
    close(files[77]);
    files[77] = fine(allocate(edu.device, DEVREG_BUFFER_SCATTERED, 64, 1, NULL));
    check_error(allocate(edu.device, DEVREG_BUFFER_SCATTERED, 64, 1, NULL), ENOSPC);
}

static uint64_t free_kib(void)
{
    char *text = read_file("/proc/meminfo");
    char *line = strstr(text, "MemAvailable:");
    check(line != NULL);
    uint64_t kib = strtoull(line + strlen("MemAvailable:"), NULL, 10);
    free(text);
    return kib;
}

static void ten_thousand_times(void)
{
    struct opened edu = open_edu();
    uint64_t before = 0;
    // While there is one, bus mastering stays as it is, which takes QEMU milliseconds to change.
    int other = fine(allocate(edu.device, DEVREG_BUFFER_COHERENT, 32, 1, NULL));
    // The first thousand fill the kernel's caches.
    for (unsigned i = 0; i < 11000; i++) {
        if (i == 1000)
            before = free_kib();
        if (i == 10000) {
            fine(let_go(other));
            close(other);
        }
        context("round %u", i);
        int file = fine(allocate(edu.device, kinds[i % array_size(kinds)].flags, 32, 20000 + i, NULL));
        fine(let_go(file));
        close(file);
    }
    struct devreg_dma_info info = dma_info(edu.device);
    check_equal(info.total, 0);
    check_equal(info.retained, 0);
    check_equal(info.buffer_count, 0);
    // One octet lost in 10,000 rounds of 25 KiB would be 244 MiB of pages.
    uint64_t after = free_kib();
    if (after + 8192 < before)
        fail("%llu KiB of %llu are gone", (unsigned long long)(before - after), (unsigned long long)before);
}

static void refused_mappings(void)
{
    struct opened edu = open_edu();
    size_t page = page_size();
    int file = fine(allocate(edu.device, DEVREG_BUFFER_COHERENT, 32, 4 * page, NULL));
    check(mmap(NULL, page, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED && errno == EINVAL);
    check(mmap(NULL, 5 * page, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED && errno == EINVAL);
    check(mmap(NULL, page, PROT_READ, MAP_SHARED, file, (off_t)(4 * page)) == MAP_FAILED && errno == EINVAL);
    check(mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0) == MAP_FAILED && errno == EPERM);
    uint8_t *map = mapped(mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)page));
    check_error(munmap(map + page, page), EINVAL);
    check_error(mprotect(map, page, PROT_READ), EINVAL);
    check_error(mprotect(map, 3 * page, PROT_READ | PROT_EXEC), EACCES);
    check(mremap(map, 3 * page, 4 * page, MREMAP_MAYMOVE) == MAP_FAILED);
    map[0] = 1;
    fine(mprotect(map, 3 * page, PROT_READ));
    check_equal(touch_write(map, 1), TOUCH_SEGV);
    check_equal(touch_read(map, NULL), TOUCH_FINE);
}

static void child_has_none(void *argument)
{
    check_equal(touch_read(argument, NULL), TOUCH_SEGV);
}

static void not_copied_by_fork(void)
{
    struct opened edu = open_edu();
    int file = fine(allocate(edu.device, DEVREG_BUFFER_STREAMING, 32, 4096, NULL));
    uint8_t *map = map_buffer(file);
    check_equal(touch_write(map, 5), TOUCH_FINE);
    in_child(child_has_none, map);
}

// Its memory is that of a file: other system calls read and write it.
static void used_by_system_calls(void)
{
    struct opened edu = open_edu();
    int file = fine(allocate(edu.device, DEVREG_BUFFER_SCATTERED, 32, 1 << 20, NULL));
    uint8_t *map = map_buffer(file);
    int ends[2];
    fine(pipe(ends));
    memset(map, 0x3c, 4096);
    check_equal(fine(write(ends[1], map, 4096)), 4096);
    check_equal(fine(read(ends[0], map + 500001, 4096)), 4096);
    check_equal(map[500000], 0);
    check_equal(map[500001], 0x3c);
    check_equal(map[504096], 0x3c);
    check_equal(map[504097], 0);
}

static void without_reserve(void)
{
    struct opened edu = open_edu();
    struct devreg_dma_info info = dma_info(edu.device);
    check_equal(info.reserved, 0);
    check_equal(info.reserved_free, 0);
    check_error(
            allocate(edu.device, DEVREG_BUFFER_COHERENT | DEVREG_BUFFER_RESERVED, 32, 4096, NULL), ENOMEM);
    check(info.total_max > 1 << 20);
    check(info.size_max <= info.total_max);
    check(info.address_bits >= 24 && info.address_bits <= 64);
}

// Pieces that are larger than what the kernel gives in one, of which there are three.
static void with_reserve(void)
{
    const uint64_t piece = 6 << 20, extent = 8 << 20; // it is made of blocks of 4 MiB
    struct opened edu = open_edu();
    struct devreg_dma_info info = dma_info(edu.device);
    check_equal(info.reserved, 3 * extent);
    check_equal(info.reserved_free, 3 * extent);
    for (unsigned round = 0; round < 3; round++) {
        struct devreg_allocate_buffer buffer;
        int files[3];
        for (unsigned i = 0; i < 3; i++) {
            context("round %u, buffer %u", round, i);
            uint32_t kind = i == 0 ? DEVREG_BUFFER_STREAMING : DEVREG_BUFFER_COHERENT;
            files[i] = fine(allocate(edu.device, kind, 28, piece, &buffer));
            check_equal(buffer.flags & DEVREG_BUFFER_RESERVED, DEVREG_BUFFER_RESERVED);
            check_equal(buffer.segment_count, 1);
            check_segments(files[i], 28, 4 << 20, 0);
            check_equal(dma_info(edu.device).reserved_free, (2 - i) * extent);
            uint8_t *map = map_buffer(files[i]);
            check_zero(map, piece);
            memset(map, 0xa5, piece);
            fine(munmap(map, buffer.mapped_size));
        }
        check_error(allocate(edu.device, DEVREG_BUFFER_COHERENT, 28, piece, NULL), ENOMEM);
        check_error(allocate(edu.device, DEVREG_BUFFER_COHERENT | DEVREG_BUFFER_RESERVED, 28, 4096, NULL),
                ENOMEM);
        for (unsigned i = 0; i < 3; i++) {
            fine(let_go(files[i]));
            close(files[i]);
        }
        check_equal(dma_info(edu.device).reserved_free, 3 * extent);
    }
    context("%s", "");
    check_error(allocate(edu.device, DEVREG_BUFFER_COHERENT, 28, extent + 1, NULL), ENOMEM);
    struct devreg_allocate_buffer small;
    fine(allocate(edu.device, DEVREG_BUFFER_COHERENT, 28, 4096, &small));
    check_equal(small.flags & DEVREG_BUFFER_RESERVED, 0);
    fine(allocate(edu.device, DEVREG_BUFFER_STREAMING | DEVREG_BUFFER_RESERVED, 28, 4096, &small));
    check_equal(small.flags & DEVREG_BUFFER_RESERVED, DEVREG_BUFFER_RESERVED);
    check_equal(dma_info(edu.device).reserved_free, 2 * extent);
}

static void syncs(void)
{
    struct opened edu = open_edu();
    for (size_t k = 0; k < array_size(kinds); k++) {
        context("%s", kinds[k].name);
        int file = fine(allocate(edu.device, kinds[k].flags, 32, 1 << 20, NULL));
        uint64_t size = info_of(file).mapped_size;
        fine(sync_buffer(file, DEVREG_SYNC_DEVICE, 0, size));
        fine(sync_buffer(file, DEVREG_SYNC_CPU, 0, size));
        fine(sync_buffer(file, DEVREG_SYNC_CPU, 4097, 9999));
        fine(sync_buffer(file, DEVREG_SYNC_DEVICE, size - 1, 1));
        fine(sync_buffer(file, DEVREG_SYNC_DEVICE, size, 0));
        check_error(sync_buffer(file, 0, 0, 1), EINVAL);
        check_error(sync_buffer(file, DEVREG_SYNC_CPU | DEVREG_SYNC_DEVICE, 0, 1), EINVAL);
        check_error(sync_buffer(file, DEVREG_SYNC_CPU, size, 1), ERANGE);
        check_error(sync_buffer(file, DEVREG_SYNC_CPU, 1, UINT64_MAX), ERANGE);
        check_error(sync_buffer(file, DEVREG_SYNC_CPU, UINT64_MAX, 2), ERANGE);
        close(file);
    }
}

static void not_under_lockdown(void)
{
    struct opened edu = open_edu();
    check_error(allocate(edu.device, DEVREG_BUFFER_COHERENT, 32, 4096, NULL), EPERM);
}

const struct test_case buffer_cases[] = {
        {"buffers_every_kind_and_width", every_kind_and_width, 0},
        {"buffers_sizes", sizes, 0},
        {"buffers_alignment_and_boundary", alignment_and_boundary, 0},
        {"buffers_scattered_is_in_order", scattered_is_in_order, 0},
        {"buffers_pools", pools, 0},
        {"buffers_wrong_wishes", wrong_wishes, 0},
        {"buffers_exhaustion", exhaustion, 0},
        {"buffers_fragmentation", fragmentation, 0},
        {"buffers_too_many", too_many, 0},
        {"buffers_ten_thousand_times", ten_thousand_times, 0},
        {"buffers_refused_mappings", refused_mappings, 0},
        {"buffers_not_copied_by_fork", not_copied_by_fork, 0},
        {"buffers_used_by_system_calls", used_by_system_calls, 0},
        {"buffers_without_reserve", without_reserve, 0},
        {"buffers_with_reserve", with_reserve, CASE_RESERVE},
        {"buffers_syncs", syncs, 0},
        {"buffers_not_under_lockdown", not_under_lockdown, CASE_LOCKDOWN},
        {0},
};
