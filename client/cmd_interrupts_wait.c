/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl interrupts wait SOURCE... [-- COMMAND...]: until one comes. A command is started once the daemon
 * has said from where on it sends everything, so that what the command provokes can't be missed. While the
 * command runs, signals are for it. */
#include <poll.h>

#include "command.h"
#include "follower.h"
#include "output.h"

enum { LOOK_MS = 1000 };

struct waiting {
    struct follower follower;
    struct signals signals; /* while there is a command */
    bool has_signals;
    bool started;
    struct command command;
};

static int take_signals_over(struct waiting *waiting, struct failure *failure)
{
    sigset_t set;

    /* A parent that ignores SIGCHLD hands that down; then there would be no exit code. */
    signal(SIGCHLD, SIG_DFL);
    signals_of_ending(&set);
    sigaddset(&set, SIGCHLD);
    if (signals_open(&waiting->signals, &set, failure) < 0)
        return -1;
    waiting->has_signals = true;
    waiting->follower.subscription.fd = waiting->signals.fd;
    return 0;
}

/* What came meanwhile and was not for the command happens now. */
static void give_signals_back(struct waiting *waiting)
{
    if (waiting->has_signals)
        signals_close(&waiting->signals, true);
    waiting->has_signals = false;
    waiting->follower.subscription.fd = -1;
}

static bool is_running(const struct waiting *waiting)
{
    return waiting->started && !waiting->command.ended;
}

/* Returns the signal that asks devregctl itself to end; 0: none does. */
static int take_signals(struct waiting *waiting)
{
    struct signalfd_siginfo signal;

    while (waiting->has_signals && signals_next(&waiting->signals, &signal)) {
        if (signal.ssi_signo == SIGCHLD)
            command_look(&waiting->command);
        else if (is_running(waiting))
            command_pass_on(&waiting->command, &signal);
        else
            return (int)signal.ssi_signo;
    }
    return 0;
}

static int start(struct waiting *waiting, struct failure *failure)
{
    struct call *call = waiting->follower.call;

    if (command_export(call->options, failure) < 0 ||
            command_start(&waiting->command, call->command, &waiting->signals, call->sigpipe, failure) < 0)
        return -1;
    waiting->started = true;
    return 0;
}

/* The command has ended. Returns 1 when it failed: its exit code is the result then. */
static int judge_command(struct waiting *waiting)
{
    struct call *call = waiting->follower.call;

    call->exit_code = waiting->command.exit_code;
    if (call->exit_code == 0)
        return 0;
    output_note("%s ended with the exit code %d, so no interrupt is waited for", call->command[0],
            call->exit_code);
    return 1;
}

/* With a command that has not ended well yet. */
static int attend_command(struct waiting *waiting, struct failure *failure)
{
    struct call *call = waiting->follower.call;

    call->exit_signal = take_signals(waiting);
    if (call->exit_signal)
        return 1;
    if (!waiting->started)
        return waiting->follower.subscription.subscribed ? start(waiting, failure) : 0;
    if (!waiting->command.ended)
        return 0;
    if (judge_command(waiting) > 0)
        return 1;
    give_signals_back(waiting);
    waiting->follower.held = false;
    follower_be_patient(&waiting->follower);
    return 0;
}

static int attend(void *context, struct failure *failure)
{
    struct waiting *waiting = container_of(context, struct waiting, follower);
    int r;

    if (waiting->has_signals) {
        r = attend_command(waiting, failure);
        if (r != 0 || waiting->has_signals)
            return r;
    }
    return follower_attend(&waiting->follower, failure);
}

/* There is nothing to wait for any more, but the command still runs. */
static int outlast_command(struct waiting *waiting, struct failure *failure)
{
    struct pollfd signals = {.fd = waiting->signals.fd, .events = POLLIN};

    failure_report(failure, options_have(waiting->follower.call->options, OPTION_JSON));
    while (is_running(waiting)) {
        poll(&signals, 1, LOOK_MS);
        take_signals(waiting);
    }
    return judge_command(waiting) > 0 ? 0 : -1;
}

static int run(struct waiting *waiting, struct failure *failure)
{
    struct follower *follower = &waiting->follower;
    int r = 0;

    follower->held = follower->call->command;
    if (follower->held)
        r = take_signals_over(waiting, failure);
    else
        follower_be_patient(follower);
    if (r == 0)
        r = subscription_run(&follower->subscription, failure);
    if (r < 0 && is_running(waiting))
        r = outlast_command(waiting, failure);
    give_signals_back(waiting);
    return r;
}

int cmd_interrupts_wait(struct call *call, json_t **ret_result, struct failure *failure)
{
    struct waiting waiting = {.has_signals = false};
    int r;

    (void)ret_result;
    r = follower_begin(&waiting.follower, call, "interrupt", failure);
    if (r == 0) {
        waiting.follower.left = call->options->count > 0 ? call->options->count : 1;
        waiting.follower.subscription.attend = attend;
        r = run(&waiting, failure);
    }
    follower_done(&waiting.follower);
    return r;
}
