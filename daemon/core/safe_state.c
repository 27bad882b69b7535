/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writes of a reservation are one batch from when they were submitted: in a list, so that those of
 * devices that never come back can be freed at the end. */
#include "core/safe_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

struct job {
    struct operation operation;
    struct dispatch_wait wait; /* until the device is open again */
    uint64_t value;            /* in the region's order of octets */
    struct batch *batch;
};

struct batch {
    struct safe_state *owner;
    struct batch *next, **link;
    struct account *account;
    char reservation[RESERVATION_ID_SIZE];
    size_t left; /* jobs that are not done */
    bool failed; /* one at least */
    struct job jobs[];
};

struct safe_state {
    struct dispatch *dispatch;
    struct accounts *accounts;
    void (*report)(
            const struct operation *operation, const char *reservation, bool first_failure, void *context);
    void *context;
    struct batch *batches;
};

int safe_state_new(struct dispatch *dispatch, struct accounts *accounts,
        void (*report)(const struct operation *operation, const char *reservation, bool first_failure,
                void *context),
        void *context, struct safe_state **ret_safe_state)
{
    struct safe_state *safe_state = calloc(1, sizeof(*safe_state));

    if (!safe_state)
        return -ENOMEM;
    safe_state->dispatch = dispatch;
    safe_state->accounts = accounts;
    safe_state->report = report;
    safe_state->context = context;
    *ret_safe_state = safe_state;
    return 0;
}

static struct batch *batch_new(struct safe_state *safe_state, const struct reservation *reservation)
{
    size_t count = reservation->safe_write_count;
    struct batch *batch = calloc(1, sizeof(*batch) + count * sizeof(batch->jobs[0]));

    if (!batch)
        return NULL;
    batch->account = accounts_get(safe_state->accounts, reservation->holder);
    if (!batch->account) {
        free(batch);
        return NULL;
    }
    snprintf(batch->reservation, sizeof(batch->reservation), "%s", reservation->id);
    batch->owner = safe_state;
    batch->left = count;
    batch->account->safe_writes += count;
    batch->link = &safe_state->batches;
    batch->next = safe_state->batches;
    if (batch->next)
        batch->next->link = &batch->next;
    safe_state->batches = batch;
    return batch;
}

static void batch_free(struct batch *batch)
{
    *batch->link = batch->next;
    if (batch->next)
        batch->next->link = batch->link;
    batch->account->safe_writes -= batch->left;
    accounts_put(batch->owner->accounts, batch->account);
    free(batch);
}

void safe_state_free(struct safe_state *safe_state)
{
    if (!safe_state)
        return;
    while (safe_state->batches)
        batch_free(safe_state->batches);
    free(safe_state);
}

static void completed(struct operation *operation)
{
    struct batch *batch = container_of(operation, struct job, operation)->batch;
    struct safe_state *safe_state = batch->owner;
    bool first_failure = operation->result < 0 && !batch->failed;

    batch->failed = batch->failed || first_failure;
    safe_state->report(operation, batch->reservation, first_failure, safe_state->context);
    batch->left--;
    batch->account->safe_writes--;
    if (batch->left == 0)
        batch_free(batch);
}

static void fill(struct operation *operation, const struct safe_write *write, void *value)
{
    operation->kind = OPERATION_WRITE;
    operation->region = write->region;
    operation->access = (struct access){.offset = write->offset, .width = write->width, .count = 1};
    operation->values = value;
    operation_set_value(operation, 0, write->value);
}

static void start(struct job *job)
{
    struct dispatch *dispatch = job->batch->owner->dispatch;
    struct operation *operation = &job->operation;
    int r;

    r = operation_prepare(
            dispatch, operation->region, OPERATION_WRITE, &operation->access, &operation->error);
    if (r == 0)
        r = operation_start(dispatch, operation, &operation->error);
    if (r < 0) {
        operation->result = r;
        completed(operation);
    }
}

static void handle_open(struct dispatch_wait *wait)
{
    start(container_of(wait, struct job, wait));
}

/* One that comes while the device is closed for a while, to be bound to a driver, is made when it is back.
 */
static void submit(struct batch *batch, struct job *job, const struct safe_write *write)
{
    struct device *device = write->region->device;

    job->batch = batch;
    job->operation.work.own = true;
    job->operation.completed = completed;
    job->wait.over = handle_open;
    fill(&job->operation, write, &job->value);
    if (dispatch_check_closed(device, NULL) < 0)
        dispatch_wait_open(device, &job->wait);
    else
        start(job);
}

static void report_without_memory(const struct safe_state *safe_state, const struct safe_write *write,
        const char *reservation, bool first_failure)
{
    struct operation operation = {0};
    uint64_t value;

    fill(&operation, write, &value);
    operation.result = error_set(&operation.error, -ENOMEM, "out of memory");
    safe_state->report(&operation, reservation, first_failure, safe_state->context);
}

void safe_state_run(struct safe_state *safe_state, const struct reservation *reservation)
{
    size_t count = reservation->granted ? reservation->safe_write_count : 0;
    struct batch *batch = count > 0 ? batch_new(safe_state, reservation) : NULL;

    /* The batch is freed with the last of them. */
    for (size_t i = 0; i < count; i++) {
        if (batch)
            submit(batch, &batch->jobs[i], &reservation->safe_writes[i]);
        else
            report_without_memory(safe_state, &reservation->safe_writes[i], reservation->id, i == 0);
    }
}

size_t safe_state_pending(const struct safe_state *safe_state)
{
    size_t pending = 0;

    for (const struct batch *batch = safe_state ? safe_state->batches : NULL; batch; batch = batch->next)
        pending += batch->left;
    return pending;
}
