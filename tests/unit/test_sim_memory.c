/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/sim_memory.c: where buffers are on the bus, that no two are in one place, and that all of it
 * comes back. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/sim_memory.h"
#include "util/cleanup.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

enum { PAGE = 4096 };

static int owner;

static int set_up(void **state)
{
    return sim_memory_new(&owner, (struct sim_memory **)state);
}

static int tear_down(void **state)
{
    struct dma_state described;

    sim_memory_describe(*state, &described);
    assert_int_equal(described.total, 0);
    sim_memory_free(*state);
    return 0;
}

static struct buffer_wish wish_for(enum buffer_kind kind, uint64_t size, unsigned address_bits)
{
    return (struct buffer_wish){.kind = kind,
            .size = size,
            .count = 1,
            .address_bits = address_bits,
            .alignment = kind == BUFFER_POOL ? 8 : PAGE,
            .to_device = true,
            .from_device = true};
}

static struct backend_buffer *allocate(struct sim_memory *memory, const struct buffer_wish *wish)
{
    struct backend_buffer *buffer = NULL;
    struct error error = {0};
    int r = sim_memory_allocate(memory, wish, &buffer, &error);

    test_that(r == 0, "allocating %llu octets: %s", (unsigned long long)wish->size, error.message);
    assert_ptr_equal(sim_memory_owner(buffer), &owner);
    return buffer;
}

static void expect_refused(
        struct sim_memory *memory, const struct buffer_wish *wish, int code, const char *text)
{
    struct backend_buffer *buffer = NULL;
    struct error error = {0};

    check_error(sim_memory_allocate(memory, wish, &buffer, &error), code, &error, text);
    assert_null(buffer);
}

/* All segments of a buffer, in one call. */
static struct buffer_segment *get_segments(const struct backend_buffer *buffer)
{
    struct buffer_segment *segments = calloc(buffer->segment_count, sizeof(*segments));
    size_t count;

    sim_memory_segments(buffer, 0, segments, buffer->segment_count, &count);
    assert_int_equal(count, buffer->segment_count);
    assert_int_equal(segments[0].bus_address, buffer->bus_address);
    return segments;
}

/* What every segment of every buffer must be. */
static void check_segments(const struct backend_buffer *buffer, const struct buffer_wish *wish)
{
    _cleanup_free_ struct buffer_segment *segments = get_segments(buffer);
    uint64_t end = 0;

    for (uint64_t i = 0; i < buffer->segment_count; i++) {
        const struct buffer_segment *segment = &segments[i];
        uint64_t last = segment->bus_address + segment->size - 1;

        test_that(segment->bus_address != 0 && segment->bus_address % wish->alignment == 0,
                "segment %u is at 0x%llx", (unsigned)i, (unsigned long long)segment->bus_address);
        test_that(wish->address_bits == 64 || last >> wish->address_bits == 0,
                "segment %u ends at 0x%llx, beyond %u bits", (unsigned)i, (unsigned long long)last,
                wish->address_bits);
        test_that(!wish->boundary || segment->bus_address / wish->boundary == last / wish->boundary,
                "segment %u at 0x%llx crosses a boundary", (unsigned)i,
                (unsigned long long)segment->bus_address);
        assert_true(segment->offset >= end && segment->offset + segment->size <= buffer->size);
        end = segment->offset + segment->size;
    }
}

/* Through the bus, octet by octet where the segments say it is. */
static void check_reached(const struct sim_memory *memory, const struct backend_buffer *buffer)
{
    _cleanup_free_ struct buffer_segment *segments = get_segments(buffer);
    uint32_t seed = 1, told, seen;

    for (uint64_t i = 0; i < buffer->segment_count; i++) {
        const struct buffer_segment *segment = &segments[i];
        uint64_t last = segment->size - sizeof(told);

        told = test_random(&seed);
        sim_memory_write(memory, segment->bus_address + last, &told, sizeof(told));
        memcpy(&seen, buffer->data + segment->offset + last, sizeof(seen));
        assert_int_equal(seen, told);
        told = ~told;
        memcpy(buffer->data + segment->offset, &told, sizeof(told));
        sim_memory_read(memory, segment->bus_address, &seen, sizeof(seen));
        assert_int_equal(seen, told);
    }
}

static void test_kinds(void **state)
{
    static const struct {
        struct buffer_wish wish;
        uint64_t size, segments;
    } rows[] = {
            {{BUFFER_COHERENT, 1, 1, 32, PAGE, 0, true, true}, PAGE, 1},
            {{BUFFER_COHERENT, 64 * KIB, 1, 28, PAGE, 0, true, true}, 64 * KIB, 1},
            {{BUFFER_COHERENT, 5 * PAGE, 1, 24, 64 * KIB, 32 * KIB, true, true}, 5 * PAGE, 1},
            {{BUFFER_STREAMING, 3 * MIB + 1, 1, 64, MIB, 4 * MIB, true, true}, 3 * MIB + PAGE, 1},
            {{BUFFER_STREAMING, 256 * MIB, 1, 32, PAGE, 0, true, true}, 256 * MIB, 1},
            {{BUFFER_SCATTERED, 64 * KIB, 1, 24, PAGE, 0, true, true}, 64 * KIB, 16},
            {{BUFFER_SCATTERED, 100, 1, 40, PAGE, PAGE, true, true}, PAGE, 1},
            {{BUFFER_SCATTERED, 128 * KIB, 1, 27, 64 * KIB, 0, true, true}, 128 * KIB, 32},
            {{BUFFER_SCATTERED, 256 * MIB, 1, 64, PAGE, 0, true, true}, 256 * MIB, 65536},
            {{BUFFER_POOL, 64, 100, 32, 8, 0, true, true}, 2 * PAGE, 100},
            {{BUFFER_POOL, 12, 1000, 28, 64, 0, true, true}, 16 * PAGE, 1000},
            {{BUFFER_POOL, 4, 513, 28, 8, 0, true, true}, 2 * PAGE, 513},
            {{BUFFER_POOL, 3000, 3, 32, 8, PAGE, true, true}, 3 * PAGE, 3},
            {{BUFFER_POOL, 5000, 7, 32, 8, 8 * KIB, true, true}, 14 * PAGE, 7},
            {{BUFFER_POOL, 16, 4, 24, 16 * KIB, 0, true, true}, 4 * PAGE, 4},
    };

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct backend_buffer *buffer;
        struct dma_state described;

        buffer = allocate(*state, &rows[i].wish);
        check_segments(buffer, &rows[i].wish);
        check_reached(*state, buffer);
        assert_int_equal(buffer->size, rows[i].size);
        assert_int_equal(buffer->segment_count, rows[i].segments);
        assert_false(buffer->needs_sync || buffer->translated || buffer->reserved);
        sim_memory_describe(*state, &described);
        assert_int_equal(described.total, rows[i].size);
        sim_memory_release(*state, buffer, false);
    }
}

static void test_scattered(void **state)
{
    const struct buffer_wish wish = wish_for(BUFFER_SCATTERED, 4 * MIB, 24);
    struct backend_buffer *buffer = allocate(*state, &wish);
    _cleanup_free_ struct buffer_segment *segments = get_segments(buffer);
    bool ascends = false, descends = false;
    struct buffer_segment some[3];
    size_t count;

    for (uint64_t i = 0; i < buffer->segment_count; i++) {
        assert_int_equal(segments[i].offset, i * PAGE);
        assert_int_equal(segments[i].size, PAGE);
        if (i == 0)
            continue;
        ascends |= segments[i].bus_address > segments[i - 1].bus_address;
        descends |= segments[i].bus_address < segments[i - 1].bus_address;
        assert_true(segments[i].bus_address != segments[i - 1].bus_address + PAGE);
        assert_true(segments[i].bus_address != segments[i - 1].bus_address - PAGE);
    }
    assert_true(ascends && descends);
    sim_memory_segments(buffer, 1022, some, ELEMENTS(some), &count);
    assert_int_equal(count, 2);
    assert_memory_equal(some, &segments[1022], 2 * sizeof(some[0]));
    sim_memory_segments(buffer, 1024, some, ELEMENTS(some), &count);
    assert_int_equal(count, 0);
    sim_memory_segments(buffer, UINT64_MAX, some, ELEMENTS(some), &count);
    assert_int_equal(count, 0);
    sim_memory_release(*state, buffer, false);
}

/* Each width gives what the highest window below it has, and then what is further down. */
static void test_address_bits(void **state)
{
    static const struct {
        unsigned address_bits;
        uint64_t start, size;
    } rows[] = {{24, 8 * MIB, 8 * MIB}, {27, 8 * MIB, 8 * MIB}, {28, 128 * MIB, 128 * MIB},
            {31, 128 * MIB, 128 * MIB}, {32, UINT64_C(1) << 31, 256 * MIB},
            {33, UINT64_C(1) << 32, 256 * MIB}, {64, UINT64_C(1) << 32, 256 * MIB}};

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct buffer_wish wish = wish_for(BUFFER_COHERENT, PAGE, rows[i].address_bits);
        struct backend_buffer *buffer = allocate(*state, &wish);

        test_that(buffer->bus_address - rows[i].start < rows[i].size, "%u bits gave 0x%llx",
                rows[i].address_bits, (unsigned long long)buffer->bus_address);
        sim_memory_release(*state, buffer, false);
        wish.size = rows[i].size;
        sim_memory_release(*state, allocate(*state, &wish), false);
    }
}

static void test_refused(void **state)
{
    static const struct {
        struct buffer_wish wish;
        int code;
        const char *text;
    } rows[] = {
            {{BUFFER_COHERENT, 256 * MIB + 1, 1, 64, PAGE, 0, true, true}, -E2BIG, "has 256 MiB for all"},
            {{BUFFER_SCATTERED, UINT64_MAX, 1, 64, PAGE, 0, true, true}, -E2BIG, "ask for less"},
            {{BUFFER_POOL, MIB, 257, 64, 8, 0, true, true}, -E2BIG, "256 MiB"},
            {{BUFFER_POOL, 256 * MIB, 1 << 20, 64, 8, 0, true, true}, -E2BIG, "256 MiB"},
            {{BUFFER_POOL, 8, (1 << 20) + 1, 64, 8, 0, true, true}, -ENOSPC, "at most 1048576 objects"},
            {{BUFFER_POOL, 8, UINT64_MAX, 64, 8, 0, true, true}, -ENOSPC, "at most 1048576 objects"},
            {{BUFFER_COHERENT, 9 * MIB, 1, 24, PAGE, 0, true, true}, -ENOMEM,
                    "no 9437184 octets in one piece free now where 24 address "
                    "bits reach: ask for less, for kind scattered"},
            {{BUFFER_SCATTERED, 9 * MIB, 1, 24, PAGE, 0, true, true}, -ENOMEM,
                    "no 9437184 octets free now where 24 address bits reach: ask for less, or for more"},
            {{BUFFER_POOL, 8, 3 << 10, 24, 4 * MIB, 0, true, true}, -ENOMEM, "24 address bits"},
            {{BUFFER_COHERENT, PAGE, 1, 64, UINT64_C(1) << 63, 0, true, true}, -ENOMEM, "in one piece"},
            {{BUFFER_COHERENT, 0, 1, 64, PAGE, 0, true, true}, -EINVAL, "one octet at least"},
            {{BUFFER_POOL, 1, 0, 64, 8, 0, true, true}, -EINVAL, "one octet at least"},
            {{BUFFER_COHERENT, 1, 2, 64, PAGE, 0, true, true}, -EINVAL, "only a pool has a count"},
            {{BUFFER_COHERENT, 1, 1, 23, PAGE, 0, true, true}, -EINVAL, "23 address bits"},
            {{BUFFER_COHERENT, 1, 1, 65, PAGE, 0, true, true}, -EINVAL, "65 address bits"},
            {{BUFFER_COHERENT, 1, 1, 64, PAGE, 2048, true, true}, -EINVAL, "smaller than a page"},
            {{BUFFER_STREAMING, PAGE + 1, 1, 64, PAGE, PAGE, true, true}, -EINVAL, "or a larger boundary"},
            {{BUFFER_POOL, PAGE + 1, 1, 64, 8, PAGE, true, true}, -EINVAL, "objects of 4097 octets"},
    };

    for (size_t i = 0; i < ELEMENTS(rows); i++)
        expect_refused(*state, &rows[i].wish, rows[i].code, rows[i].text);
}

/* The total is counted, wherever it is, and comes back. */
static void test_exhaustion(void **state)
{
    const struct buffer_wish low = wish_for(BUFFER_COHERENT, MIB, 24);
    const struct buffer_wish rest = wish_for(BUFFER_SCATTERED, 248 * MIB, 64);
    const struct buffer_wish page = wish_for(BUFFER_COHERENT, PAGE, 64);

    for (unsigned round = 0; round < 3; round++) {
        struct backend_buffer *buffers[9];

        for (size_t i = 0; i < 8; i++)
            buffers[i] = allocate(*state, &low);
        expect_refused(*state, &low, -ENOMEM, "24 address bits reach");
        buffers[8] = allocate(*state, &rest);
        expect_refused(*state, &page, -E2BIG, "256 MiB");
        sim_memory_release(*state, buffers[3], false);
        buffers[3] = allocate(*state, &low);
        for (size_t i = 0; i < ELEMENTS(buffers); i++)
            sim_memory_release(*state, buffers[i], false);
    }
}

/* Every other page is taken: what is in one piece has no room, what is scattered has. */
static void test_fragmentation(void **state)
{
    const struct buffer_wish page = wish_for(BUFFER_COHERENT, PAGE, 24);
    struct buffer_wish half = wish_for(BUFFER_COHERENT, 4 * MIB, 24);
    struct buffer_wish two = wish_for(BUFFER_COHERENT, 2 * PAGE, 24);
    struct backend_buffer *buffers[2048], *scattered;

    for (size_t i = 0; i < ELEMENTS(buffers); i++)
        buffers[i] = allocate(*state, &page);
    for (size_t i = 0; i < ELEMENTS(buffers); i++) {
        if (buffers[i]->bus_address & PAGE) {
            sim_memory_release(*state, buffers[i], false);
            buffers[i] = NULL;
        }
    }
    expect_refused(*state, &half, -ENOMEM, "kind scattered");
    expect_refused(*state, &two, -ENOMEM, "in one piece");
    half.kind = BUFFER_SCATTERED;
    scattered = allocate(*state, &half);
    check_segments(scattered, &half);
    expect_refused(*state, &page, -ENOMEM, "24 address bits reach");
    sim_memory_release(*state, scattered, false);
    for (size_t i = 0; i < ELEMENTS(buffers); i++) {
        if (buffers[i])
            sim_memory_release(*state, buffers[i], false);
    }
    two.size = 8 * MIB;
    sim_memory_release(*state, allocate(*state, &two), false);
}

static void expect_all(const struct backend_buffer *buffer, int value)
{
    test_that(buffer->data[0] == value && memcmp(buffer->data, buffer->data + 1, buffer->size - 1) == 0,
            "somebody else wrote to the buffer of %d", value);
}

/* All of it, what is in segments through the bus. */
static void write_all(const struct sim_memory *memory, const struct backend_buffer *buffer, int value)
{
    _cleanup_free_ unsigned char *octets = malloc(20 * KIB);
    _cleanup_free_ struct buffer_segment *segments = get_segments(buffer);

    memset(octets, value, 20 * KIB);
    memset(buffer->data, value ^ 0xff, buffer->size);
    for (uint64_t i = 0; i < buffer->segment_count; i++)
        sim_memory_write(memory, segments[i].bus_address, octets, segments[i].size);
    for (uint64_t i = 0; i < buffer->segment_count; i++)
        assert_memory_equal(buffer->data + segments[i].offset, octets, segments[i].size);
    memset(buffer->data, value, buffer->size); /* what is between objects, too */
}

/* Buffers of all kinds come and go; no place has two of them, and each begins as zeros. */
static void test_nothing_is_shared(void **state)
{
    struct backend_buffer *buffers[40] = {0};
    struct buffer_wish wishes[ELEMENTS(buffers)];
    uint32_t seed = 7;

    for (unsigned round = 0; round < 3000; round++) {
        size_t i = test_random(&seed) % ELEMENTS(buffers);
        uint32_t chosen = test_random(&seed);

        if (buffers[i]) {
            expect_all(buffers[i], (int)i + 1);
            sim_memory_release(*state, buffers[i], false);
            buffers[i] = NULL;
            continue;
        }
        wishes[i] = wish_for(
                (enum buffer_kind)(chosen % 4), 1 + (chosen >> 2) % (20 * KIB), 24 + (chosen >> 20) % 12);
        wishes[i].count = wishes[i].kind == BUFFER_POOL ? 1 + (chosen >> 24) % 50 : 1;
        wishes[i].alignment <<= (chosen >> 28) % 4;
        buffers[i] = allocate(*state, &wishes[i]);
        check_segments(buffers[i], &wishes[i]);
        expect_all(buffers[i], 0);
        write_all(*state, buffers[i], (int)i + 1);
    }
    for (size_t i = 0; i < ELEMENTS(buffers); i++) {
        if (buffers[i])
            sim_memory_release(*state, buffers[i], false);
    }
}

/* Octets where nothing is stay where they are; those beside them move. */
static void test_nothing_there(void **state)
{
    struct buffer_wish wish = wish_for(BUFFER_COHERENT, 2 * PAGE, 24);
    struct backend_buffer *buffer = allocate(*state, &wish);
    uint64_t end = buffer->bus_address + buffer->size;
    uint8_t octets[64];

    memset(octets, 0x11, sizeof(octets));
    sim_memory_write(*state, end - 16, octets, sizeof(octets));
    assert_memory_equal(buffer->data + buffer->size - 16, octets, 16);
    assert_int_equal(buffer->data[buffer->size - 17], 0);
    memset(buffer->data, 0x22, buffer->size);
    sim_memory_read(*state, end - 16, octets, sizeof(octets));
    assert_memory_equal(octets, buffer->data, 16);
    assert_int_equal(octets[16], 0x11);
    sim_memory_read(*state, buffer->bus_address - 32, octets, sizeof(octets));
    assert_int_equal(octets[16], 0x11);
    assert_int_equal(octets[31], 0x11);
    assert_int_equal(octets[32], 0x22);
    sim_memory_write(*state, 0, octets, sizeof(octets));
    sim_memory_write(*state, UINT64_MAX - 3, octets, sizeof(octets));
    sim_memory_read(*state, UINT64_MAX - 3, octets, sizeof(octets));
    sim_memory_release(*state, buffer, false);
    sim_memory_write(*state, end - 16, octets, 16); /* its memory is gone: this would fault */
}

static void test_retained(void **state)
{
    const struct buffer_wish wish = wish_for(BUFFER_COHERENT, 8 * MIB, 24);
    const struct buffer_wish page = wish_for(BUFFER_COHERENT, PAGE, 24);
    const struct buffer_wish other = wish_for(BUFFER_SCATTERED, 3 * PAGE, 28);
    struct backend_buffer *buffer = allocate(*state, &wish), *live = allocate(*state, &other);
    uint64_t bus_address = buffer->bus_address;
    struct dma_state described;
    uint32_t value = 0x12345678, seen = 0;

    sim_memory_release(*state, buffer, true);
    sim_memory_describe(*state, &described);
    assert_int_equal(described.retained, 8 * MIB);
    assert_int_equal(described.total, 8 * MIB + 3 * PAGE);
    assert_int_equal(described.total_max, 256 * MIB);
    assert_int_equal(described.size_max, 256 * MIB);
    assert_true(sim_memory_is_used(*state));
    expect_refused(*state, &page, -ENOMEM, "24 address bits reach");
    sim_memory_write(*state, bus_address, &value, sizeof(value)); /* what it is retained for */
    sim_memory_read(*state, bus_address, &seen, sizeof(seen));
    assert_int_equal(seen, value);
    sim_memory_free_retained(*state);
    sim_memory_describe(*state, &described);
    assert_int_equal(described.retained, 0);
    assert_int_equal(described.total, 3 * PAGE);
    buffer = allocate(*state, &wish);
    assert_int_equal(buffer->data[0], 0);
    sim_memory_release(*state, buffer, false);
    sim_memory_release(*state, live, false);
    assert_false(sim_memory_is_used(*state));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_kinds, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_scattered, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_address_bits, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_exhaustion, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fragmentation, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_nothing_is_shared, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_nothing_there, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_retained, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
