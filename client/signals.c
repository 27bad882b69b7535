/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A signal that whoever started devregctl has it ignore stays ignored: the kernel drops it before it gets
 * here. */
#include "signals.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void signals_of_ending(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGINT);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGHUP);
    sigaddset(ret_set, SIGQUIT);
    /* What batch systems warn with, and limits and timers end with. */
    sigaddset(ret_set, SIGUSR1);
    sigaddset(ret_set, SIGUSR2);
    sigaddset(ret_set, SIGALRM);
    sigaddset(ret_set, SIGVTALRM);
    sigaddset(ret_set, SIGPROF);
    sigaddset(ret_set, SIGXCPU);
    sigaddset(ret_set, SIGXFSZ);
    sigaddset(ret_set, SIGIO);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        sigaddset(ret_set, number);
}

int signals_open(struct signals *signals, const sigset_t *set, struct failure *failure)
{
    sigprocmask(SIG_BLOCK, set, &signals->before);
    signals->fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->fd >= 0)
        return 0;
    failure_set(failure, EXIT_CODE_OTHER, "signalfd: %s", strerror(errno));
    sigprocmask(SIG_SETMASK, &signals->before, NULL);
    return -1;
}

int signals_extend(struct signals *signals, const sigset_t *set, struct failure *failure)
{
    sigprocmask(SIG_BLOCK, set, NULL);
    if (signalfd(signals->fd, set, 0) < 0)
        return failure_set(failure, EXIT_CODE_OTHER, "signalfd: %s", strerror(errno));
    return 0;
}

void signals_close(struct signals *signals, bool restore)
{
    close(signals->fd);
    signals->fd = -1;
    if (restore)
        sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

bool signals_next(const struct signals *signals, struct signalfd_siginfo *ret_signal)
{
    return read(signals->fd, ret_signal, sizeof(*ret_signal)) == (ssize_t)sizeof(*ret_signal);
}

void signals_obey(int signal)
{
    sigset_t set, before;

    sigemptyset(&set);
    sigaddset(&set, signal);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &set, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
}
