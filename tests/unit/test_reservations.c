/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/reservations.c: who holds what, and whom that keeps out. */
#include "reservations_fixture.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

static void test_exclusive(void **state)
{
    struct reservation *alice = take(whole("user:alice", EDU));
    const struct reservation *blocking;

    (void)state;
    assert_int_equal(alice->state, RESERVATION_HELD);
    assert_int_equal(reservation_seconds_left(alice), 60);
    assert_int_equal(strlen(alice->id), 18);
    assert_false(is_blocked("user:alice", EDU, 0, 0xff));
    assert_true(is_blocked("user:bob", EDU, 0, 3));
    assert_false(is_blocked("user:bob", ALONE, 0, 3));
    blocking = refused(whole("user:bob", EDU), "edu is reserved by user:alice (edu, for another 60 s)");
    assert_ptr_equal(blocking, alice);
    refused(whole("user:bob", EDU, .shared = true), "reserved by user:alice");
    refused(whole("user:alice", EDU), "reserved by user:alice"); /* her own other script */
    assert_ptr_equal(reservations_find(fixture.reservations, alice->id), alice);
    assert_null(reservations_find(fixture.reservations, "r-0000000000000000"));
    release(alice);
    assert_false(is_blocked("user:bob", EDU, 0, 3));
    assert_string_equal(fixture.order, "gcec");
    assert_ptr_equal(reservations_find(fixture.reservations, alice->id), alice);
    assert_string_equal(reservation_state_name(alice->state), "ended");
    assert_string_equal(reservation_end_name(alice->end), "released");
}

static void test_without_any(void **state)
{
    const struct principal nobody = {0};

    (void)state;
    assert_null(reservations_blocking(NULL, &nobody, &fixture.regions[0], 0, 1));
    assert_null(reservations_find(NULL, "r-0"));
    assert_false(is_blocked("user:bob", EDU, 0, UINT64_MAX));
}

/* By octets and by hardware. */
static void test_what_conflicts(void **state)
{
    static const struct {
        unsigned region;
        uint64_t first, last;
        bool conflicts; /* with edu:0x10-0x8f */
    } rows[] = {
            {EDU, 0, 0xf, false},
            {EDU, 0, 0x10, true},
            {EDU, 0x8f, 0x8f, true},
            {EDU, 0x90, UINT64_MAX, false},
            {EDU, 0, UINT64_MAX, true},
            {MIDDLE, 0, 0, true},     /* 0x1080 */
            {MIDDLE, 0xf, 0xf, true}, /* 0x108f */
            {MIDDLE, 0x10, UINT64_MAX, false},
            {PORTS, 0, UINT64_MAX, false},
            {ALONE, 0, UINT64_MAX, false},
            {ABSENT, 0, UINT64_MAX, false},
    };
    struct reservation *held =
            take((struct request){.holder = "user:alice", .region = EDU, .first = 0x10, .last = 0x8f});

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct request request = {.holder = "user:bob",
                .region = rows[i].region,
                .first = rows[i].first,
                .last = rows[i].last};
        struct reservation *reservation = NULL;
        const struct reservation *blocking = NULL;
        struct error error = {0};
        int r = try_take(&request, &reservation, &blocking, &error);

        test_that(r == (rows[i].conflicts ? -EUSERS : 0), "row %zu gave %d", i, r);
        if (r == 0)
            release(reservation);
        test_that(is_blocked("user:bob", rows[i].region, rows[i].first, rows[i].last) == rows[i].conflicts,
                "row %zu is blocked or not", i);
    }
    release(held);

    /* The region that was absent is there, behind the others. */
    held = take(whole("user:alice", ABSENT));
    fixture.handles[ABSENT].address = 0x10c0;
    fixture.regions[ABSENT].handle = &fixture.handles[ABSENT];
    assert_true(is_blocked("user:bob", EDU, 0xc0, 0xc0));
    assert_false(is_blocked("user:bob", EDU, 0, 0xbf));
}

/* At the end of all addresses nothing wraps around. */
static void test_last_addresses(void **state)
{
    (void)state;
    fixture.handles[EDU].address = UINT64_MAX - 0xff - 1; /* UINT64_MAX is "unknown" */
    fixture.handles[MIDDLE].address = UINT64_MAX - 0x7f - 1;
    fixture.handles[MIDDLE].size = 0x80;
    take(whole("user:alice", MIDDLE));
    assert_true(is_blocked("user:bob", EDU, 0x80, 0xff));
    assert_false(is_blocked("user:bob", EDU, 0, 0x7f));
    assert_false(is_blocked("user:bob", PORTS, 0, 0xff));
}

static void test_shared(void **state)
{
    struct reservation *alice = take(whole("user:alice", EDU, .shared = true));
    struct reservation *bob =
            take((struct request){.holder = "user:bob", .region = EDU, .last = 0x7f, .shared = true});

    (void)state;
    assert_false(is_blocked("user:alice", EDU, 0, 0xff));
    assert_false(is_blocked("user:bob", EDU, 0, 0x7f));
    assert_true(is_blocked("user:bob", EDU, 0x7c, 0x83)); /* alice has a share of 0x80 that bob has not */
    assert_true(is_blocked("user:carol", EDU, 0, 0));
    assert_true(is_blocked("user:carol", MIDDLE, 0, 0));
    assert_false(is_blocked("user:carol", MIDDLE, 0x80, 0x83)); /* behind the end of edu */
    refused(whole("user:carol", EDU), "reserved by user:alice");

    /* Two shares make one together, also through another region. */
    take((struct request){.holder = "user:bob", .region = MIDDLE, .last = 0x7f, .shared = true});
    assert_false(is_blocked("user:bob", EDU, 0x7c, 0x83));
    release(bob);
    assert_true(is_blocked("user:bob", EDU, 0x7c, 0x83));
    assert_false(is_blocked("user:bob", EDU, 0x80, 0xff));
    release(alice);
    assert_false(is_blocked("user:bob", EDU, 0x7c, 0x83));
    assert_true(is_blocked("user:alice", EDU, 0x80, 0x83));
}

static void test_takeover(void **state)
{
    struct reservation *low =
            take((struct request){.holder = "user:alice", .region = EDU, .last = 0x7f, .shared = true});
    struct reservation *high = take(whole("user:bob", MIDDLE, .shared = true));
    struct reservation *elsewhere = take(whole("user:carol", ALONE));
    struct reservation *waiting = take(whole("user:dave", EDU, .wait = true));
    struct reservation *admin;
    char text[RESERVATION_END_TEXT];

    (void)state;
    memset(fixture.order, 0, sizeof(fixture.order));
    admin = take(whole("user:root", EDU, .takeover = "the nightly run"));
    assert_string_equal(fixture.order, "eegc");
    assert_int_equal(admin->state, RESERVATION_HELD);
    assert_int_equal(low->end, RESERVATION_TAKEN_OVER);
    assert_int_equal(high->end, RESERVATION_TAKEN_OVER);
    assert_int_equal(elsewhere->state, RESERVATION_HELD);
    assert_int_equal(waiting->state, RESERVATION_WAITING);
    assert_int_equal(waiting->position, 1);
    assert_string_equal(
            reservation_end_text(low, text), "was taken over 0 s ago by user:root: the nightly run");
    assert_string_equal(reservation_end_name(low->end), "taken-over");
    release(admin);
    assert_int_equal(waiting->state, RESERVATION_HELD);

    /* Taking a part over from one who had all sets the rest free. */
    waiting = take((struct request){
            .holder = "user:erin", .region = EDU, .first = 0x80, .last = 0xff, .wait = true});
    take((struct request){.holder = "user:root", .region = EDU, .last = 0x7f, .takeover = "this part"});
    assert_int_equal(waiting->state, RESERVATION_HELD);
}

static void test_limits(void **state)
{
    struct request second = whole("user:alice", PORTS), third = whole("user:alice", ALONE);
    struct reservation *reservation = NULL;
    const struct reservation *blocking = NULL;
    struct error error = {0};

    (void)state;
    take(whole("user:alice", EDU));
    reservation = take(second);
    check_error(try_take(&third, &reservation, &blocking, &error), -EDQUOT, &error,
            "user:alice has 2 reservations, held and waiting, which is the most: release one");
    take(whole("user:bob", EDU, .wait = true));
    take(whole("user:bob", EDU, .wait = true));
    third.holder = "user:carol";
    check_error(
            try_take(&third, &reservation, &blocking, &error), -EAGAIN, &error, "there are 4 reservations");
    release(reservation);
    take(third);
    assert_int_equal(fixture.ended, 1);
}

static void test_require(void **state)
{
    struct reservation *held = take(whole("user:alice", EDU));
    struct reservation *waiting = take(whole("user:bob", EDU, .wait = true));
    struct reservations *all = fixture.reservations;
    struct error error = {0};

    (void)state;
    assert_int_equal(reservations_require(all, "user:alice", held->id, &error), 0);
    check_error(reservations_require(all, "user:bob", held->id, &error), -EUSERS, &error,
            "is user:alice's reservation, not one of user:bob");
    check_error(reservations_require(all, "user:bob", waiting->id, &error), -EUSERS, &error,
            "still waits for edu");
    check_error(reservations_require(all, "user:bob", "r-1", &error), -EUSERS, &error,
            "there is no reservation r-1");
    release(held);
    check_error(reservations_require(all, "user:alice", held->id, &error), -EUSERS, &error,
            "of edu was released 0 s ago: nothing was done in its name");
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            test(test_exclusive),
            test(test_without_any),
            test(test_what_conflicts),
            test(test_last_addresses),
            test(test_shared),
            test(test_takeover),
            cmocka_unit_test_setup_teardown(test_limits, set_up_small, tear_down),
            test(test_require),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
