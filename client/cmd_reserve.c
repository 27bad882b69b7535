/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl reserve TARGET [-- COMMAND...]: takes a reservation, after waiting for it when that is wanted,
 * and hands it to whoever keeps it. Whatever asks devregctl to end before that gives it back first. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "http.h"
#include "keeper.h"
#include "output.h"
#include "reservation.h"
#include "target.h"
#include "text.h"
#include "util/clock.h"
#include "values.h"

#define SECOND_US UINT64_C(1000000)

enum {
    POLL_SECONDS = 30,     /* that the daemon lets a question wait */
    PATIENCE_SECONDS = 30, /* without any answer; the daemon forgets who does not ask for so long */
    ASK_SECONDS = 2,       /* more for the first answer, when asked to end: it has the reservation's id */
    SAFE_WIDTH = 32,
};

struct taking {
    struct call *call;
    struct signals *signals;
    const struct target *target;
    json_t *reservation; /* what is known of it; NULL before the first answer */
    uint64_t since_us;   /* when the hold is sure to have lasted no longer than the last answer says */
    uint64_t give_up_us; /* 0: never */
    uint64_t signal_us;
    int signal; /* that asks to end; 0: none */
    unsigned position;
};

/* --- What is asked for --- */

static int put_safe(struct json_writer *writer, const char *text, unsigned width, struct failure *failure)
{
    const char *equals = strrchr(text, '=');
    _cleanup_free_ char *left = strndup(text, equals ? (size_t)(equals - text) : 0);
    _cleanup_place_ struct place place = {0};
    struct error error;
    uint64_t value;
    int r;

    if (!left)
        return failure_set(failure, EXIT_CODE_OTHER, "out of memory");
    if (!equals)
        return failure_set(failure, EXIT_CODE_USAGE,
                "--safe: \"%s\" is not PLACE=VALUE, as edu:0x20=0x0: what to write when the hold ends",
                text);
    r = parse_single_place(left, "--safe", &place, failure);
    if (r < 0)
        return r;
    if (place.name)
        return failure_set(failure, EXIT_CODE_USAGE, "--safe: %s: write REGION:0xOFFSET=VALUE", text);
    if (value_parse(equals + 1, &value, &error) < 0)
        return failure_set_error(failure, EXIT_CODE_USAGE, &error);
    json_begin_object(writer, NULL);
    json_put_string(writer, "region", place.region);
    json_put_hex(writer, "offset", place.offset);
    json_put_count(writer, "width", width ? width : SAFE_WIDTH);
    json_put_hex(writer, "value", value);
    json_end_object(writer);
    return 0;
}

static void put_text(struct json_writer *writer, const char *key, const char *text)
{
    if (text)
        json_put_string(writer, key, text);
}

static int put_wish(
        struct buffer *body, const struct call *call, const struct target *target, struct failure *failure)
{
    const struct options *options = call->options;
    struct json_writer writer = json_writer(body);
    int r = 0;

    json_begin_object(&writer, NULL);
    target_write(target, &writer);
    if (options_have(options, OPTION_SHARED))
        json_put_string(&writer, "mode", "shared");
    if (options->for_seconds > 0)
        json_put_count(&writer, "seconds", options->for_seconds);
    put_text(&writer, "note", options->note);
    put_text(&writer, "contact", options->contact);
    put_text(&writer, "takeover", options->takeover);
    if (options_have(options, OPTION_WAIT))
        json_put_bool(&writer, "wait", true);
    if (options->safes.count > 0)
        json_begin_array(&writer, "safe_state");
    for (unsigned i = 0; r == 0 && i < options->safes.count; i++)
        r = put_safe(&writer, options->safes.words[i], options->width, failure);
    if (options->safes.count > 0)
        json_end_array(&writer);
    json_end_object(&writer);
    return r;
}

/* --- Taking and waiting --- */

static const char *id_of(const struct taking *taking)
{
    return member_text(taking->reservation, "id", "");
}

/* The first answer is waited for a little longer: without the id nothing can be given back. */
static int attend(void *context)
{
    struct taking *taking = context;
    struct signalfd_siginfo signal;

    while (signals_next(taking->signals, &signal)) {
        if (!taking->signal)
            taking->signal_us = clock_boottime_us();
        taking->signal = (int)signal.ssi_signo;
    }
    if (!taking->signal)
        return 0;
    if (!taking->reservation && clock_boottime_us() < taking->signal_us + ASK_SECONDS * SECOND_US)
        return 0;
    return -ECANCELED;
}

static int ask(struct taking *taking, const struct buffer *body, struct failure *failure)
{
    taking->since_us = clock_boottime_us();
    return reservation_take(taking->call, body, &taking->reservation, failure);
}

static void show_position(struct taking *taking)
{
    unsigned position = count_from_json(json_object_get(taking->reservation, "position"), INT32_MAX);

    if (position == taking->position)
        return;
    taking->position = position;
    if (position > 0 && isatty(STDERR_FILENO)) {
        fputs("devregctl: waiting for ", stderr);
        text_write_safe(stderr, taking->target->text);
        fprintf(stderr, ": place %u in the queue\n", position);
    }
}

static void pause_for_signals(struct taking *taking, int milliseconds)
{
    struct pollfd signals = {.fd = taking->signals->fd, .events = POLLIN};

    poll(&signals, 1, milliseconds);
    attend(taking);
}

/* How long the next question may wait, at least a second; 0: no longer at all. */
static unsigned wait_seconds(const struct taking *taking)
{
    uint64_t now_us = clock_boottime_us();
    uint64_t left;

    if (!taking->give_up_us)
        return POLL_SECONDS;
    if (now_us >= taking->give_up_us)
        return 0;
    left = (taking->give_up_us - now_us + SECOND_US - 1) / SECOND_US;
    return left < POLL_SECONDS ? (unsigned)left : POLL_SECONDS;
}

/* One question of how it stands. Passing failures are passed over for some time. */
static int ask_again(struct taking *taking, unsigned seconds, uint64_t *heard_us, struct failure *failure)
{
    struct connection *connection = &taking->call->connection;
    uint64_t asked_us = clock_boottime_us();
    json_t *answer = NULL;
    uint64_t now_us;
    int r;

    connection->timeout_ms = taking->call->options->timeout_ms + seconds * 1000;
    r = reservation_get(taking->call, id_of(taking), seconds, &answer, failure);
    now_us = clock_boottime_us();
    if (taking->signal)
        r = 0;
    if (answer) {
        json_decref(taking->reservation);
        taking->reservation = answer;
        taking->since_us = now_us;
        *heard_us = now_us;
    } else if (r < 0 &&
               (!failure_is_passing(failure) || now_us > *heard_us + PATIENCE_SECONDS * SECOND_US)) {
        return r;
    }
    /* Nor does a daemon that never lets anybody wait get asked all the time. */
    if (!taking->signal && reservation_is(taking->reservation, "waiting") &&
            now_us < asked_us + SECOND_US / 10)
        pause_for_signals(taking, 1000);
    return 0;
}

static int wait_for_turn(struct taking *taking, struct failure *failure)
{
    uint64_t heard_us = clock_boottime_us();
    int r;

    while (!taking->signal && reservation_is(taking->reservation, "waiting")) {
        unsigned seconds = wait_seconds(taking);

        show_position(taking);
        if (seconds == 0)
            return failure_set(failure, EXIT_CODE_TIMEOUT, "%s was not free in time; others hold it still",
                    taking->target->text);
        r = ask_again(taking, seconds, &heard_us, failure);
        if (r < 0)
            return r;
    }
    if (taking->signal || reservation_is(taking->reservation, "held"))
        return 0;
    return failure_set(failure, EXIT_CODE_CONFLICT, "the place in the queue for %s is lost: %s",
            taking->target->text,
            member_text(taking->reservation, "reason",
                    member_text(taking->reservation, "ended", "the daemon does not say why")));
}

/* Takes it and waits for it. On success it is held, or a signal asks to end. */
static int take(struct taking *taking, const struct buffer *body, struct failure *failure)
{
    uint64_t limit = taking->call->options->wait_seconds;
    int r;

    if (limit > 0)
        taking->give_up_us = clock_boottime_us() + limit * SECOND_US;
    r = ask(taking, body, failure);
    if (taking->signal && !taking->reservation)
        return 0;
    if (r < 0)
        return r;
    if (!options_have(taking->call->options, OPTION_WAIT) && !reservation_is(taking->reservation, "held"))
        return fail_unexpected(taking->call, "a reservation that is not held", failure);
    return wait_for_turn(taking, failure);
}

static int hand_over(struct taking *taking, json_t **ret_result, struct failure *failure)
{
    if (taking->call->command)
        return keeper_run(taking->call, taking->signals, taking->reservation, taking->since_us, failure);
    *ret_result = json_incref(taking->reservation);
    return 0;
}

static int reserve(
        struct taking *taking, const struct buffer *body, json_t **ret_result, struct failure *failure)
{
    const struct http_watch watch = {.fd = taking->signals->fd, .attend = attend, .context = taking};
    int r;

    taking->call->connection.watch = &watch;
    r = take(taking, body, failure);
    taking->call->connection.watch = NULL;
    if (r == 0)
        attend(taking); /* what came with the last answer */
    if (r == 0 && !taking->signal)
        return hand_over(taking, ret_result, failure);
    if (taking->reservation)
        reservation_drop(taking->call, id_of(taking), taking->target->text);
    taking->call->exit_signal = taking->signal;
    return r;
}

int cmd_reserve(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_target_ struct target target = {0};
    _cleanup_buffer_ struct buffer body = {0};
    struct signals signals;
    struct taking taking = {.call = call, .signals = &signals, .target = &target};
    sigset_t ending;
    int r;

    r = target_parse(call->operands[0], call->options->width, &target, failure);
    if (r == 0)
        r = put_wish(&body, call, &target, failure);
    if (r == 0)
        r = reservation_connect(call, failure);
    if (r < 0)
        return r;
    signals_of_ending(&ending);
    r = signals_open(&signals, &ending, failure);
    if (r < 0)
        return r;
    r = reserve(&taking, &body, ret_result, failure);
    json_decref(taking.reservation);
    /* After a command its exit code is what devregctl ends with, whatever else comes now. */
    signals_close(&signals, !call->command);
    return r;
}

void cmd_reserve_write(FILE *stream, const struct call *call, const json_t *result)
{
    char moment[MOMENT_TEXT];

    (void)call;
    text_write_safe(stream, member_text(result, "id", "?"));
    fprintf(stream, " %s\n", moment_format(reservation_left(result), moment));
}
