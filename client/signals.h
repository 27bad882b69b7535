/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals as something to wait for, while something has to be put in order before devregctl ends. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

#include "failure.h"

struct signals {
    int fd;
    sigset_t before; /* the mask to go back to, and for commands */
};

/* Takes the signals of the set over: they are read and do nothing by themselves. */
int signals_open(struct signals *signals, const sigset_t *set, struct failure *failure);

/* Takes over those of a bigger set. */
int signals_extend(struct signals *signals, const sigset_t *set, struct failure *failure);

/* Lets go of them. With `restore` those that are pending happen now, otherwise never. */
void signals_close(struct signals *signals, bool restore);

/* The next one that came. False when there is none. */
bool signals_next(const struct signals *signals, struct signalfd_siginfo *ret_signal);

/* INT, TERM, HUP and QUIT: what asks a program to end. */
void signals_of_ending(sigset_t *ret_set);

/* Lets the signal do to this process what it would have done, had it never been taken over: a shell that
 * runs a script must see that. Returns when the process lives, or continues. */
void signals_obey(int signal);
