/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See reservation.h. Ids are random numbers: a daemon that starts anew, with its state lost, must not give
 * out again what an old holder still has. */
#include "core/reservation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/cleanup.h"
#include "util/clock.h"

static int make_id(char id[RESERVATION_ID_SIZE])
{
    uint64_t number;
    ssize_t size;

    do {
        size = getrandom(&number, sizeof(number), 0);
    } while (size < 0 && errno == EINTR);
    if (size != sizeof(number))
        return -EIO;
    snprintf(id, RESERVATION_ID_SIZE, "r-%016" PRIx64, number);
    return 0;
}

static void *copy(const void *elements, size_t count, size_t size)
{
    void *copied = calloc(count ? count : 1, size);

    if (copied && count)
        memcpy(copied, elements, count * size);
    return copied;
}

struct reservation *reservation_new(const struct reservation_wish *wish)
{
    _cleanup_(reservation_freep) struct reservation *reservation = calloc(1, sizeof(*reservation));

    if (!reservation || make_id(reservation->id) < 0)
        return NULL;
    reservation->windows = copy(wish->windows, wish->window_count, sizeof(*wish->windows));
    reservation->safe_writes = copy(wish->safe_writes, wish->safe_write_count, sizeof(*wish->safe_writes));
    if (!reservation->windows || !reservation->safe_writes)
        return NULL;
    reservation->window_count = wish->window_count;
    reservation->safe_write_count = wish->safe_write_count;
    reservation->exclusive = wish->exclusive;
    reservation->duration_us = wish->duration_us;
    snprintf(reservation->target, sizeof(reservation->target), "%s", wish->target);
    snprintf(reservation->holder, sizeof(reservation->holder), "%s", wish->holder);
    snprintf(reservation->note, sizeof(reservation->note), "%s", wish->note ? wish->note : "");
    snprintf(reservation->contact, sizeof(reservation->contact), "%s", wish->contact ? wish->contact : "");
    return take_ptr(reservation);
}

void reservation_free(struct reservation *reservation)
{
    if (!reservation)
        return;
    free(reservation->windows);
    free(reservation->safe_writes);
    free(reservation);
}

bool reservation_window_in(const struct reservation_window *window, const struct region *region,
        uint64_t *ret_first, uint64_t *ret_last)
{
    return region_shares(window->region, window->first, window->last, region, ret_first, ret_last);
}

const struct reservation_window *reservation_find_window(
        const struct reservation *reservation, const struct region *region)
{
    uint64_t first, last;

    for (size_t i = 0; i < reservation->window_count; i++) {
        if (reservation_window_in(&reservation->windows[i], region, &first, &last))
            return &reservation->windows[i];
    }
    return NULL;
}

static bool have_common(const struct reservation_window *a, const struct reservation_window *b)
{
    uint64_t first, last;

    return reservation_window_in(a, b->region, &first, &last) && first <= b->last && b->first <= last;
}

static bool shares_windows(
        const struct reservation *reservation, const struct reservation_window *windows, size_t count)
{
    for (size_t i = 0; i < reservation->window_count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (have_common(&reservation->windows[i], &windows[k]))
                return true;
        }
    }
    return false;
}

bool reservation_conflicts(const struct reservation *reservation, const struct reservation *other)
{
    return (reservation->exclusive || other->exclusive) &&
           shares_windows(reservation, other->windows, other->window_count);
}

bool reservation_is_in_the_way(const struct reservation *reservation, const struct reservation_wish *wish)
{
    return (reservation->exclusive || wish->exclusive) &&
           shares_windows(reservation, wish->windows, wish->window_count);
}

uint64_t reservation_seconds_left(const struct reservation *reservation)
{
    uint64_t now_us = clock_boottime_us();

    if (reservation->state != RESERVATION_HELD || reservation->until_us <= now_us)
        return 0;
    return (reservation->until_us - now_us + 999999) / 1000000;
}

const char *reservation_state_name(enum reservation_state state)
{
    static const char *const names[] = {"waiting", "held", "ended"};

    return names[state];
}

const char *reservation_end_name(enum reservation_end end)
{
    static const char *const names[] = {NULL, "released", "expired", "taken-over", "revoked"};

    return names[end];
}

const char *reservation_end_text(const struct reservation *reservation, char text[RESERVATION_END_TEXT])
{
    static const char *const verbs[] = {
            "goes on", "was released", "expired", "was taken over", "was revoked"};
    static const char *const before_reason[] = {"", " ", ": ", " by ", ": "};
    enum reservation_end end = reservation->end;
    uint64_t seconds = (clock_boottime_us() - reservation->ended_us) / 1000000;

    snprintf(text, RESERVATION_END_TEXT, "%s %" PRIu64 " s ago%s%s", verbs[end], seconds,
            reservation->reason[0] ? before_reason[end] : "", reservation->reason);
    return text;
}
