/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dma_buffers.c and core/dma_allocate.c: how buffers begin, and for whom. */
#include "dma_fixture.h"

#include <errno.h>
#include <string.h>

static void test_allocated_counted_freed(void **state)
{
    struct dma_buffer_wish wish = wish_of(5000);
    struct dma_buffer *buffer;
    struct told told = {.waiter.over = over};
    struct error error;

    (void)state;
    wish.note = "ring";
    buffer = allocate_wish(fixture.alice, &wish);
    assert_int_equal(buffer->state, DMA_BUFFER_LIVE);
    assert_true(strncmp(buffer->id, "b-", 2) == 0 && strlen(buffer->id) == 18);
    assert_string_equal(buffer->owner, "user:alice");
    assert_string_equal(buffer->note, "ring");
    assert_int_equal(buffer->bus_address, FAULT_BUS_ADDRESS);
    assert_int_equal(dma_buffer_size(buffer), 5000);
    assert_int_equal(dma_buffer_seconds_left(buffer), UINT64_MAX);
    assert_int_equal(fixture.alice->account->buffers, 1);
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 8192);
    assert_ptr_equal(dma_buffers_find(&fixture.daemon, fixture.alice, buffer->id, &error), buffer);
    assert_int_equal(fixture.device.cost_ns, 0); /* nothing was learnt about register accesses */
    dma_buffer_release(buffer, &told.waiter);
    assert_null(dma_buffers_first(&fixture.daemon)); /* nobody finds it, though it is not freed yet */
    assert_int_equal(dma_buffers_count(&fixture.daemon), 1);
    settle();
    assert_true(told.count == 1 && !told.buffer && told.error.code == 0);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    check_closed(1, 1);
}

static void test_others_are_not_there(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct error other = {0}, none = {0};
    char text[64];

    (void)state;
    assert_null(dma_buffers_find(&fixture.daemon, fixture.token, buffer->id, &other));
    assert_null(dma_buffers_find(&fixture.daemon, fixture.token, "b-0000000000000000", &none));
    assert_true(other.code == -ENOENT && none.code == -ENOENT);
    assert_true(strstr(other.message, buffer->id) && strlen(other.message) == strlen(none.message));
    assert_ptr_equal(dma_buffers_find(&fixture.daemon, fixture.bob, buffer->id, &none), buffer);
    allocate(fixture.bob);
    allocate(fixture.alice);
    assert_int_equal(dma_buffers_of_device(&fixture.daemon, &fixture.device, text, sizeof(text)), 3);
    assert_string_equal(text, "2 of user:alice, 1 of user:bob");
    dma_buffers_of_device(&fixture.daemon, &fixture.device, text, 8);
    assert_string_equal(text, "2 of us");
}

static void test_limits(void **state)
{
    struct limits *limits = &fixture.daemon.limits;
    struct dma_buffer_wish wish = wish_of(8192);
    struct error error;
    struct told told;

    (void)state;
    limits->buffers_per_principal = 2;
    limits->buffers = 3;
    allocate(fixture.alice);
    limits->buffer_bytes_per_principal = 8192;
    check_error(
            begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error, "buffer_bytes_per_principal");
    allocate(fixture.alice);
    wish = wish_of(1);
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error, "buffers_per_principal");
    limits->buffer_bytes = 3 * 4096 - 1;
    check_error(begin_wish(fixture.bob, &wish, &told, &error), -EAGAIN, &error, "(buffer_bytes)");
    limits->buffer_bytes = 3 * 4096;
    allocate(fixture.bob);
    check_error(begin_wish(fixture.bob, &wish, &told, &error), -EAGAIN, &error, "(buffers)");
    assert_int_equal(told.count, 0);
    assert_int_equal(fixture.bob->account->buffers, 1);
}

/* What was taken may be more than what was wished for. */
static void test_limits_hold_for_what_was_taken(void **state)
{
    struct limits *limits = &fixture.daemon.limits;
    struct dma_buffer_wish wish = wish_of(1);
    struct dma_buffer *buffer;
    struct told told;

    (void)state;
    limits->buffer_bytes_per_principal = 8192;
    atomic_store(&fixture.fault.waste, 8192);
    begin(fixture.alice, &told);
    settle();
    assert_true(told.count == 1 && !told.buffer);
    check_error(told.error.code, -EDQUOT, &told.error, "with 12288 more it would be over its limit of 8192");
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
    check_closed(1, 1); /* nobody knew where it was */
    atomic_store(&fixture.fault.waste, 4096);
    dma_buffer_release(allocate(fixture.alice), NULL);
    settle();
    limits->buffer_bytes = 4096;
    begin(fixture.alice, &told);
    settle();
    check_error(told.error.code, -EAGAIN, &told.error, "(buffer_bytes)");
    atomic_store(&fixture.fault.waste, 0);
    limits->buffer_bytes = 65536;
    limits->buffer_bytes_per_principal = 65536;
    wish.memory.alignment = 65536;
    buffer = allocate_wish(fixture.alice, &wish);
    assert_int_equal(buffer->mapped_size, 4096);
    assert_int_equal(fixture.alice->account->buffer_bytes, 65536);
}

/* What is being allocated counts as well. */
static void test_limits_hold_meanwhile(void **state)
{
    struct dma_buffer_wish wish = wish_of(1);
    struct told first, second;
    struct error error;

    (void)state;
    fixture.daemon.limits.buffers_per_principal = 1;
    atomic_store(&fixture.fault.blocking, true);
    begin(fixture.alice, &first);
    wait_until_entered();
    assert_null(dma_buffers_first(&fixture.daemon));
    assert_int_equal(dma_buffers_of_device(&fixture.daemon, &fixture.device, NULL, 0), 1);
    check_error(begin_wish(fixture.alice, &wish, &second, &error), -EDQUOT, &error, "buffers_per_principal");
    open_gate();
    settle();
    assert_non_null(first.buffer);
}

static void test_without_memory(void **state)
{
    struct told told;

    (void)state;
    atomic_store(&fixture.fault.buffer_result, -ENOMEM);
    begin(fixture.alice, &told);
    settle();
    assert_true(told.count == 1 && !told.buffer);
    assert_int_equal(told.error.code, -ENOMEM);
    assert_string_equal(told.error.message, "fault: it was told to have no memory");
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
}

static void test_device_without_dma(void **state)
{
    struct dma_buffer_wish wish = wish_of(1);
    struct dma_state described;
    struct error error;
    struct told told;

    (void)state;
    assert_true(dma_buffers_look(&fixture.device, &described));
    assert_int_equal(described.size_max, 1 << 20);
    settle();
    device_detach(&fixture.device, "test");
    assert_false(dma_buffers_look(&fixture.device, &described));
    atomic_store(&fixture.fault.open_result, -ENODEV);
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -ENODEV, &error, "fault is absent");
    atomic_store(&fixture.fault.open_result, 0);
    fixture.device.description = &fixture.fault.description;
    fixture.device.backend = &fault_backend_revocable;
    fixture.fault.description.backend = (char *)"revocable";
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    check_error(
            begin_wish(fixture.alice, &wish, &told, &error), -EOPNOTSUPP, &error, "devregctl bind fault");
    assert_false(dma_buffers_look(&fixture.device, &described));
}

static void test_client_leaves_while_it_is_allocated(void **state)
{
    struct told told;

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    begin(fixture.alice, &told);
    wait_until_entered();
    dma_waiter_leave(&told.waiter);
    open_gate();
    wait_until_gone();
    assert_int_equal(told.count, 0);
    check_closed(1, 1); /* nobody knew where it was */
}

static void test_client_leaves_while_it_is_freed(void **state)
{
    struct told told = {.waiter.over = over};

    (void)state;
    dma_buffer_release(allocate(fixture.alice), &told.waiter);
    dma_waiter_leave(&told.waiter);
    wait_until_gone();
    assert_int_equal(told.count, 0);
    check_closed(1, 1);
}

/* Nobody waits for the device to be looked at, and it is not done again and again. */
static void test_looks(void **state)
{
    struct dma_state seen;
    unsigned before = atomic_load(&fixture.fault.looks);

    (void)state;
    atomic_store(&fixture.fault.retained, 1);
    for (int i = 0; i < 100; i++) {
        assert_true(dma_buffers_look(&fixture.device, &seen));
        assert_int_equal(seen.retained, 0);
    }
    settle();
    assert_int_equal(atomic_load(&fixture.fault.looks), before + 1);
    assert_true(dma_buffers_look(&fixture.device, &seen) && seen.retained == 1);
    assert_int_equal(fixture.device.pending, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_allocated_counted_freed),
            TEST(test_others_are_not_there),
            TEST(test_limits),
            TEST(test_limits_hold_for_what_was_taken),
            TEST(test_limits_hold_meanwhile),
            TEST(test_without_memory),
            TEST(test_device_without_dma),
            TEST(test_client_leaves_while_it_is_allocated),
            TEST(test_client_leaves_while_it_is_freed),
            TEST(test_looks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
