/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/throttle.c: a few failures are free, then each waits longer, and no more wait than there is room. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/throttle.h"
#include "util/clock.h"

static struct {
    sd_event *event;
    struct throttle *throttle;
    unsigned over;
} fixture;

static const struct error failure = {-EKEYREJECTED, "no such token"};

static int set_up(void **state)
{
    (void)state;
    fixture.over = 0;
    assert_true(sd_event_new(&fixture.event) >= 0);
    assert_int_equal(throttle_new(fixture.event, &fixture.throttle), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    throttle_free(fixture.throttle);
    throttle_free(NULL);
    sd_event_unref(fixture.event);
    return 0;
}

static struct throttle_key key_of(unsigned number)
{
    struct throttle_key key = {.kind = 1};

    memcpy(key.octets, &number, sizeof(number));
    return key;
}

/* How long the next failure of this place waits, in ms. */
static uint64_t fail_at(unsigned place, uint64_t seconds)
{
    struct throttle_key key = key_of(place);
    uint64_t delay_us = UINT64_MAX;

    assert_int_equal(
            throttle_fail(fixture.throttle, &key, "test", &failure, seconds * 1000000, &delay_us), 0);
    return delay_us / 1000;
}

static void test_delays(void **state)
{
    static const uint64_t delays[] = {0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};

    (void)state;
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++)
        assert_true(fail_at(1, 1000 + i) == delays[i]);
    assert_true(fail_at(2, 1000) == 0); /* another place */
    assert_true(fail_at(1, 1071) == 5000);
    assert_true(fail_at(1, 1132) == 0); /* a minute without one */
}

static void test_few_failures_are_forgotten(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_true(fail_at(1, 1000 + i * 13) == 0); /* five in 65 seconds */
}

static void test_table_is_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++)
        fail_at(0, 1000);
    for (unsigned i = 1; i < THROTTLE_PEERS; i++)
        assert_true(fail_at(i, 1001 + i) == 0);
    assert_true(fail_at(0, 1050) > 0); /* still known */
    for (unsigned i = 0; i < 10 * THROTTLE_PEERS; i++)
        assert_true(fail_at(1000 + i, 2000 + i) == 0);
}

static void note_over(struct throttle_wait *wait)
{
    assert_ptr_equal(wait->owner, &fixture);
    assert_null(wait->link);
    fixture.over++;
}

static void test_waiting(void **state)
{
    struct throttle_wait first = {.over = note_over, .owner = &fixture}, second = first, third = first;
    uint64_t now_us = clock_now_us();

    (void)state;
    throttle_wait(fixture.throttle, &first, now_us, 60000);
    throttle_wait(fixture.throttle, &second, now_us, 20000);
    throttle_wait(fixture.throttle, &third, now_us, 40000);
    throttle_forget(fixture.throttle, &third);
    throttle_forget(fixture.throttle, &third);
    while (fixture.over < 1)
        assert_true(sd_event_run(fixture.event, 1000000) > 0);
    assert_non_null(first.link);
    assert_null(second.link);
    assert_true(clock_now_us() - now_us >= 20000);
    while (fixture.over < 2)
        assert_true(sd_event_run(fixture.event, 1000000) > 0);
    assert_true(clock_now_us() - now_us >= 60000);
    assert_int_equal(sd_event_run(fixture.event, 100000), 0);
    assert_int_equal(fixture.over, 2);
}

static void test_too_many_wait(void **state)
{
    struct throttle_wait waits[THROTTLE_WAITING];
    struct throttle_key key = key_of(1);
    uint64_t now_us = clock_now_us(), delay_us;

    (void)state;
    for (size_t i = 0; i < THROTTLE_WAITING; i++) {
        waits[i] = (struct throttle_wait){.over = note_over, .owner = &fixture};
        throttle_wait(fixture.throttle, &waits[i], now_us, 5000000);
    }
    for (unsigned i = 0; i < THROTTLE_FREE; i++)
        assert_int_equal(throttle_fail(fixture.throttle, &key, "test", &failure, now_us, &delay_us), 0);
    assert_int_equal(throttle_fail(fixture.throttle, &key, "test", &failure, now_us, &delay_us), -EDQUOT);
    throttle_forget(fixture.throttle, &waits[7]);
    assert_int_equal(throttle_fail(fixture.throttle, &key, "test", &failure, now_us, &delay_us), 0);
    assert_true(delay_us > 0);
    throttle_release(fixture.throttle);
    assert_int_equal(fixture.over, THROTTLE_WAITING - 1);
    assert_int_equal(throttle_fail(fixture.throttle, &key, "test", &failure, now_us, &delay_us), 0);
    assert_true(delay_us == 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_delays, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_few_failures_are_forgotten, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_table_is_bounded, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_waiting, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_too_many_wait, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
