// SPDX-License-Identifier: GPL-2.0-only
/* From the wire to a record. There are three sorts of vectors: messages (MSI, MSI-X), which are over when
 * they have come; lines that the device can be told to hold, which others may share; and other lines, which
 * are ours alone and can only be disabled at the processor. */
#include <linux/interrupt.h>
#include <linux/irq.h>

#include "internal.h"

static bool is_message(const struct interrupts *interrupts)
{
    return interrupts->kind != DEVREG_INTERRUPT_LINE;
}

/* Counts an occurrence and keeps it; when there is no room, the oldest makes it. */
static void add_record(struct vector *vector, u64 time, u32 flags, u64 value)
{
    struct interrupts *interrupts = vector->interrupts;
    struct devreg_interrupt *record;

    lockdep_assert_held(&interrupts->lock);
    if (interrupts->used == interrupts->size) {
        interrupts->first = (interrupts->first + 1) % interrupts->size;
        interrupts->used--;
        interrupts->dropped++;
    }
    record = &interrupts->records[(interrupts->first + interrupts->used++) % interrupts->size];
    *record = (struct devreg_interrupt){
            .sequence = ++interrupts->sequence,
            .number = ++vector->number,
            .time = time,
            .value = value,
            .vector = vector->index,
            .flags = flags,
    };
}

/* Returns whether there is an acknowledgement, and it found something to acknowledge. */
static bool acknowledge(const struct vector *vector, u64 *value, u32 *flags)
{
    if (!vector->acknowledge)
        return false;
    *flags |= DEVREG_INTERRUPT_VALUE;
    return acknowledge_run(vector->acknowledge, value);
}

/* Whether nobody comes to read what was raised: then more of it would only keep the processor from letting
 * them. */
static bool is_flood(const struct interrupts *interrupts)
{
    return interrupts->used == interrupts->size;
}

static void wake(struct interrupts *interrupts)
{
    wake_up_interruptible_poll(&interrupts->wait, EPOLLIN | EPOLLRDNORM);
}

/* In a handler. */
static u32 mask_at_processor(struct vector *vector)
{
    vector->masked = true;
    disable_irq_nosync(vector->irq);
    return DEVREG_INTERRUPT_MASKED;
}

static irqreturn_t handle_message(int irq, void *data)
{
    struct vector *vector = data;
    struct interrupts *interrupts = vector->interrupts;
    u64 time = ktime_get_ns(), value = 0;
    unsigned long state;
    u32 flags = 0;

    spin_lock_irqsave(&interrupts->lock, state);
    if (vector->masked) {
        vector->pending = true;
    } else {
        acknowledge(vector, &value, &flags);
        if (is_flood(interrupts))
            flags |= mask_at_processor(vector);
        add_record(vector, time, flags, value);
    }
    spin_unlock_irqrestore(&interrupts->lock, state);
    wake(interrupts);
    return IRQ_HANDLED;
}

/* A line that is up, and that its device holds now. It may go on when the device is quiet. */
static void take_held_line(struct vector *vector, u64 time)
{
    struct interrupts *interrupts = vector->interrupts;
    struct devreg_device *device = interrupts->device;
    u64 value = 0;
    u32 flags = 0;

    vector->masked = !acknowledge(vector, &value, &flags) || is_flood(interrupts) ||
                     !device->bus->release_line_unless_up(device->device);
    if (vector->masked)
        flags |= DEVREG_INTERRUPT_MASKED;
    add_record(vector, time, flags, value);
}

static irqreturn_t handle_shared_line(int irq, void *data)
{
    struct vector *vector = data;
    struct interrupts *interrupts = vector->interrupts;
    struct devreg_device *device = interrupts->device;
    u64 time = ktime_get_ns();
    unsigned long state;
    bool ours;

    spin_lock_irqsave(&interrupts->lock, state);
    /* Also while it is masked: somebody else may have written to the device's command register. */
    ours = device->bus->hold_line_if_up(device->device);
    if (ours && !vector->masked)
        take_held_line(vector, time);
    spin_unlock_irqrestore(&interrupts->lock, state);
    if (!ours)
        return IRQ_NONE;
    wake(interrupts);
    return IRQ_HANDLED;
}

/* Whether this line is still up can't be seen. One that was not acknowledged is taken to be. */
static irqreturn_t handle_own_line(int irq, void *data)
{
    struct vector *vector = data;
    struct interrupts *interrupts = vector->interrupts;
    u64 time = ktime_get_ns(), value = 0;
    unsigned long state;
    u32 flags = 0;

    spin_lock_irqsave(&interrupts->lock, state);
    /* A masked one is being disabled by another processor right now, and comes again when it is enabled. */
    if (!vector->masked) {
        if (!acknowledge(vector, &value, &flags) || is_flood(interrupts))
            flags |= mask_at_processor(vector);
        add_record(vector, time, flags, value);
    }
    spin_unlock_irqrestore(&interrupts->lock, state);
    wake(interrupts);
    return IRQ_HANDLED;
}

/* It is enabled when it is unmasked. */
static int own_vector(struct vector *vector)
{
    struct interrupts *interrupts = vector->interrupts;
    struct device *device = interrupts->device->device;
    unsigned long flags = IRQF_SHARED;
    irq_handler_t handler = handle_shared_line;
    int r = interrupts->device->bus->vector_number(device, interrupts->kind, vector->index);

    if (r < 0)
        return r;
    vector->irq = r;
    if (!interrupts->shared) {
        handler = is_message(interrupts) ? handle_message : handle_own_line;
#ifdef IRQF_NO_AUTOEN
        flags = IRQF_NO_AUTOEN;
#else
        flags = 0;
        irq_set_status_flags(vector->irq, IRQ_NOAUTOEN);
#endif
    }
    vector->masked = true;
    r = request_irq(vector->irq, handler, flags, DEVREG_DRIVER, vector);
#ifndef IRQF_NO_AUTOEN
    if (!interrupts->shared)
        irq_clear_status_flags(vector->irq, IRQ_NOAUTOEN); /* the next driver wants it as usual */
#endif
    vector->owned = r == 0;
    return r;
}

static void disown_all(struct interrupts *interrupts)
{
    unsigned int i;

    for (i = 0; i < interrupts->count; i++) {
        if (interrupts->vectors[i].owned)
            free_irq(interrupts->vectors[i].irq, &interrupts->vectors[i]);
        interrupts->vectors[i].owned = false;
    }
}

static void vector_mask(struct vector *vector)
{
    struct interrupts *interrupts = vector->interrupts;
    struct devreg_device *device = interrupts->device;
    bool was_masked;

    lockdep_assert_held(&device->reset);
    spin_lock_irq(&interrupts->lock);
    was_masked = vector->masked;
    vector->masked = true;
    if (!was_masked && interrupts->shared)
        device->bus->hold_line(device->device);
    else if (!was_masked)
        disable_irq_nosync(vector->irq); /* here: a line that is up would keep us from coming to it */
    spin_unlock_irq(&interrupts->lock);
    if (!was_masked && !interrupts->shared)
        synchronize_irq(vector->irq);
}

/* A line that is still up comes by itself when it is enabled; a message that came while it was being masked
 * does not. */
static void unmask_at_processor(struct vector *vector)
{
    struct interrupts *interrupts = vector->interrupts;
    bool was_masked, came;
    u64 value = 0;
    u32 flags = 0;

    spin_lock_irq(&interrupts->lock);
    was_masked = vector->masked;
    came = vector->pending && is_message(interrupts);
    vector->masked = vector->pending = false;
    if (came) {
        acknowledge(vector, &value, &flags);
        add_record(vector, ktime_get_ns(), flags, value);
    }
    spin_unlock_irq(&interrupts->lock);
    if (came)
        wake(interrupts);
    if (was_masked)
        enable_irq(vector->irq);
}

static void unmask_at_device(struct vector *vector)
{
    struct interrupts *interrupts = vector->interrupts;
    struct devreg_device *device = interrupts->device;
    bool up = false;

    spin_lock_irq(&interrupts->lock);
    if (vector->masked) {
        up = !device->bus->release_line_unless_up(device->device);
        vector->masked = up;
        if (up)
            take_held_line(vector, ktime_get_ns());
    }
    spin_unlock_irq(&interrupts->lock);
    if (up)
        wake(interrupts);
}

static void vector_unmask(struct vector *vector)
{
    lockdep_assert_held(&vector->interrupts->device->reset);
    if (vector->interrupts->shared)
        unmask_at_device(vector);
    else
        unmask_at_processor(vector);
}

int vectors_begin(struct interrupts *interrupts)
{
    struct devreg_device *device = interrupts->device;
    unsigned int i;
    int r = device->bus->vectors_begin(device->device, interrupts->kind, interrupts->count);

    if (r)
        return r;
    /* A message is a write to memory. */
    if (is_message(interrupts))
        device_add_master(device);
    interrupts->shared = !is_message(interrupts) && device->bus->can_hold_line(device->device);
    for (i = 0; r == 0 && i < interrupts->count; i++)
        r = own_vector(&interrupts->vectors[i]);
    if (r)
        vectors_end(interrupts);
    else if (!is_message(interrupts) && !interrupts->shared)
        device->bus->release_line(device->device); /* the processor's interrupt is disabled still */
    return r;
}

/* When the handlers are gone, nobody acknowledges. */
void vectors_end(struct interrupts *interrupts)
{
    struct devreg_device *device = interrupts->device;
    unsigned int i;

    lockdep_assert_held(&device->reset);
    for (i = 0; i < interrupts->count; i++) {
        if (interrupts->vectors[i].owned)
            vector_mask(&interrupts->vectors[i]);
    }
    disown_all(interrupts);
    if (is_message(interrupts))
        device_drop_master(device);
    device->bus->vectors_end(device->device, interrupts->kind);
    for (i = 0; i < interrupts->count; i++) {
        acknowledge_free(interrupts->vectors[i].acknowledge);
        interrupts->vectors[i].acknowledge = NULL;
    }
}

/* A shared line is others' too and stays enabled: the handler leaves a masked vector's device alone. */
void vectors_pause(struct interrupts *interrupts)
{
    unsigned int i;

    lockdep_assert_held(&interrupts->device->reset);
    for (i = 0; i < interrupts->count; i++) {
        struct vector *vector = &interrupts->vectors[i];

        spin_lock_irq(&interrupts->lock);
        vector->wanted = !vector->masked;
        spin_unlock_irq(&interrupts->lock);
        vector_mask(vector);
    }
    interrupts->paused = true;
}

void vectors_resume(struct interrupts *interrupts)
{
    struct devreg_device *device = interrupts->device;
    unsigned int i;

    lockdep_assert_held(&device->reset);
    interrupts->paused = false;
    if (interrupts->shared)
        device->bus->hold_line(device->device);
    else if (!is_message(interrupts))
        device->bus->release_line(device->device);
    for (i = 0; i < interrupts->count; i++) {
        if (interrupts->vectors[i].wanted)
            vector_unmask(&interrupts->vectors[i]);
    }
}

void vector_set_masked(struct vector *vector, bool masked)
{
    if (vector->interrupts->paused)
        vector->wanted = !masked;
    else if (masked)
        vector_mask(vector);
    else
        vector_unmask(vector);
}
