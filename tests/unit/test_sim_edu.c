/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/sim_edu.c, against QEMU's documentation of the edu device (docs/specs/edu.rst). */
#include "sim_fixture.h"

#include <time.h>

static int set_up(void **state)
{
    static struct sim_fixture fixture;

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
    sim_write(*state, 0x98, 4, 7);
    sim_expect(*state, 0x98, 4, 6); /* the start bit never stays */
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
            cmocka_unit_test_setup_teardown(test_nothing_answers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_state_of_its_own, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
