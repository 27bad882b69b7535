/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All sources of interrupts: made from the inventory, found by name, masked for a principal. */
#include "core/interrupts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/interrupt_sources.h"
#include "util/cleanup.h"

const char *interrupt_state_name(enum interrupt_state state)
{
    static const char *const names[] = {
            [INTERRUPT_ABSENT] = "absent",
            [INTERRUPT_ON] = "on",
            [INTERRUPT_MASKED] = "masked",
            [INTERRUPT_STORM] = "storm",
            [INTERRUPT_WAITING] = "waiting",
    };

    return names[state];
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(interrupt_name(&(*(struct source *const *)a)->shown),
            interrupt_name(&(*(struct source *const *)b)->shown));
}

static int fill_source(struct source *source, struct watched *watched, unsigned index)
{
    struct device *device = watched->device;
    const struct interrupt_description *description = &device->description->interrupts[index];
    struct acknowledgement *acknowledgement;

    source->watched = watched;
    source->shown.description = description;
    source->shown.device = device;
    source->shown.index = index;
    source->shown.region = &device->regions[description->acknowledged ? description->acknowledge.region : 0];
    if (!description->acknowledged)
        return 0;
    acknowledgement = calloc(1, sizeof(*acknowledgement));
    if (!acknowledgement)
        return -ENOMEM;
    acknowledgement->dispatch = watched->owner->daemon->dispatch;
    acknowledgement->region = source->shown.region;
    acknowledgement->description = &description->acknowledge;
    acknowledgement->acknowledged = watched_acknowledged;
    acknowledgement->context = source;
    source->acknowledgement = acknowledgement;
    return 0;
}

static int fill(struct interrupts *interrupts)
{
    const struct inventory *inventory = interrupts->daemon->inventory;

    for (size_t i = 0; i < inventory->device_count; i++) {
        struct device *device = &inventory->devices[i];
        struct watched *watched = &interrupts->watched[interrupts->watched_count];

        if (device->description->interrupt_count == 0)
            continue;
        interrupts->watched_count++;
        *watched = (struct watched){
                .owner = interrupts, .device = device, .sources = &interrupts->sources[interrupts->count]};
        for (unsigned k = 0; k < device->description->interrupt_count; k++) {
            struct source *source = &interrupts->sources[interrupts->count];

            interrupts->sorted[interrupts->count++] = source;
            if (fill_source(source, watched, k) < 0)
                return -ENOMEM;
        }
    }
    qsort(interrupts->sorted, interrupts->count, sizeof(interrupts->sorted[0]), compare_names);
    return 0;
}

static int allocate(struct interrupts *interrupts)
{
    const struct inventory *inventory = interrupts->daemon->inventory;
    size_t count = 0;

    for (size_t i = 0; i < inventory->device_count; i++)
        count += inventory->devices[i].description->interrupt_count;
    interrupts->sources = calloc(count + 1, sizeof(*interrupts->sources));
    interrupts->sorted = calloc(count + 1, sizeof(struct source *));
    interrupts->watched = calloc(inventory->device_count + 1, sizeof(*interrupts->watched));
    return interrupts->sources && interrupts->sorted && interrupts->watched ? 0 : -ENOMEM;
}

int interrupts_new(struct daemon *daemon, struct interrupts **ret_interrupts, struct error *error)
{
    _cleanup_(interrupts_freep) struct interrupts *interrupts = calloc(1, sizeof(*interrupts));
    int r;

    if (!interrupts)
        return error_set(error, -ENOMEM, "out of memory");
    interrupts->daemon = daemon;
    r = allocate(interrupts);
    if (r == 0)
        r = fill(interrupts);
    if (r == 0)
        r = rates_start(interrupts);
    if (r < 0)
        return error_set(error, r, "interrupts: %s", strerror(-r));
    for (size_t i = 0; i < interrupts->watched_count; i++)
        watched_start(&interrupts->watched[i]);
    *ret_interrupts = take_ptr(interrupts);
    return 0;
}

void interrupts_free(struct interrupts *interrupts)
{
    if (!interrupts)
        return;
    for (size_t i = 0; i < interrupts->watched_count; i++)
        watched_stop(&interrupts->watched[i]);
    for (size_t i = 0; i < interrupts->count; i++)
        free(interrupts->sources[i].acknowledgement);
    rates_stop(interrupts);
    free(interrupts->sources);
    free(interrupts->sorted);
    free(interrupts->watched);
    free(interrupts);
}

size_t interrupts_count(const struct interrupts *interrupts)
{
    return interrupts->count;
}

struct interrupt_source *interrupts_at(const struct interrupts *interrupts, size_t index)
{
    return &interrupts->sorted[index]->shown;
}

struct interrupt_source *interrupts_find(const struct interrupts *interrupts, const char *name)
{
    size_t low = 0, high = interrupts->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, interrupt_name(&interrupts->sorted[middle]->shown));

        if (order == 0)
            return &interrupts->sorted[middle]->shown;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int interrupts_mask(struct interrupts *interrupts, struct interrupt_source *shown, bool masked,
        const char *principal, struct error *error)
{
    struct source *source = container_of(shown, struct source, shown);
    char reason[sizeof(shown->masked_by) + 32];
    int r;

    (void)interrupts;
    if (shown->state == INTERRUPT_ABSENT)
        return error_set(error, -ENODEV, "%s is absent: %s", interrupt_name(shown), shown->absent.message);
    if (shown->state == (masked ? INTERRUPT_MASKED : INTERRUPT_ON))
        return 0;
    r = source_mask(source, masked);
    if (r < 0)
        return error_set(error, r, "%s %s: %s", masked ? "masking" : "unmasking", interrupt_name(shown),
                strerror(-r));
    snprintf(shown->masked_by, sizeof(shown->masked_by), "%s", masked ? principal : "");
    snprintf(reason, sizeof(reason), "%s by %s", masked ? "masked" : "unmasked", principal);
    if (shown->state == INTERRUPT_STORM)
        rates_end_storm(source, reason);
    shown->state = masked ? INTERRUPT_MASKED : INTERRUPT_ON;
    storm_restart(&source->meter);
    source_tell(source, EVENT_MASK, masked, principal);
    return 0;
}
