/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/reservations.c: who waits, and who is next. */
#include "reservations_fixture.h"

#include <string.h>

static void test_queue(void **state)
{
    struct reservation *first = take(whole("user:alice", EDU));
    struct reservation *second = take(whole("user:bob", EDU, .wait = true));
    struct reservation *third = take(whole("user:carol", EDU, .wait = true, .shared = true));
    struct reservation *fourth = take(whole("user:dave", EDU, .wait = true, .shared = true));
    struct reservation *fifth = take(whole("user:erin", EDU, .wait = true));

    (void)state;
    assert_int_equal(second->position, 1);
    assert_int_equal(third->position, 2);
    assert_int_equal(fourth->position, 2);
    assert_int_equal(fifth->position, 4);
    assert_true(is_blocked("user:bob", EDU, 0, 0));
    fixture.order[0] = 0;
    memset(fixture.order, 0, sizeof(fixture.order));
    release(first);
    assert_string_equal(fixture.order, "egc"); /* the next one only after the end was dealt with */
    assert_int_equal(second->state, RESERVATION_HELD);
    assert_int_equal(reservation_seconds_left(second), 60);
    assert_int_equal(third->position, 1);
    assert_int_equal(fifth->position, 3);
    release(second);
    assert_int_equal(third->state, RESERVATION_HELD);
    assert_int_equal(fourth->state, RESERVATION_HELD);
    assert_int_equal(fifth->state, RESERVATION_WAITING);
    assert_int_equal(fifth->position, 1);
    release(third);
    assert_int_equal(fifth->state, RESERVATION_WAITING);
    release(fourth);
    assert_int_equal(fifth->state, RESERVATION_HELD);
    assert_int_equal(fixture.granted, 5);
}

/* A share that could be had at once waits behind an exclusive one, or that one would wait for ever. */
static void test_no_overtaking(void **state)
{
    struct reservation *share = take(whole("user:alice", EDU, .shared = true));
    struct reservation *all = take(whole("user:bob", EDU, .wait = true));
    const struct reservation *blocking = refused(whole("user:carol", EDU, .shared = true),
            "edu is free, but user:bob waits for edu and comes first");
    struct reservation *elsewhere = take(whole("user:carol", ALONE, .wait = true));
    struct reservation *behind = take(whole("user:carol", MIDDLE, .wait = true, .shared = true));

    (void)state;
    assert_ptr_equal(blocking, all);
    assert_int_equal(elsewhere->state, RESERVATION_HELD); /* nobody is before it there */
    assert_int_equal(behind->state, RESERVATION_WAITING);
    assert_int_equal(behind->position, 2);
    release(elsewhere); /* a change elsewhere gives it no turn */
    assert_int_equal(behind->state, RESERVATION_WAITING);
    release(all); /* it gives up its place */
    assert_int_equal(behind->state, RESERVATION_HELD);
    assert_false(all->granted);
    assert_true(share->granted);
}

static struct reservation_watch watch;

static void told(struct reservation_watch *watch_told)
{
    assert_ptr_equal(watch_told, &watch);
    assert_null(watch.reservation);
    fixture.told++;
}

static void test_watch(void **state)
{
    struct reservation *first = take(whole("user:alice", EDU));
    struct reservation *second = take(whole("user:bob", EDU, .wait = true));
    struct reservation *third = take(whole("user:carol", EDU, .wait = true));
    struct error error = {0};

    (void)state;
    watch.changed = told;
    reservations_watch(fixture.reservations, third, true, &watch);
    assert_int_equal(reservations_renew(fixture.reservations, first, "user:alice", 0, &error), 0);
    take(whole("user:dave", EDU, .wait = true));
    assert_int_equal(fixture.told, 0);
    release(second); /* one place on */
    assert_int_equal(fixture.told, 1);
    reservations_watch(fixture.reservations, third, true, &watch);
    release(first);
    assert_int_equal(fixture.told, 2);
    assert_int_equal(third->state, RESERVATION_HELD);
    reservations_watch(fixture.reservations, third, false, &watch);
    reservations_unwatch(fixture.reservations, &watch);
    reservations_unwatch(fixture.reservations, &watch);
    release(third);
    assert_int_equal(fixture.told, 2);
    third = take(whole("user:erin", ALONE));
    reservations_watch(fixture.reservations, third, false, &watch);
    reservations_wake(fixture.reservations);
    assert_int_equal(fixture.told, 3);
}

/* Even when so many end at once that it is forgotten at once. */
static void test_watch_of_many(void **state)
{
    struct reservation *reservation;

    (void)state;
    set_up_with(1024, 1024, RESERVATION_UNCLAIMED_US);
    watch.changed = told;
    reservation = take(whole("token:ci", EDU, .shared = true));
    reservations_watch(fixture.reservations, reservation, true, &watch);
    for (size_t i = 0; i < 400; i++)
        take(whole("token:ci", EDU, .shared = true));
    reservations_revoke(fixture.reservations, "token:ci", "x");
    assert_int_equal(fixture.told, 1);
    assert_int_equal(fixture.ended, 401);
}

static void test_unclaimed(void **state)
{
    struct reservation *first = take(whole("user:alice", EDU));
    struct reservation *forgotten = take(whole("user:bob", EDU, .wait = true));
    struct reservation *asked = take(whole("user:carol", EDU, .wait = true));
    struct reservation *watched = take(whole("user:dave", EDU, .wait = true));
    char text[RESERVATION_END_TEXT];

    (void)state;
    watch.changed = told;
    reservations_watch(fixture.reservations, watched, true, &watch);
    while (fixture.ended < 1) {
        reservations_touch(fixture.reservations, asked, UINT64_MAX);
        assert_true(sd_event_run(fixture.event, 5 * MS) >= 0);
    }
    assert_int_equal(forgotten->end, RESERVATION_EXPIRED);
    assert_false(forgotten->granted);
    assert_string_equal(reservation_end_text(forgotten, text),
            "expired 0 s ago: nobody asked for it any more while it waited");
    assert_int_equal(fixture.told, 1); /* a place on */
    reservations_watch(fixture.reservations, watched, true, &watch);

    /* A turn that nobody takes goes to the next one. */
    release(first);
    assert_int_equal(asked->state, RESERVATION_HELD);
    assert_int_equal(fixture.told, 2);
    reservations_watch(fixture.reservations, watched, true, &watch);
    run_until(&fixture.ended, 3);
    assert_int_equal(asked->end, RESERVATION_EXPIRED);
    assert_true(asked->granted);
    assert_int_equal(watched->state, RESERVATION_HELD);
    reservations_touch(fixture.reservations, watched, UINT64_MAX);
    run_for(UNCLAIMED_MS * MS * 3 / 2);
    assert_int_equal(watched->state, RESERVATION_HELD);
}

/* A watch that its holder gives up is the last time it asked. */
static void test_unwatched(void **state)
{
    struct reservation *waiting;

    (void)state;
    take(whole("user:alice", EDU));
    waiting = take(whole("user:bob", EDU, .wait = true));
    watch.changed = told;
    reservations_watch(fixture.reservations, waiting, true, &watch);
    run_for(UNCLAIMED_MS * MS * 3 / 2);
    assert_int_equal(fixture.ended, 0);
    reservations_unwatch(fixture.reservations, &watch);
    run_until(&fixture.ended, 1);
    assert_int_equal(waiting->end, RESERVATION_EXPIRED);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            test(test_queue),
            test(test_no_overtaking),
            test(test_watch),
            cmocka_unit_test_teardown(test_watch_of_many, tear_down),
            cmocka_unit_test_setup_teardown(test_unclaimed, set_up_impatient, tear_down),
            cmocka_unit_test_setup_teardown(test_unwatched, set_up_impatient, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
