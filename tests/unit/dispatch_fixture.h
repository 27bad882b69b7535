/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that gets work to do, and notes of what was done where and when. */
#pragma once

#include <pthread.h>

#include "core/dispatch.h"
#include "fault_backend.h"

enum {
    TASKS = 100,
    QUEUE_LIMIT = 8,
    WORKER_ACCESSES = 1000, /* more than is ever done inline */
    PRESENCE_LOG = 8,
};

struct task {
    struct work work;
    pthread_t ran_on;
    unsigned ran_at, done_at; /* 0: not */
    bool blocks;
    long sleep_ns;
};

struct dispatch_fixture {
    sd_event *event;
    struct dispatch *dispatch;
    struct fault fault;
    struct device device;
    struct task tasks[TASKS];
    sem_t entered, gate;
    atomic_uint run_count;
    unsigned done_count;
    pthread_t loop;
    bool presence[PRESENCE_LOG]; /* of the device's handle, at each report */
    size_t reports;
    bool was_closed; /* while work that needs it was done */
};

extern struct dispatch_fixture fixture;

/* For each test; when set up to be impatient, all work expires at once that waits. */
int set_up(void **state);
int set_up_impatient(void **state);
int tear_down(void **state);

/* What tasks do, unless a test says otherwise. */
void run(struct work *work);
void done(struct work *work);

int submit(size_t task, size_t accesses);

/* Runs the loop until so many are done. */
void wait_for(unsigned count);

bool ran_inline(size_t task);

/* As if it had been measured: how long its accesses really take here depends on what else the machine does.
 */
void prove_prompt(void);
