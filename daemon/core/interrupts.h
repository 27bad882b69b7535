/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sources of interrupts: reads what the backends have, numbers it, puts it among the events, and keeps a
 * source that storms from taking all of the machine's time. */
#pragma once

#include <systemd/sd-event.h>

#include "core/events.h"
#include "core/inventory.h"
#include "util/cleanup.h"

struct daemon;

enum interrupt_state {
    INTERRUPT_ABSENT, /* it can't be had, see `absent` */
    INTERRUPT_ON,
    INTERRUPT_MASKED,  /* by a principal */
    INTERRUPT_STORM,   /* it came too often; it is unmasked by itself later */
    INTERRUPT_WAITING, /* masked by its own occurrence, as nobody here acknowledges it: unmask it then */
};

struct interrupt_source {
    const struct interrupt_description *description;
    struct device *device;
    unsigned index;        /* among the device's */
    struct region *region; /* whose rules are its rules: that of its acknowledgement, or the first */
    enum interrupt_state state;
    struct error absent;
    uint64_t count;  /* since the daemon's start, missed ones included */
    uint64_t missed; /* of them, those of which no more is known */
    uint64_t storms;
    uint64_t unmask_us;         /* INTERRUPT_STORM: when it will be, monotonic */
    uint64_t last_sequence;     /* of its last event, 0: none yet */
    uint64_t last_monotonic_ns; /* when that came, also when it is no longer kept */
    uint64_t last_realtime_ns;
    uint64_t last_value;
    bool has_last_value;
    double rate; /* a second, lately */
    char masked_by[96];
};

static inline const char *interrupt_name(const struct interrupt_source *source)
{
    return source->description->name;
}

/* "absent", "on", "masked", "storm", "waiting". */
const char *interrupt_state_name(enum interrupt_state state);

/* All devices' sources, sorted by name. */
struct interrupts;

/* The daemon has its loop, inventory, dispatch, events and limits, and its devices are idle. To be freed
 * after their threads have ended and before they are closed for good. */
int interrupts_new(struct daemon *daemon, struct interrupts **ret_interrupts, struct error *error);
void interrupts_free(struct interrupts *interrupts);
DEFINE_CLEANUP(struct interrupts *, interrupts_free)

size_t interrupts_count(const struct interrupts *interrupts);
struct interrupt_source *interrupts_at(const struct interrupts *interrupts, size_t index);
struct interrupt_source *interrupts_find(const struct interrupts *interrupts, const char *name);

/* Masks or unmasks a source for a principal of this name. A storm that is unmasked by hand is over. Returns
 * 0, -ENODEV while it is absent, or what the backend says. */
int interrupts_mask(struct interrupts *interrupts, struct interrupt_source *source, bool masked,
        const char *principal, struct error *error);
