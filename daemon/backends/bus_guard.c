/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handler runs on the faulting thread, so the armed guard is a thread-local pointer: written by the
 * thread itself, read by its own handler, hence only volatile. */
#include "backends/bus_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

static _Thread_local struct bus_guard *volatile armed;

static void handle_bus_fault(int number, siginfo_t *info, void *context)
{
    struct bus_guard *guard = armed;
    uintptr_t distance;

    (void)context;
    if (guard &&
            (info->si_code == BUS_ADRERR || info->si_code == BUS_ADRALN || info->si_code == BUS_OBJERR)) {
        distance = (uintptr_t)info->si_addr - (uintptr_t)guard->start;
        if (distance < guard->size) {
            armed = NULL;
            siglongjmp(guard->jump, 1);
        }
    }
    /* Not ours: end as the process would have without a handler. */
    signal(number, SIG_DFL);
    raise(number);
}

int bus_guard_install(void)
{
    /* SA_NODEFER, because the jump out of the handler does not restore the signal mask (saving it would
     * cost a system call at every access). */
    struct sigaction action = {.sa_sigaction = handle_bus_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

void bus_guard_arm(struct bus_guard *guard)
{
    armed = guard;
    atomic_signal_fence(memory_order_seq_cst);
}

void bus_guard_disarm(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    armed = NULL;
}
