/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/interrupt_storm.c: which streams of interrupts are storms. */
#include "test.h"

#include "core/interrupt_storm.h"

#define MS  UINT64_C(1000000)
#define SEC UINT64_C(1000000000)

/* Counts one after the other. Returns the first rate that is over the limit, and after how many. */
static uint64_t feed(struct storm_meter *meter, uint64_t start_ns, uint64_t pace_ns, unsigned count,
        uint64_t limit, unsigned *ret_after)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t rate = storm_count(meter, start_ns + i * pace_ns, 1, limit);

        if (rate > 0) {
            *ret_after = i + 1;
            return rate;
        }
    }
    *ret_after = count;
    return 0;
}

static void test_steady(void **state)
{
    static const uint64_t limits[] = {1, 2, 7, 100, 1000, 20000, 1000000};
    unsigned after;

    (void)state;
    for (size_t i = 0; i < 7; i++) {
        uint64_t limit = limits[i];
        struct storm_meter at = {0}, over = {0};
        unsigned count = limit < 1000 ? 1000 : (unsigned)limit;
        uint64_t rate = feed(&at, 100 * SEC, SEC / limit, count, limit, &after);

        test_that(rate == 0, "%llu a second is a storm after %u, with a limit of as many",
                (unsigned long long)limit, after);
        rate = feed(&over, 100 * SEC, SEC * 100 / (limit * 125), count, limit, &after);
        test_that(rate > limit && rate <= limit * 2, "a quarter more than %llu a second is %llu after %u",
                (unsigned long long)limit, (unsigned long long)rate, after);
    }
}

/* It is found within the window, and not long after. */
static void test_found_soon(void **state)
{
    struct storm_meter meter = {0};
    unsigned after;
    uint64_t rate = feed(&meter, 7 * SEC, 10000, 100000, 20000, &after); /* 100000 a second */

    (void)state;
    test_that(rate >= 99000 && rate <= 101000, "it is %llu a second", (unsigned long long)rate);
    test_that(after > 2000 && after < 2010, "it was found after %u", after);
}

static void test_bursts(void **state)
{
    struct storm_meter few = {0}, many = {0};
    unsigned after;

    (void)state;
    /* Ten at once every second are well below a hundred a second. */
    for (unsigned i = 1; i <= 20; i++)
        assert_int_equal(feed(&few, i * SEC, 100, 10, 100, &after), 0);
    assert_int_equal(feed(&many, 50 * SEC, 10, 2000, 20000, &after), 0);
    assert_true(feed(&many, 50 * SEC + 20001, 10, 10, 20000, &after) > 20000);
    assert_int_equal(after, 3); /* the first one of all began the window */
}

/* Those of which no more is known came since the one before them. */
static void test_missed(void **state)
{
    struct storm_meter meter = {0};

    (void)state;
    assert_int_equal(storm_count(&meter, 10 * SEC, 1, 1000), 0);
    assert_int_equal(storm_count(&meter, 11 * SEC, 1000, 1000), 0);
    assert_int_equal(storm_count(&meter, 12 * SEC, 1500, 1000), 1501);
    storm_restart(&meter);
    assert_int_equal(storm_count(&meter, 13 * SEC, 5000, 1000), 0);
    assert_int_equal(storm_count(&meter, 13 * SEC + 50 * MS, 102, 1000), 2041);
    /* Time that goes back is none. */
    storm_restart(&meter);
    assert_int_equal(storm_count(&meter, 20 * SEC, 1, 1000), 0);
    assert_int_equal(storm_count(&meter, 19 * SEC, 101, 1000), 0);
    assert_true(storm_count(&meter, 19 * SEC, 1, 1000) > 0);
}

static void test_masked_for(void **state)
{
    static const uint64_t seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct storm_meter meter = {0};
    uint64_t now_us = 5000000;

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        uint64_t masked_us = storm_begin(&meter, now_us);

        test_that(masked_us == seconds[i] * 1000000, "storm %zu is masked for %llu us", i,
                (unsigned long long)masked_us);
        now_us += masked_us;
        storm_end(&meter, now_us);
        now_us += 59 * 1000000; /* quiet, but not for long enough */
    }
    now_us += 1000000;
    assert_int_equal(storm_begin(&meter, now_us), 1000000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_steady),
            cmocka_unit_test(test_found_soon),
            cmocka_unit_test(test_bursts),
            cmocka_unit_test(test_missed),
            cmocka_unit_test(test_masked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
