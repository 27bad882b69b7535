/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dma_end.c: how buffers end by themselves: with their time, their owner's token, their reservation. */
#include "dma_fixture.h"

#include <errno.h>

#include "util/date.h"

static struct dma_buffer *allocate_reserved(void)
{
    struct dma_buffer_wish wish = wish_of(4096);

    wish.reservation = "r-1";
    return allocate_wish(fixture.alice, &wish);
}

static void end_reservation(size_t safe_writes)
{
    fixture.reservation.safe_write_count = safe_writes;
    dma_buffers_reservation_ended(&fixture.daemon, &fixture.reservation);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    while (safe_state_pending(fixture.safe_state) > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
}

static void test_its_time_is_over(void **state)
{
    struct dma_buffer_wish wish = wish_of(4096);
    struct dma_buffer *buffer;

    (void)state;
    wish.duration_us = UINT64_C(3600) * 1000000;
    buffer = allocate_wish(fixture.alice, &wish);
    assert_in_range(dma_buffer_seconds_left(buffer), 3590, 3600);
    dma_buffer_renew(buffer, 1000);
    wait_until_gone();
    check_closed(1, 0);
}

static void test_renewed_it_stays(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice), *brief = allocate(fixture.alice);

    (void)state;
    dma_buffer_renew(buffer, 1);
    dma_buffer_renew(buffer, 0);
    dma_buffer_renew(brief, 1000);
    while (dma_buffers_count(&fixture.daemon) > 1)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
    assert_ptr_equal(dma_buffers_first(&fixture.daemon), buffer);
}

static void test_its_token_is_revoked(void **state)
{
    struct dma_buffer *kept = allocate(fixture.alice);
    struct told told;

    (void)state;
    allocate(fixture.token);
    atomic_store(&fixture.fault.blocking, true);
    begin(fixture.token, &told);
    wait_until_entered();
    fixture.token->scope = 0;
    dma_buffers_recheck(&fixture.daemon);
    open_gate();
    settle();
    assert_true(told.count == 1 && !told.buffer);
    check_error(told.error.code, -ESTALE, &told.error, "token was revoked");
    assert_int_equal(dma_buffers_count(&fixture.daemon), 1);
    assert_ptr_equal(dma_buffers_first(&fixture.daemon), kept);
    check_closed(2, 1); /* the one that was there was not let go by anybody */
}

static void test_its_token_expires(void **state)
{
    (void)state;
    fixture.token->expires = date_now_us() / 1000000 + 1;
    allocate(fixture.token);
    wait_until_gone();
    check_closed(1, 0);
}

static void test_ends_after_safe_writes(void **state)
{
    (void)state;
    allocate_reserved();
    allocate_reserved();
    end_reservation(2);
    wait_until_gone();
    assert_int_equal(atomic_load(&fixture.fault.writes), 2);
    assert_int_equal(atomic_load(&fixture.fault.writes_at_close), 2);
    check_closed(2, 2);
}

static void test_safe_writes_that_fail_let_nothing_go(void **state)
{
    (void)state;
    allocate_reserved();
    fixture.fault.fault_offset = 8;
    atomic_store(&fixture.fault.write_result, -EIO);
    end_reservation(2);
    wait_until_gone();
    check_closed(1, 0);
}

static void test_ends_with_a_reservation_without_safe_writes(void **state)
{
    struct dma_buffer *other = allocate(fixture.alice);

    (void)state;
    allocate_reserved();
    end_reservation(0);
    settle();
    check_closed(1, 0);
    assert_ptr_equal(dma_buffers_first(&fixture.daemon), other);
}

static void test_reservation_ends_while_it_is_allocated(void **state)
{
    struct dma_buffer_wish wish = wish_of(4096);
    struct told told;

    (void)state;
    wish.reservation = "r-1";
    atomic_store(&fixture.fault.blocking, true);
    assert_int_equal(begin_wish(fixture.alice, &wish, &told, NULL), 0);
    wait_until_entered();
    dma_buffers_reservation_ended(&fixture.daemon, &fixture.reservation);
    open_gate();
    settle();
    check_error(told.error.code, -ESTALE, &told.error, "its reservation ended");
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
}

static void test_device_goes_before_safe_writes(void **state)
{
    (void)state;
    allocate_reserved();
    fixture.reservation.safe_write_count = 2;
    dma_buffers_reservation_ended(&fixture.daemon, &fixture.reservation);
    remove_device();
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    check_closed(1, 0);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    assert_int_equal(safe_state_pending(fixture.safe_state), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_its_time_is_over),
            TEST(test_renewed_it_stays),
            TEST(test_its_token_is_revoked),
            TEST(test_its_token_expires),
            TEST(test_ends_after_safe_writes),
            TEST(test_safe_writes_that_fail_let_nothing_go),
            TEST(test_ends_with_a_reservation_without_safe_writes),
            TEST(test_reservation_ends_while_it_is_allocated),
            TEST(test_device_goes_before_safe_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
