/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dma_transfer.c: octets of buffers, and handing them over. */
#include "dma_fixture.h"

#include <errno.h>

static void test_transfers(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct dma_transfer one = {0}, other = {0};
    char octets[4];

    (void)state;
    assert_int_equal(dma_transfer_begin(&one, buffer, NULL), 0);
    assert_int_equal(dma_transfer_begin(&other, buffer, NULL), 0);
    assert_int_equal(dma_transfer_write(&one, 100, "abc", 4), 0);
    assert_int_equal(dma_transfer_read(&other, 100, octets, 4), 0);
    assert_string_equal(octets, "abc");
    dma_transfer_end(&one);
    assert_int_equal(dma_transfer_write(&one, 0, "x", 1), -ENODEV);
    dma_buffer_release(buffer, NULL);
    assert_int_equal(dma_transfer_read(&other, 100, octets, 4), -ENODEV);
    dma_transfer_end(&other);
    settle();
}

static unsigned synced;

static void count_sync(struct dma_sync *sync)
{
    (void)sync;
    synced++;
}

static void test_sync(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct dma_sync sync = {.size = 4096, .for_device = true, .completed = count_sync};
    struct error error;

    (void)state;
    synced = 0;
    assert_int_equal(dma_sync_start(&fixture.daemon, buffer, &sync, &error), 0);
    settle();
    assert_true(synced == 1 && sync.result == 0 && atomic_load(&fixture.fault.syncs) == 1);
    atomic_store(&fixture.fault.sync_result, -ENODEV);
    assert_int_equal(dma_sync_start(&fixture.daemon, buffer, &sync, &error), 0);
    dma_buffer_release(buffer, NULL); /* after it */
    wait_until_gone();
    check_error(sync.result, -ENODEV, &sync.error, "handing over failed");
    assert_int_equal(synced, 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_transfers),
            TEST(test_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
