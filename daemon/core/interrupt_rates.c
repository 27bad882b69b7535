/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How often interrupts come: the rates that are shown, and the storms that mask a source for a while. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/interrupt_sources.h"
#include "util/clock.h"

enum {
    TICK_US = 1000000,  /* how often rates are worked out */
    ACCURACY_US = 1000, /* of timers */
};

static void set_storm_timer(struct interrupts *interrupts)
{
    uint64_t next_us = UINT64_MAX;

    for (size_t i = 0; i < interrupts->count; i++) {
        const struct interrupt_source *source = &interrupts->sources[i].shown;

        if (source->state == INTERRUPT_STORM && source->unmask_us < next_us)
            next_us = source->unmask_us;
    }
    if (next_us != UINT64_MAX)
        sd_event_source_set_time(interrupts->storms, next_us);
    sd_event_source_set_enabled(interrupts->storms, next_us == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void begin_storm(struct source *source, uint64_t rate)
{
    struct interrupts *interrupts = source->watched->owner;
    uint64_t now_us = clock_now_us();
    uint64_t masked_us = storm_begin(&source->meter, now_us);
    int r = source_mask(source, true);
    char text[200], end[80];

    if (r < 0)
        snprintf(end, sizeof(end), "it can't be masked: %s", strerror(-r));
    else
        snprintf(end, sizeof(end), "masked for %" PRIu64 " s", masked_us / 1000000);
    snprintf(text, sizeof(text), "%" PRIu64 " a second, more than the limit of %" PRIu64 ": %s", rate,
            interrupts->daemon->limits.interrupts_per_second, end);
    source->shown.state = INTERRUPT_STORM;
    source->shown.storms++;
    source->shown.unmask_us = now_us + masked_us;
    source_tell(source, EVENT_STORM, true, text);
    source_complain(source, "%s", text);
    set_storm_timer(interrupts);
}

void rates_count(struct source *source, const struct interrupt_record *record)
{
    uint64_t rate = 0;

    if (source->shown.state == INTERRUPT_ON)
        rate = storm_count(&source->meter, record->time_ns, record->missed + 1,
                source->watched->owner->daemon->limits.interrupts_per_second);
    if (rate > 0)
        begin_storm(source, rate);
}

void rates_end_storm(struct source *source, const char *reason)
{
    source->shown.state = INTERRUPT_ON;
    storm_end(&source->meter, clock_now_us());
    source_tell(source, EVENT_STORM, false, reason);
    set_storm_timer(source->watched->owner);
}

static int handle_storms(sd_event_source *event_source, uint64_t usec, void *userdata)
{
    struct interrupts *interrupts = userdata;

    (void)event_source;
    for (size_t i = 0; i < interrupts->count; i++) {
        struct source *source = &interrupts->sources[i];
        int r;

        if (source->shown.state != INTERRUPT_STORM || source->shown.unmask_us > usec + ACCURACY_US)
            continue;
        rates_end_storm(source, "unmasked again");
        r = source_mask(source, false);
        if (r == 0)
            continue;
        source->shown.state = INTERRUPT_WAITING;
        source_complain(source, "unmasking: %s", strerror(-r));
    }
    set_storm_timer(interrupts);
    return 0;
}

static int handle_tick(sd_event_source *event_source, uint64_t usec, void *userdata)
{
    struct interrupts *interrupts = userdata;
    uint64_t now_us = clock_now_us();
    double seconds = (double)(now_us - interrupts->ticked_us) / 1e6;
    bool any = false;

    (void)usec;
    for (size_t i = 0; i < interrupts->count; i++) {
        struct source *source = &interrupts->sources[i];
        double *rate = &source->shown.rate;

        *rate = (*rate + (double)(source->shown.count - source->ticked) / seconds) / 2;
        if (*rate < 0.01)
            *rate = 0;
        any = any || *rate > 0;
        source->ticked = source->shown.count;
    }
    interrupts->ticked_us = now_us;
    if (!any)
        return 0;
    sd_event_source_set_time(event_source, now_us + TICK_US);
    return sd_event_source_set_enabled(event_source, SD_EVENT_ONESHOT);
}

void rates_need_tick(struct interrupts *interrupts)
{
    int enabled;

    if (sd_event_source_get_enabled(interrupts->tick, &enabled) < 0 || enabled != SD_EVENT_OFF)
        return;
    interrupts->ticked_us = clock_now_us();
    sd_event_source_set_time(interrupts->tick, interrupts->ticked_us + TICK_US);
    sd_event_source_set_enabled(interrupts->tick, SD_EVENT_ONESHOT);
}

static int add_timer(
        struct interrupts *interrupts, sd_event_source **source, sd_event_time_handler_t handler)
{
    int r = sd_event_add_time(
            interrupts->daemon->event, source, CLOCK_MONOTONIC, 0, ACCURACY_US, handler, interrupts);

    return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_OFF);
}

int rates_start(struct interrupts *interrupts)
{
    int r = add_timer(interrupts, &interrupts->storms, handle_storms);

    return r < 0 ? r : add_timer(interrupts, &interrupts->tick, handle_tick);
}

void rates_stop(struct interrupts *interrupts)
{
    sd_event_source_disable_unref(interrupts->storms);
    sd_event_source_disable_unref(interrupts->tick);
}
