/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated board's own thread, on which it does what it does by itself. */
#pragma once

#include <stdint.h>

struct sim_thread;

/* run is called again and again: it says until when (monotonic, nanoseconds) it has nothing to do, 0 when it
 * has something at once. */
int sim_thread_new(uint64_t (*run)(void *context), void *context, struct sim_thread **ret_thread);

/* Waits until run has returned. */
void sim_thread_free(struct sim_thread *thread);

/* Calls run soon; by any thread, at any time. */
void sim_thread_wake(const struct sim_thread *thread);
