/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns the SIGBUS of a register access into an error of that access. The kernel sends it when a mapping was
 * revoked (a driver claimed the range, the device went away, a file was truncated) or when the bus reported
 * the failure (arm64, riscv).
 *
 * The guard belongs to the thread and is armed only around the access. It takes a signal only when the
 * kernel raised it (BUS_ADRERR, BUS_ADRALN, and BUS_OBJERR, arm64's external abort) for an address inside
 * the mapping; any other SIGBUS, a memory failure (BUS_MCEERR_*) above all, still ends the process. */
#pragma once

#include <setjmp.h>
#include <stddef.h>

/* Saving the signal mask costs a system call at every access and is not needed, except under the thread
 * sanitizer, whose own handlers run with all signals blocked. */
#ifdef __SANITIZE_THREAD__
#define BUS_GUARD_SAVE_MASK 1
#else
#define BUS_GUARD_SAVE_MASK 0
#endif

struct bus_guard {
    sigjmp_buf jump;
    const volatile void *start; /* of the mapping */
    size_t size;                /* octets */
};

/* Once per process, before the first access. Returns 0 or a negative errno. */
int bus_guard_install(void);

/* For BUS_GUARD() alone. */
void bus_guard_arm(struct bus_guard *guard);
void bus_guard_disarm(void);

/* True the first time: make the accesses, then call bus_guard_disarm(). False when one of them faulted; the
 * guard is disarmed then. What is changed in between and read after a fault must be volatile, and nothing in
 * between may lock or allocate. */
#define BUS_GUARD(guard) (sigsetjmp((guard)->jump, BUS_GUARD_SAVE_MASK) == 0 ? (bus_guard_arm(guard), 1) : 0)
