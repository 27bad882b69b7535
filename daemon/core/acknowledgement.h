/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acknowledges a source's interrupts where no backend does: for each record its status register is read and
 * another one written, in the device's order of work. Never two at once for a source; what comes meanwhile
 * waits, and when too many wait, the last of them become one. */
#pragma once

#include <stdbool.h>

#include "core/operation.h"

enum { ACKNOWLEDGEMENT_QUEUE = 64 };

struct acknowledgement {
    /* The owner's. */
    struct dispatch *dispatch;
    struct region *region;
    const struct acknowledge_description *description;

    /* On the loop, maybe before acknowledgement_submit() returns; the record has the status if it was read.
     * error is NULL unless it failed. */
    void (*acknowledged)(struct acknowledgement *acknowledgement, const struct interrupt_record *record,
            const struct error *error);
    void *context;

    struct operation operation;
    uint64_t octets;     /* that it reads or writes */
    bool busy;           /* the first of the queue is being acknowledged */
    bool running;        /* the queue is being worked on */
    unsigned generation; /* another one since it was cancelled */
    unsigned begun;      /* the generation in which the operation was started */
    struct interrupt_record queue[ACKNOWLEDGEMENT_QUEUE];
    unsigned first, count;
};

void acknowledgement_submit(struct acknowledgement *acknowledgement, const struct interrupt_record *record);

/* Forgets all records, also the one that is being acknowledged. */
void acknowledgement_cancel(struct acknowledgement *acknowledgement);
