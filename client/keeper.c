/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One loop waits for signals and for the time to renew; requests wait for signals, too, so a daemon that
 * does not answer delays neither the command's end nor a Ctrl-C. How long the hold lasts is reckoned from
 * before each request was sent: the daemon began to count later. */
#include "keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "command.h"
#include "duration.h"
#include "http.h"
#include "output.h"
#include "reservation.h"
#include "text.h"
#include "util/clock.h"
#include "values.h"

#define SECOND_US UINT64_C(1000000)

enum {
    KILL_SECONDS = 5,     /* from SIGTERM to SIGKILL */
    RELEASE_SECONDS = 10, /* for a daemon that is being restarted just now */
    RELEASE_TIMEOUT = 5,  /* seconds for one request of these */
    RETRY_MS = 500,
    RENEW_TIMEOUT_MS = 1000, /* for a hold that is short, or may be over */
    RENEW_LEAST_MS = 200,    /* between two renewals, whatever the daemon says */
    LOOK_MS = 5000, /* the clock of poll() stands still while the machine sleeps: look at it again */
};

struct keeper {
    struct call *call;
    struct signals *signals;
    struct command command;
    const char *id;
    const char *target;
    uint64_t seconds;  /* that taking and renewing give */
    uint64_t until_us; /* CLOCK_BOOTTIME, as all of these: the hold is over then */
    uint64_t renew_us; /* when to renew it next */
    uint64_t kill_us;  /* when to kill the command; 0: it was not asked to end */
    bool lost;
    bool noted;    /* that the daemon does not answer */
    bool stopping; /* devregctl was asked to stop (Ctrl-Z) */
};

bool failure_is_passing(const struct failure *failure)
{
    return failure->status < 400 || failure->status >= 500 || failure->status == 408 ||
           failure->status == 429;
}

/* --- Signals --- */

/* Ctrl-Z: the shell takes the terminal back when everything in the foreground has stopped. */
static void stop(struct keeper *keeper)
{
    uint64_t now_us = clock_boottime_us();
    uint64_t left_us = keeper->until_us > now_us ? keeper->until_us - now_us : 0;
    char left[DURATION_TEXT];

    keeper->stopping = false;
    if (isatty(STDERR_FILENO))
        output_note("stopped: nothing renews the hold on %s now, which ends in %s", keeper->target,
                duration_format(left_us / SECOND_US, left));
    signals_obey(SIGTSTP);
}

static void take_signal(struct keeper *keeper, const struct signalfd_siginfo *signal)
{
    switch (signal->ssi_signo) {
    case SIGCHLD:
        command_look(&keeper->command);
        break;
    case SIGCONT:
        /* Whatever time went by, the hold must be known to last before much more is done with it. */
        keeper->renew_us = 0;
        keeper->stopping = false;
        keeper->command.stopped = false;
        command_signal(&keeper->command, SIGCONT);
        break;
    case SIGTSTP:
        keeper->stopping = true;
        command_pass_on(&keeper->command, signal);
        break;
    default:
        command_pass_on(&keeper->command, signal);
        break;
    }
}

/* Called while requests are under way, too: the command's end ends them. */
static int attend(void *context)
{
    struct keeper *keeper = context;
    struct signalfd_siginfo signal;

    while (signals_next(keeper->signals, &signal))
        take_signal(keeper, &signal);
    /* A command may decline to stop; when it alone was stopped, somebody else will let it continue. */
    if (keeper->stopping && keeper->command.stopped)
        stop(keeper);
    return keeper->command.ended ? -ECANCELED : 0;
}

/* --- The hold --- */

static void keep(struct keeper *keeper, const json_t *reservation, uint64_t since_us)
{
    uint64_t left = reservation_left(reservation);
    unsigned seconds = count_from_json(json_object_get(reservation, "seconds"), INT32_MAX);

    keeper->seconds = seconds > 0 ? seconds : left;
    keeper->until_us = since_us + left * SECOND_US;
    keeper->renew_us = since_us + left * SECOND_US / 3;
    if (left == 0)
        keeper->renew_us = since_us + RENEW_LEAST_MS * 1000;
}

/* Says at once that it is lost, and asks the command to end: it may be about to write. */
static void lose(struct keeper *keeper, const char *why, struct failure *failure)
{
    keeper->lost = true;
    keeper->kill_us = clock_boottime_us() + KILL_SECONDS * SECOND_US;
    command_signal(&keeper->command, SIGTERM);
    command_signal(&keeper->command, SIGCONT);
    failure_set(failure, EXIT_CODE_CONFLICT, "the hold on %s (%s) is lost, so the command is ended: %s",
            keeper->target, keeper->id, why);
    failure_report(failure, options_have(keeper->call->options, OPTION_JSON));
}

static void lose_late(struct keeper *keeper, const struct failure *why, struct failure *failure)
{
    _cleanup_free_ char *text = NULL;

    if (asprintf(&text, "it expired while it could not be renewed: %s", failure_detail(why)) < 0)
        text = NULL;
    lose(keeper, text ? text : "it expired", failure);
}

/* A request that hangs must leave time for others, and not let the command go on after the hold is over. */
static unsigned renew_timeout_ms(const struct keeper *keeper, uint64_t now_us)
{
    uint64_t left_ms = now_us < keeper->until_us ? (keeper->until_us - now_us) / 1000 + 1 : 0;
    uint64_t timeout_ms = keeper->seconds * 1000 / 6;

    if (timeout_ms < RENEW_TIMEOUT_MS || left_ms == 0)
        timeout_ms = RENEW_TIMEOUT_MS;
    if (left_ms > 0 && timeout_ms > left_ms)
        timeout_ms = left_ms;
    return timeout_ms < keeper->call->options->timeout_ms ? (unsigned)timeout_ms
                                                          : keeper->call->options->timeout_ms;
}

static void renew(struct keeper *keeper, struct failure *failure)
{
    _cleanup_failure_ struct failure problem = {0};
    json_auto_t *answer = NULL;
    uint64_t now_us = clock_boottime_us();
    int r;

    keeper->call->connection.timeout_ms = renew_timeout_ms(keeper, now_us);
    r = reservation_renew(keeper->call, keeper->id, keeper->seconds, &answer, &problem);
    if (keeper->command.ended)
        return;
    if (r == 0 && reservation_is(answer, "held")) {
        keep(keeper, answer, now_us);
        keeper->noted = false;
        return;
    }
    if (r == 0) {
        lose(keeper, member_text(answer, "reason", member_text(answer, "ended", "it is over")), failure);
        return;
    }
    if (!failure_is_passing(&problem)) {
        lose(keeper, failure_detail(&problem), failure);
        return;
    }
    now_us = clock_boottime_us();
    if (now_us >= keeper->until_us) {
        lose_late(keeper, &problem, failure);
        return;
    }
    keeper->renew_us = now_us + RETRY_MS * 1000;
    if (!keeper->noted)
        output_note("the hold on %s is not renewed yet: %s; trying on", keeper->target,
                failure_detail(&problem));
    keeper->noted = true;
}

static void wait_until(const struct keeper *keeper, uint64_t moment_us)
{
    struct pollfd signals = {.fd = keeper->signals->fd, .events = POLLIN};
    uint64_t now_us = clock_boottime_us();
    uint64_t left_ms = moment_us > now_us ? (moment_us - now_us) / 1000 + 1 : 0;

    poll(&signals, 1, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
}

/* Until the command has ended. */
static void watch_over(struct keeper *keeper, struct failure *failure)
{
    while (attend(keeper) == 0) {
        uint64_t now_us = clock_boottime_us();

        if (keeper->kill_us && now_us >= keeper->kill_us)
            command_signal(&keeper->command, SIGKILL);
        if (keeper->lost)
            wait_until(keeper, now_us < keeper->kill_us ? keeper->kill_us : now_us + SECOND_US);
        else if (now_us >= keeper->renew_us)
            renew(keeper, failure);
        else
            wait_until(keeper, keeper->renew_us);
    }
}

/* --- The end --- */

/* Tries for a while. Returns 0, or -1 with the last failure. */
static int release(struct call *call, const char *id, struct failure *failure)
{
    uint64_t give_up_us = clock_boottime_us() + RELEASE_SECONDS * SECOND_US;
    int r;

    call->connection.watch = NULL;
    call->connection.timeout_ms = RELEASE_TIMEOUT * 1000;
    for (;;) {
        json_auto_t *answer = NULL;

        r = reservation_end(call, id, &answer, failure);
        if (r == 0 || !failure_is_passing(failure) || clock_boottime_us() >= give_up_us)
            return r;
        poll(NULL, 0, RETRY_MS);
    }
}

void reservation_drop(struct call *call, const char *id, const char *target)
{
    _cleanup_failure_ struct failure failure = {0};

    if (release(call, id, &failure) == 0 || failure.status == 404 || failure.status == 410)
        return;
    output_note("%s (%s) could not be released, so it ends when its time is over: %s", target, id,
            failure_detail(&failure));
}

/* Whether the command, or somebody who may, ended it in the proper way. */
static bool was_released(struct call *call, const char *id)
{
    _cleanup_failure_ struct failure failure = {0};
    json_auto_t *answer = NULL;

    return reservation_get(call, id, 0, &answer, &failure) == 0 &&
           strcmp(member_text(answer, "ended", ""), "released") == 0;
}

/* The command is done. A hold that turns out to be over by now did not protect all of it. */
static int finish(struct keeper *keeper, struct failure *failure)
{
    _cleanup_failure_ struct failure problem = {0};

    if (keeper->lost) {
        json_auto_t *answer = NULL;

        keeper->call->connection.watch = NULL;
        keeper->call->connection.timeout_ms = 1000;
        reservation_end(keeper->call, keeper->id, &answer, &problem);
        return -1;
    }
    if (release(keeper->call, keeper->id, &problem) == 0)
        return 0;
    if (problem.status == 404 || problem.status == 410) {
        if (was_released(keeper->call, keeper->id))
            return 0;
        return failure_set(failure, EXIT_CODE_CONFLICT,
                "the hold on %s (%s) was lost before the command ended (with %d): %s", keeper->target,
                keeper->id, keeper->command.exit_code, failure_detail(&problem));
    }
    output_note("%s (%s) could not be released, so it ends when its time is over: %s", keeper->target,
            keeper->id, failure_detail(&problem));
    return 0;
}

/* What the command needs to be part of the reservation, with the same daemon. */
static int export(const struct keeper *keeper, struct failure *failure)
{
    if (setenv("DEVREG_RESERVATION", keeper->id, 1) < 0)
        return failure_set(failure, EXIT_CODE_OTHER, "DEVREG_RESERVATION: %s", strerror(errno));
    return command_export(keeper->call->options, failure);
}

static int extend_signals(struct signals *signals, struct failure *failure)
{
    sigset_t set;

    /* A parent that ignores SIGCHLD hands that down; then there would be no exit code. */
    signal(SIGCHLD, SIG_DFL);
    signals_of_ending(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGCONT);
    return signals_extend(signals, &set, failure);
}

int keeper_run(struct call *call, struct signals *signals, const json_t *reservation, uint64_t granted_us,
        struct failure *failure)
{
    struct keeper keeper = {.call = call,
            .signals = signals,
            .id = member_text(reservation, "id", ""),
            .target = member_text(reservation, "target", call->operands[0])};
    const struct http_watch watch = {.fd = signals->fd, .attend = attend, .context = &keeper};
    int r;

    keep(&keeper, reservation, granted_us);
    r = extend_signals(signals, failure);
    if (r == 0)
        r = export(&keeper, failure);
    if (r == 0)
        r = command_start(&keeper.command, call->command, signals, call->sigpipe, failure);
    if (r < 0) {
        reservation_drop(call, keeper.id, keeper.target);
        return r;
    }
    call->connection.watch = &watch;
    watch_over(&keeper, failure);
    call->exit_code = keeper.command.exit_code;
    r = finish(&keeper, failure);
    call->connection.watch = NULL;
    return r;
}
