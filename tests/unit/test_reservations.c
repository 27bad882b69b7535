/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/reservations.c: who holds what, who is next, and how each one ends. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/reservations.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    EDU,    /* 0x1000 to 0x10ff */
    MIDDLE, /* 0x1080 to 0x117f: the second half of edu and more */
    PORTS,  /* ports 0x1000 to 0x10ff: not the same hardware */
    ALONE,  /* without a known address */
    ABSENT,
    REGIONS
};

enum { UNCLAIMED_MS = 200 }; /* longer than a busy machine keeps a process waiting */

static const uint64_t MS = 1000, MINUTE = UINT64_C(60) * 1000000;

static struct {
    sd_event *event;
    struct accounts accounts;
    struct reservations *reservations;
    struct region_description descriptions[REGIONS];
    struct backend_region handles[REGIONS];
    struct region regions[REGIONS];
    unsigned ended, granted, changed, told;
    char last_ended[RESERVATION_ID_SIZE];
    char order[16]; /* what was called back: e g c */
} fixture;

static void note(char what)
{
    size_t length = strlen(fixture.order);

    if (length < sizeof(fixture.order) - 1)
        fixture.order[length] = what;
}

static void ended(const struct reservation *reservation, void *context)
{
    assert_ptr_equal(context, &fixture);
    assert_int_equal(reservation->state, RESERVATION_ENDED);
    assert_int_not_equal(reservation->end, RESERVATION_END_NONE);
    strcpy(fixture.last_ended, reservation->id);
    fixture.ended++;
    note('e');
}

static void granted(const struct reservation *reservation, void *context)
{
    assert_true(reservation->granted);
    assert_ptr_equal(context, &fixture);
    assert_int_equal(reservation->state, RESERVATION_HELD);
    fixture.granted++;
    note('g');
}

static void changed(void *context)
{
    assert_ptr_equal(context, &fixture);
    fixture.changed++;
    note('c');
}

static void set_up_with(uint64_t total, uint64_t per_account, uint64_t unclaimed_us)
{
    static const char *const names[REGIONS] = {"edu", "middle", "ports", "alone", "absent"};
    static const uint64_t addresses[REGIONS] = {0x1000, 0x1080, 0x1000, ADDRESS_UNKNOWN, ADDRESS_UNKNOWN};
    const struct reservation_limits limits = {total, per_account, unclaimed_us};
    const struct reservation_callbacks callbacks = {ended, granted, changed, &fixture};

    memset(&fixture, 0, sizeof(fixture));
    for (size_t i = 0; i < REGIONS; i++) {
        fixture.descriptions[i].name = (char *)names[i];
        fixture.handles[i] = (struct backend_region){.size = 0x100, .address = addresses[i]};
        fixture.regions[i] = (struct region){
                .description = &fixture.descriptions[i], .handle = i == ABSENT ? NULL : &fixture.handles[i]};
    }
    fixture.handles[PORTS].type = REGION_IOPORT;
    assert_true(sd_event_new(&fixture.event) >= 0);
    assert_int_equal(
            reservations_new(fixture.event, &fixture.accounts, &limits, &callbacks, &fixture.reservations),
            0);
}

static int set_up(void **state)
{
    (void)state;
    set_up_with(1024, 64, RESERVATION_UNCLAIMED_US);
    return 0;
}

static int set_up_small(void **state)
{
    (void)state;
    set_up_with(4, 2, RESERVATION_UNCLAIMED_US);
    return 0;
}

static int set_up_impatient(void **state)
{
    (void)state;
    set_up_with(1024, 64, UNCLAIMED_MS * MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reservations_free(fixture.reservations);
    assert_null(fixture.accounts.first);
    sd_event_unref(fixture.event);
    return 0;
}

/* What most tests ask for. */
struct request {
    const char *holder;
    unsigned region;
    uint64_t first, last;
    bool shared, wait;
    const char *takeover;
    uint64_t duration_us; /* 0: a minute */
};

static int try_take(const struct request *request, struct reservation **ret_reservation,
        const struct reservation **ret_blocking, struct error *error)
{
    const struct reservation_window window = {
            &fixture.regions[request->region], request->first, request->last};
    const struct reservation_wish wish = {.holder = request->holder,
            .exclusive = !request->shared,
            .wait = request->wait,
            .target = region_name(window.region),
            .windows = &window,
            .window_count = 1,
            .takeover = request->takeover,
            .note = "a note",
            .duration_us = request->duration_us ? request->duration_us : MINUTE};

    return reservations_take(fixture.reservations, &wish, ret_reservation, ret_blocking, error);
}

static struct reservation *take(struct request request)
{
    struct reservation *reservation = NULL;
    const struct reservation *blocking = NULL;
    struct error error = {0};

    test_that(try_take(&request, &reservation, &blocking, &error) == 0, "%s", error.message);
    return reservation;
}

#define whole(holder_, region_, ...)                                                                        \
    ((struct request){.holder = (holder_), .region = (region_), .last = UINT64_MAX, __VA_ARGS__})

static const struct reservation *refused(struct request request, const char *text)
{
    struct reservation *reservation = NULL;
    const struct reservation *blocking = NULL;
    struct error error = {0};

    check_error(try_take(&request, &reservation, &blocking, &error), -EUSERS, &error, text);
    assert_null(reservation);
    assert_non_null(blocking);
    return blocking;
}

static void release(struct reservation *reservation)
{
    struct error error = {0};

    test_that(
            reservations_release(fixture.reservations, reservation, reservation->holder, false, &error) == 0,
            "%s", error.message);
}

static bool is_blocked(const char *principal, unsigned region, uint64_t first, uint64_t last)
{
    struct principal asker = {0};

    snprintf(asker.name, sizeof(asker.name), "%s", principal);
    return reservations_blocking(fixture.reservations, &asker, &fixture.regions[region], first, last);
}

static void run_until(const unsigned *counter, unsigned wanted)
{
    while (*counter < wanted)
        assert_true(sd_event_run(fixture.event, 10 * 1000 * 1000) > 0);
}

static void run_for(uint64_t duration_us)
{
    uint64_t started_us = clock_boottime_us();

    while (clock_boottime_us() - started_us < duration_us)
        assert_true(sd_event_run(fixture.event, 5 * MS) >= 0);
}

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

/* Who waits */

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

/* A model that knows octets only: physical ones of edu and middle, and those of the others. */

enum { OCTETS = 0x180 + 0x100 * 3, STEPS = 6000 };

static void mark(uint8_t octets[OCTETS], const struct reservation_window *window)
{
    static const size_t starts[REGIONS] = {0, 0x80, 0x180, 0x280, 0x380};
    size_t start = starts[window->region - fixture.regions];

    for (uint64_t i = window->first; i <= window->last && i < 0x100; i++)
        octets[start + i] = 1;
}

static bool have_common(const struct reservation *a, const struct reservation *b)
{
    uint8_t octets[2][OCTETS] = {{0}};

    mark(octets[0], &a->windows[0]);
    mark(octets[1], &b->windows[0]);
    for (size_t i = 0; i < OCTETS; i++) {
        if (octets[0][i] && octets[1][i])
            return true;
    }
    return false;
}

static bool conflict(const struct reservation *a, const struct reservation *b)
{
    return (a->exclusive || b->exclusive) && have_common(a, b);
}

static void check_model(size_t step)
{
    const struct reservation *held = reservations_first(fixture.reservations, RESERVATION_HELD);
    const struct reservation *waiting = reservations_first(fixture.reservations, RESERVATION_WAITING);

    for (const struct reservation *a = held; a; a = a->next) {
        for (const struct reservation *b = a->next; b; b = b->next)
            test_that(!conflict(a, b), "step %zu: %s of %s is held beside %s of %s", step, a->target,
                    a->holder, b->target, b->holder);
    }
    /* Who waits does so for a reason, and its place is right. */
    for (const struct reservation *a = waiting; a; a = a->next) {
        size_t before = 0;
        bool blocked = false;

        for (const struct reservation *b = waiting; b != a; b = b->next)
            before += conflict(a, b);
        for (const struct reservation *b = held; b; b = b->next)
            blocked = blocked || conflict(a, b);
        test_that(a->position == before + 1, "step %zu: place %zu instead of %zu", step, a->position,
                before + 1);
        test_that(before > 0 || blocked, "step %zu: %s waits for nothing", step, a->id);
    }
}

static void check_access(size_t step, const char *principal, const struct reservation_window *window)
{
    struct reservation asked = {.windows = (struct reservation_window *)window};
    uint8_t own[OCTETS] = {0}, wanted[OCTETS] = {0};
    bool blocked = false;

    mark(wanted, window);
    for (const struct reservation *r = reservations_first(fixture.reservations, RESERVATION_HELD); r;
            r = r->next) {
        if (strcmp(r->holder, principal) == 0)
            mark(own, &r->windows[0]);
    }
    for (const struct reservation *r = reservations_first(fixture.reservations, RESERVATION_HELD); r;
            r = r->next) {
        uint8_t theirs[OCTETS] = {0};

        if (strcmp(r->holder, principal) == 0 || !have_common(r, &asked))
            continue;
        mark(theirs, &r->windows[0]);
        for (size_t i = 0; i < OCTETS; i++)
            blocked = blocked || (wanted[i] && theirs[i] && (r->exclusive || !own[i]));
    }
    test_that(is_blocked(principal, (unsigned)(window->region - fixture.regions), window->first,
                      window->last) == blocked,
            "step %zu: %s is %sblocked", step, principal, blocked ? "not " : "");
}

static struct reservation *pick(enum reservation_state state, uint32_t number)
{
    const struct reservation *list = reservations_first(fixture.reservations, state);
    size_t count = 0;

    for (const struct reservation *r = list; r; r = r->next)
        count++;
    for (size_t i = 0; count && i < number % count; i++)
        list = list->next;
    return (struct reservation *)list;
}

static void random_step(size_t step, uint32_t *random)
{
    static const char *const holders[] = {"user:alice", "user:bob", "token:ci", "anonymous"};
    uint32_t kind = test_random(random) % 16;
    uint64_t first = test_random(random) % 0x100, last = first + test_random(random) % 0x40;
    struct request request = {.holder = holders[test_random(random) % ELEMENTS(holders)],
            .region = test_random(random) % REGIONS,
            .first = first,
            .last = last < 0x100 ? last : UINT64_MAX,
            .shared = test_random(random) % 2,
            .wait = test_random(random) % 4,
            .takeover = kind == 0 ? "because" : NULL};
    struct reservation *reservation = pick(kind % 2, test_random(random));
    const struct reservation *blocking;
    struct error error;

    if (kind < 8) {
        try_take(&request, &reservation, &blocking, &error);
    } else if (kind < 15) {
        if (reservation)
            release(reservation);
    } else if (test_random(random) % 64 == 0) {
        reservations_revoke(fixture.reservations, request.holder, "x");
    } else {
        const struct reservation_window window = {
                &fixture.regions[request.region], first, last < 0x100 ? last : 0xff};

        check_access(step, request.holder, &window);
    }
}

static void test_model(void **state)
{
    uint32_t random = 20240611;
    uint64_t counted = 0;
    size_t present = 0;

    (void)state;
    for (size_t step = 0; step < STEPS; step++) {
        random_step(step, &random);
        if (step % 8 == 0)
            check_model(step);
    }
    for (const struct account *account = fixture.accounts.first; account; account = account->next)
        counted += account->reservations;
    for (size_t i = 0; i < RESERVATION_ENDED; i++) {
        for (const struct reservation *r = reservations_first(fixture.reservations, i); r; r = r->next)
            present++;
    }
    assert_int_equal(counted, present);
    assert_true(fixture.granted > 100);
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
            test(test_queue),
            test(test_no_overtaking),
            test(test_expiry),
            test(test_renewal),
            test(test_release),
            test(test_takeover),
            test(test_revoked_account),
            cmocka_unit_test_setup_teardown(test_limits, set_up_small, tear_down),
            test(test_ended_ones_are_bounded),
            test(test_require),
            test(test_watch),
            cmocka_unit_test_teardown(test_watch_of_many, tear_down),
            cmocka_unit_test_setup_teardown(test_unclaimed, set_up_impatient, tear_down),
            cmocka_unit_test_setup_teardown(test_unwatched, set_up_impatient, tear_down),
            test(test_restore),
            test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
