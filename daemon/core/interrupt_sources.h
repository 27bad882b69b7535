/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of interrupts are made of; for the files that make interrupts.h true. A device's part is
 * waited for on the loop and told of the device's fate (interrupt_watch.c), one source is masked and told of
 * (interrupt_source.c), and all are counted (interrupt_rates.c). */
#pragma once

#include "core/acknowledgement.h"
#include "core/daemon.h"
#include "core/interrupt_storm.h"
#include "core/interrupts.h"

/* The devices' part that is waited for. */
struct watched {
    struct device_watch watch;
    struct interrupts *owner;
    struct device *device;
    struct source *sources; /* in the order of the description */
    sd_event_source *io;    /* NULL while there is nothing to read */
    unsigned generation;    /* another one since it was opened, and since it was closed */
};

struct source {
    struct interrupt_source shown;
    struct watched *watched;
    struct storm_meter meter;
    struct acknowledgement *acknowledgement; /* NULL: it has none */
    uint64_t ticked;                         /* the count when rates were worked out last */
    uint64_t reported_us;                    /* when it was complained about */

    /* As in silence_enter(): what the backend is told when the device answers again, and what it said to
     * that. */
    bool owed, owed_masked;
    int owed_result;
};

struct interrupts {
    struct daemon *daemon;
    struct source *sources;
    struct source **sorted;
    size_t count;
    struct watched *watched;
    size_t watched_count;
    sd_event_source *storms; /* on while there is one */
    sd_event_source *tick;   /* on while a rate is not 0 */
    uint64_t ticked_us;
};

/* Masks or unmasks it. Of a device that is silent it is done afterwards: it would wait for the device, and
 * everybody for it. Until then nothing comes. */
int source_mask(struct source *source, bool masked);

/* Does what is owed; on the device's worker. */
void source_pay(struct source *source);

/* Forgets what is owed, as the device is closed. */
void source_owe_nothing(struct source *source);

/* What the backend said when what was owed was done, once. */
int source_take_owed_result(struct source *source);

/* For the log, once a minute: a source that is broken may be so a thousand times a second. */
__attribute__((format(printf, 2, 3))) void source_complain(struct source *source, const char *format, ...);

/* An event of the source itself. */
void source_tell(struct source *source, enum event_kind kind, bool on, const char *text);

/* Counts what came while the source is on, and masks it when that is a storm. */
void rates_count(struct source *source, const struct interrupt_record *record);

/* Ends the source's storm; the caller gives it its new state. */
void rates_end_storm(struct source *source, const char *reason);

/* Has the rates worked out again, until all are 0. */
void rates_need_tick(struct interrupts *interrupts);

/* The timers of storms and rates. */
int rates_start(struct interrupts *interrupts);
void rates_stop(struct interrupts *interrupts); /* also of what never started */

/* Waits for the device's interrupts and follows its fate; one that is open has its interrupts opened now. */
void watched_start(struct watched *watched);
void watched_stop(struct watched *watched); /* also of what never started */

/* What an acknowledgement says that was submitted; for struct acknowledgement. */
void watched_acknowledged(struct acknowledgement *acknowledgement, const struct interrupt_record *record,
        const struct error *error);
