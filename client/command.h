/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command that runs while a reservation is held or interrupts are waited for: a child in devregctl's own
 * process group, so that it is in the foreground of the terminal when devregctl is, also in a pipeline. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "failure.h"
#include "options.h"
#include "signals.h"

struct command {
    pid_t pid;
    bool stopped;
    bool ended;
    int exit_code; /* once it has ended; 128 + N when signal N ended it, as shells have it */
};

/* Starts argv[0], found as execvp() does. It gets back the signal mask that `signals` came upon and the
 * handling of SIGPIPE, and is killed when devregctl dies. When it can't be executed the failure's exit code
 * is what shells give: 127 when there is no such file, otherwise 126. */
int command_start(struct command *command, char *const *argv, const struct signals *signals,
        void (*sigpipe)(int), struct failure *failure);

/* Puts into the environment what makes the command's own devregctl talk to the same daemon. */
int command_export(const struct options *options, struct failure *failure);

/* Finds out what became of it; after SIGCHLD. */
void command_look(struct command *command);

/* Sends it a signal, unless it has ended. */
void command_signal(const struct command *command, int signal);

/* The same with one that came to devregctl, unless the command got it as well, from the terminal. */
void command_pass_on(const struct command *command, const struct signalfd_siginfo *signal);
