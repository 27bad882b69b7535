// SPDX-License-Identifier: LGPL-2.1-or-later
// mmap() of regions: which parts, with which rights, and what the memory behind is.
#include "kmodtest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *map(int region, size_t size, int protection, int flags, uint64_t offset)
{
    return mmap(NULL, size, protection, flags, region, (off_t)offset);
}

static void check_no_map_at(int line, void *address, int error)
{
    if (address != MAP_FAILED)
        fail_at(__FILE__, line, "it was mapped");
    check_error_at(__FILE__, line, "mmap()", -1, error);
}

#define check_no_map(call, error) check_no_map_at(__LINE__, call, error)

static int claim_ram(uint64_t offset, uint64_t size, uint32_t flags)
{
    return fine(claim(open_control(), flags, bar_of(IVSHMEM, 2).start + offset, size, "ram", NULL));
}

// What one way writes the other reads.
static void same_as_access(void)
{
    struct area area = ram_area(4, 0);
    volatile uint32_t *words = (volatile uint32_t *)(void *)area.map;
    for (uint32_t i = 0; i < area.size / 4; i += 97) {
        words[i] = 0xabcd0000 + i;
        check_equal(read_value(area.region, i * 4, 4), 0xabcd0000 + i);
        write_value(area.region, i * 4, 4, 0x12340000 + i);
        check_equal(words[i], 0x12340000 + i);
    }
}

static void registers(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0, "edu", NULL));
    volatile uint32_t *words = mapped(map(region, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
    check_equal(words[0], 0x010000ed);
    words[1] = 0x0000ffff;
    check_equal(words[1], 0xffff0000);
    check_equal(read_value(region, 4, 4), 0xffff0000);
}

static void parts(void)
{
    size_t page = page_size();
    int region = claim_ram(0, 8 * page, 0);
    uint8_t *whole = mapped(map(region, 8 * page, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
    for (uint32_t i = 0; i < 8; i++)
        *(volatile uint32_t *)(void *)(whole + i * page) = 0x1000 + i;
    for (uint32_t first = 0; first < 8; first++)
        for (uint32_t count = 1; first + count <= 8; count++) {
            context("pages %u + %u", first, count);
            uint8_t *part = mapped(map(region, count * page, PROT_READ, MAP_SHARED, first * page));
            uint32_t value;
            check_equal(touch_read(part, &value), TOUCH_FINE);
            check_equal(value, 0x1000 + first);
            check_equal(touch_read(part + (count - 1) * page, &value), TOUCH_FINE);
            check_equal(value, 0x1000 + first + count - 1);
            fine(munmap(part, count * page));
        }
    context("less than a page");
    uint8_t *part = mapped(map(region, 100, PROT_READ, MAP_SHARED, 7 * page));
    uint32_t value;
    check_equal(touch_read(part, &value), TOUCH_FINE);
    check_equal(value, 0x1007);
}

static void beyond_the_end(void)
{
    size_t page = page_size();
    int region = claim_ram(0, 4 * page, 0);
    check_no_map(map(region, 5 * page, PROT_READ, MAP_SHARED, 0), EINVAL);
    check_no_map(map(region, 4 * page + 1, PROT_READ, MAP_SHARED, 0), EINVAL);
    check_no_map(map(region, 4 * page, PROT_READ, MAP_SHARED, page), EINVAL);
    check_no_map(map(region, page, PROT_READ, MAP_SHARED, 4 * page), EINVAL);
    // What no long can hold a kernel refuses by itself.
    int too_far = kernel_has_64_bits() ? EINVAL : EOVERFLOW;
    check_no_map(map(region, page, PROT_READ, MAP_SHARED, 1ULL << 32), too_far);
    check_no_map(map(region, page, PROT_READ, MAP_SHARED, 1ULL << 43), too_far);
    check_no_map(map(region, 0, PROT_READ, MAP_SHARED, 0), EINVAL);
    check_no_map(map(region, page, PROT_READ, MAP_SHARED, 1), EINVAL);
    // The last pages that an offset can name; adding the length wraps around. What the kernel itself refuses
    // has EOVERFLOW.
    long number = sizeof(void *) == 8 ? SYS_mmap : -1;
#if defined(SYS_mmap2)
    number = SYS_mmap2;
    unsigned long last = ULONG_MAX, unit = 1;
#else
    unsigned long last = ULONG_MAX & ~(page - 1), unit = page;
#endif
    for (unsigned long back = 0; back < 5; back++) {
        long result = syscall(number, NULL, 4 * page, PROT_READ, MAP_SHARED, region, last - back * unit);
        context("offset %lu pages before the last", back);
        check(result == -1 && (errno == EINVAL || errno == EOVERFLOW));
    }
}

static void private_and_executable(void)
{
    size_t page = page_size();
    int region = claim_ram(0, 4 * page, 0);
    for (int protection = 0; protection < 8; protection++) {
        context("protection %d", protection);
        check_no_map(map(region, page, protection, MAP_PRIVATE, 0), protection & PROT_EXEC ? EPERM : EINVAL);
    }
    context("executable");
    void *address = map(region, page, PROT_READ | PROT_EXEC, MAP_SHARED, 0);
    check(address == MAP_FAILED && (errno == EINVAL || errno == EPERM || errno == EACCES));
    address = map(region, page, PROT_EXEC, MAP_SHARED, 0);
    check(address == MAP_FAILED && (errno == EINVAL || errno == EPERM || errno == EACCES));
    uint8_t *bytes = mapped(map(region, page, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
    check_error(mprotect(bytes, page, PROT_READ | PROT_EXEC), EACCES);
    check_error(mprotect(bytes, page, PROT_EXEC), EACCES);
    check_equal(touch_write(bytes, 1), TOUCH_FINE);
}

static void read_only(void)
{
    size_t page = page_size();
    int region = claim_ram(0, 4 * page, DEVREG_REGION_READ_ONLY);
    void *address = map(region, page, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
    check(address == MAP_FAILED && (errno == EACCES || errno == EPERM));
    address = map(region, page, PROT_WRITE, MAP_SHARED, 0);
    check(address == MAP_FAILED && (errno == EACCES || errno == EPERM));
    uint8_t *bytes = mapped(map(region, page, PROT_READ, MAP_SHARED, 0));
    check_equal(touch_read(bytes, NULL), TOUCH_FINE);
    check_equal(touch_write(bytes, 1), TOUCH_SEGV);
    check_error(mprotect(bytes, page, PROT_READ | PROT_WRITE), EACCES);
    check_error(mprotect(bytes, page, PROT_WRITE), EACCES);
    check_equal(touch_write(bytes, 1), TOUCH_SEGV);
    context("mapped without any right, then for writing");
    uint8_t *nothing = mapped(map(region, page, PROT_NONE, MAP_SHARED, 0));
    check_equal(touch_read(nothing, NULL), TOUCH_SEGV);
    check_error(mprotect(nothing, page, PROT_WRITE), EACCES);
    fine(mprotect(nothing, page, PROT_READ));
    check_equal(touch_read(nothing, NULL), TOUCH_FINE);
}

static void protections(void)
{
    size_t page = page_size();
    int region = claim_ram(0, page, 0);
    uint8_t *bytes = mapped(map(region, page, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
    check_equal(touch_write(bytes, 0x1234), TOUCH_FINE);
    fine(mprotect(bytes, page, PROT_READ));
    check_equal(touch_write(bytes, 1), TOUCH_SEGV);
    check_equal(touch_read(bytes, NULL), TOUCH_FINE);
    fine(mprotect(bytes, page, PROT_NONE));
    check_equal(touch_read(bytes, NULL), TOUCH_SEGV);
    fine(mprotect(bytes, page, PROT_READ | PROT_WRITE));
    uint32_t value;
    check_equal(touch_read(bytes, &value), TOUCH_FINE);
    check_equal(value, 0x1234);
}

static void not_mappable(void)
{
    size_t page = page_size();
    const struct {
        uint64_t offset, size;
    } rows[] = {{8, page}, {0, page - 1}, {0, page + 1}, {0, 8}, {page / 2, page}, {page - 1, 1},
            {1, 2 * page - 1}};
    for (size_t i = 0; i < array_size(rows); i++) {
        int region = claim_ram(rows[i].offset, rows[i].size, 0);
        context("row %zu", i);
        check_equal(region_info(region).flags & DEVREG_REGION_MAPPABLE, 0);
        check(map(region, page, PROT_READ, MAP_SHARED, 0) == MAP_FAILED);
        check(map(region, 1, PROT_READ, MAP_SHARED, 0) == MAP_FAILED);
        read_value(region, 0, 1);
        close(region);
    }
}

static void populated(void)
{
    size_t page = page_size();
    int region = claim_ram(0, 4 * page, 0);
    uint8_t *bytes = mapped(map(region, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, 0));
    check_equal(touch_write(bytes + 3 * page, 5), TOUCH_FINE);
    // MAP_LOCKED fails where the mapping can't be locked; what must not happen is a mapping that does not
    // work.
    bytes = map(region, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_LOCKED, 0);
    if (bytes != MAP_FAILED)
        check_equal(touch_write(bytes, 5), TOUCH_FINE);
    check_no_map(map(region, 4 * page, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, 0), EOPNOTSUPP);
}

static void *touch_all(void *argument)
{
    struct area *area = argument;
    for (size_t offset = 0; offset < area->size; offset += page_size())
        check_equal(touch_read(area->map + offset, NULL), TOUCH_FINE);
    return NULL;
}

// Several threads make the same pages present at the same time.
static void faults_at_once(void)
{
    for (int round = 0; round < 20; round++) {
        struct area area = ram_area(64, 0);
        pthread_t threads[8];
        for (size_t i = 0; i < array_size(threads); i++)
            check_equal(pthread_create(&threads[i], NULL, touch_all, &area), 0);
        for (size_t i = 0; i < array_size(threads); i++)
            pthread_join(threads[i], NULL);
        fine(munmap(area.map, area.size));
        close(area.region);
        close(area.control);
    }
}

static void many_mappings(void)
{
    size_t page = page_size();
    int region = claim_ram(0, 16 * page, 0);
    uint8_t *maps[200];
    for (size_t i = 0; i < array_size(maps); i++)
        maps[i] = mapped(map(region, (1 + i % 16) * page, PROT_READ | PROT_WRITE, MAP_SHARED, 0));
    *(volatile uint32_t *)(void *)maps[0] = 0x55aa55aa;
    for (size_t i = 0; i < array_size(maps); i++)
        check_equal(*(volatile uint32_t *)(void *)maps[i], 0x55aa55aa);
    for (size_t i = 0; i < array_size(maps); i += 2)
        fine(munmap(maps[i], (1 + i % 16) * page));
    close(region);
    for (size_t i = 1; i < array_size(maps); i += 2)
        check_equal(*(volatile uint32_t *)(void *)maps[i], 0x55aa55aa);
    check_equal(count_all_claims(IOMEM), 1);
    for (size_t i = 1; i < array_size(maps); i += 2)
        fine(munmap(maps[i], (1 + i % 16) * page));
    check_equal(count_all_claims(IOMEM), 0);
}

// The memory type that the kernel has recorded for the range, as debugfs tells it; false when it has none.
static bool memory_type(uint64_t start, char ret_type[32])
{
    char *text = read_file("/sys/kernel/debug/x86/pat_memtype_list"), *rest = text;
    bool found = false;
    for (char *line; (line = strsep(&rest, "\n")) && !found;) {
        uint64_t first, end;
        if (sscanf(line, "PAT: [mem 0x%" SCNx64 "-0x%" SCNx64 "] %31s", &first, &end, ret_type) == 3)
            found = first <= start && start < end;
    }
    free(text);
    return found;
}

static void memory_types(void)
{
    static const uint32_t flags[] = {
            0, DEVREG_REGION_WRITE_COMBINING, 0, DEVREG_REGION_WRITE_COMBINING | DEVREG_REGION_READ_ONLY};
    char type[32];
    for (size_t i = 0; i < array_size(flags); i++) {
        context("flags %#x", flags[i]);
        struct area area = ram_area(4, flags[i]);
        check_equal(touch_read(area.map, NULL), TOUCH_FINE);
        read_value(area.region, 0, 4); // the kernel's own mapping of it
        check(memory_type(area.start, type));
        check_text(type, flags[i] & DEVREG_REGION_WRITE_COMBINING ? "write-combining" : "uncached-minus");
        close(area.region);
        check(memory_type(area.start, type));
        fine(munmap(area.map, area.size));
        check(!memory_type(area.start, type));
        close(area.control);
    }
}

static void write_combining_values(void)
{
    struct area area = ram_area(16, DEVREG_REGION_WRITE_COMBINING);
    volatile uint32_t *words = (volatile uint32_t *)(void *)area.map;
    for (uint32_t i = 0; i < area.size / 4; i++)
        words[i] = i * 2654435761U;
    for (uint32_t i = 0; i < area.size / 4; i++)
        check_equal(words[i], i * 2654435761U);
    check_equal(read_value(area.region, 400, 4), 100 * 2654435761U);
}

const struct test_case mapping_cases[] = {
        {"mapping_same_as_access", same_as_access, 0},
        {"mapping_registers", registers, 0},
        {"mapping_parts", parts, 0},
        {"mapping_beyond_the_end", beyond_the_end, 0},
        {"mapping_private_and_executable", private_and_executable, 0},
        {"mapping_read_only", read_only, 0},
        {"mapping_protections", protections, 0},
        {"mapping_not_mappable", not_mappable, 0},
        {"mapping_populated", populated, 0},
        {"mapping_faults_at_once", faults_at_once, 0},
        {"mapping_many", many_mappings, 0},
        {"mapping_memory_types", memory_types, CASE_PC},
        {"mapping_write_combining_values", write_combining_values, 0},
        {0},
};
