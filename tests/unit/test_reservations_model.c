/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/reservations.c: random steps are compared with a model that knows octets only: physical ones of edu
 * and middle, and those of the others. */
#include "reservations_fixture.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

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
            test(test_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
