/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The interrupts of a simulated board, between the board, which raises them, and the loop, which reads them:
 * which sources are masked, and the records that were not read yet. Every function may be called by any
 * thread at any time; none waits for long. */
#pragma once

#include "backends/backend.h"

struct sim_interrupts;

int sim_interrupts_new(const struct device_description *description, struct sim_interrupts **ret_interrupts);
void sim_interrupts_free(struct sim_interrupts *interrupts);

/* Readable while there are records. */
int sim_interrupts_fd(const struct sim_interrupts *interrupts);

/* Which source has this vector; -1: none. */
int sim_interrupts_find(const struct sim_interrupts *interrupts, unsigned vector);

/* Whether the source may come now. When it is masked, it pends from now on. */
bool sim_interrupts_may_come(struct sim_interrupts *interrupts, unsigned source);

/* Returns a source that pends and is not masked, and lets it pend no more; -1: there is none. */
int sim_interrupts_take_pending(struct sim_interrupts *interrupts);

/* Lets none pend any more. Records stay: what they are of did happen. */
void sim_interrupts_forget_pending(struct sim_interrupts *interrupts);

/* Adds a record. Without room for it, it waits for room and becomes one with those of its source that come
 * behind it. */
void sim_interrupts_add(struct sim_interrupts *interrupts, const struct interrupt_record *record);

size_t sim_interrupts_read(
        struct sim_interrupts *interrupts, struct interrupt_record *records, size_t count);

/* Returns whether the source pends and may come now. */
bool sim_interrupts_mask(struct sim_interrupts *interrupts, unsigned source, bool masked);
