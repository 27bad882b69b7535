/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/kmod_buffers.c and backends/kmod_safe_state.c, with a module that the test is itself. */
#include "kmod_fixture.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/buffer_memory.h"
#include "backends/bus_guard.h"
#include "util/cleanup.h"

static const struct backend *kmod;
static struct opened edu;

static int set_up(void **state)
{
    struct error error = {0};

    (void)state;
    module_set_up();
    kmod = backend_find("kmod");
    edu = describe_edu(0);
    edu.description.regions = &edu.region_description;
    edu.description.region_count = 1;
    test_that(open_both(&edu, &error) == 0, "%s", error.message);
    module.logged = 0;
    module.dma = (struct devreg_dma_info){.size_max = 64 << 20,
            .total_max = 256 << 20,
            .total = 200 << 20,
            .retained = 8192,
            .reserved = 32 << 20,
            .reserved_free = 16 << 20};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close_both(&edu);
    module_check_closed();
    return 0;
}

static struct backend_buffer *open_buffer(const struct buffer_wish *wish)
{
    struct backend_buffer *buffer = NULL;
    struct error error = {0};

    test_that(kmod->buffer_open(edu.device, wish, &buffer, &error) == 0, "%s", error.message);
    return buffer;
}

static void expect_refused(const struct buffer_wish *wish, int code, const char *text)
{
    struct backend_buffer *buffer = NULL;
    struct error error = {0};

    check_error(kmod->buffer_open(edu.device, wish, &buffer, &error), code, &error, text);
    assert_null(buffer);
}

static void test_describe(void **state)
{
    struct dma_state described;
    struct error error = {0};

    (void)state;
    assert_int_equal(kmod->dma_describe(edu.device, &described, &error), 0);
    assert_false(described.translated);
    assert_int_equal(described.size_max, 64 << 20);
    assert_int_equal(described.total_max, 256 << 20);
    assert_int_equal(described.total, 200 << 20);
    assert_int_equal(described.retained, 8192);
    assert_int_equal(described.reserved, 32 << 20);
    assert_int_equal(described.reserved_free, 16 << 20);
    module.dma.size_max = UINT64_MAX; /* what can be mapped is less */
    assert_int_equal(kmod->dma_describe(edu.device, &described, &error), 0);
    assert_true(described.size_max == PTRDIFF_MAX);
    module.dma.flags = DEVREG_BUFFER_TRANSLATED;
    assert_int_equal(kmod->dma_describe(edu.device, &described, &error), 0);
    assert_true(described.translated);
    module.dma_result = -EOPNOTSUPP;
    check_error(kmod->dma_describe(edu.device, &described, &error), -EOPNOTSUPP, &error, "edu has no DMA");
    module.dma_result = -ENODEV;
    check_error(kmod->dma_describe(edu.device, &described, &error), -ENODEV, &error,
            "DMA of edu: No such device");
}

/* What is asked for, and what the module says that it is. */
static void test_kinds(void **state)
{
    static const struct {
        struct buffer_wish wish;
        const char *asked;
        uint64_t size, segments;
    } rows[] = {
            {{BUFFER_COHERENT, 100, 1, 28, 4096, 0, true, true},
                    "allocate 1 bits 28 count 1 size 0x64 alignment 0x1000 boundary 0x0", 4096, 1},
            {{BUFFER_STREAMING, 0x2000, 1, 64, 0x10000, 0x100000, true, false},
                    "allocate 18 bits 64 count 1 size 0x2000 alignment 0x10000 boundary 0x100000", 0x2000,
                    1},
            {{BUFFER_SCATTERED, 0x5001, 1, 32, 4096, 0, false, true},
                    "allocate 36 bits 32 count 1 size 0x5001 alignment 0x1000 boundary 0x0", 0x6000, 6},
            {{BUFFER_SCATTERED, 0x1000, 1, 32, 4096, 0, true, true},
                    "allocate 52 bits 32 count 1 size 0x1000 alignment 0x1000 boundary 0x0", 0x1000, 1},
            {{BUFFER_POOL, 64, 100, 24, 8, 0x1000, true, true},
                    "allocate 8 bits 24 count 100 size 0x40 alignment 0x8 boundary 0x1000", 0x2000, 100},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct backend_buffer *buffer = open_buffer(&rows[i].wish);

        module_expect_log(0, rows[i].asked);
        assert_int_equal(buffer->size, rows[i].size);
        assert_int_equal(buffer->segment_count, rows[i].segments);
        assert_int_equal(buffer->bus_address, 0x1000000);
        assert_false(buffer->needs_sync || buffer->translated || buffer->reserved);
        assert_int_equal(module.logged, 1);
        kmod->buffer_close(buffer, false);
        module.logged = 0;
    }
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t flags[] = {
                DEVREG_BUFFER_SYNC, DEVREG_BUFFER_TRANSLATED, DEVREG_BUFFER_RESERVED};
        struct backend_buffer *buffer;

        module.buffer_flags = flags[i];
        buffer = open_buffer(&rows[0].wish);
        assert_int_equal(buffer->needs_sync, i == 0);
        assert_int_equal(buffer->translated, i == 1);
        assert_int_equal(buffer->reserved, i == 2);
        kmod->buffer_close(buffer, true);
    }
}

static const struct buffer_wish page = {BUFFER_COHERENT, 4096, 1, 32, 4096, 0, true, true};

/* The mapping is the module's memory, and a fault when it takes it back. */
static void test_memory(void **state)
{
    struct backend_buffer *buffer = open_buffer(&page);
    int fd = module.files[module.file_count - 1].fd;
    char octets[8] = {0};

    (void)state;
    /* In each test: cmocka puts its own handler there before. */
    assert_int_equal(bus_guard_install(), 0);
    assert_int_equal(buffer_memory_write(buffer, 4090, "octets", 6), 0);
    assert_int_equal(pread(fd, octets, 6, 4090), 6);
    assert_string_equal(octets, "octets");
    assert_int_equal(pwrite(fd, "device", 6, 16), 6);
    assert_int_equal(buffer_memory_read(buffer, 16, octets, 6), 0);
    assert_string_equal(octets, "device");
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(buffer_memory_read(buffer, 16, octets, 6), -EFAULT);
    kmod->buffer_close(buffer, false);
}

static void test_let_go(void **state)
{
    struct backend_buffer *buffer = open_buffer(&page);

    (void)state;
    kmod->buffer_close(buffer, true);
    module_expect_log(1, "let go");
    assert_int_equal(module.logged, 2);
    buffer = open_buffer(&page);
    kmod->buffer_close(buffer, false);
    assert_int_equal(module.logged, 3);
    buffer = open_buffer(&page);
    module.files[module.file_count - 1].gone = true; /* nothing to be done about that */
    kmod->buffer_close(buffer, true);
    module_expect_log(4, "let go");
}

/* Nobody knew of it: it is let go. */
static void test_unmappable(void **state)
{
    (void)state;
    module.unmappable = true;
    expect_refused(&page, -EOVERFLOW, "mapping a buffer of edu");
    module_expect_log(1, "let go");
}

static void test_segments(void **state)
{
    const struct buffer_wish wish = {BUFFER_SCATTERED, 300 * 4096, 1, 32, 4096, 0, true, true};
    struct backend_buffer *buffer = open_buffer(&wish);
    struct buffer_segment segments[400];
    size_t count;

    (void)state;
    assert_int_equal(kmod->buffer_segments(buffer, 0, segments, ELEMENTS(segments), &count), 0);
    assert_int_equal(count, 300);
    module_expect_log(1, "segments 0 + 128");
    module_expect_log(2, "segments 128 + 128");
    module_expect_log(3, "segments 256 + 128");
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(segments[i].bus_address, 0x1000000 - i * 0x3000);
        assert_int_equal(segments[i].offset, i * 0x1000);
        assert_int_equal(segments[i].size, 0x1000);
    }
    assert_int_equal(kmod->buffer_segments(buffer, 298, segments, 1, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(segments[0].offset, 298 * 0x1000);
    module_expect_log(4, "segments 298 + 1");
    assert_int_equal(kmod->buffer_segments(buffer, 300, segments, 1, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(kmod->buffer_segments(buffer, UINT64_C(1) << 32, segments, 1, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(module.logged, 5);
    module.files[module.file_count - 1].gone = true;
    assert_int_equal(kmod->buffer_segments(buffer, 0, segments, 1, &count), -ENODEV);
    kmod->buffer_close(buffer, false);
}

static void test_sync(void **state)
{
    struct backend_buffer *buffer = open_buffer(&page);

    (void)state;
    assert_int_equal(kmod->buffer_sync(buffer, 0x10, 0x20, true), 0);
    assert_int_equal(kmod->buffer_sync(buffer, 0, 4096, false), 0);
    module_expect_log(1, "sync 1 0x10 + 0x20");
    module_expect_log(2, "sync 2 0x0 + 0x1000");
    module.files[module.file_count - 1].gone = true;
    assert_int_equal(kmod->buffer_sync(buffer, 0, 4096, false), -ENODEV);
    kmod->buffer_close(buffer, false);
}

static void test_refused(void **state)
{
    static const struct buffer_wish large = {BUFFER_COHERENT, (64 << 20) + 1, 1, 32, 4096, 0, true, true},
                                    scattered = {BUFFER_SCATTERED, 1, 1, 32, 4096, 0, true, true},
                                    pool = {BUFFER_POOL, 8, 7, 24, 8, 0, true, true},
                                    many = {BUFFER_POOL, 1 << 20, 1 << 10, 24, 8, 0, true, true},
                                    endless = {BUFFER_POOL, UINT64_C(1) << 60, 1 << 10, 24, 8, 0, true,
                                            true},
                                    unmappable = {BUFFER_SCATTERED, (uint64_t)PTRDIFF_MAX + 1, 1, 32, 4096,
                                            0, true, true};
    static const struct {
        const struct buffer_wish *wish;
        int result;
        const char *message;
    } rows[] = {
            {&page, -E2BIG,
                    "buffers of all devices have 268435456 octets at most, and 209715200 are taken: ask for "
                    "less or free some"},
            {&large, -E2BIG, "one buffer has 67108864 octets at most: ask for less"},
            {&many, -E2BIG, "one buffer has 67108864 octets at most"},
            {&page, -ENOSPC, "edu has 4096 buffers, which is the most: free some"},
            {&page, -ENOMEM,
                    "no such memory in one piece now where 32 address bits reach: ask for less, for kind "
                    "scattered, or for more address bits if the device has them; memory is set aside with "
                    "reserve_count and reserve_mib"},
            {&scattered, -ENOMEM,
                    "no such memory now where 32 address bits reach: ask for "
                    "less, or for more address bits if the device has them"},
            {&pool, -ENOMEM, "no such memory now where 24 address bits reach"},
            {&page, -EPERM, "kernel lockdown forbids edu to master the bus, which DMA needs"},
            {&pool, -EOPNOTSUPP, "edu has no DMA, or not with 24 address bits on this machine"},
            {&page, -EINVAL, "can't align a coherent buffer of 4096 octets to 4096 within boundaries of 0"},
            {&page, -ENODEV, "edu went away"},
            {&page, -EIO, "allocating a buffer for edu: Input/output error"},
    };
    struct buffer_wish wrong = pool;
    char most[64];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        module.logged = 0;
        module.allocate_result = rows[i].result;
        expect_refused(rows[i].wish, rows[i].result, rows[i].message);
        assert_int_equal(module.logged, 1);
    }
    module.allocate_result = -E2BIG;
    module.dma_result = -ENODEV;
    expect_refused(&page, -E2BIG, "more than there may be");
    /* What needs no module to be refused. */
    module.logged = 0;
    module.allocate_result = module.dma_result = 0;
    expect_refused(&endless, -E2BIG, "one buffer has 67108864 octets at most");
    module.dma.size_max = UINT64_MAX;
    snprintf(most, sizeof(most), "one buffer has %td octets at most: ask for less", PTRDIFF_MAX);
    expect_refused(&unmappable, -E2BIG, most);
    wrong.count = (UINT64_C(1) << 32) + 1;
    expect_refused(&wrong, -ENOSPC, "a pool has at most 1048576 objects");
    wrong = page;
    wrong.boundary = 2048;
    expect_refused(&wrong, -EINVAL, "smaller than a page");
    assert_int_equal(module.logged, 0);
}

/* A module from before buffers, and windows of addresses. */
static void test_without(void **state)
{
    struct opened raw = {.description = {.name = (char *)"raw"},
            .region_description = {.name = (char *)"raw", .base = 0xfed00000, .size = 0x1000}};
    const struct safe_register write = {.width = 4};
    struct backend_buffer *buffer;
    struct dma_state described;
    struct error error = {0};

    (void)state;
    close_both(&edu);
    module.capabilities &= ~(DEVREG_CAPABILITY_DMA | DEVREG_CAPABILITY_SAFE_STATE);
    test_that(open_both(&edu, &error) == 0, "%s", error.message);
    check_error(kmod->dma_describe(edu.device, &described, &error), -EOPNOTSUPP, &error,
            "the loaded module has no DMA yet: load the devreg.ko of this release");
    check_error(
            kmod->buffer_open(edu.device, &page, &buffer, &error), -EOPNOTSUPP, &error, "has no DMA yet");
    check_error(kmod->safe_state_set(edu.device, &write, 1, &error), -EOPNOTSUPP, &error,
            "safe-state writes of edu are not made should devregd be killed: load the devreg.ko");
    assert_int_equal(kmod->safe_state_set(edu.device, NULL, 0, &error), 0);
    test_that(open_both(&raw, &error) == 0, "%s", error.message);
    check_error(kmod->dma_describe(raw.device, &described, &error), -EOPNOTSUPP, &error,
            "a window of addresses has no DMA: describe the device itself");
    check_error(kmod->buffer_open(raw.device, &page, &buffer, &error), -EOPNOTSUPP, &error, "has no DMA");
    check_error(kmod->safe_state_set(raw.device, &write, 1, &error), -EOPNOTSUPP, &error,
            "of raw are not made should devregd be killed: it is a window");
    assert_int_equal(kmod->safe_state_set(raw.device, NULL, 0, &error), 0);
    close_both(&raw);
}

/* As the core makes them: the first `width` octets are the register's. */
static struct safe_register make_write(size_t region, uint64_t offset, unsigned width, uint64_t number)
{
    return (struct safe_register){
            .region = region, .offset = offset, .width = width, .value = htole64(number)};
}

static void test_safe_state(void **state)
{
    struct region_description regions[] = {{.bar = 0, .resource = 5, .offset = 0},
            {.bar = 2, .resource = 6, .offset = 0x1000, .endianness = ENDIANNESS_BIG}};
    const struct safe_register writes[] = {
            make_write(1, 0x10, 4, 0xdeadbeef), make_write(0, 0x98, 8, 0x1122), make_write(1, 0, 1, 0xff)};
    struct safe_register many[DEVREG_SAFE_WRITES_MAX + 1] = {0};
    struct error error = {0};

    (void)state;
    edu.description.regions = regions;
    edu.description.region_count = 2;
    assert_int_equal(kmod->safe_state_set(edu.device, writes, ELEMENTS(writes), &error), 0);
    module_expect_log(0, "safe 3");
    module_expect_log(1, "safe 2:0x1010 4 0xdeadbeef");
    module_expect_log(2, "safe 0:0x98 8 0x1122");
    module_expect_log(3, "safe 2:0x1000 1 0xff");
    assert_int_equal(kmod->safe_state_set(edu.device, NULL, 0, &error), 0);
    module_expect_log(4, "safe 0");
    edu.description.platform = (char *)"edu.0";
    assert_int_equal(kmod->safe_state_set(edu.device, writes, 1, &error), 0);
    module_expect_log(6, "safe 6:0x1010 4 0xdeadbeef");
    edu.description.platform = NULL;
    module.safe_state_result = -EACCES;
    check_error(kmod->safe_state_set(edu.device, writes, 1, &error), -EACCES, &error,
            "a safe-state write of edu is in a region that is absent now, or may only be read");
    module.safe_state_result = -ENODEV;
    check_error(kmod->safe_state_set(edu.device, writes, 1, &error), -ENODEV, &error,
            "safe-state writes of edu: No such device");
    module.logged = 0;
    check_error(kmod->safe_state_set(edu.device, many, ELEMENTS(many), &error), -ENOSPC, &error,
            "have 65 safe-state writes, and the module takes 64");
    assert_int_equal(module.logged, 0);
    module.safe_state_result = 0;
    assert_int_equal(kmod->safe_state_set(edu.device, many, DEVREG_SAFE_WRITES_MAX, &error), 0);
    module_expect_log(0, "safe 64");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_describe, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_let_go, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_unmappable, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_segments, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_sync, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_without, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_safe_state, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
