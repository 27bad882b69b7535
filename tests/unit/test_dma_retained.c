/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dma_retained.c: who pays for memory that a device may still write to, and until when. */
#include "dma_fixture.h"

#include <errno.h>
#include <unistd.h>

/* What the device keeps is paid for by whoever had it, and by nobody else, until it is given back. */
static void test_retained_stays_on_its_account(void **state)
{
    struct limits *limits = &fixture.daemon.limits;
    struct dma_buffer_wish wish = wish_of(4096);
    struct dma_state seen;
    struct error error;
    struct told told;

    (void)state;
    limits->buffer_bytes_per_principal = 8192;
    limits->buffer_bytes = 3 * 4096;
    atomic_store(&fixture.fault.retaining, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    wait_until_gone();
    check_closed(2, 0);
    assert_int_equal(fixture.alice->account->buffers, 0);
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 8192);
    assert_true(dma_buffers_look(&fixture.device, &seen) && seen.retained == 8192);
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error,
            "8192 of these are retained, of buffers");
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error,
            "devregctl unbind and bind fault");
    fixture.fault.description.platform = (char *)"DVRG0001:00"; /* unbinding alone would lose it */
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error,
            "unbinding fault under a reservation whose --safe stops it frees them");
    fixture.fault.description.platform = NULL;
    dma_buffer_release(allocate(fixture.bob), NULL); /* while it is retained others' is freed */
    settle();
    allocate(fixture.bob);
    check_error(begin_wish(fixture.bob, &wish, &told, &error), -EAGAIN, &error,
            "8192 of these are retained, of buffers");
    atomic_store(&fixture.fault.retained, 0);
    dma_buffer_release(dma_buffers_first(&fixture.daemon), NULL); /* which looks */
    settle();
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
    allocate(fixture.alice);
}

static void test_retained_is_given_back_with_its_device(void **state)
{
    (void)state;
    atomic_store(&fixture.fault.retaining, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    wait_until_gone();
    assert_int_equal(fixture.alice->account->buffer_bytes, 4096);
    remove_device();
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
}

/* When the driver could neither stop the device nor be unbound, its memory is still missing. */
static void test_retained_by_a_driver_that_stays(void **state)
{
    struct dma_buffer *lost;

    (void)state;
    atomic_store(&fixture.fault.retaining, true);
    atomic_store(&fixture.fault.unstopped, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    wait_until_gone();
    lost = allocate(fixture.alice);
    close_for_a_driver();
    settle();
    assert_true(fixture.rebound && fixture.device.handle);
    assert_int_equal(lost->state, DMA_BUFFER_LOST);
    assert_int_equal(fixture.device.dma.retained, 8192);
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 8192);
    dma_buffer_release(lost, NULL); /* does not free what is retained of it */
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    atomic_store(&fixture.fault.unstopped, false);
    close_for_a_driver();
    settle();
    assert_true(fixture.rebound && fixture.device.handle);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
}

/* The same where the loop itself has to close it. */
static void test_retained_when_the_loop_closes(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);

    (void)state;
    atomic_store(&fixture.fault.retaining, true);
    atomic_store(&fixture.fault.unstopped, true);
    device_detach(&fixture.device, "test");
    assert_int_equal(buffer->state, DMA_BUFFER_LOST);
    assert_int_equal(fixture.alice->account->buffer_bytes, 4096);
    device_attach(&fixture.device);
    assert_int_equal(fixture.alice->account->buffer_bytes, 4096);
    atomic_store(&fixture.fault.retained, 0);
    device_detach(&fixture.device, "test");
    device_attach(&fixture.device);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    atomic_store(&fixture.fault.unstopped, false);
}

/* Refused, one gets it soon after it was given back, without anything else having happened. */
static void test_refused_for_what_was_retained(void **state)
{
    struct dma_buffer_wish wish = wish_of(4096);
    struct error error;
    struct told told;

    (void)state;
    fixture.daemon.limits.buffer_bytes_per_principal = 4096;
    atomic_store(&fixture.fault.retaining, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    wait_until_gone();
    atomic_store(&fixture.fault.retained, 0);
    for (int i = 0; i < 100 && begin_wish(fixture.alice, &wish, &told, &error) == -EDQUOT; i++) {
        usleep(50000);
        settle();
    }
    settle();
    assert_int_equal(told.count, 1);
    assert_non_null(told.buffer);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_retained_stays_on_its_account),
            TEST(test_retained_is_given_back_with_its_device),
            TEST(test_retained_by_a_driver_that_stays),
            TEST(test_retained_when_the_loop_closes),
            TEST(test_refused_for_what_was_retained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
