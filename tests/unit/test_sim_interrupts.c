/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The interrupts of the simulated boards, through their backend's operations. */
#include "sim_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"

enum { RECORDS = 4096, WAIT_MS = 60000 };

struct fixture {
    struct sim_fixture board;
    struct interrupt_description interrupt;
    struct backend_interrupts *interrupts;
    char *directory;
};

static const struct acknowledge_description edu_acknowledge = {
        .width = 4, .read = 0x24, .writes = true, .write = 0x64, .mask = UINT32_MAX};

static void open_interrupts(struct fixture *fixture)
{
    const struct backend *backend = backend_find("sim");
    struct error error = {0};

    fixture->board.description.interrupts = &fixture->interrupt;
    fixture->board.description.interrupt_count = 1;
    fixture->interrupt.name = (char *)"board";
    test_that(backend->interrupts_open(fixture->board.device, &fixture->interrupts, &error) == 0, "%s",
            error.message);
    fixture->interrupts->backend = backend;
}

static int set_up(void **state, const char *model)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof(fixture));
    fixture.directory = test_directory_new();
    sim_fixture_open(&fixture.board, model, 0, NULL, test_path(fixture.directory, "trace"));
    if (strcmp(model, "edu") == 0) {
        fixture.interrupt.acknowledged = true;
        fixture.interrupt.acknowledge = edu_acknowledge;
    }
    open_interrupts(&fixture);
    *state = &fixture;
    return 0;
}

static int set_up_edu(void **state)
{
    return set_up(state, "edu");
}

static int set_up_odd(void **state)
{
    return set_up(state, "odd");
}

static void close_interrupts(struct fixture *fixture)
{
    if (fixture->interrupts)
        fixture->interrupts->backend->interrupts_close(fixture->interrupts);
    fixture->interrupts = NULL;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    close_interrupts(fixture);
    sim_fixture_close(&fixture->board);
    test_directory_remove(fixture->directory);
    return 0;
}

static bool is_readable(const struct fixture *fixture, int timeout_ms)
{
    struct pollfd wait = {.fd = fixture->interrupts->fd, .events = POLLIN};

    return poll(&wait, 1, timeout_ms) > 0;
}

static size_t take(struct fixture *fixture, struct interrupt_record *records, size_t count)
{
    size_t taken = 77;

    assert_int_equal(
            fixture->interrupts->backend->interrupts_read(fixture->interrupts, records, count, &taken), 0);
    assert_true(taken <= count);
    return taken;
}

static struct interrupt_record take_one(struct fixture *fixture)
{
    struct interrupt_record record[2];

    assert_true(is_readable(fixture, WAIT_MS));
    assert_int_equal(take(fixture, record, 2), 1);
    assert_int_equal(record[0].source, 0);
    assert_false(record[0].masked);
    return record[0];
}

static void mask(struct fixture *fixture, bool masked)
{
    assert_int_equal(fixture->interrupts->backend->interrupts_mask(fixture->interrupts, 0, masked), 0);
}

static void expect_nothing(struct fixture *fixture)
{
    struct interrupt_record record;

    assert_int_equal(take(fixture, &record, 1), 0);
    assert_false(is_readable(fixture, 0));
}

static void test_open(void **state)
{
    struct fixture *fixture = *state;

    assert_string_equal(fixture->interrupts->type, "sim");
    assert_true(fixture->interrupts->acknowledges);
    expect_nothing(fixture);
    close_interrupts(fixture);
    sim_write(&fixture->board, 0x60, 4, 5); /* goes nowhere */
    sim_expect(&fixture->board, 0x24, 4, 5);
    open_interrupts(fixture);
    expect_nothing(fixture);
}

/* At once, before the access that raised it is over; each access is in the trace. */
static void test_acknowledged(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = clock_now_ns();
    struct interrupt_record record;
    char *trace;

    sim_write(&fixture->board, 0x60, 4, 0xa5);
    sim_expect(&fixture->board, 0x24, 4, 0);
    record = take_one(fixture);
    assert_true(record.has_value);
    assert_int_equal(record.value, 0xa5);
    assert_int_equal(record.missed, 0);
    assert_true(record.time_ns >= before && record.time_ns <= clock_now_ns());
    expect_nothing(fixture);
    trace = test_read_text(test_path(fixture->directory, "trace"));
    assert_string_equal(trace,
            "W 32 0x60 0x000000a5\nR 32 0x24 0x000000a5\nW 32 0x64 0x000000a5\nR 32 0x24 0x00000000\n");
    free(trace);
}

static void test_raises_as_qemu_does(void **state)
{
    struct fixture *fixture = *state;
    struct interrupt_record records[4];

    fixture->interrupt.acknowledged = false;
    sim_write(&fixture->board, 0x60, 4, 0); /* the status stays 0 */
    expect_nothing(fixture);
    sim_write(&fixture->board, 0x60, 4, 4);
    sim_write(&fixture->board, 0x60, 4, 0); /* it is not 0 */
    sim_write(&fixture->board, 0x64, 4, 1);
    assert_int_equal(take(fixture, records, 4), 2);
    assert_false(records[0].has_value);
    sim_expect(&fixture->board, 0x24, 4, 4);
}

/* Nothing is written when the status has none of the bits. */
static void test_mask_and_value(void **state)
{
    struct fixture *fixture = *state;

    fixture->interrupt.acknowledge.mask = 0xf0;
    fixture->interrupt.acknowledge.constant = true;
    fixture->interrupt.acknowledge.value = 0x30;
    sim_write(&fixture->board, 0x60, 4, 0x0f);
    assert_int_equal(take_one(fixture).value, 0x0f);
    sim_expect(&fixture->board, 0x24, 4, 0x0f);
    sim_write(&fixture->board, 0x60, 4, 0x50);
    assert_int_equal(take_one(fixture).value, 0x5f);
    sim_expect(&fixture->board, 0x24, 4, 0x4f);
}

static void test_big_endian(void **state)
{
    struct fixture *fixture = *state;

    fixture->board.region_description.endianness = ENDIANNESS_BIG;
    fixture->interrupt.acknowledge.mask = 0x01000000;
    sim_write(&fixture->board, 0x60, 4, 0x301);
    assert_int_equal(take_one(fixture).value, 0x01030000);
    sim_expect(&fixture->board, 0x24, 4, 0);
}

/* Nobody reads the board meanwhile. */
static void test_factorial(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before = clock_now_ns();
    struct interrupt_record record;

    sim_write(&fixture->board, 0x20, 4, 0x80);
    sim_write(&fixture->board, 0x08, 4, 5);
    record = take_one(fixture);
    assert_int_equal(record.value, 1);
    test_that(record.time_ns - before >= 5000000, "it came after %llu ns",
            (unsigned long long)(record.time_ns - before));
    sim_expect(&fixture->board, 0x08, 4, 120);
    sim_write(&fixture->board, 0x20, 4, 0);
    sim_write(&fixture->board, 0x08, 4, 6);
    while (sim_read(&fixture->board, 0x20, 4) & 1)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    expect_nothing(fixture);
}

/* Of DMA: when its interrupt comes the octets are there. */
static void test_transfer(void **state)
{
    struct fixture *fixture = *state;
    struct sim_fixture *board = &fixture->board;
    const struct backend *backend = board->device->backend;
    const struct buffer_wish wish = {.size = 4096, .count = 1, .address_bits = 28, .alignment = 4096};
    struct backend_buffer *buffer = NULL;
    struct interrupt_record record;
    uint64_t before;

    assert_int_equal(backend->buffer_open(board->device, &wish, &buffer, NULL), 0);
    buffer->data[0] = 0x5a;
    sim_write(board, 0x80, 8, buffer->bus_address);
    sim_write(board, 0x88, 8, 0x40000);
    sim_write(board, 0x90, 8, 1);
    before = clock_now_ns();
    sim_write(board, 0x98, 8, 5);
    assert_int_equal(take_one(fixture).value, 0x100);
    sim_write(board, 0x80, 8, 0x40000);
    sim_write(board, 0x88, 8, buffer->bus_address + 1);
    sim_write(board, 0x98, 8, 7);
    record = take_one(fixture);
    assert_int_equal(record.value, 0x100);
    test_that(record.time_ns - before >= 200000000, "it came after %llu ns",
            (unsigned long long)(record.time_ns - before));
    assert_int_equal(buffer->data[1], 0x5a);
    expect_nothing(fixture);
    sim_write(board, 0x98, 8, 7); /* is still running when all of it is closed */
    backend->buffer_close(buffer, false);
}

/* However often it was raised meanwhile. */
static void test_masked(void **state)
{
    struct fixture *fixture = *state;

    mask(fixture, true);
    mask(fixture, false);
    expect_nothing(fixture);
    mask(fixture, true);
    sim_write(&fixture->board, 0x60, 4, 1);
    sim_write(&fixture->board, 0x60, 4, 2);
    sim_expect(&fixture->board, 0x24, 4, 3);
    expect_nothing(fixture);
    mask(fixture, false);
    assert_int_equal(take_one(fixture).value, 3);
    sim_expect(&fixture->board, 0x24, 4, 0);
    sim_write(&fixture->board, 0x60, 4, 8);
    assert_int_equal(take_one(fixture).value, 8);
    expect_nothing(fixture);
}

/* What pends is not delivered any more, what was delivered stays, and what is masked stays masked. */
static void test_reset(void **state)
{
    struct fixture *fixture = *state;

    sim_write(&fixture->board, 0x60, 4, 1);
    mask(fixture, true);
    sim_write(&fixture->board, 0x60, 4, 2);
    sim_reset(&fixture->board);
    sim_expect(&fixture->board, 0x24, 4, 0);
    assert_int_equal(take_one(fixture).value, 1);
    mask(fixture, false);
    expect_nothing(fixture);
    mask(fixture, true);
    sim_reset(&fixture->board);
    sim_write(&fixture->board, 0x60, 4, 4);
    expect_nothing(fixture);
    mask(fixture, false);
    assert_int_equal(take_one(fixture).value, 4);
    expect_nothing(fixture);
}

static void test_region_comes_and_goes(void **state)
{
    struct fixture *fixture = *state;
    struct sim_fixture *board = &fixture->board;
    const struct backend *backend = board->region->backend;

    mask(fixture, true);
    sim_write(board, 0x60, 4, 1);
    sim_write(board, 0x20, 4, 0x80);
    sim_write(board, 0x08, 4, 5);
    backend->region_close(board->region);
    mask(fixture, false); /* the board that it pended of is no more */
    assert_int_equal(
            backend->region_open(board->device, &board->region_description, &board->region, NULL), 0);
    board->region->backend = backend;
    sim_write(board, 0x60, 4, 2);
    assert_int_equal(take_one(fixture).value, 2);
}

/* However slowly they are read, all are accounted for, in order. */
static void test_burst(void **state)
{
    struct fixture *fixture = *state;
    static struct interrupt_record records[RECORDS];
    uint64_t total = 0, missed = 0, last_ns = 0;

    sim_write(&fixture->board, 0x28, 4, 100000);
    while (sim_read(&fixture->board, 0x28, 4) > 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    while (is_readable(fixture, total < 100000 ? WAIT_MS : 0)) {
        size_t count = take(fixture, records, 1000);

        for (size_t i = 0; i < count; i++) {
            assert_false(records[i].has_value);
            assert_true(records[i].time_ns >= last_ns);
            last_ns = records[i].time_ns;
            total += 1 + records[i].missed;
            missed += records[i].missed;
        }
    }
    assert_int_equal(total, 100000);
    assert_int_equal(missed, 100000 - RECORDS - 1);
    sim_write(&fixture->board, 0x28, 4, 3);
    for (total = 0; total < 3;) {
        assert_true(is_readable(fixture, WAIT_MS));
        total += take(fixture, records, RECORDS);
    }
    assert_int_equal(records[0].missed, 0);
}

static void test_paced_burst(void **state)
{
    struct fixture *fixture = *state;
    struct interrupt_record records[8];
    uint64_t before = clock_now_ns();
    size_t total = 0;

    sim_write(&fixture->board, 0x2c, 4, 2000);
    sim_write(&fixture->board, 0x28, 4, 8);
    while (total < 8) {
        assert_true(is_readable(fixture, WAIT_MS));
        total += take(fixture, records + total, 8 - total);
    }
    test_that(records[7].time_ns - before >= 14000000, "eight came in %llu ns",
            (unsigned long long)(records[7].time_ns - before));
    sim_expect(&fixture->board, 0x2c, 4, 2000);
    sim_write(&fixture->board, 0x2c, 4, UINT32_MAX);
    sim_expect(&fixture->board, 0x2c, 4, 1000000);
    sim_write(&fixture->board, 0x28, 4, UINT32_MAX); /* closed in the middle */
    assert_true(sim_read(&fixture->board, 0x28, 4) > 1000000);
}

static atomic_bool slow_is_over;

static void *read_slowly(void *argument)
{
    struct sim_fixture *board = argument;
    struct access access = {.offset = 0x18, .width = 4, .count = 5, .fixed = true};
    uint32_t values[5];
    size_t done;

    board->region->backend->read(board->region, &access, values, &done);
    atomic_store(&slow_is_over, true);
    return NULL;
}

/* The loop does not wait for accesses that take their time, here a second. */
static void test_mask_does_not_wait(void **state)
{
    struct fixture *fixture = *state;
    struct interrupt_record record;
    pthread_t thread;

    atomic_store(&slow_is_over, false);
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &fixture->board), 0);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    for (unsigned i = 0; i < 10; i++) {
        mask(fixture, i % 2 == 0);
        take(fixture, &record, 1);
    }
    assert_false(atomic_load(&slow_is_over));
    pthread_join(thread, NULL);
}

static void expect_refused(
        const char *model, const struct interrupt_description *interrupt, const char *text)
{
    struct interrupt_description copy = *interrupt;
    struct region_description region = {.name = (char *)"board", .size = strcmp(model, "ram") ? 0 : 64};
    struct device_description description = {.name = (char *)"board",
            .model = (char *)model,
            .regions = &region,
            .region_count = 1,
            .interrupts = &copy,
            .interrupt_count = 1};
    struct error error = {0};

    copy.name = (char *)"board";
    check_error(backend_find("sim")->check(&description, &error), -EINVAL, &error, text);
}

static void test_check(void **state)
{
    (void)state;
    expect_refused("ram", &(struct interrupt_description){0}, "ram has no interrupts");
    expect_refused(
            "edu", &(struct interrupt_description){.vector = 1}, "has no vector 1: its last one is 0");
    expect_refused("edu", &(struct interrupt_description){.acknowledged = true, .acknowledge = {.width = 2}},
            "takes no accesses of 16 bits");
    expect_refused("edu",
            &(struct interrupt_description){
                    .acknowledged = true, .acknowledge = {.width = 4, .read = 0x100000}},
            "beyond its end");
    expect_refused("odd",
            &(struct interrupt_description){.acknowledged = true,
                    .acknowledge = {.width = 1, .read = 0x1ffff, .writes = true, .write = 0x20000}},
            "beyond its end");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_open, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_acknowledged, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_raises_as_qemu_does, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_mask_and_value, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_big_endian, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_factorial, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_transfer, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_masked, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_reset, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_region_comes_and_goes, set_up_edu, tear_down),
            cmocka_unit_test_setup_teardown(test_burst, set_up_odd, tear_down),
            cmocka_unit_test_setup_teardown(test_paced_burst, set_up_odd, tear_down),
            cmocka_unit_test_setup_teardown(test_mask_does_not_wait, set_up_odd, tear_down),
            cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
