/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each write is on its own from when it was submitted: in a list, so that those of devices that never come
 * back can be freed at the end. */
#include "core/safe_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

struct job {
    struct operation operation;
    uint64_t value; /* in the region's order of octets */
    char reservation[RESERVATION_ID_SIZE];
    struct safe_state *owner;
    struct job *next, **link;
};

struct safe_state {
    struct dispatch *dispatch;
    void (*report)(const struct operation *operation, const char *reservation, void *context);
    void *context;
    struct job *jobs;
};

int safe_state_new(struct dispatch *dispatch,
        void (*report)(const struct operation *operation, const char *reservation, void *context),
        void *context, struct safe_state **ret_safe_state)
{
    struct safe_state *safe_state = calloc(1, sizeof(*safe_state));

    if (!safe_state)
        return -ENOMEM;
    safe_state->dispatch = dispatch;
    safe_state->report = report;
    safe_state->context = context;
    *ret_safe_state = safe_state;
    return 0;
}

static void job_free(struct job *job)
{
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    free(job);
}

void safe_state_free(struct safe_state *safe_state)
{
    if (!safe_state)
        return;
    while (safe_state->jobs)
        job_free(safe_state->jobs);
    free(safe_state);
}

static void completed(struct operation *operation)
{
    struct job *job = container_of(operation, struct job, operation);
    struct safe_state *safe_state = job->owner;

    safe_state->report(operation, job->reservation, safe_state->context);
    job_free(job);
}

static void fill(struct operation *operation, const struct safe_write *write, void *value)
{
    operation->kind = OPERATION_WRITE;
    operation->region = write->region;
    operation->access = (struct access){.offset = write->offset, .width = write->width, .count = 1};
    operation->values = value;
    operation_set_value(operation, 0, write->value);
}

static struct job *job_new(struct safe_state *safe_state, const char *reservation)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    snprintf(job->reservation, sizeof(job->reservation), "%s", reservation);
    job->owner = safe_state;
    job->operation.work.own = true;
    job->operation.completed = completed;
    job->link = &safe_state->jobs;
    job->next = safe_state->jobs;
    if (job->next)
        job->next->link = &job->next;
    safe_state->jobs = job;
    return job;
}

static void run(struct safe_state *safe_state, const struct safe_write *write, const char *reservation)
{
    struct job *job = job_new(safe_state, reservation);
    struct operation *operation, without_memory = {0};
    uint64_t value;
    int r;

    if (!job) {
        fill(&without_memory, write, &value);
        without_memory.result = error_set(&without_memory.error, -ENOMEM, "out of memory");
        safe_state->report(&without_memory, reservation, safe_state->context);
        return;
    }
    operation = &job->operation;
    fill(operation, write, &job->value);
    r = operation_prepare(
            safe_state->dispatch, operation->region, OPERATION_WRITE, &operation->access, &operation->error);
    if (r == 0)
        r = operation_start(safe_state->dispatch, operation, &operation->error);
    if (r < 0) {
        operation->result = r;
        completed(operation);
    }
}

void safe_state_run(struct safe_state *safe_state, const struct reservation *reservation)
{
    for (size_t i = 0; reservation->granted && i < reservation->safe_write_count; i++)
        run(safe_state, &reservation->safe_writes[i], reservation->id);
}
