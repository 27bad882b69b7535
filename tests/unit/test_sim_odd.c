/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/sim_odd.c, against the table at its head. */
#include "sim_fixture.h"

#include <errno.h>
#include <string.h>

#include "backends/bus_guard.h"
#include "util/clock.h"

static int set_up(void **state)
{
    static struct sim_fixture fixture;

    sim_fixture_open(&fixture, "odd", 0, NULL, NULL);
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
    struct sim_fixture *odd = *state;

    assert_int_equal(odd->region->size, 0x20000);
    assert_int_equal(odd->region->widths, 1 | 2 | 4 | 8);
    assert_true(odd->region->slow);
    sim_expect(odd, 0x00, 4, 0x0dd00001);
    sim_expect(odd, 0x04, 4, UINT32_MAX);
}

static void test_side_effects(void **state)
{
    sim_write(*state, 0x10, 4, 0x0000f0f0);
    sim_write(*state, 0x10, 4, 0x000f0000);
    sim_expect(*state, 0x10, 4, UINT32_MAX); /* write-only */
    sim_expect(*state, 0x14, 4, 0x000f0000); /* the last one */
    sim_expect(*state, 0x08, 4, 0x000ff0f0); /* read to clear */
    sim_expect(*state, 0x08, 4, 0);
    sim_expect(*state, 0x0c, 4, 0x000ff0f0);
    sim_write(*state, 0x0c, 4, 0x0000f000); /* write 1 to clear */
    sim_expect(*state, 0x0c, 4, 0x000f00f0);
    sim_expect(*state, 0x0c, 4, 0x000f00f0);
}

/* A read of the wrong width, or beside it, has no side effect. */
static void test_registers_are_32_bits(void **state)
{
    sim_write(*state, 0x10, 4, 0xff);
    sim_expect(*state, 0x08, 1, 0xff);
    sim_expect(*state, 0x08, 2, 0xffff);
    sim_expect(*state, 0x08, 8, UINT64_MAX);
    sim_write(*state, 0x0c, 1, 0xff);
    sim_write(*state, 0x08, 8, UINT64_MAX);
    sim_expect(*state, 0x08, 4, 0xff);
    sim_expect(*state, 0x0c, 4, 0xff);
    sim_expect(*state, 0x1c, 4, UINT32_MAX);
    sim_expect(*state, 0x200, 4, UINT32_MAX);
}

static void test_slow(void **state)
{
    uint64_t before = clock_now_ns();

    sim_expect(*state, 0x18, 4, 0);
    sim_expect(*state, 0x18, 4, 1);
    sim_write(*state, 0x18, 4, 99);
    test_that(clock_now_ns() - before >= 600000000, "three accesses took less than 600 ms");
    sim_expect(*state, 0x18, 4, 3);
}

static void test_fifo(void **state)
{
    struct sim_fixture *odd = *state;
    struct access access = {.offset = 0x20, .width = 2, .count = 3, .fixed = true};
    uint8_t octets[6] = {1, 2, 3, 4, 5, 6};
    size_t done;

    sim_expect(odd, 0x24, 4, 0);
    assert_int_equal(odd->region->backend->write(odd->region, &access, octets, &done), 0);
    assert_int_equal(done, 3);
    sim_expect(odd, 0x24, 4, 6);
    sim_expect(odd, 0x20, 1, 0x01);
    sim_expect(odd, 0x20, 4, 0x05040302); /* in order, whatever the width */
    sim_expect(odd, 0x24, 4, 1);
    sim_expect(odd, 0x0c, 4, 0);
    sim_expect(odd, 0x20, 2, 0x06); /* one octet was there */
    sim_expect(odd, 0x0c, 4, 2);
    sim_write(odd, 0x0c, 4, 2);
    sim_expect(odd, 0x20, 1, 0);
    sim_expect(odd, 0x0c, 4, 2);
}

static void test_fifo_overflow(void **state)
{
    struct sim_fixture *odd = *state;

    for (unsigned i = 0; i < 512; i++)
        sim_write(odd, 0x20, 8, i);
    sim_expect(odd, 0x24, 4, 4096);
    sim_expect(odd, 0x0c, 4, 0);
    sim_write(odd, 0x20, 1, 1);
    sim_expect(odd, 0x24, 4, 4096);
    sim_expect(odd, 0x0c, 4, 1);
    /* Around the end of its ring. */
    sim_expect(odd, 0x20, 8, 0);
    sim_write(odd, 0x20, 8, 512);
    for (unsigned i = 1; i <= 512; i++)
        sim_expect(odd, 0x20, 8, i);
    sim_expect(odd, 0x24, 4, 0);
}

static void test_scratch(void **state)
{
    sim_expect(*state, 0x100, 8, 0);
    sim_write(*state, 0x100, 8, 0x1122334455667788);
    sim_expect(*state, 0x100, 1, 0x88);
    sim_expect(*state, 0x102, 2, 0x5566);
    sim_expect(*state, 0x104, 4, 0x11223344);
    sim_write(*state, 0x101, 1, 0xaa);
    sim_expect(*state, 0x100, 8, 0x112233445566aa88);
    sim_write(*state, 0x1f8, 8, UINT64_MAX - 1);
    sim_expect(*state, 0x1ff, 1, 0xff);
    sim_expect(*state, 0x1f8, 1, 0xfe);
}

static void test_fault(void **state)
{
    struct sim_fixture *odd = *state;
    static const uint64_t offsets[] = {0x10000, 0x10008, 0x1fff8};

    assert_int_equal(bus_guard_install(), 0);
    for (unsigned width = 1; width <= 8; width *= 2) {
        for (size_t i = 0; i < 3; i++) {
            struct access access = {.offset = offsets[i], .width = width, .count = 2, .fixed = true};
            uint64_t values[2] = {5, 5};
            size_t done = 77;

            assert_int_equal(odd->region->backend->read(odd->region, &access, values, &done), -EFAULT);
            assert_int_equal(done, 0);
            assert_int_equal(odd->region->backend->write(odd->region, &access, values, &done), -EFAULT);
            assert_int_equal(done, 0);
        }
    }
    sim_expect(odd, 0x00, 4, 0x0dd00001);
    {
        struct access access = {.offset = 0xfffc, .width = 4, .count = 3};
        uint32_t values[3] = {0};
        size_t done = 77;

        assert_int_equal(odd->region->backend->read(odd->region, &access, values, &done), -EFAULT);
        assert_int_equal(done, 1);
        assert_int_equal(values[0], UINT32_MAX);
    }
}

static void test_reset(void **state)
{
    uint64_t before_ns;

    sim_write(*state, 0x10, 4, 0x77);
    sim_write(*state, 0x20, 4, 0x12345678);
    sim_write(*state, 0x2c, 4, 5);
    sim_write(*state, 0x28, 4, 1000);
    sim_write(*state, 0x1f8, 8, UINT64_MAX);
    before_ns = clock_now_ns();
    sim_reset(*state);
    test_that(clock_now_ns() - before_ns >= 200000000, "it took less than 200 ms");
    for (uint64_t offset = 0x08; offset <= 0x0c; offset += 4)
        sim_expect(*state, offset, 4, 0);
    for (uint64_t offset = 0x14; offset <= 0x2c; offset += 4) {
        if (offset != 0x1c && offset != 0x20)
            sim_expect(*state, offset, 4, 0);
    }
    sim_expect(*state, 0x1f8, 8, 0);
    sim_expect(*state, 0x00, 4, 0x0dd00001);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_region, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_side_effects, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_registers_are_32_bits, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_slow, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fifo, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fifo_overflow, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_scratch, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fault, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
