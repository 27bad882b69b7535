/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both accesses are operations of the daemon's own, so a device that is gone, or its mapping, is found as it
 * is by anybody's access. What was under way when the records were forgotten comes back all the same, and
 * starting one may close the device and open it anew: `generation` tells. */
#include "core/acknowledgement.h"

#include "util/cleanup.h"

static void run_queue(struct acknowledgement *acknowledgement);

static void finish(struct acknowledgement *acknowledgement, const struct error *error)
{
    struct interrupt_record record = acknowledgement->queue[acknowledgement->first];

    acknowledgement->first = (acknowledgement->first + 1) % ACKNOWLEDGEMENT_QUEUE;
    acknowledgement->count--;
    acknowledgement->busy = false;
    acknowledgement->acknowledged(acknowledgement, &record, error);
    run_queue(acknowledgement);
}

/* Its record was forgotten while the operation was under way. */
static bool is_forgotten(struct acknowledgement *acknowledgement)
{
    if (acknowledgement->generation == acknowledgement->begun)
        return false;
    acknowledgement->busy = false;
    return true;
}

static void start(struct acknowledgement *acknowledgement, enum operation_kind kind, uint64_t offset,
        void (*completed)(struct operation *operation))
{
    struct operation *operation = &acknowledgement->operation;
    struct error error = {0};
    int r;

    acknowledgement->begun = acknowledgement->generation;
    operation->kind = kind;
    operation->region = acknowledgement->region;
    operation->access =
            (struct access){.offset = offset, .width = acknowledgement->description->width, .count = 1};
    operation->values = &acknowledgement->octets;
    operation->completed = completed;
    operation->work.own = true;
    r = operation_prepare(
            acknowledgement->dispatch, acknowledgement->region, kind, &operation->access, &error);
    if (is_forgotten(acknowledgement))
        return;
    if (r == 0)
        r = operation_start(acknowledgement->dispatch, operation, &error);
    if (r < 0)
        finish(acknowledgement, &error);
}

static void handle_written(struct operation *operation)
{
    struct acknowledgement *acknowledgement = container_of(operation, struct acknowledgement, operation);

    if (is_forgotten(acknowledgement))
        run_queue(acknowledgement);
    else
        finish(acknowledgement, operation->result < 0 ? &operation->error : NULL);
}

static void write_back(struct acknowledgement *acknowledgement, uint64_t status)
{
    const struct acknowledge_description *description = acknowledgement->description;

    operation_set_value(&acknowledgement->operation, 0, description->constant ? description->value : status);
    start(acknowledgement, OPERATION_WRITE, description->write, handle_written);
}

static void handle_read(struct operation *operation)
{
    struct acknowledgement *acknowledgement = container_of(operation, struct acknowledgement, operation);
    struct interrupt_record *record = &acknowledgement->queue[acknowledgement->first];

    if (is_forgotten(acknowledgement)) {
        run_queue(acknowledgement);
        return;
    }
    if (operation->result < 0) {
        finish(acknowledgement, &operation->error);
        return;
    }
    record->has_value = true;
    record->value = operation_get_value(operation, 0);
    if (acknowledgement->description->writes && record->value & acknowledgement->description->mask)
        write_back(acknowledgement, record->value);
    else
        finish(acknowledgement, NULL);
}

/* Accesses that are made at once complete in here, so it is a loop and does not call itself. */
static void run_queue(struct acknowledgement *acknowledgement)
{
    if (acknowledgement->running)
        return;
    acknowledgement->running = true;
    while (!acknowledgement->busy && acknowledgement->count > 0) {
        acknowledgement->busy = true;
        start(acknowledgement, OPERATION_READ, acknowledgement->description->read, handle_read);
    }
    acknowledgement->running = false;
}

/* The last one that waits and this one become this one. */
static void merge(struct acknowledgement *acknowledgement, const struct interrupt_record *record)
{
    unsigned last = (acknowledgement->first + acknowledgement->count - 1) % ACKNOWLEDGEMENT_QUEUE;
    struct interrupt_record *waiting = &acknowledgement->queue[last];
    uint64_t missed = waiting->missed + 1 + record->missed;
    bool masked = waiting->masked || record->masked;

    *waiting = *record;
    waiting->missed = missed;
    waiting->masked = masked;
}

void acknowledgement_submit(struct acknowledgement *acknowledgement, const struct interrupt_record *record)
{
    if (acknowledgement->count == ACKNOWLEDGEMENT_QUEUE) {
        merge(acknowledgement, record);
    } else {
        unsigned end = (acknowledgement->first + acknowledgement->count++) % ACKNOWLEDGEMENT_QUEUE;

        acknowledgement->queue[end] = *record;
    }
    run_queue(acknowledgement);
}

void acknowledgement_cancel(struct acknowledgement *acknowledgement)
{
    acknowledgement->generation++;
    acknowledgement->count = 0;
}
