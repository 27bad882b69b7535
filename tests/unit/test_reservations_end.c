/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/reservations.c: how each one ends, and what is known of it afterwards. */
#include "reservations_fixture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

static void test_expiry(void **state)
{
    struct reservation *first = take(whole("user:alice", EDU, .duration_us = 40 * MS));
    struct reservation *second = take(whole("user:bob", EDU, .wait = true, .duration_us = 40 * MS));
    uint64_t started_us = clock_boottime_us();
    struct error error = {0};
    char text[RESERVATION_END_TEXT];

    (void)state;
    run_until(&fixture.ended, 1);
    assert_true(clock_boottime_us() - started_us >= 39 * MS);
    assert_int_equal(first->end, RESERVATION_EXPIRED);
    assert_string_equal(reservation_end_text(first, text), "expired 0 s ago");
    assert_int_equal(second->state, RESERVATION_HELD);
    assert_true(second->until_us > clock_boottime_us());
    check_error(reservations_renew(fixture.reservations, first, "user:alice", 0, &error), -ESTALE, &error,
            "of edu expired 0 s ago: reserve it again");
    run_until(&fixture.ended, 2);
    assert_string_equal(fixture.last_ended, second->id);
    assert_null(reservations_first(fixture.reservations, RESERVATION_HELD));
}

static void test_renewal(void **state)
{
    struct reservation *first = take(whole("user:alice", EDU, .duration_us = 50 * MS));
    struct reservation *waiting = take(whole("user:bob", EDU, .wait = true));
    uint64_t until_us = first->until_us;
    struct error error = {0};

    (void)state;
    usleep(10 * MS);
    assert_int_equal(reservations_renew(fixture.reservations, first, "user:alice", 0, &error), 0);
    assert_true(first->until_us >= until_us + 10 * MS);
    assert_int_equal(reservations_renew(fixture.reservations, first, "user:alice", MINUTE, &error), 0);
    run_for(100 * MS);
    assert_int_equal(fixture.ended, 0);
    assert_int_equal(reservations_renew(fixture.reservations, first, "user:alice", 0, &error), 0);
    assert_int_equal(reservation_seconds_left(first), 60);
    assert_int_equal(reservations_renew(fixture.reservations, waiting, "user:bob", 2 * MINUTE, &error), 0);
    assert_int_equal(waiting->state, RESERVATION_WAITING);
    check_error(reservations_renew(fixture.reservations, first, "user:bob", 0, &error), -EPERM, &error,
            "is user:alice's reservation: user:bob can't renew it");
    release(first);
    assert_int_equal(reservation_seconds_left(waiting), 120);
}

/* The ended one's id is good for nothing, whoever has the region now. */
static void test_release(void **state)
{
    struct reservation *first = take(whole("user:alice", EDU));
    struct reservation *second = take(whole("user:alice", EDU, .wait = true));
    struct error error = {0};
    char text[RESERVATION_END_TEXT];

    (void)state;
    check_error(reservations_release(fixture.reservations, first, "user:bob", false, &error), -EPERM, &error,
            "user:bob can't release it");
    release(first);
    check_error(reservations_release(fixture.reservations, first, "user:alice", false, &error), -ESTALE,
            &error, "was released 0 s ago");
    check_error(reservations_release(fixture.reservations, first, "user:root", true, &error), -ESTALE,
            &error, "was released 0 s ago");
    assert_int_equal(second->state, RESERVATION_HELD);
    assert_int_equal(reservations_release(fixture.reservations, second, "user:root", true, &error), 0);
    assert_string_equal(reservation_end_text(second, text), "was released 0 s ago by user:root");
}

static void test_revoked_account(void **state)
{
    struct reservation *first = take(whole("token:ci", EDU));
    struct reservation *second = take(whole("token:ci", MIDDLE, .wait = true));
    struct reservation *third = take(whole("user:alice", EDU, .wait = true));
    char text[RESERVATION_END_TEXT];

    (void)state;
    reservations_revoke(fixture.reservations, "token:nobody", "x");
    assert_int_equal(fixture.ended, 0);
    reservations_revoke(fixture.reservations, "token:ci", "its token was revoked");
    assert_int_equal(first->end, RESERVATION_REVOKED);
    assert_int_equal(second->end, RESERVATION_REVOKED);
    assert_int_equal(third->state, RESERVATION_HELD);
    assert_string_equal(reservation_end_text(first, text), "was revoked 0 s ago: its token was revoked");
}

/* Old ends are forgotten, whoever makes many. */
static void test_ended_ones_are_bounded(void **state)
{
    char first[RESERVATION_ID_SIZE], last[RESERVATION_ID_SIZE];
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < 300; i++) {
        struct reservation *reservation = take(whole("user:alice", EDU));

        strcpy(i == 0 ? first : last, reservation->id);
        release(reservation);
    }
    for (const struct reservation *r = reservations_first(fixture.reservations, RESERVATION_ENDED); r;
            r = r->next)
        count++;
    assert_int_equal(count, 256);
    assert_null(reservations_find(fixture.reservations, first));
    assert_non_null(reservations_find(fixture.reservations, last));
}

static int restore(
        const char *id, const char *holder, unsigned region, uint64_t until_us, struct error *error)
{
    const struct reservation_window window = {&fixture.regions[region], 0, UINT64_MAX};
    const struct reservation_wish wish = {.holder = holder,
            .exclusive = true,
            .target = region_name(window.region),
            .windows = &window,
            .window_count = 1,
            .duration_us = MINUTE};

    return reservations_restore(fixture.reservations, &wish, id, until_us, error);
}

static void test_restore(void **state)
{
    struct reservation *waiting;
    struct error error = {0};

    (void)state;
    assert_int_equal(restore("r-1", "user:alice", EDU, clock_boottime_us() + 30 * MS, &error), 0);
    assert_int_equal(restore("r-2", "user:bob", EDU, 0, &error), 0);
    assert_int_equal(restore("r-3", "user:carol", ALONE, 0, &error), 0);
    check_error(restore("r-4", "user:dave", MIDDLE, clock_boottime_us() + MINUTE, &error), -EUSERS, &error,
            "user:alice holds edu already");
    check_error(restore("r-2", "user:dave", PORTS, 0, &error), -EEXIST, &error, "another of this id");
    reservations_settle(fixture.reservations);
    waiting = reservations_find(fixture.reservations, "r-2");
    assert_int_equal(waiting->position, 1);
    assert_int_equal(reservations_find(fixture.reservations, "r-3")->state, RESERVATION_HELD);
    run_until(&fixture.ended, 1);
    assert_string_equal(fixture.last_ended, "r-1");
    assert_int_equal(waiting->state, RESERVATION_HELD);
    assert_true(reservations_find(fixture.reservations, "r-1")->granted);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            test(test_expiry),
            test(test_renewal),
            test(test_release),
            test(test_revoked_account),
            test(test_ended_ones_are_bounded),
            test(test_restore),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
