/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reservations as the API shows them, and what is done with one: awaited, renewed, released. */
#include "api/reservations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/arguments.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include "core/access.h"
#include "util/clock.h"
#include "util/json_writer.h"

enum {
    WAIT_SECONDS_MOST = 60,

    /* A client that goes away while it waits is noticed so soon. */
    LOOK_US = 1000000,
};

/* What the principal may see */

static bool is_holder(const struct call *call, const struct reservation *reservation)
{
    return strcmp(reservation->holder, call->principal->name) == 0;
}

static bool may_see(
        const struct call *call, const struct reservation *reservation, const struct region *region)
{
    struct access_decision decision;

    return is_holder(call, reservation) ||
           access_may(call->daemon->access, call->principal, PERMISSION_LIST, region, &decision);
}

static bool may_see_any(const struct call *call, const struct reservation *reservation)
{
    for (size_t i = 0; i < reservation->window_count; i++) {
        if (may_see(call, reservation, reservation->windows[i].region))
            return true;
    }
    return false;
}

uint64_t reservations_last(const struct reservation_window *window)
{
    const struct backend_region *handle = window->region->handle;

    return window->last == UINT64_MAX && handle ? handle->size - 1 : window->last;
}

/* Writing */

static void write_window(struct json_writer *writer, const struct reservation_window *window)
{
    uint64_t last = reservations_last(window);

    json_begin_object(writer, NULL);
    json_put_string(writer, "region", region_name(window->region));
    json_put_hex(writer, "offset", window->first);
    if (last == UINT64_MAX)
        json_put_string(writer, "length", NULL); /* all there is, once it is there */
    else
        json_put_hex(writer, "length", last - window->first + 1);
    json_end_object(writer);
}

static void write_safe_write(struct json_writer *writer, const struct safe_write *write)
{
    json_begin_object(writer, NULL);
    json_put_string(writer, "region", region_name(write->region));
    json_put_hex(writer, "offset", write->offset);
    json_put_count(writer, "width", write->width * 8);
    json_put_value(writer, "value", write->value, write->width * 8);
    json_end_object(writer);
}

static void write_hardware(
        struct json_writer *writer, const struct call *call, const struct reservation *reservation)
{
    json_begin_array(writer, "windows");
    for (size_t i = 0; i < reservation->window_count; i++) {
        if (may_see(call, reservation, reservation->windows[i].region))
            write_window(writer, &reservation->windows[i]);
    }
    json_end_array(writer);
    json_begin_array(writer, "safe_state");
    for (size_t i = 0; i < reservation->safe_write_count; i++) {
        if (may_see(call, reservation, reservation->safe_writes[i].region))
            write_safe_write(writer, &reservation->safe_writes[i]);
    }
    json_end_array(writer);
}

static void write_reservation(
        struct json_writer *writer, const struct call *call, const struct reservation *reservation)
{
    json_begin_object(writer, NULL);
    json_put_string(writer, "id", reservation->id);
    json_put_string(writer, "state", reservation_state_name(reservation->state));
    json_put_string(writer, "mode", reservation->exclusive ? "exclusive" : "shared");
    json_put_string(writer, "target", reservation->target);
    json_put_string(writer, "holder", reservation->holder);
    if (reservation->note[0])
        json_put_string(writer, "note", reservation->note);
    if (reservation->contact[0])
        json_put_string(writer, "contact", reservation->contact);
    json_put_count(writer, "seconds", reservation->duration_us / 1000000);
    if (reservation->state == RESERVATION_HELD)
        json_put_count(writer, "until_seconds", reservation_seconds_left(reservation));
    if (reservation->state == RESERVATION_WAITING)
        json_put_count(writer, "position", reservation->position);
    if (reservation->state == RESERVATION_ENDED) {
        json_put_string(writer, "ended", reservation_end_name(reservation->end));
        json_put_count(writer, "ended_seconds", (clock_boottime_us() - reservation->ended_us) / 1000000);
        if (reservation->reason[0])
            json_put_string(writer, "reason", reservation->reason);
    }
    write_hardware(writer, call, reservation);
    json_end_object(writer);
}

static void answer(struct call *call, const struct reservation *reservation, unsigned status)
{
    struct json_writer writer = json_writer(&call->reply);

    write_reservation(&writer, call, reservation);
    call_answer_json_status(call, status);
}

/* CLOCK_BOOTTIME: when the principal is not valid any more, which its hold must not outlive. */
static uint64_t end_of(const struct principal *principal)
{
    uint64_t now = (uint64_t)time(NULL), left = principal->expires > now ? principal->expires - now : 0;

    if (principal->expires == 0 || left > RESERVATION_SECONDS_MOST)
        return UINT64_MAX;
    return clock_boottime_us() + left * 1000000;
}

void reservations_answer(struct call *call, struct reservation *reservation, unsigned status)
{
    if (is_holder(call, reservation))
        reservations_touch(call->daemon->reservations, reservation, end_of(call->principal));
    answer(call, reservation, status);
}

static void write_list(struct json_writer *writer, const struct call *call, enum reservation_state state)
{
    for (const struct reservation *r = reservations_first(call->daemon->reservations, state); r;
            r = r->next) {
        if (may_see_any(call, r))
            write_reservation(writer, call, r);
    }
}

void reservations_list(struct call *call)
{
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "reservations");
    write_list(&writer, call, RESERVATION_HELD);
    write_list(&writer, call, RESERVATION_WAITING);
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}

/* One by its id. What may not be seen is not there. NULL when there is none. */
static struct reservation *find(const struct call *call, struct error *error)
{
    const char *id = call->parameters[0];
    struct reservation *reservation = reservations_find(call->daemon->reservations, id);

    if (reservation && may_see_any(call, reservation))
        return reservation;
    error_set(error, -ENOENT,
            "there is no reservation '%.64s', or it ended long ago: /v1/reservations lists them", id);
    return NULL;
}

/* Awaiting a change */

struct poll {
    struct call_wait wait;
    struct reservation_watch watch;
    struct call *call;
    struct reservation *reservation;
    sd_event_source *timer;
    uint64_t until_us; /* monotonic */
};

static void end_poll(struct poll *poll)
{
    reservations_unwatch(poll->call->daemon->reservations, &poll->watch);
    sd_event_source_disable_unref(poll->timer);
    poll->call->wait = NULL;
    free(poll);
}

static void cancel_poll(struct call_wait *wait)
{
    end_poll(container_of(wait, struct poll, wait));
}

static bool has_left(const struct call *call)
{
    return call->client_left && call->client_left(call);
}

/* Whoever has gone away must not be taken for one who knows that it is his turn now. */
static void finish_poll(struct poll *poll)
{
    struct reservation *reservation = poll->reservation;
    struct call *call = poll->call;

    end_poll(poll);
    if (has_left(call))
        answer(call, reservation, 200);
    else
        reservations_answer(call, reservation, 200);
}

static void handle_change(struct reservation_watch *watch)
{
    finish_poll(container_of(watch, struct poll, watch));
}

static int handle_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct poll *poll = userdata;
    uint64_t now_us = clock_now_us(), next_us = now_us + LOOK_US;

    (void)usec;
    if (now_us >= poll->until_us || has_left(poll->call)) {
        finish_poll(poll);
        return 0;
    }
    sd_event_source_set_time(source, next_us < poll->until_us ? next_us : poll->until_us);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int begin_poll(
        struct call *call, struct reservation *reservation, uint64_t seconds, struct error *error)
{
    struct poll *poll = calloc(1, sizeof(*poll));
    uint64_t now_us = clock_now_us();
    int r;

    if (!poll)
        return error_set(error, -ENOMEM, "out of memory: try again");
    r = sd_event_add_time(
            call->daemon->event, &poll->timer, CLOCK_MONOTONIC, now_us + LOOK_US, 1000, handle_look, poll);
    if (r < 0) {
        free(poll);
        return error_set(error, -ENOMEM, "no timer: %s: try again", strerror(-r));
    }
    poll->call = call;
    poll->reservation = reservation;
    poll->until_us = now_us + seconds * 1000000;
    poll->watch.changed = handle_change;
    poll->wait.cancel = cancel_poll;
    call->wait = &poll->wait;
    reservations_watch(call->daemon->reservations, reservation, is_holder(call, reservation), &poll->watch);
    return 0;
}

static int parse_wait(const struct call *call, uint64_t *ret_seconds, enum reservation_state *ret_state,
        struct error *error)
{
    const char *state = arguments_find(call, "state");
    int r = arguments_number(call, "wait", ret_seconds, error);

    if (r < 0)
        return r;
    if (arguments_find(call, "wait") && (*ret_seconds == 0 || *ret_seconds > WAIT_SECONDS_MOST))
        return error_set(error, -EINVAL, "wait=%" PRIu64 " is outside 1 to %d: ask again after that time",
                *ret_seconds, WAIT_SECONDS_MOST);
    if (!state)
        return 0;
    if (!arguments_find(call, "wait"))
        return error_set(error, -EINVAL, "state=%.32s says what to wait with: add wait=SECONDS", state);
    if (strcmp(state, "held") != 0 && strcmp(state, "waiting") != 0)
        return error_set(error, -EINVAL, "state='%.32s' is neither held nor waiting", state);
    *ret_state = strcmp(state, "held") == 0 ? RESERVATION_HELD : RESERVATION_WAITING;
    return 0;
}

void reservations_get(struct call *call)
{
    enum reservation_state state = RESERVATION_WAITING;
    struct reservation *reservation = NULL;
    uint64_t seconds = 0;
    struct error error;

    if (parse_wait(call, &seconds, &state, &error) == 0)
        reservation = find(call, &error);
    if (reservation && (seconds == 0 || reservation->state != state || call->daemon->draining))
        reservations_answer(call, reservation, 200);
    else if (!reservation || begin_poll(call, reservation, seconds, &error) < 0)
        call_fail(call, &error);
}

/* Renewing and releasing */

int reservations_seconds(const json_t *value, uint64_t *ret_duration_us, struct error *error)
{
    json_int_t seconds = json_integer_value(value);

    if (!value)
        return 0;
    if (!json_is_integer(value) || seconds < 1 || seconds > RESERVATION_SECONDS_MOST)
        return error_set(
                error, -EINVAL, "\"seconds\" is not a number from 1 to %d", RESERVATION_SECONDS_MOST);
    *ret_duration_us = (uint64_t)seconds * 1000000;
    return 0;
}

static int parse_renewal(const struct call *call, uint64_t *ret_duration_us, struct error *error)
{
    json_auto_t *body = NULL;
    int r = json_body_parse(call, "seconds", &body, error);

    return r < 0 ? r : reservations_seconds(json_object_get(body, "seconds"), ret_duration_us, error);
}

int reservations_check(const struct call *call, const struct reservation_window *windows,
        size_t window_count, enum permission permission, struct error *error)
{
    const struct daemon *daemon = call->daemon;
    struct access_decision decision;

    for (size_t i = 0; i < window_count; i++) {
        const struct reservation_window *window = &windows[i];

        if (!access_may_range(daemon->access, daemon->inventory, call->principal, permission, window->region,
                    window->first, reservations_last(window), &decision))
            return access_refuse(call->principal, permission, window->region, &decision, error);
    }
    return 0;
}

/* The rules may be others than when it was taken: it outlives a restart. */
static int renew(
        struct call *call, struct reservation *reservation, uint64_t duration_us, struct error *error)
{
    int r = is_holder(call, reservation) ? reservations_check(call, reservation->windows,
                                                   reservation->window_count, PERMISSION_RESERVE, error)
                                         : 0;

    if (r < 0)
        return r;
    return reservations_renew(
            call->daemon->reservations, reservation, call->principal->name, duration_us, error);
}

void reservations_put(struct call *call)
{
    struct reservation *reservation = NULL;
    uint64_t duration_us = 0;
    struct error error;

    if (parse_renewal(call, &duration_us, &error) == 0)
        reservation = find(call, &error);
    if (!reservation || renew(call, reservation, duration_us, &error) < 0)
        call_fail(call, &error);
    else
        reservations_answer(call, reservation, 200);
}

static bool is_admin_of(const struct call *call, const struct reservation *reservation)
{
    struct error error;

    return reservations_check(
                   call, reservation->windows, reservation->window_count, PERMISSION_ADMIN, &error) == 0;
}

void reservations_delete(struct call *call)
{
    struct error error;
    struct reservation *reservation = find(call, &error);

    if (!reservation || reservations_release(call->daemon->reservations, reservation, call->principal->name,
                                !is_holder(call, reservation) && is_admin_of(call, reservation), &error) < 0)
        call_fail(call, &error);
    else
        answer(call, reservation, 200);
}
