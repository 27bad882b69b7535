/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The position moves on with the ids of events and with the comments that the daemon sends in between, which
 * hold for events that this subscription is not about. A connection on which nothing came for three
 * heartbeats is dead, whatever the network says. */
#include "subscription.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "output.h"
#include "util/clock.h"
#include "util/number.h"

#define SECOND_US UINT64_C(1000000)

enum {
    EVENT_LIMIT = 64 * 1024, /* octets of a line, or an event */
    HEARTBEATS = 3,          /* that may be missing */
    CONNECT_MS = 30000,
    PAUSE_LEAST_MS = 200,
    PAUSE_MOST_MS = 5000,
};

/* --- Positions --- */

enum { IDENTITY_DIGITS = 16 };

/* Reads "4fa1000000000000-17"; what is none must never be sent back to the daemon. */
static bool read_position(const char *text, uint64_t *ret_sequence)
{
    const char *digits;

    if (strspn(text, "0123456789abcdefABCDEF") != IDENTITY_DIGITS || text[IDENTITY_DIGITS] != '-')
        return false;
    digits = text + IDENTITY_DIGITS + 1;
    return strlen(text) < POSITION_SIZE && *digits && strspn(digits, "0123456789") == strlen(digits) &&
           number_parse(digits, ret_sequence) == 0;
}

/* The daemon sends nothing twice; something between it and here may. */
static bool is_repeated(const struct subscription *subscription, const struct stream_event *event)
{
    uint64_t sequence, last;

    return event->has_id && read_position(event->id, &sequence) &&
           read_position(subscription->last_id, &last) &&
           memcmp(event->id, subscription->last_id, IDENTITY_DIGITS) == 0 && sequence <= last;
}

static void keep_position(char position[POSITION_SIZE], const char *text)
{
    uint64_t sequence;

    if (read_position(text, &sequence))
        memcpy(position, text, strlen(text) + 1);
}

/* --- While connected --- */

static int finish(struct subscription *subscription, int result)
{
    if (result == 0)
        return 0;
    subscription->done = true;
    subscription->result = result < 0 ? -1 : 0;
    return -ECANCELED;
}

static int take_event(void *context, const struct stream_event *event)
{
    struct subscription *subscription = context;
    int r = 0;

    if (is_repeated(subscription, event))
        return 0;
    if (event->data)
        r = subscription->event(subscription->context, event, subscription->failure);
    if (event->has_id && r >= 0) {
        keep_position(subscription->last_id, event->id);
        keep_position(subscription->position, event->id);
    }
    return finish(subscription, r);
}

/* "devreg POSITION" when the daemon has answered, then "POSITION". Where the daemon begins is only taken
 * when it is not known yet: a "lost" may follow, and if that got lost in turn nobody would hear of it. */
static int take_comment(void *context, const char *text)
{
    static const char greeting[] = "devreg ";
    struct subscription *subscription = context;

    if (strncmp(text, greeting, sizeof(greeting) - 1) != 0) {
        keep_position(subscription->position, text);
        return 0;
    }
    if (!*subscription->position)
        keep_position(subscription->position, text + sizeof(greeting) - 1);
    subscription->subscribed = true;
    subscription->began_us = clock_boottime_us();
    if (subscription->lost)
        output_note("%s is back", subscription->call->connection.host.text);
    subscription->lost = false;
    return 0;
}

static int take_octets(void *context, const char *data, size_t size)
{
    struct subscription *subscription = context;
    struct error error;
    int r;

    r = event_stream_feed(&subscription->stream, data, size, &error);
    /* Whoever reads the output may have made it wait. */
    subscription->heard_us = clock_boottime_us();
    if (r < 0 && r != -ECANCELED)
        finish(subscription, failure_set(subscription->failure, EXIT_CODE_OTHER, "%s: %s",
                                     subscription->call->connection.host.text, error.message));
    return r;
}

static uint64_t silence_us(const struct subscription *subscription)
{
    return HEARTBEATS * subscription->heartbeat_seconds * SECOND_US;
}

static int attend(void *context)
{
    struct subscription *subscription = context;
    uint64_t dead_us = subscription->heard_us + silence_us(subscription);
    int r = finish(subscription, subscription->attend(subscription->context, subscription->failure));

    if (r < 0)
        return r;
    subscription->watch.fd = subscription->fd;
    subscription->watch.wake_us =
            subscription->wake_us && subscription->wake_us < dead_us ? subscription->wake_us : dead_us;
    return clock_boottime_us() >= dead_us ? -ETIMEDOUT : 0;
}

/* One connection, until it breaks. Returns 0 when the subscription is done, else -1 with the failure filled.
 */
static int follow(struct subscription *subscription, bool *ret_final, struct failure *failure)
{
    static const char content_type[] = "text/event-stream";
    const struct event_stream_handler handler = {take_event, take_comment, subscription};
    const struct http_stream sink = {
            .content_type = content_type, .take = take_octets, .context = subscription};
    struct connection *connection = &subscription->call->connection;
    int r;

    event_stream_init(&subscription->stream, &handler, EVENT_LIMIT);
    subscription->heard_us = clock_boottime_us();
    subscription->began_us = 0;
    connection->watch = &subscription->watch;
    r = connection_follow(connection, subscription->path,
            *subscription->position ? subscription->position : NULL, &sink, ret_final, failure);
    connection->watch = NULL;
    event_stream_done(&subscription->stream);
    if (subscription->done)
        return 0;
    if (r == 0)
        return failure_set(
                failure, EXIT_CODE_NO_CONNECTION, "%s ended the connection", connection->host.text);
    if (failure->code == EXIT_CODE_TIMEOUT && failure->status == 0)
        return failure_set(failure, subscription->subscribed ? EXIT_CODE_NO_CONNECTION : EXIT_CODE_TIMEOUT,
                "%s said nothing for %" PRIu64 " seconds", connection->host.text,
                silence_us(subscription) / SECOND_US);
    if (subscription->subscribed && !*ret_final && failure->status == 0)
        return failure_set(failure, EXIT_CODE_NO_CONNECTION, "%s", failure_detail(failure));
    return r;
}

/* --- In between --- */

/* A daemon that is there again soon is asked soon; one that throws everybody out at once is not pestered. */
static unsigned next_pause_ms(struct subscription *subscription)
{
    uint64_t held_us = subscription->began_us ? clock_boottime_us() - subscription->began_us : 0;

    if (subscription->pause_ms == 0 || held_us >= PAUSE_MOST_MS * UINT64_C(1000))
        subscription->pause_ms = PAUSE_LEAST_MS;
    else if (subscription->pause_ms < PAUSE_MOST_MS / 2)
        subscription->pause_ms *= 2;
    else
        subscription->pause_ms = PAUSE_MOST_MS;
    return subscription->pause_ms;
}

static void pause_until(struct subscription *subscription, uint64_t moment_us)
{
    while (finish(subscription, subscription->attend(subscription->context, subscription->failure)) == 0) {
        struct pollfd extra = {.events = POLLIN};
        uint64_t now_us = clock_boottime_us();
        uint64_t wake_us = now_us + SECOND_US;

        if (now_us >= moment_us)
            return;
        if (moment_us < wake_us)
            wake_us = moment_us;
        if (subscription->wake_us && subscription->wake_us < wake_us)
            wake_us = subscription->wake_us;
        extra.fd = subscription->fd;
        poll(&extra, 1, wake_us > now_us ? (int)((wake_us - now_us) / 1000) + 1 : 0);
    }
}

static void note_loss(struct subscription *subscription, const struct failure *failure)
{
    if (!subscription->lost)
        output_note("the connection to %s is lost, trying to get it back: %s",
                subscription->call->connection.host.text, failure_detail(failure));
    subscription->lost = true;
}

int subscription_run(struct subscription *subscription, struct failure *failure)
{
    unsigned connect_ms = HEARTBEATS * 1000 * subscription->heartbeat_seconds;

    subscription->failure = failure;
    if (subscription->since)
        keep_position(subscription->position, subscription->since);
    subscription->watch =
            (struct http_watch){.fd = subscription->fd, .attend = attend, .context = subscription};
    subscription->call->connection.timeout_ms = connect_ms < CONNECT_MS ? connect_ms : CONNECT_MS;
    while (!subscription->done) {
        _cleanup_failure_ struct failure broken = {0};
        bool final = false;

        if (follow(subscription, &final, &broken) == 0)
            break;
        if (final || subscription->once || !subscription->subscribed) {
            failure_move(failure, &broken);
            return -1;
        }
        note_loss(subscription, &broken);
        pause_until(subscription, clock_boottime_us() + next_pause_ms(subscription) * UINT64_C(1000));
    }
    return subscription->result;
}
