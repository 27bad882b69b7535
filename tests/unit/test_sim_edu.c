/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/sim_edu.c, against QEMU's documentation of the edu device (docs/specs/edu.rst). */
#include "sim_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "backends/buffer_memory.h"
#include "util/cleanup.h"
#include "util/clock.h"

static const struct backend *sim;

static int set_up(void **state)
{
    static struct sim_fixture fixture;

    sim = backend_find("sim");
    sim_fixture_open(&fixture, "edu", 0, NULL, NULL);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    sim_fixture_close(*state);
    return 0;
}

static void test_region(void **state)
{
    struct sim_fixture *edu = *state;

    assert_int_equal(edu->region->type, REGION_MMIO);
    assert_int_equal(edu->region->size, 1 << 20);
    assert_int_equal(edu->region->widths, 4 | 8);
    assert_true(edu->region->address == ADDRESS_UNKNOWN);
    assert_false(edu->region->slow);
}

static void test_identification(void **state)
{
    sim_expect(*state, 0x00, 4, 0x010000ed);
    sim_write(*state, 0x00, 4, 0x12345678);
    sim_expect(*state, 0x00, 4, 0x010000ed);
}

static void test_liveness(void **state)
{
    static const uint32_t values[] = {0x12345678, 0, UINT32_MAX, 1};

    for (size_t i = 0; i < 4; i++) {
        sim_write(*state, 0x04, 4, values[i]);
        sim_expect(*state, 0x04, 4, (uint32_t)~values[i]);
        sim_expect(*state, 0x04, 4, (uint32_t)~values[i]);
    }
}

/* Waits as a driver would; the time it takes is nobody's business here. */
static void wait_until_computed(struct sim_fixture *edu)
{
    for (unsigned i = 0; i < 10000 && sim_read(edu, 0x20, 4) & 1; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    test_that(!(sim_read(edu, 0x20, 4) & 1), "it computes for ever");
}

static void test_factorial(void **state)
{
    static const uint32_t rows[][2] = {{0, 1}, {1, 1}, {5, 120}, {10, 3628800}, {12, 479001600},
            {13, 1932053504}, /* 13! modulo 2^32 */
            {33, 2147483648}, {34, 0}, {UINT32_MAX, 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sim_write(*state, 0x08, 4, rows[i][0]);
        wait_until_computed(*state);
        sim_expect(*state, 0x08, 4, rows[i][1]);
        sim_expect(*state, 0x24, 4, 0); /* no interrupt unless it was asked for */
    }
}

static void test_operand_while_computing(void **state)
{
    bool seen_busy = false;

    /* Being computed cannot be told from being ready without racing the clock, so it is tried until both
     * reads fell into the time of computing. */
    for (unsigned i = 0; i < 1000 && !seen_busy; i++) {
        sim_write(*state, 0x08, 4, 5);
        sim_write(*state, 0x08, 4, 3); /* ignored while it computes */
        seen_busy = sim_read(*state, 0x20, 4) & 1;
        wait_until_computed(*state);
        if (seen_busy)
            sim_expect(*state, 0x08, 4, 120);
    }
    assert_true(seen_busy);
}

static void test_factorial_interrupt(void **state)
{
    sim_write(*state, 0x20, 4, UINT32_MAX);
    sim_expect(*state, 0x20, 4, 0x80); /* only bit 7 is writable */
    sim_write(*state, 0x08, 4, 4);
    wait_until_computed(*state);
    sim_expect(*state, 0x24, 4, 1);
    sim_write(*state, 0x64, 4, 1);
    sim_expect(*state, 0x24, 4, 0);
    sim_write(*state, 0x20, 4, 0);
    sim_expect(*state, 0x20, 4, 0);
}

static void test_interrupts(void **state)
{
    sim_write(*state, 0x60, 4, 0xf0);
    sim_write(*state, 0x60, 4, 0x0f000000);
    sim_expect(*state, 0x24, 4, 0x0f0000f0);
    sim_write(*state, 0x24, 4, 0); /* read-only */
    sim_expect(*state, 0x24, 4, 0x0f0000f0);
    sim_write(*state, 0x64, 4, 0x0f000010);
    sim_expect(*state, 0x24, 4, 0xe0);
    sim_expect(*state, 0x60, 4, UINT32_MAX); /* write-only */
    sim_expect(*state, 0x64, 4, UINT32_MAX);
}

static void test_dma_registers(void **state)
{
    for (uint64_t offset = 0x80; offset <= 0x90; offset += 8) {
        sim_write(*state, offset, 8, 0x1122334455667788);
        sim_expect(*state, offset, 8, 0x1122334455667788);
        sim_expect(*state, offset, 4, 0x55667788);
        sim_write(*state, offset, 4, 0x99);
        sim_expect(*state, offset, 8, 0x99);
    }
    sim_write(*state, 0x98, 4, 6); /* ignored without the start bit */
    sim_expect(*state, 0x98, 4, 0);
}

static struct backend_buffer *open_buffer(
        struct sim_fixture *edu, enum buffer_kind kind, uint64_t size, unsigned address_bits)
{
    const struct buffer_wish wish = {
            .kind = kind, .size = size, .count = 1, .address_bits = address_bits, .alignment = 4096};
    struct backend_buffer *buffer = NULL;
    struct error error = {0};

    test_that(sim->buffer_open(edu->device, &wish, &buffer, &error) == 0, "%s", error.message);
    return buffer;
}

/* Bits of the DMA command. */
enum { TO_DEVICE = 1, TO_MEMORY = 3, WITH_INTERRUPT = 4 };

static void start_transfer(
        struct sim_fixture *edu, uint64_t source, uint64_t destination, uint64_t count, uint64_t command)
{
    sim_write(edu, 0x80, 8, source);
    sim_write(edu, 0x88, 8, destination);
    sim_write(edu, 0x90, 8, count);
    sim_write(edu, 0x98, 8, command);
}

static void wait_until_transferred(struct sim_fixture *edu)
{
    for (unsigned i = 0; i < 10000 && sim_read(edu, 0x98, 4) & 1; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    test_that(!(sim_read(edu, 0x98, 4) & 1), "it transfers for ever");
}

static void transfer(
        struct sim_fixture *edu, uint64_t source, uint64_t destination, uint64_t count, uint64_t command)
{
    start_transfer(edu, source, destination, count, command);
    wait_until_transferred(edu);
}

static void expect_octets(const struct backend_buffer *buffer, uint64_t offset, const char *expected)
{
    char octets[64] = {0};

    assert_int_equal(buffer_memory_read(buffer, offset, octets, strlen(expected)), 0);
    assert_string_equal(octets, expected);
}

static void put(const struct backend_buffer *buffer, uint64_t offset, const char *octets)
{
    assert_int_equal(buffer_memory_write(buffer, offset, octets, strlen(octets)), 0);
}

static void test_dma(void **state)
{
    struct backend_buffer *buffer = open_buffer(*state, BUFFER_COHERENT, 8192, 28);
    uint64_t before_ns, bus_address = buffer->bus_address;

    assert_int_equal(bus_address >> 28, 0);
    put(buffer, 100, "there and back");
    before_ns = clock_now_ns();
    transfer(*state, bus_address + 100, 0x40010, 14, TO_DEVICE);
    test_that(clock_now_ns() - before_ns >= 100000000, "it took less than 100 ms");
    sim_expect(*state, 0x24, 4, 0); /* no interrupt unless it was asked for */
    put(buffer, 100, "##############");
    transfer(*state, 0x40016, bus_address + 4090, 8, TO_MEMORY | WITH_INTERRUPT);
    sim_expect(*state, 0x98, 4, 6);
    sim_expect(*state, 0x24, 4, 0x100);
    sim_write(*state, 0x64, 4, 0x100);
    sim_expect(*state, 0x24, 4, 0);
    expect_octets(buffer, 100, "##############");
    expect_octets(buffer, 4090, "and back");
    sim->buffer_close(buffer, true);
}

/* Nobody reads a register: the octets are there when their time has come. */
static void test_dma_by_itself(void **state)
{
    struct backend_buffer *buffer = open_buffer(*state, BUFFER_COHERENT, 4096, 28);
    uint64_t started_ns;
    char octet = 0;

    put(buffer, 0, "x");
    transfer(*state, buffer->bus_address, 0x40000, 1, TO_DEVICE);
    started_ns = clock_now_ns();
    start_transfer(*state, 0x40000, buffer->bus_address + 9, 1, TO_MEMORY);
    while (octet == 0 && clock_now_ns() - started_ns < 10000000000)
        assert_int_equal(buffer_memory_read(buffer, 9, &octet, 1), 0);
    assert_int_equal(octet, 'x');
    test_that(clock_now_ns() - started_ns >= 100000000, "it came before its time");
    sim->buffer_close(buffer, true);
}

static void test_dma_while_running(void **state)
{
    struct backend_buffer *buffer = open_buffer(*state, BUFFER_COHERENT, 4096, 28);
    bool seen_running = false;

    put(buffer, 0, "seen");
    for (unsigned i = 0; i < 100 && !seen_running; i++) {
        start_transfer(*state, buffer->bus_address, 0x40000, 4, TO_DEVICE);
        sim_write(*state, 0x80, 8, 0); /* these are ignored, as long as it runs */
        sim_write(*state, 0x88, 8, 0);
        sim_write(*state, 0x90, 8, 0);
        sim_write(*state, 0x98, 8, 7);
        seen_running = sim_read(*state, 0x98, 4) & 1;
        wait_until_transferred(*state);
    }
    assert_true(seen_running);
    sim_expect(*state, 0x80, 8, buffer->bus_address);
    sim_expect(*state, 0x88, 8, 0x40000);
    sim_expect(*state, 0x90, 8, 4);
    sim_expect(*state, 0x98, 8, 0);
    sim_expect(*state, 0x24, 4, 0);
    transfer(*state, 0x40000, buffer->bus_address + 8, 4, TO_MEMORY);
    expect_octets(buffer, 8, "seen");
    sim->buffer_close(buffer, true);
}

/* What 28 bits do not reach, it misses: the octets go to where the lower bits say. */
static void test_dma_address_bits(void **state)
{
    struct backend_buffer *low = open_buffer(*state, BUFFER_COHERENT, 4096, 28);
    struct backend_buffer *high = open_buffer(*state, BUFFER_COHERENT, 4096, 64);
    uint64_t beyond = low->bus_address | UINT64_C(0xabcd) << 28;

    assert_true(high->bus_address >> 28 != 0);
    put(low, 0, "low");
    put(high, 0, "high");
    transfer(*state, beyond, 0x40000, 3, TO_DEVICE);
    transfer(*state, 0x40000, high->bus_address + 8, 3, TO_MEMORY);
    expect_octets(high, 0, "high");
    assert_int_equal(high->data[8], 0);
    transfer(*state, 0x40000, beyond + 8, 3, TO_MEMORY);
    expect_octets(low, 8, "low");
    sim->buffer_close(low, true);
    sim->buffer_close(high, true);
}

static void test_dma_outside(void **state)
{
    static const uint64_t wrong[][2] = {/* address in the device, count */
            {0x3ffff, 1}, {0x3ffff, 2}, {0x40fff, 2}, {0x41000, 1}, {0x40000, 4097}, {0, 4},
            {0x40000, UINT64_MAX}, {0x40001, UINT64_MAX}, {UINT64_MAX, 2}};
    struct backend_buffer *buffer = open_buffer(*state, BUFFER_COHERENT, 8192, 28);
    uint64_t end = buffer->bus_address + buffer->size;

    put(buffer, 0, "kept");
    for (size_t i = 0; i < ELEMENTS(wrong); i++) {
        transfer(*state, wrong[i][0], buffer->bus_address, wrong[i][1], TO_MEMORY | WITH_INTERRUPT);
        expect_octets(buffer, 0, "kept");
        transfer(*state, buffer->bus_address, wrong[i][0], wrong[i][1], TO_DEVICE);
        sim_expect(*state, 0x24, 4, 0x100); /* it goes on as usual */
        sim_write(*state, 0x64, 4, 0x100);
    }
    transfer(*state, buffer->bus_address, 0x40000, 4096, TO_DEVICE); /* the whole of it is right */
    /* Beyond the end of the memory: what is inside moves. */
    put(buffer, 8192 - 4, "tail");
    transfer(*state, end - 4, 0x40000, 4096, TO_DEVICE);
    transfer(*state, 0x40000, end - 2, 4, TO_MEMORY);
    expect_octets(buffer, 8192 - 4, "tata");
    transfer(*state, 0x40000, 0, 4096, TO_MEMORY);
    transfer(*state, 0, 0x40000, 4096, TO_DEVICE);
    transfer(*state, 0x40000, buffer->bus_address, 8, TO_MEMORY);
    expect_octets(buffer, 0, "tail");
    assert_int_equal(buffer->data[4], 0);
    sim->buffer_close(buffer, true);
}

/* As a driver does it: segment by segment. */
static void test_dma_scattered(void **state)
{
    struct backend_buffer *buffer = open_buffer(*state, BUFFER_SCATTERED, 3 * 4096, 28);
    struct buffer_segment segments[3];
    size_t count;

    assert_int_equal(sim->buffer_segments(buffer, 0, segments, 3, &count), 0);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        put(buffer, segments[i].offset + 4000, i == 0 ? "a" : i == 1 ? "b" : "c");
        assert_int_equal(sim->buffer_sync(buffer, segments[i].offset, 4096, true), 0);
        transfer(*state, segments[i].bus_address + 4000, 0x40000 + i, 1, TO_DEVICE);
    }
    transfer(*state, 0x40000, segments[2].bus_address, 3, TO_MEMORY);
    assert_int_equal(sim->buffer_sync(buffer, 0, 3 * 4096, false), 0);
    expect_octets(buffer, 8192, "abc");
    sim->buffer_close(buffer, true);
}

static struct dma_state describe_dma(struct sim_fixture *edu)
{
    struct dma_state described;

    assert_int_equal(sim->dma_describe(edu->device, &described, NULL), 0);
    return described;
}

/* Closes a buffer, which nobody has let go, while it is written to. On a machine that is slow the transfer
 * may have ended by then, so it is tried until it had not. */
static void close_while_written(struct sim_fixture *edu, uint64_t size, unsigned address_bits)
{
    uint64_t total = describe_dma(edu).total;

    for (unsigned i = 0; i < 100; i++) {
        struct backend_buffer *buffer = open_buffer(edu, BUFFER_COHERENT, size, address_bits);
        uint64_t started_ns = clock_now_ns();
        struct dma_state described;

        start_transfer(edu, 0x40000, buffer->bus_address, 4096, TO_MEMORY);
        sim->buffer_close(buffer, false);
        described = describe_dma(edu);
        if (clock_now_ns() - started_ns < 100000000) {
            assert_int_equal(described.retained, size);
            assert_int_equal(described.total, total + size);
            return;
        }
        wait_until_transferred(edu);
    }
    fail_msg("no transfer was still running");
}

/* A buffer that nobody let go stays until no transfer can write to it; one that was let go does not. */
static void test_dma_retained(void **state)
{
    struct backend_buffer *buffer, *other = open_buffer(*state, BUFFER_COHERENT, 4096, 28);

    close_while_written(*state, 8 << 20, 24);
    for (unsigned i = 0; i < 10000 && describe_dma(*state).retained > 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* no register is read meanwhile */
    assert_int_equal(describe_dma(*state).retained, 0);
    assert_int_equal(describe_dma(*state).total, 4096);
    buffer = open_buffer(*state, BUFFER_COHERENT, 8 << 20, 24);
    sim->buffer_close(buffer, false); /* nothing runs: it is freed */
    assert_int_equal(describe_dma(*state).total, 4096);
    start_transfer(*state, 0x40000, other->bus_address, 4096, TO_MEMORY);
    sim->buffer_close(other, true);
    assert_int_equal(describe_dma(*state).total, 0);
    wait_until_transferred(*state);
}

/* Nothing is left of what it was told: a transfer that runs moves nothing any more, so what was retained for
 * it is free. */
static void test_reset(void **state)
{
    struct backend_buffer *buffer = open_buffer(*state, BUFFER_COHERENT, 4096, 28);

    put(buffer, 0, "kept");
    sim_write(*state, 0x04, 4, 0x1234);
    sim_write(*state, 0x20, 4, 0x80);
    sim_write(*state, 0x60, 4, 0xf0);
    sim_write(*state, 0x08, 4, 5);
    transfer(*state, buffer->bus_address, 0x40000, 4, TO_DEVICE);
    close_while_written(*state, 4096, 28);
    sim_reset(*state);
    assert_int_equal(describe_dma(*state).retained, 0);
    assert_int_equal(describe_dma(*state).total, 4096);
    for (uint64_t offset = 0x04; offset <= 0x24; offset += 4)
        sim_expect(*state, offset, 4, offset == 0x04 || offset == 0x08 || offset >= 0x20 ? 0 : UINT32_MAX);
    for (uint64_t offset = 0x80; offset <= 0x98; offset += 8)
        sim_expect(*state, offset, 8, 0);
    sim_write(*state, 0x20, 4, 0);
    start_transfer(*state, 0x40000, buffer->bus_address, 4, TO_MEMORY | WITH_INTERRUPT);
    sim_reset(*state);
    nanosleep(&(struct timespec){.tv_nsec = 150000000}, NULL);
    expect_octets(buffer, 0, "kept"); /* it would have ended by now */
    sim_expect(*state, 0x24, 4, 0);
    transfer(*state, 0x40000, buffer->bus_address, 4, TO_MEMORY);
    expect_octets(buffer, 0, ""); /* its own memory is zero */
    assert_int_equal(buffer->data[0], 0);
    sim->buffer_close(buffer, true);
}

/* The board goes while it transfers, and comes again. */
static void test_dma_ends_with_the_region(void **state)
{
    struct sim_fixture *edu = *state;
    struct backend_buffer *buffer;
    struct error error = {0};

    close_while_written(edu, 4096, 28);
    sim->region_close(edu->region);
    assert_int_equal(describe_dma(edu).total, 0);
    buffer = open_buffer(edu, BUFFER_COHERENT, 4096, 28); /* no region is needed for that */
    test_that(sim->region_open(edu->device, &edu->region_description, &edu->region, &error) == 0, "%s",
            error.message);
    edu->region->backend = sim;
    sim_expect(edu, 0x98, 4, 0);
    sim->buffer_close(buffer, false);
}

static void *read_all_the_time(void *argument)
{
    const struct backend_buffer *buffer = argument;
    char octets[4096];

    do {
        if (buffer_memory_read(buffer, 0, octets, sizeof(octets)) < 0)
            break;
    } while (octets[4095] == 0);
    return NULL;
}

/* The daemon reads what the device writes: for the thread sanitizer. */
static void test_dma_while_read(void **state)
{
    struct backend_buffer *buffer = open_buffer(*state, BUFFER_COHERENT, 4096, 28);
    pthread_t reader;

    put(buffer, 4095, "e");
    transfer(*state, buffer->bus_address, 0x40000, 4096, TO_DEVICE);
    assert_int_equal(buffer_memory_fill(buffer, 0, 4096, "", 1), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_all_the_time, buffer), 0);
    transfer(*state, 0x40000, buffer->bus_address, 4096, TO_MEMORY);
    pthread_join(reader, NULL);
    expect_octets(buffer, 4095, "e");
    sim->buffer_close(buffer, true);
}

static void test_boards_without_dma(void **state)
{
    static const char *const models[] = {"odd", "ram"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(models); i++) {
        const struct buffer_wish wish = {.size = 1, .count = 1, .address_bits = 32, .alignment = 4096};
        struct backend_buffer *buffer;
        struct dma_state described;
        struct sim_fixture board;
        struct error error = {0};

        sim_fixture_open(&board, models[i], i == 0 ? 0 : 4096, NULL, NULL);
        check_error(sim->dma_describe(board.device, &described, &error), -EOPNOTSUPP, &error,
                i == 0 ? "the simulated board odd has no DMA: edu has" : "board ram has no DMA");
        check_error(sim->buffer_open(board.device, &wish, &buffer, &error), -EOPNOTSUPP, &error,
                "has no DMA: edu has");
        sim_fixture_close(&board);
    }
}

static void test_nothing_answers(void **state)
{
    sim_expect(*state, 0x0c, 4, UINT32_MAX);
    sim_expect(*state, 0x84, 4, UINT32_MAX);
    sim_expect(*state, 0xa0, 4, UINT32_MAX);
    sim_expect(*state, 0xffffc, 4, UINT32_MAX);
    sim_expect(*state, 0x00, 8, UINT64_MAX); /* below 0x80 only 32 bits are answered */
    sim_expect(*state, 0xa0, 8, UINT64_MAX);
    sim_write(*state, 0x00, 8, 0x1111111122222222);
    sim_write(*state, 0x04, 4, 0);
    sim_write(*state, 0x04, 8, 0x55);
    sim_expect(*state, 0x04, 4, UINT32_MAX);
    sim_write(*state, 0xffff8, 8, 1);
}

static void test_state_of_its_own(void **state)
{
    struct sim_fixture other;

    sim_write(*state, 0x04, 4, 1);
    sim_fixture_open(&other, "edu", 0, NULL, NULL);
    sim_expect(&other, 0x04, 4, 0);
    sim_write(&other, 0x04, 4, 2);
    sim_expect(*state, 0x04, 4, 0xfffffffe);
    sim_fixture_close(&other);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_region, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_identification, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_liveness, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_factorial, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_operand_while_computing, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_factorial_interrupt, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_interrupts, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_registers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_by_itself, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_while_running, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_address_bits, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_outside, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_scattered, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_retained, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_ends_with_the_region, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_dma_while_read, set_up, tear_down),
            cmocka_unit_test(test_boards_without_dma),
            cmocka_unit_test_setup_teardown(test_nothing_answers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_state_of_its_own, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
