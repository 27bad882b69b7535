/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A ring of records, and for each source the last record for which it had no room, with how many were before
 * it: so the number of interrupts is right however slowly they are read. */
#include "backends/sim_interrupts.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/cleanup.h"

enum { RECORDS = 4096 };

struct sim_source {
    unsigned vector;
    bool masked, pending;
    bool overflowed; /* `last` had no room in the ring */
    struct interrupt_record last;
};

struct sim_interrupts {
    int fd; /* eventfd */
    pthread_mutex_t lock;
    struct interrupt_record ring[RECORDS]; /* under lock, as all that follows */
    size_t first, count;
    size_t source_count;
    struct sim_source sources[];
};

int sim_interrupts_new(const struct device_description *description, struct sim_interrupts **ret_interrupts)
{
    size_t count = description->interrupt_count;
    struct sim_interrupts *interrupts = calloc(1, sizeof(*interrupts) + count * sizeof(struct sim_source));

    if (!interrupts)
        return -ENOMEM;
    interrupts->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (interrupts->fd < 0) {
        free(interrupts);
        return -errno;
    }
    pthread_mutex_init(&interrupts->lock, NULL);
    interrupts->source_count = count;
    for (size_t i = 0; i < count; i++)
        interrupts->sources[i].vector = description->interrupts[i].vector;
    *ret_interrupts = interrupts;
    return 0;
}

void sim_interrupts_free(struct sim_interrupts *interrupts)
{
    closep(&interrupts->fd);
    pthread_mutex_destroy(&interrupts->lock);
    free(interrupts);
}

int sim_interrupts_fd(const struct sim_interrupts *interrupts)
{
    return interrupts->fd;
}

int sim_interrupts_find(const struct sim_interrupts *interrupts, unsigned vector)
{
    for (size_t i = 0; i < interrupts->source_count; i++) {
        if (interrupts->sources[i].vector == vector)
            return (int)i;
    }
    return -1;
}

bool sim_interrupts_may_come(struct sim_interrupts *interrupts, unsigned index)
{
    struct sim_source *source = &interrupts->sources[index];
    bool may_come;

    pthread_mutex_lock(&interrupts->lock);
    may_come = !source->masked;
    if (!may_come)
        source->pending = true;
    pthread_mutex_unlock(&interrupts->lock);
    return may_come;
}

int sim_interrupts_take_pending(struct sim_interrupts *interrupts)
{
    int found = -1;

    pthread_mutex_lock(&interrupts->lock);
    for (size_t i = 0; i < interrupts->source_count && found < 0; i++) {
        struct sim_source *source = &interrupts->sources[i];

        if (!source->pending || source->masked)
            continue;
        source->pending = false;
        found = (int)i;
    }
    pthread_mutex_unlock(&interrupts->lock);
    return found;
}

void sim_interrupts_forget_pending(struct sim_interrupts *interrupts)
{
    pthread_mutex_lock(&interrupts->lock);
    for (size_t i = 0; i < interrupts->source_count; i++)
        interrupts->sources[i].pending = false;
    pthread_mutex_unlock(&interrupts->lock);
}

/* An eventfd write fails only when its counter is full, and then the loop is awake already. */
static void wake(struct sim_interrupts *interrupts)
{
    const uint64_t one = 1;

    if (write(interrupts->fd, &one, sizeof(one)) < 0)
        return;
}

static void push(struct sim_interrupts *interrupts, const struct interrupt_record *record)
{
    interrupts->ring[(interrupts->first + interrupts->count) % RECORDS] = *record;
    if (interrupts->count++ == 0)
        wake(interrupts);
}

static void merge(struct sim_source *source, const struct interrupt_record *record)
{
    uint64_t missed = source->overflowed ? source->last.missed + 1 : 0;

    source->last = *record;
    source->last.missed += missed;
    source->overflowed = true;
}

void sim_interrupts_add(struct sim_interrupts *interrupts, const struct interrupt_record *record)
{
    struct sim_source *source = &interrupts->sources[record->source];

    pthread_mutex_lock(&interrupts->lock);
    if (interrupts->count == RECORDS || source->overflowed)
        merge(source, record);
    else
        push(interrupts, record);
    pthread_mutex_unlock(&interrupts->lock);
}

/* What had no room, now that there is some. */
static void push_overflowed(struct sim_interrupts *interrupts)
{
    for (size_t i = 0; i < interrupts->source_count && interrupts->count < RECORDS; i++) {
        struct sim_source *source = &interrupts->sources[i];

        if (!source->overflowed)
            continue;
        source->overflowed = false;
        push(interrupts, &source->last);
    }
}

size_t sim_interrupts_read(struct sim_interrupts *interrupts, struct interrupt_record *records, size_t count)
{
    uint64_t ignored;
    size_t taken = 0;

    pthread_mutex_lock(&interrupts->lock);
    while (taken < count && interrupts->count > 0) {
        records[taken++] = interrupts->ring[interrupts->first];
        interrupts->first = (interrupts->first + 1) % RECORDS;
        interrupts->count--;
    }
    if (interrupts->count == 0 && read(interrupts->fd, &ignored, sizeof(ignored)) < 0)
        ignored = 0; /* it was read already */
    push_overflowed(interrupts);
    pthread_mutex_unlock(&interrupts->lock);
    return taken;
}

bool sim_interrupts_mask(struct sim_interrupts *interrupts, unsigned index, bool masked)
{
    struct sim_source *source = &interrupts->sources[index];
    bool comes;

    pthread_mutex_lock(&interrupts->lock);
    source->masked = masked;
    comes = !masked && source->pending;
    pthread_mutex_unlock(&interrupts->lock);
    return comes;
}
