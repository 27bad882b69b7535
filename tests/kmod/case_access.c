// SPDX-License-Identifier: LGPL-2.1-or-later
// DEVREG_ACCESS of memory: values, widths, limits, and how far a call that fails went. IVSHMEM's BAR 2 is
// RAM, so its mapping shows what an access did; edu has registers.
#include "kmodtest.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITE  DEVREG_ACCESS_WRITE
#define REPEAT DEVREG_ACCESS_REPEAT

static void set_bytes(volatile uint8_t *bytes, size_t size, uint8_t first)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(first + i);
}

static void every_width(void)
{
    struct area area = ram_area(1, 0);
    for (uint32_t width = 1; width <= width_max(); width *= 2)
        for (uint64_t offset = 0; offset < 64; offset += width) {
            uint64_t expected = 0;
            context("width %u at %#" PRIx64, width, offset);
            set_bytes(area.map, 64 + 8, 0x10);
            for (uint32_t i = 0; i < width; i++)
                expected |= (uint64_t)(0x10 + offset + i) << (8 * i);
            check_equal(read_value(area.region, offset, width), expected);
            write_value(area.region, offset, width, 0xf0e1d2c3b4a59687);
            for (uint64_t i = 0; i < 64 + 8; i++)
                check_equal(area.map[i], i < offset || i >= offset + width
                                                 ? (uint8_t)(0x10 + i)
                                                 : (uint8_t)(0xf0e1d2c3b4a59687 >> (8 * (i - offset))));
        }
}

static void blocks(void)
{
    struct area area = ram_area(16, 0);
    static const uint32_t counts[] = {1, 2, 3, 7, 8, 255, 511, 512, 513, 1023, 4095, 4096, 4097, 8191};
    uint8_t *data = malloc(area.size);
    check(data != NULL);
    for (uint32_t width = 1; width <= width_max(); width *= 2)
        for (size_t i = 0; i < array_size(counts); i++) {
            size_t size = (size_t)counts[i] * width;
            uint32_t done;
            context("width %u count %u", width, counts[i]);
            memset((void *)area.map, 0xee, area.size);
            for (size_t j = 0; j < size; j++)
                data[j] = (uint8_t)(j * 7 + j / 251);
            if (size + 16 > area.size)
                continue;
            fine(access_region(area.region, WRITE, 8, width, counts[i], data, &done));
            check_equal(done, counts[i]);
            check_equal(memcmp(area.map + 8, data, size), 0);
            for (size_t j = 0; j < 8; j++)
                check(area.map[j] == 0xee && area.map[8 + size + j] == 0xee);
            memset(data, 0, area.size);
            fine(access_region(area.region, 0, 8, width, counts[i], data, &done));
            check_equal(done, counts[i]);
            check_equal(memcmp(area.map + 8, data, size), 0);
            for (size_t j = size; j < area.size; j++)
                check_equal(data[j], 0);
        }
    free(data);
}

static void repeated(void)
{
    struct area area = ram_area(1, 0);
    for (uint32_t width = 1; width <= width_max(); width *= 2) {
        uint8_t data[800], expected[8] = {0};
        uint32_t done;
        context("width %u", width);
        memset((void *)area.map, 0xee, area.size);
        set_bytes(data, sizeof(data), 0);
        fine(access_region(area.region, WRITE | REPEAT, 16, width, 100, data, &done));
        check_equal(done, 100);
        memcpy(expected, data + 99 * width, width);
        for (uint32_t i = 0; i < 64; i++)
            check_equal(area.map[i], i < 16 || i >= 16 + width ? 0xee : expected[i - 16]);
        memset(data, 0, sizeof(data));
        fine(access_region(area.region, REPEAT, 16, width, 100, data, &done));
        for (uint32_t i = 0; i < 100; i++)
            check_equal(memcmp(data + i * width, expected, width), 0);
        context("width %u at the last register, more often than registers are left", width);
        fine(access_region(area.region, REPEAT, area.size - width, width, 100, data, &done));
    }
}

static void registers(void)
{
    int control = open_control();
    int region = fine(claim(control, 0, bar_of(FREE_EDU, 0).start, 0x1000, "registers", NULL));
    check_equal(read_value(region, 0, 4), 0x010000ed);
    write_value(region, 4, 4, 0x12345678);
    check_equal(read_value(region, 4, 4), 0xedcba987);
    // Where a DMA would begin; it does not, as nobody starts it.
    write_value(region, 0x80, width_max(), 0x1122334455667788);
    if (kernel_has_64_bits())
        check_equal(read_value(region, 0x80, 8), 0x1122334455667788);
    check_equal(read_value(region, 0x80, 4), 0x55667788);
    write_value(region, 0x80, width_max(), 0);
}

// A fixed sequence that is compared with what the device saw: see test_trace.py.
static void traced(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0x1000, "traced", NULL));
    uint32_t words[3] = {0x11111111, 0x22222222, 0x33333333};
    uint64_t longs[2];
    read_value(region, 0, 4);
    write_value(region, 4, 4, 0xa5a5a5a5);
    if (kernel_has_64_bits()) {
        read_value(region, 0x80, 8);
        write_value(region, 0x88, 8, 0x0102030405060708);
    }
    fine(access_region(region, WRITE | REPEAT, 4, 4, 3, words, NULL));
    fine(access_region(region, REPEAT, 4, 4, 3, words, NULL));
    if (kernel_has_64_bits())
        fine(access_region(region, 0, 0x80, 8, 2, longs, NULL));
    // None of these reaches the device.
    check_error(access_region(region, 0, 2, 4, 1, words, NULL), EINVAL);
    check_error(access_region(region, 0, 0xffc, 4, 2, words, NULL), ERANGE);
    check_error(access_region(region, WRITE, 0, 4, 1, NULL, NULL), EFAULT);
    check_error(access_region(region, 0, 0, 4, 0, words, NULL), EINVAL);
}

static void bad_arguments(void)
{
    struct area area = ram_area(1, 0);
    uint64_t data[4];
    const struct {
        uint64_t offset;
        uint32_t width, count;
        int error;
    } rows[] = {
            {0, 0, 1, EINVAL},
            {0, 3, 1, EINVAL},
            {0, 5, 1, EINVAL},
            {0, 6, 1, EINVAL},
            {0, 12, 1, EINVAL},
            {0, 16, 1, EINVAL},
            {0, 32, 1, EINVAL},
            {0, 64, 1, EINVAL},
            {0, 0x80000000, 1, EINVAL},
            {0, 0xffffffff, 1, EINVAL},
            {1, 2, 1, EINVAL},
            {1, 4, 1, EINVAL},
            {2, 4, 1, EINVAL},
            {3, 4, 1, EINVAL},
            {4, 8, 1, EINVAL},
            {7, 8, 1, EINVAL},
            {0, 4, 0, EINVAL},
            {0, 1, DEVREG_ACCESS_COUNT_MAX + 1, EINVAL},
            {0, 8, 0xffffffff, EINVAL},
            {0, 8, 0x80000000, EINVAL},
            {area.size, 1, 1, ERANGE},
            {area.size - 4, 4, 2, ERANGE},
            {area.size - 1, 1, 2, ERANGE},
            {area.size + 8, 8, 1, ERANGE},
            {0, 1, (uint32_t)area.size + 1, ERANGE},
            {0, 8, DEVREG_ACCESS_COUNT_MAX, ERANGE},
            {1ULL << 32, 4, 1, ERANGE},
            {1ULL << 63, 4, 1, ERANGE},
            {UINT64_MAX, 1, 1, ERANGE},
            {UINT64_MAX - 3, 4, 1, ERANGE},
            {UINT64_MAX - 7, 8, 2, ERANGE},
            {UINT64_MAX - 4095, 1, 4096, ERANGE},
    };
    memset((void *)area.map, 0xee, area.size);
    for (size_t i = 0; i < array_size(rows); i++)
        for (uint32_t flags = 0; flags <= (WRITE | REPEAT); flags++) {
            uint32_t done = 77;
            bool fits = rows[i].offset < area.size && rows[i].error == ERANGE;
            if ((flags & REPEAT) && fits)
                continue; // all at the one offset, which is inside
            context("width %u count %u at %#" PRIx64 " flags %u", rows[i].width, rows[i].count,
                    rows[i].offset, flags);
            check_error(access_region(area.region, flags, rows[i].offset, rows[i].width, rows[i].count, data,
                                &done),
                    rows[i].width <= width_max() ? rows[i].error : EINVAL);
            check_equal(done, 0);
        }
    for (size_t i = 0; i < area.size; i++)
        check_equal(area.map[i], 0xee);
}

static void read_only(void)
{
    int control = open_control();
    int region =
            fine(claim(control, DEVREG_REGION_READ_ONLY, bar_of(FREE_EDU, 0).start, 0x1000, "read", NULL));
    uint32_t value = 1, done;
    check_equal(read_value(region, 0, 4), 0x010000ed);
    uint32_t before = (uint32_t)read_value(region, 4, 4);
    check_error(access_region(region, WRITE, 4, 4, 1, &value, &done), EACCES);
    check_equal(done, 0);
    check_error(access_region(region, WRITE | REPEAT, 4, 4, 1, &value, &done), EACCES);
    check_equal(read_value(region, 4, 4), before);
}

// Every access must be naturally aligned on the bus: so what begins at an odd address has only some widths.
static void unaligned_start(void)
{
    int control = open_control();
    struct bar bar = bar_of(IVSHMEM, 2);
    static const struct {
        uint64_t offset, size;
        uint32_t widths;
    } rows[] = {{1, 64, 1}, {2, 64, 1 | 2}, {4, 64, 1 | 2 | 4}, {12, 64, 1 | 2 | 4}, {8, 64, 15},
            {0x1000, 64, 15}};
    for (size_t i = 0; i < array_size(rows); i++) {
        int region = fine(claim(control, 0, bar.start + rows[i].offset, rows[i].size, "odd", NULL));
        context("a start at %#" PRIx64, rows[i].offset);
        check_equal(region_info(region).widths, rows[i].widths & (2 * width_max() - 1));
        for (uint32_t width = 1; width <= width_max(); width *= 2) {
            uint64_t value;
            int result = access_region(region, 0, 0, width, 1, &value, NULL);
            if (rows[i].widths & width)
                fine(result);
            else
                check_error(result, EINVAL);
        }
        close(region);
    }
}

// The last register may be cut off by the end of the region.
static void odd_size(void)
{
    int control = open_control();
    uint64_t value = 0;
    int region = fine(claim(control, 0, bar_of(IVSHMEM, 2).start, 7, "odd", NULL));
    read_value(region, 6, 1);
    read_value(region, 4, 2);
    read_value(region, 0, 4);
    check_error(access_region(region, 0, 6, 2, 1, &value, NULL), ERANGE);
    check_error(access_region(region, 0, 4, 4, 1, &value, NULL), ERANGE);
    check_equal(access_region(region, 0, 0, 8, 1, &value, NULL), -1);
    check(errno == ERANGE || errno == EINVAL);
}

static void bad_data(void)
{
    struct area area = ram_area(1, 0);
    static const uint64_t addresses[] = {0, 8, 0xffff888000000000, 0xffffffff81000000, 0x0000800000000000,
            0x8000000000000000, UINT64_MAX, UINT64_MAX - 3, UINT64_MAX - 4095,
            // In a program of 32 bits the upper half must not be cut off.
            0x100000000000};
    static uint32_t value = 0x77777777;
    memset((void *)area.map, 0xee, area.size);
    for (size_t i = 0; i <= array_size(addresses); i++)
        for (uint32_t flags = 0; flags <= (WRITE | REPEAT); flags++) {
            struct devreg_access access = {
                    .argsz = sizeof(access), .flags = flags, .width = 4, .count = 1, .done = 9};
            access.data = i < array_size(addresses) ? addresses[i] : (uintptr_t)&value | 1ULL << 62;
            context("data at %#llx", (unsigned long long)access.data);
            check_error(ioctl(area.region, DEVREG_ACCESS, &access), EFAULT);
            check_equal(access.done, 0);
            check_equal(value, 0x77777777);
        }
    for (size_t i = 0; i < 64; i++)
        check_equal(area.map[i], 0xee);
}

// What a kernel copies in one step may be lost as a whole where memory ends: of these only that of x86-64
// goes on octet by octet.
#ifdef __x86_64__
#define COPY_STEP 1
#else
#define COPY_STEP 64
#endif

// Memory that ends in the middle of the data: all accesses before that place are made, and `done` says how
// many.
static void data_that_ends(void)
{
    struct area area = ram_area(4, 0);
    size_t page = page_size();
    uint8_t *pages =
            mapped(mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fine(munmap(pages + 3 * page, page));
    static const uint32_t goods[] = {1, 5, 100, 300, 1000};
    for (uint32_t width = 1; width <= width_max(); width *= 2)
        for (size_t i = 0; i < array_size(goods); i++) {
            uint32_t good = goods[i], count = good + 200, done = 0xdddddddd;
            uint8_t *data = pages + 3 * page - (size_t)good * width;
            context("%u of %u accesses of width %u", good, count, width);
            memset(data, 0x42, (size_t)good * width);
            memset((void *)area.map, 0xee, area.size);
            check_error(access_region(area.region, WRITE, 0, width, count, data, &done), EFAULT);
            check(done <= good && (good - done) * width < COPY_STEP);
            for (size_t j = 0; j < (size_t)(count + 8) * width; j++)
                check_equal(area.map[j], j < (size_t)done * width ? 0x42 : 0xee);
            set_bytes(area.map, area.size, 1);
            done = 0xdddddddd;
            check_error(access_region(area.region, 0, 0, width, count, data, &done), EFAULT);
            check(done <= good && (good - done) * width < COPY_STEP);
            check_equal(memcmp(data, area.map, (size_t)done * width), 0);
        }
    context("half of a register's data is there");
    memset((void *)area.map, 0xee, area.size);
    uint32_t done;
    check_error(access_region(area.region, WRITE, 0, 4, 2, pages + 3 * page - 6, &done), EFAULT);
    check(done <= 1 && (1 - done) * 4 < COPY_STEP);
    check_equal(area.map[4], 0xee);
}

// A region's own mapping as the data of an access to it.
static void data_is_a_mapping(void)
{
    struct area area = ram_area(2, 0);
    uint32_t done;
    set_bytes(area.map, 4096, 3);
    int result = access_region(area.region, 0, 0, 4, 16, area.map + page_size(), &done);
    if (result == 0)
        check_equal(memcmp(area.map, area.map + page_size(), 64), 0);
    else
        check_equal(errno, EFAULT);
    check_equal(touch_read(area.map, NULL), TOUCH_FINE);
}

static void most_at_once(void)
{
    int control = open_control();
    struct bar bar = bar_of(IVSHMEM, 2);
    int region = fine(claim(control, 0, bar.start, bar.size, "most", NULL));
    uint8_t *data = malloc(DEVREG_ACCESS_COUNT_MAX);
    check(data != NULL);
    uint32_t done;
    memset(data, 0x5a, DEVREG_ACCESS_COUNT_MAX);
    fine(access_region(region, WRITE, 1, 1, DEVREG_ACCESS_COUNT_MAX, data, &done));
    check_equal(done, DEVREG_ACCESS_COUNT_MAX);
    check_equal(read_value(region, DEVREG_ACCESS_COUNT_MAX, 1), 0x5a);
    free(data);
}

// Each unaligned place of the caller's memory will do.
static void data_anywhere(void)
{
    struct area area = ram_area(1, 0);
    uint8_t data[64];
    set_bytes(area.map, 64, 0x30);
    for (uint32_t width = 1; width <= width_max(); width *= 2)
        for (size_t shift = 0; shift < 8; shift++) {
            context("width %u, data at + %zu", width, shift);
            memset(data, 0, sizeof(data));
            fine(access_region(area.region, 0, 8, width, 3, data + shift, NULL));
            check_equal(memcmp(data + shift, area.map + 8, 3 * width), 0);
            check_equal(data[shift + 3 * width], 0);
        }
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number)
{
    (void)number;
    alarms = alarms + 1;
}

// A signal that does not end the process does not cut an access short.
static void signal_that_is_handled(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0x1000, "signal", NULL));
    uint32_t *data = malloc(100000 * sizeof(*data)), done;
    check(data != NULL);
    struct sigaction action = {.sa_handler = count_alarm}; // no SA_RESTART
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    fine(setitimer(ITIMER_REAL, &timer, NULL));
    for (int round = 0; round < 10 || alarms < 3; round++) {
        fine(access_region(region, REPEAT, 0, 4, 100000, data, &done));
        check_equal(done, 100000);
        check_equal(data[99999], 0x010000ed);
    }
    timer = (struct itimerval){0};
    setitimer(ITIMER_REAL, &timer, NULL);
    free(data);
}

static void access_without_end(void *argument)
{
    int region = *(int *)argument;
    size_t size = DEVREG_ACCESS_COUNT_MAX * sizeof(uint32_t);
    uint32_t *data = mapped(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (;;)
        fine(access_region(region, REPEAT, 0, 4, DEVREG_ACCESS_COUNT_MAX, data, NULL));
}

// One that does ends it soon, not after a million accesses.
static void signal_that_kills(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0x1000, "signal", NULL));
    uint32_t *data = malloc(DEVREG_ACCESS_COUNT_MAX * sizeof(*data));
    check(data != NULL);
    uint64_t started = now_ms();
    fine(access_region(region, REPEAT, 0, 4, DEVREG_ACCESS_COUNT_MAX, data, NULL));
    uint64_t whole_ms = now_ms() - started, worst_ms = 0;
    for (int round = 0; round < 5; round++) {
        pid_t child = spawn(access_without_end, &region);
        sleep_ms(50 + (unsigned)round * 20);
        started = now_ms();
        kill(child, SIGKILL);
        wait_child(child);
        if (now_ms() - started > worst_ms)
            worst_ms = now_ms() - started;
    }
    if (worst_ms > whole_ms / 4 + 50)
        fail("it took %llu ms to die in an access of %llu ms", (unsigned long long)worst_ms,
                (unsigned long long)whole_ms);
}

const struct test_case access_cases[] = {
        {"access_every_width", every_width, 0},
        {"access_blocks", blocks, 0},
        {"access_repeated", repeated, 0},
        {"access_registers", registers, 0},
        {"access_traced", traced, 0},
        {"access_bad_arguments", bad_arguments, 0},
        {"access_read_only", read_only, 0},
        {"access_unaligned_start", unaligned_start, 0},
        {"access_odd_size", odd_size, 0},
        {"access_bad_data", bad_data, 0},
        {"access_data_that_ends", data_that_ends, 0},
        {"access_data_is_a_mapping", data_is_a_mapping, 0},
        {"access_data_anywhere", data_anywhere, 0},
        {"access_most_at_once", most_at_once, 0},
        {"access_signal_that_is_handled", signal_that_is_handled, 0},
        {"access_signal_that_kills", signal_that_kills, 0},
        {0},
};
