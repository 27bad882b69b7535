/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See reservations_fixture.h. */
#include "reservations_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"

struct reservations_fixture fixture;

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

void set_up_with(uint64_t total, uint64_t per_account, uint64_t unclaimed_us)
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

int set_up(void **state)
{
    (void)state;
    set_up_with(1024, 64, RESERVATION_UNCLAIMED_US);
    return 0;
}

int set_up_small(void **state)
{
    (void)state;
    set_up_with(4, 2, RESERVATION_UNCLAIMED_US);
    return 0;
}

int set_up_impatient(void **state)
{
    (void)state;
    set_up_with(1024, 64, UNCLAIMED_MS * MS);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    reservations_free(fixture.reservations);
    assert_null(fixture.accounts.first);
    sd_event_unref(fixture.event);
    return 0;
}

int try_take(const struct request *request, struct reservation **ret_reservation,
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

struct reservation *take(struct request request)
{
    struct reservation *reservation = NULL;
    const struct reservation *blocking = NULL;
    struct error error = {0};

    test_that(try_take(&request, &reservation, &blocking, &error) == 0, "%s", error.message);
    return reservation;
}

const struct reservation *refused(struct request request, const char *text)
{
    struct reservation *reservation = NULL;
    const struct reservation *blocking = NULL;
    struct error error = {0};

    check_error(try_take(&request, &reservation, &blocking, &error), -EUSERS, &error, text);
    assert_null(reservation);
    assert_non_null(blocking);
    return blocking;
}

void release(struct reservation *reservation)
{
    struct error error = {0};

    test_that(
            reservations_release(fixture.reservations, reservation, reservation->holder, false, &error) == 0,
            "%s", error.message);
}

bool is_blocked(const char *principal, unsigned region, uint64_t first, uint64_t last)
{
    struct principal asker = {0};

    snprintf(asker.name, sizeof(asker.name), "%s", principal);
    return reservations_blocking(fixture.reservations, &asker, &fixture.regions[region], first, last);
}

void run_until(const unsigned *counter, unsigned wanted)
{
    while (*counter < wanted)
        assert_true(sd_event_run(fixture.event, 10 * 1000 * 1000) > 0);
}

void run_for(uint64_t duration_us)
{
    uint64_t started_us = clock_boottime_us();

    while (clock_boottime_us() - started_us < duration_us)
        assert_true(sd_event_run(fixture.event, 5 * MS) >= 0);
}
