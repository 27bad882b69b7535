/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What has happened, in order: interrupts, and what became of devices and of the daemon. The newest are kept
 * in a ring of fixed size; each reader has its own position in it, and one that is too slow finds that what
 * it had not read yet is no longer there. Readers cost the ring nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "util/cleanup.h"

struct device;
struct interrupt_source;

enum event_kind {
    EVENT_INTERRUPT,
    EVENT_MASK,   /* a source was masked, or unmasked, by a principal */
    EVENT_STORM,  /* a source came too often and was masked, or the storm is over */
    EVENT_DEVICE, /* a device came, or went */
    EVENT_DRIVER, /* a device was bound to a driver, or unbound from one */
    EVENT_RESET,  /* a device was reset by a principal */
    EVENT_DAEMON, /* it has started, or is stopping */
};

struct event {
    uint64_t sequence; /* set by events_add(): 1 for the first */
    uint64_t monotonic_ns, realtime_ns;
    enum event_kind kind;
    bool on;                               /* masked; storm begins; present; bound; started */
    const struct device *device;           /* NULL: about none */
    const struct interrupt_source *source; /* NULL: about none */

    /* EVENT_INTERRUPT. */
    bool has_value, masked;
    uint64_t number; /* of this source: how many there were, this one and missed ones included */
    uint64_t missed; /* right before it, of which no more is known */
    uint64_t value;  /* of the status register */

    /* Other kinds: more for people: a reason, a principal, a driver's name; NULL: none. The ring has its own
     * copy. */
    char *text;
};

struct events;

/* Told of new events. Coalesced: once for all that were added in a round of the loop, from the loop. */
struct events_reader {
    void (*added)(struct events_reader *reader);
    struct events_reader *next, **link;
};

/* capacity: how many are kept, at least 16. */
int events_new(sd_event *event, size_t capacity, struct events **ret_events);
void events_free(struct events *events);
DEFINE_CLEANUP(struct events *, events_free)

/* Adds a copy, with the next sequence number; clocks that are 0 are set: monotonic_ns to now, realtime_ns to
 * what belongs to monotonic_ns. Never fails: without memory for its text it has none. */
void events_add(struct events *events, const struct event *event);

/* The oldest that is kept and the one that comes next; they are equal when none is kept. */
uint64_t events_first(const struct events *events);
uint64_t events_next(const struct events *events);

/* Valid until the next events_add(). NULL: not kept, or not yet there. */
const struct event *events_get(const struct events *events, uint64_t sequence);

/* "interrupt", "mask", "storm", "device", "driver", "reset", "daemon". */
const char *event_kind_name(enum event_kind kind);

/* Readers may be added and removed at any time, also while they are being told. */
void events_add_reader(struct events *events, struct events_reader *reader);
void events_remove_reader(struct events_reader *reader);
