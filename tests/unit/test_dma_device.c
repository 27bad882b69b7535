/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dma_end.c: what becomes of buffers when their device goes, is bound, gets a better backend, or stops.
 */
#include "dma_fixture.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

static void test_device_goes(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct dma_transfer transfer = {0};
    struct told told = {.waiter.over = over};
    struct error error;
    char octet;

    (void)state;
    assert_int_equal(dma_transfer_begin(&transfer, buffer, &error), 0);
    remove_device();
    assert_int_equal(buffer->state, DMA_BUFFER_LOST);
    assert_non_null(strstr(buffer->lost.message, "it was removed"));
    assert_int_equal(dma_transfer_read(&transfer, 0, &octet, 1), -ENODEV);
    check_error(dma_transfer_begin(&transfer, buffer, &error), -ENODEV, &error, "free it");
    assert_ptr_equal(dma_buffers_find(&fixture.daemon, fixture.alice, buffer->id, &error), buffer);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(fixture.alice->account->buffers, 1);
    assert_int_equal(dma_buffers_of_device(&fixture.daemon, &fixture.device, NULL, 0), 0);
    check_closed(1, 0);
    dma_buffer_release(buffer, &told.waiter);
    assert_true(told.count == 1 && told.error.code == 0);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
}

static void test_what_is_lost_stays_for_a_while(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);

    (void)state;
    dma_buffer_renew(buffer, 5000000);
    remove_device();
    assert_in_range(dma_buffer_seconds_left(buffer), 25, 30);
}

static void test_freed_when_its_device_was_found_gone(void **state)
{
    struct told told = {.waiter.over = over};

    (void)state;
    allocate(fixture.alice);
    fixture.device.lost = true; /* by an access on the loop */
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dma_buffer_release(dma_buffers_first(&fixture.daemon), &told.waiter);
    settle();
    assert_int_equal(told.count, 1);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    assert_null(fixture.device.handle);
}

/* The loop goes on while what a device had is given back; its owner may free it meanwhile, and pays for it
 * until it is. */
static void test_the_loop_closes_nothing(void **state)
{
    struct dma_buffer *kept = allocate(fixture.alice), *freed = allocate(fixture.alice);
    struct told told = {.waiter.over = over};

    (void)state;
    atomic_store(&fixture.fault.closing_blocks, true);
    fixture.device.lost = true;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    wait_until_entered();
    assert_non_null(fixture.device.handle); /* until they are closed */
    assert_true(kept->state == DMA_BUFFER_LOST && freed->state == DMA_BUFFER_LOST);
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    dma_buffer_release(freed, &told.waiter);
    assert_int_equal(told.count, 0);
    atomic_store(&fixture.fault.closing_blocks, false);
    open_gate();
    settle();
    assert_null(fixture.device.handle);
    assert_true(told.count == 1 && told.error.code == 0);
    assert_ptr_equal(dma_buffers_first(&fixture.daemon), kept);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 1);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    check_closed(2, 0);
}

static void test_closed_for_a_driver(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);

    (void)state;
    close_for_a_driver();
    assert_int_equal(buffer->state, DMA_BUFFER_LOST);
    assert_non_null(strstr(buffer->lost.message, "is being bound to a driver"));
    assert_non_null(fixture.device.handle);
    settle();
    assert_true(fixture.rebound && fixture.device.handle);
    check_closed(1, 0);
}

/* As when it was bound to another driver. */
static void offer_better(void)
{
    fixture.fault.description.backend = NULL;
    fixture.fault.description.platform = (char *)"fed00000.fault";
    fault_choice = &fault_backend_better;
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
}

static void test_a_better_backend_waits(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct dma_buffer_wish wish = wish_of(1);
    struct error error;
    struct told told;

    (void)state;
    fixture.presence_changed = 0;
    atomic_store(&fixture.fault.closing_blocks, true);
    offer_better();
    wait_until_entered();
    assert_ptr_equal(fixture.device.backend, &fault_backend);
    assert_int_equal(buffer->state, DMA_BUFFER_LOST);
    assert_non_null(strstr(buffer->lost.message, "another backend"));
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EAGAIN, &error, "try again soon");
    assert_int_equal(fixture.presence_changed, 0);
    atomic_store(&fixture.fault.closing_blocks, false);
    open_gate();
    settle();
    assert_ptr_equal(fixture.device.backend, &fault_backend_better);
    assert_true(device_is_complete(&fixture.device));
    assert_int_equal(fixture.presence_changed, 1);
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EOPNOTSUPP, &error, "has no DMA");
    check_closed(1, 0);
}

/* Nothing is lost for one that does not work. */
static void test_a_better_backend_that_fails(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);

    (void)state;
    atomic_store(&fixture.fault.open_result, -EIO);
    offer_better();
    settle();
    assert_int_equal(buffer->state, DMA_BUFFER_LIVE);
    assert_ptr_equal(fixture.device.backend, &fault_backend);
    allocate(fixture.alice);
}

/* Its worker is in the first buffer when something else comes. */
static void begin_improving(void)
{
    allocate(fixture.alice);
    atomic_store(&fixture.fault.closing_blocks, true);
    offer_better();
    wait_until_entered();
    atomic_store(&fixture.fault.closing_blocks, false);
}

static void check_improves_no_more(void)
{
    settle();
    assert_null(fixture.device.better);
    assert_false(fixture.device.recheck);
}

static void test_a_better_backend_that_is_none_any_more(void **state)
{
    (void)state;
    begin_improving();
    fault_choice = &fault_backend;
    open_gate();
    check_improves_no_more();
    assert_ptr_equal(fixture.device.backend, &fault_backend);
    allocate(fixture.alice);
}

static void test_device_goes_before_it_is_improved(void **state)
{
    (void)state;
    begin_improving();
    atomic_store(&fixture.fault.open_result, -ENODEV);
    fixture.device.lost = true;
    open_gate();
    check_improves_no_more();
    assert_null(fixture.device.handle);
    atomic_store(&fixture.fault.open_result, 0);
    fault_choice = &fault_backend;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    allocate(fixture.alice);
}

static void test_bound_before_it_is_improved(void **state)
{
    (void)state;
    begin_improving();
    close_for_a_driver();
    open_gate();
    check_improves_no_more();
    assert_true(fixture.rebound);
    assert_ptr_equal(fixture.device.backend, &fault_backend_better);
}

static void test_daemon_stops_before_it_is_improved(void **state)
{
    (void)state;
    begin_improving();
    dispatch_cancel(&fixture.device);
    open_gate();
    check_improves_no_more();
    check_closed(1, 0);
}

static void test_daemon_stops_while_it_is_allocated(void **state)
{
    struct told first, second;

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    begin(fixture.alice, &first);
    wait_until_entered();
    begin(fixture.alice, &second);
    dispatch_cancel(&fixture.device);
    open_gate();
    settle();
    assert_non_null(first.buffer);
    check_error(second.error.code, -EAGAIN, &second.error, "stopping");
    dma_buffers_free(take_ptr(fixture.daemon.dma_buffers));
    check_closed(1, 0);
}

/* What its worker had no time to close is closed with the device, and stays lost. */
static void test_daemon_stops_while_they_are_lost(void **state)
{
    struct dma_buffer *first = allocate(fixture.alice), *second = allocate(fixture.alice);

    (void)state;
    atomic_store(&fixture.fault.closing_blocks, true);
    fixture.device.lost = true;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    wait_until_entered();
    dispatch_cancel(&fixture.device);
    atomic_store(&fixture.fault.closing_blocks, false);
    open_gate();
    settle();
    assert_null(fixture.device.handle);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 2);
    assert_true(first->state == DMA_BUFFER_LOST && second->state == DMA_BUFFER_LOST);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    check_closed(2, 0);
}

static void test_daemon_stops_before_it_is_told(void **state)
{
    struct told told, freed = {.waiter.over = over};

    (void)state;
    dma_buffer_release(allocate(fixture.alice), &freed.waiter);
    begin(fixture.alice, &told);
    assert_true(dispatch_stop(&fixture.device, 60000));
    dma_waiter_leave(&told.waiter);
    dma_waiter_leave(&freed.waiter);
    dma_buffers_free(take_ptr(fixture.daemon.dma_buffers));
    assert_true(told.count == 0 && freed.count == 0);
    check_closed(2, 2); /* of the second nobody knew */
    fixture.device.pending = 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_device_goes),
            TEST(test_what_is_lost_stays_for_a_while),
            TEST(test_freed_when_its_device_was_found_gone),
            TEST(test_the_loop_closes_nothing),
            TEST(test_closed_for_a_driver),
            TEST(test_a_better_backend_waits),
            TEST(test_a_better_backend_that_fails),
            TEST(test_a_better_backend_that_is_none_any_more),
            TEST(test_device_goes_before_it_is_improved),
            TEST(test_bound_before_it_is_improved),
            TEST(test_daemon_stops_before_it_is_improved),
            TEST(test_daemon_stops_while_it_is_allocated),
            TEST(test_daemon_stops_while_they_are_lost),
            TEST(test_daemon_stops_before_it_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
