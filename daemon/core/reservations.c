/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See reservations.h. Each reservation is in one of three lists, by its state. What lets others
 * have their turns ends in settle(), all other changes in note_change(). */
#include "core/reservations.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/reservation.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    STATES = RESERVATION_ENDED + 1,
    ENDED_KEPT = 256,
    TIMER_ACCURACY_US = 1000,
};

struct reservations {
    struct accounts *accounts;
    struct reservation_limits limits;
    struct reservation_callbacks callbacks;
    sd_event_source *timer;
    struct reservation *lists[STATES]; /* each in the order in which they came there */
    size_t count, ended_count;         /* count: held and waiting */
    struct reservation_watch *watches;
};

static void append(struct reservations *reservations, struct reservation *reservation)
{
    struct reservation **link = &reservations->lists[reservation->state];

    while (*link)
        link = &(*link)->next;
    reservation->next = NULL;
    *link = reservation;
}

static void move(
        struct reservations *reservations, struct reservation *reservation, enum reservation_state state)
{
    struct reservation **link = &reservations->lists[reservation->state];

    while (*link != reservation)
        link = &(*link)->next;
    *link = reservation->next;
    reservation->state = state;
    append(reservations, reservation);
}

const struct reservation *reservations_first(
        const struct reservations *reservations, enum reservation_state state)
{
    return reservations ? reservations->lists[state] : NULL;
}

struct reservation *reservations_find(const struct reservations *reservations, const char *id)
{
    for (size_t state = 0; reservations && state < STATES; state++) {
        for (struct reservation *r = reservations->lists[state]; r; r = r->next) {
            if (strcmp(r->id, id) == 0)
                return r;
        }
    }
    return NULL;
}

/* The first in the list that can't be held beside this one. */
static struct reservation *find_conflict(struct reservation *list, const struct reservation *reservation)
{
    for (struct reservation *r = list; r; r = r->next) {
        if (reservation_conflicts(r, reservation))
            return r;
    }
    return NULL;
}

/* Who may access what */

/* Whether the principal's own holds have all of these octets, together at least. */
static bool are_held_by(const struct reservations *reservations, const char *principal,
        const struct region *region, uint64_t first, uint64_t last)
{
    for (const struct reservation *r = reservations->lists[RESERVATION_HELD]; r; r = r->next) {
        if (strcmp(r->holder, principal) != 0)
            continue;
        for (size_t i = 0; i < r->window_count; i++) {
            uint64_t from, to;

            if (!reservation_window_in(&r->windows[i], region, &from, &to) || from > first || to < first)
                continue;
            return to >= last || are_held_by(reservations, principal, region, to + 1, last);
        }
    }
    return false;
}

/* An exclusive one blocks what it has, a shared one whoever has no share of it. */
static bool blocks(const struct reservations *reservations, const struct reservation *r,
        const char *principal, const struct region *region, uint64_t first, uint64_t last)
{
    for (size_t i = 0; i < r->window_count; i++) {
        uint64_t from, to;

        if (!reservation_window_in(&r->windows[i], region, &from, &to) || from > last || to < first)
            continue;
        if (r->exclusive)
            return true;
        if (!are_held_by(
                    reservations, principal, region, from > first ? from : first, to < last ? to : last))
            return true;
    }
    return false;
}

const struct reservation *reservations_blocking(const struct reservations *reservations,
        const struct principal *principal, const struct region *region, uint64_t first, uint64_t last)
{
    const struct reservation *list = reservations ? reservations->lists[RESERVATION_HELD] : NULL;
    bool has_share;

    if (!list)
        return NULL;
    has_share = are_held_by(reservations, principal->name, region, first, last);
    for (const struct reservation *r = list; r; r = r->next) {
        if (strcmp(r->holder, principal->name) != 0 && (r->exclusive || !has_share) &&
                blocks(reservations, r, principal->name, region, first, last))
            return r;
    }
    return NULL;
}

/* How they change */

/* The one place where a reservation ends. Whoever calls it calls settle() afterwards. */
static void end(struct reservations *reservations, struct reservation *reservation, enum reservation_end how,
        const char *reason)
{
    move(reservations, reservation, RESERVATION_ENDED);
    reservation->end = how;
    reservation->ended_us = clock_boottime_us();
    reservation->position = 0;
    snprintf(reservation->reason, sizeof(reservation->reason), "%s", reason);
    reservations->count--;
    reservations->ended_count++;
    reservation->account->reservations--;
    if (reservations->callbacks.ended)
        reservations->callbacks.ended(reservation, reservations->callbacks.context);
}

static void hold(struct reservations *reservations, struct reservation *reservation, uint64_t until_us)
{
    move(reservations, reservation, RESERVATION_HELD);
    reservation->until_us = until_us;
    reservation->position = 0;
    reservation->granted = true;
}

static void grant(struct reservations *reservations, struct reservation *reservation)
{
    reservation->seen_us = clock_boottime_us();
    hold(reservations, reservation, reservation->seen_us + reservation->duration_us);
    if (reservations->callbacks.granted)
        reservations->callbacks.granted(reservation, reservations->callbacks.context);
}

/* Places are counted anew each time, because hardware that comes and goes changes what conflicts. */
static void count_position(struct reservations *reservations, struct reservation *reservation)
{
    reservation->position = 1;
    for (const struct reservation *r = reservations->lists[RESERVATION_WAITING]; r != reservation;
            r = r->next)
        reservation->position += reservation_conflicts(r, reservation);
}

/* One pass in the order in which they came: whoever conflicts with none that is held or still waits before
 * it has its turn. */
static void give_turns(struct reservations *reservations)
{
    struct reservation *next;

    for (struct reservation *r = reservations->lists[RESERVATION_WAITING]; r; r = next) {
        next = r->next;
        count_position(reservations, r);
        if (r->position > 1 || find_conflict(reservations->lists[RESERVATION_HELD], r))
            continue;
        grant(reservations, r);
    }
}

static struct reservation_watch *find_news(struct reservations *reservations)
{
    struct reservation_watch *watch = reservations->watches;

    while (watch && watch->reservation->state == watch->state &&
            watch->reservation->position == watch->position)
        watch = watch->next;
    return watch;
}

static void unlink_watch(struct reservations *reservations, struct reservation_watch *watch)
{
    struct reservation_watch **link = &reservations->watches;

    while (*link != watch)
        link = &(*link)->next;
    *link = watch->next;
    watch->reservation->watches -= watch->by_holder;
    watch->reservation->seen_us = watch->by_holder ? clock_boottime_us() : watch->reservation->seen_us;
    watch->reservation = NULL;
}

static void forget_first(struct reservations *reservations, enum reservation_state state)
{
    struct reservation *first = reservations->lists[state];

    reservations->lists[state] = first->next;
    accounts_put(reservations->accounts, first->account);
    reservation_free(first);
}

static void forget_oldest(struct reservations *reservations)
{
    for (; reservations->ended_count > ENDED_KEPT; reservations->ended_count--)
        forget_first(reservations, RESERVATION_ENDED);
}

/* When it ends if nothing happens before; UINT64_MAX: not by itself. */
static uint64_t deadline_of(const struct reservations *reservations, const struct reservation *reservation)
{
    bool held = reservation->state == RESERVATION_HELD;
    uint64_t deadline_us = held ? reservation->until_us : UINT64_MAX;
    uint64_t unclaimed_us = reservation->seen_us + reservations->limits.unclaimed_us;

    if ((held && reservation->claimed) || reservation->watches > 0)
        return deadline_us;
    return deadline_us < unclaimed_us ? deadline_us : unclaimed_us;
}

static void set_timer(struct reservations *reservations)
{
    uint64_t first = UINT64_MAX;

    for (size_t state = 0; state < RESERVATION_ENDED; state++) {
        for (const struct reservation *r = reservations->lists[state]; r; r = r->next) {
            uint64_t deadline_us = deadline_of(reservations, r);

            first = deadline_us < first ? deadline_us : first;
        }
    }
    sd_event_source_set_time(reservations->timer, first);
    sd_event_source_set_enabled(reservations->timer, first == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void note_change(struct reservations *reservations)
{
    set_timer(reservations);
    if (reservations->callbacks.changed)
        reservations->callbacks.changed(reservations->callbacks.context);
}

/* Watches are told before what has ended is forgotten. */
static void settle(struct reservations *reservations)
{
    struct reservation_watch *watch;

    give_turns(reservations);
    while ((watch = find_news(reservations))) {
        unlink_watch(reservations, watch);
        watch->changed(watch);
    }
    forget_oldest(reservations);
    note_change(reservations);
}

static const char *why_over(
        const struct reservations *reservations, const struct reservation *reservation, uint64_t now_us)
{
    static const char *const reasons[STATES] = {
            [RESERVATION_WAITING] = "nobody asked for it any more while it waited",
            [RESERVATION_HELD] = "nobody asked for it when its turn had come"};

    if (deadline_of(reservations, reservation) > now_us)
        return NULL;
    if (reservation->state == RESERVATION_HELD && reservation->until_us <= now_us)
        return "";
    return reasons[reservation->state];
}

/* The timer may be early: what it was set for has been renewed since. */
static int handle_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct reservations *reservations = userdata;
    uint64_t now_us = clock_boottime_us();
    struct reservation *next;
    bool changed = false;

    (void)source;
    (void)usec;
    for (size_t state = 0; state < RESERVATION_ENDED; state++) {
        for (struct reservation *r = reservations->lists[state]; r; r = next) {
            const char *reason = why_over(reservations, r, now_us);

            next = r->next;
            if (!reason)
                continue;
            end(reservations, r, RESERVATION_EXPIRED, reason);
            changed = true;
        }
    }
    if (changed)
        settle(reservations);
    else
        set_timer(reservations);
    return 0;
}

int reservations_new(sd_event *event, struct accounts *accounts, const struct reservation_limits *limits,
        const struct reservation_callbacks *callbacks, struct reservations **ret_reservations)
{
    struct reservations *reservations = calloc(1, sizeof(*reservations));
    int r;

    if (!reservations)
        return -ENOMEM;
    reservations->accounts = accounts;
    reservations->limits = *limits;
    reservations->callbacks = *callbacks;
    r = sd_event_add_time(event, &reservations->timer, CLOCK_BOOTTIME, UINT64_MAX, TIMER_ACCURACY_US,
            handle_timer, reservations);
    /* Before requests: after the machine has slept, what is over is over for them. */
    if (r >= 0)
        r = sd_event_source_set_priority(reservations->timer, SD_EVENT_PRIORITY_IMPORTANT);
    if (r >= 0)
        r = sd_event_source_set_enabled(reservations->timer, SD_EVENT_OFF);
    if (r < 0) {
        reservations_free(reservations);
        return r;
    }
    *ret_reservations = reservations;
    return 0;
}

void reservations_free(struct reservations *reservations)
{
    if (!reservations)
        return;
    assert(!reservations->watches);
    for (size_t state = 0; state < STATES; state++) {
        while (reservations->lists[state])
            forget_first(reservations, state);
    }
    sd_event_source_disable_unref(reservations->timer);
    free(reservations);
}

/* Taking */

static int refuse_conflict(const struct reservation *wanted, const struct reservation *blocking,
        const struct reservation **ret_blocking, struct error *error)
{
    *ret_blocking = blocking;
    if (blocking->state == RESERVATION_WAITING)
        return error_set(error, -EUSERS,
                "%s is free, but %s waits for %s and comes first: wait too (\"wait\": true)", wanted->target,
                blocking->holder, blocking->target);
    return error_set(error, -EUSERS,
            "%s is reserved by %s (%s, for another %" PRIu64
            " s): wait for it (\"wait\": true), or ask its holder",
            wanted->target, blocking->holder, blocking->target, reservation_seconds_left(blocking));
}

static int check_limits(const struct reservations *reservations, const struct account *account,
        const struct reservation_wish *wish, struct error *error)
{
    if (wish->safe_write_count > 0 &&
            account->safe_writes + wish->safe_write_count > RESERVATION_SAFE_WRITES_PENDING)
        return error_set(error, -EDQUOT,
                "%s has %" PRIu64
                " safe-state writes that are still to be made, and with these it would be more than %d: try "
                "again when the devices have made them, or without \"safe_state\"",
                account->name, account->safe_writes, RESERVATION_SAFE_WRITES_PENDING);
    if (account->reservations >= reservations->limits.per_account)
        return error_set(error, -EDQUOT,
                "%s has %" PRIu64 " reservations, held and waiting, which is the most: release one",
                account->name, account->reservations);
    if (reservations->count >= reservations->limits.total)
        return error_set(error, -EAGAIN,
                "there are %zu reservations, held and waiting, which is the most: try again later",
                reservations->count);
    return 0;
}

/* From now on it counts; the account's reference is the reservation's. */
static void add(struct reservations *reservations, struct reservation *reservation, struct account *account)
{
    reservation->account = account;
    account->reservations++;
    reservations->count++;
    reservation->seen_us = clock_boottime_us();
    append(reservations, reservation);
}

static void take_over(
        struct reservations *reservations, const struct reservation *wanted, const char *reason)
{
    char text[sizeof(wanted->reason)];
    struct reservation *next;

    snprintf(text, sizeof(text), "%s: %s", wanted->holder, reason);
    for (struct reservation *r = reservations->lists[RESERVATION_HELD]; r; r = next) {
        next = r->next;
        if (reservation_conflicts(r, wanted))
            end(reservations, r, RESERVATION_TAKEN_OVER, text);
    }
}

int reservations_take(struct reservations *reservations, const struct reservation_wish *wish,
        struct reservation **ret_reservation, const struct reservation **ret_blocking, struct error *error)
{
    _cleanup_(reservation_freep) struct reservation *wanted = reservation_new(wish);
    const struct reservation *blocking;
    struct account *account;
    int r;

    if (!wanted)
        return error_set(error, -ENOMEM, "out of memory: try again");
    blocking = find_conflict(reservations->lists[RESERVATION_HELD], wanted);
    if (!blocking)
        blocking = find_conflict(reservations->lists[RESERVATION_WAITING], wanted);
    if (blocking && !wish->wait && !wish->takeover)
        return refuse_conflict(wanted, blocking, ret_blocking, error);
    account = accounts_get(reservations->accounts, wish->holder);
    if (!account)
        return error_set(error, -ENOMEM, "out of memory: try again");
    r = check_limits(reservations, account, wish, error);
    if (r < 0) {
        accounts_put(reservations->accounts, account);
        return r;
    }
    if (wish->takeover)
        take_over(reservations, wanted, wish->takeover);
    add(reservations, wanted, account);
    wanted->claimed = !blocking || wish->takeover;
    if (wanted->claimed)
        grant(reservations, wanted);
    else
        count_position(reservations, wanted);
    *ret_reservation = take_ptr(wanted);
    if (wish->takeover)
        settle(reservations);
    else
        note_change(reservations);
    return 0;
}

static int check_mine(const struct reservation *reservation, const char *principal, bool is_admin,
        const char *verb, struct error *error)
{
    char text[RESERVATION_END_TEXT];

    if (strcmp(reservation->holder, principal) != 0 && !is_admin)
        return error_set(error, -EPERM, "%s is %s's reservation: %s can't %s it", reservation->id,
                reservation->holder, principal, verb);
    if (reservation->state == RESERVATION_ENDED)
        return error_set(error, -ESTALE, "%s of %s %s: reserve it again", reservation->id,
                reservation->target, reservation_end_text(reservation, text));
    return 0;
}

int reservations_renew(struct reservations *reservations, struct reservation *reservation,
        const char *principal, uint64_t duration_us, struct error *error)
{
    int r = check_mine(reservation, principal, false, "renew", error);

    if (r < 0)
        return r;
    if (duration_us)
        reservation->duration_us = duration_us;
    if (reservation->state == RESERVATION_HELD)
        reservation->until_us = clock_boottime_us() + reservation->duration_us;
    reservations_touch(reservations, reservation, UINT64_MAX);
    note_change(reservations);
    return 0;
}

int reservations_release(struct reservations *reservations, struct reservation *reservation,
        const char *principal, bool is_admin, struct error *error)
{
    char reason[sizeof(reservation->reason)] = "";
    int r = check_mine(reservation, principal, is_admin, "release", error);

    if (r < 0)
        return r;
    if (strcmp(reservation->holder, principal) != 0)
        snprintf(reason, sizeof(reason), "by %s", principal);
    end(reservations, reservation, RESERVATION_RELEASED, reason);
    settle(reservations);
    return 0;
}

static void end_all(struct reservations *reservations,
        bool (*is_meant)(const struct reservation *reservation, const void *context), const void *context,
        bool make_safe, const char *reason)
{
    struct reservation *next;
    bool changed = false;

    for (size_t state = 0; state < RESERVATION_ENDED; state++) {
        for (struct reservation *r = reservations->lists[state]; r; r = next) {
            next = r->next;
            if (!is_meant(r, context))
                continue;
            if (!make_safe)
                r->safe_write_count = 0;
            end(reservations, r, RESERVATION_REVOKED, reason);
            changed = true;
        }
    }
    if (changed)
        settle(reservations);
}

static bool is_of_holder(const struct reservation *reservation, const void *holder)
{
    return strcmp(reservation->holder, holder) == 0;
}

void reservations_revoke(struct reservations *reservations, const char *holder, const char *reason)
{
    end_all(reservations, is_of_holder, holder, true, reason);
}

void reservations_drop(struct reservations *reservations,
        bool (*is_void)(const struct reservation *reservation, const void *context), const void *context,
        const char *reason)
{
    end_all(reservations, is_void, context, false, reason);
}

void reservations_touch(
        struct reservations *reservations, struct reservation *reservation, uint64_t latest_us)
{
    reservation->seen_us = clock_boottime_us();
    if (reservation->state != RESERVATION_HELD)
        return;
    reservation->claimed = true;
    if (reservation->until_us <= latest_us)
        return; /* the timer may be early */
    reservation->until_us = latest_us;
    note_change(reservations);
}

/* Watching */

void reservations_watch(struct reservations *reservations, struct reservation *reservation, bool by_holder,
        struct reservation_watch *watch)
{
    assert(reservation->state != RESERVATION_ENDED);
    watch->reservation = reservation;
    watch->by_holder = by_holder;
    watch->state = reservation->state;
    watch->position = reservation->position;
    watch->next = reservations->watches;
    reservations->watches = watch;
    reservation->watches += by_holder;
}

void reservations_unwatch(struct reservations *reservations, struct reservation_watch *watch)
{
    if (!watch->reservation)
        return;
    unlink_watch(reservations, watch);
    set_timer(reservations);
}

void reservations_wake(struct reservations *reservations)
{
    while (reservations->watches) {
        struct reservation_watch *watch = reservations->watches;

        unlink_watch(reservations, watch);
        watch->changed(watch);
    }
    set_timer(reservations);
}

/* Over a restart */

int reservations_restore(struct reservations *reservations, const struct reservation_wish *wish,
        const char *id, uint64_t until_us, struct error *error)
{
    _cleanup_(reservation_freep) struct reservation *restored = reservation_new(wish);
    const struct reservation *blocking;
    struct account *account;

    if (!restored)
        return error_set(error, -ENOMEM, "out of memory");
    snprintf(restored->id, sizeof(restored->id), "%s", id);
    if (reservations_find(reservations, id))
        return error_set(error, -EEXIST, "there is another of this id");
    blocking = find_conflict(reservations->lists[RESERVATION_HELD], restored);
    if (until_us && blocking)
        return error_set(error, -EUSERS, "%s holds %s already", blocking->holder, blocking->target);
    account = accounts_get(reservations->accounts, wish->holder);
    if (!account)
        return error_set(error, -ENOMEM, "out of memory");
    add(reservations, restored, account);
    if (until_us)
        hold(reservations, restored, until_us);
    restored->claimed = until_us;
    take_ptr(restored);
    return 0;
}

void reservations_settle(struct reservations *reservations)
{
    settle(reservations);
}

int reservations_require(
        const struct reservations *reservations, const char *principal, const char *id, struct error *error)
{
    const struct reservation *reservation = reservations_find(reservations, id);
    char text[RESERVATION_END_TEXT];

    if (!reservation)
        return error_set(error, -EUSERS,
                "there is no reservation %.32s, or it ended long ago: nothing was done in its name", id);
    if (strcmp(reservation->holder, principal) != 0)
        return error_set(error, -EUSERS, "%s is %s's reservation, not one of %s", reservation->id,
                reservation->holder, principal);
    if (reservation->state == RESERVATION_ENDED)
        return error_set(error, -EUSERS, "%s of %s %s: nothing was done in its name", reservation->id,
                reservation->target, reservation_end_text(reservation, text));
    if (reservation->state == RESERVATION_WAITING)
        return error_set(error, -EUSERS, "%s still waits for %s: nothing was done in its name",
                reservation->id, reservation->target);
    return 0;
}
