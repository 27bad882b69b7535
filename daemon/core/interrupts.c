/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One descriptor a device is waited for on the loop. It leaves the loop when the device says that it is
 * about to be closed; whatever is begun with a device can lead to that, so after each step `generation`
 * tells whether it is still the same. */
#include "core/interrupts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/acknowledgement.h"
#include "core/daemon.h"
#include "core/interrupt_storm.h"
#include "core/silence.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

enum {
    BATCH = 128,          /* records that are taken before the loop looks at everybody else */
    TICK_US = 1000000,    /* how often rates are worked out */
    ACCURACY_US = 1000,   /* of timers */
    REPORT_US = 60000000, /* between two complaints about a source */
};

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

/* Of a device that is silent it is done afterwards: it would wait for the device, and everybody for it.
 * Until then nothing comes. */
static int backend_mask(struct source *source, bool masked)
{
    struct device *device = source->watched->device;
    struct backend_interrupts *handle = device->interrupts;
    int r = 0;

    source->owed = !silence_enter(device);
    source->owed_masked = masked;
    source->owed_result = 0;
    if (!source->owed)
        r = handle->backend->interrupts_mask(handle, source->shown.index, masked);
    silence_leave(device);
    return r;
}

/* On the device's worker. */
static void handle_answers(struct device_watch *watch)
{
    const struct watched *watched = container_of(watch, struct watched, watch);
    struct backend_interrupts *handle = watched->device->interrupts;

    for (size_t i = 0; i < watched->device->description->interrupt_count; i++) {
        struct source *source = &watched->sources[i];

        if (source->owed)
            source->owed_result =
                    handle->backend->interrupts_mask(handle, source->shown.index, source->owed_masked);
        source->owed = false;
    }
}

static void owe_nothing(struct source *source)
{
    silence_enter(source->watched->device);
    source->owed = false;
    source->owed_result = 0;
    silence_leave(source->watched->device);
}

/* Something may be owed again: the next reset may have begun. */
static int take_owed_result(struct source *source)
{
    int r;

    silence_enter(source->watched->device);
    r = source->owed_result;
    source->owed_result = 0;
    silence_leave(source->watched->device);
    return r;
}

/* A source that is broken may be so a thousand times a second. */
__attribute__((format(printf, 2, 3))) static void complain(struct source *source, const char *format, ...)
{
    uint64_t now_us = clock_now_us();
    char text[400];
    va_list arguments;

    if (source->reported_us && now_us - source->reported_us < REPORT_US)
        return;
    source->reported_us = now_us;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_warning("interrupts of %s: %s", interrupt_name(&source->shown), text);
}

static void add_event(struct source *source, enum event_kind kind, bool on, const char *text)
{
    const struct event event = {.kind = kind,
            .on = on,
            .device = source->shown.device,
            .source = &source->shown,
            .text = (char *)text};

    events_add(source->watched->owner->daemon->events, &event);
}

/* Storms. */

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
    int r = backend_mask(source, true);
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
    add_event(source, EVENT_STORM, true, text);
    complain(source, "%s", text);
    set_storm_timer(interrupts);
}

/* The caller gives it its new state. */
static void end_storm(struct source *source, const char *reason)
{
    source->shown.state = INTERRUPT_ON;
    storm_end(&source->meter, clock_now_us());
    add_event(source, EVENT_STORM, false, reason);
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
        end_storm(source, "unmasked again");
        r = backend_mask(source, false);
        if (r == 0)
            continue;
        source->shown.state = INTERRUPT_WAITING;
        complain(source, "unmasking: %s", strerror(-r));
    }
    set_storm_timer(interrupts);
    return 0;
}

/* Rates. */

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

static void need_tick(struct interrupts *interrupts)
{
    int enabled;

    if (sd_event_source_get_enabled(interrupts->tick, &enabled) < 0 || enabled != SD_EVENT_OFF)
        return;
    interrupts->ticked_us = clock_now_us();
    sd_event_source_set_time(interrupts->tick, interrupts->ticked_us + TICK_US);
    sd_event_source_set_enabled(interrupts->tick, SD_EVENT_ONESHOT);
}

/* Records. */

static void add_interrupt(struct source *source, const struct interrupt_record *record, bool masked)
{
    struct interrupts *interrupts = source->watched->owner;
    struct events *events = interrupts->daemon->events;
    struct interrupt_source *shown = &source->shown;
    struct event event = {.kind = EVENT_INTERRUPT,
            .monotonic_ns = record->time_ns,
            .device = shown->device,
            .source = shown,
            .has_value = record->has_value,
            .value = record->value,
            .masked = masked,
            .missed = record->missed};

    shown->count += record->missed + 1;
    shown->missed += record->missed;
    event.number = shown->count;
    shown->last_sequence = events_next(events);
    shown->last_monotonic_ns = record->time_ns;
    shown->has_last_value = record->has_value;
    shown->last_value = record->value;
    events_add(events, &event);
    shown->last_realtime_ns = events_get(events, shown->last_sequence)->realtime_ns;
    need_tick(interrupts);
}

/* It was masked when it came, and the device is quiet now. */
static void unmask_after(struct source *source)
{
    int r = source->shown.state == INTERRUPT_ON ? backend_mask(source, false) : 0;

    if (r == 0)
        return;
    source->shown.state = INTERRUPT_WAITING;
    complain(source, "unmasking: %s", strerror(-r));
}

/* It was masked when it came, and the device may not be quiet. */
static void wait_after(struct source *source)
{
    if (source->shown.state == INTERRUPT_ON)
        source->shown.state = INTERRUPT_WAITING;
}

static void handle_acknowledged(struct acknowledgement *acknowledgement,
        const struct interrupt_record *record, const struct error *error)
{
    struct source *source = acknowledgement->context;

    if (error)
        complain(source, "the acknowledgement failed: %s", error->message);
    if (record->masked && error)
        wait_after(source);
    else if (record->masked)
        unmask_after(source);
    add_interrupt(source, record, record->masked && source->shown.state == INTERRUPT_WAITING);
}

static void handle_record(struct source *source, const struct interrupt_record *record)
{
    const struct watched *watched = source->watched;
    bool by_backend = watched->device->interrupts->acknowledges;
    uint64_t rate = 0;

    if (source->shown.state == INTERRUPT_ON)
        rate = storm_count(&source->meter, record->time_ns, record->missed + 1,
                watched->owner->daemon->limits.interrupts_per_second);
    if (rate > 0)
        begin_storm(source, rate);
    if (source->acknowledgement && !by_backend) {
        acknowledgement_submit(source->acknowledgement, record);
        return;
    }
    if (record->masked && (source->acknowledgement || record->overrun))
        unmask_after(source);
    else if (record->masked)
        wait_after(source);
    add_interrupt(source, record, record->masked && source->shown.state == INTERRUPT_WAITING);
}

/* They are closed at the next look at the device, and opened anew. Not at once: what can't be read may be so
 * again at once. */
static void lose(struct watched *watched, int code)
{
    struct device *device = watched->device;
    struct error error;

    watched->watch.closing(&watched->watch);
    error_set(&error, code, "they can't be read any more: %s", strerror(-code));
    device->interrupts_lost = true;
    device->interrupts_absent = error;
    for (size_t i = 0; i < device->description->interrupt_count; i++)
        watched->sources[i].shown.absent = error;
    if (silence_look(device) != SILENCE_PRESENT)
        dispatch_recheck(watched->owner->daemon->dispatch, device);
    else
        log_warning("interrupts of %s are absent: %s", device_name(device), error.message);
}

static void read_records(struct watched *watched, uint32_t revents)
{
    struct backend_interrupts *handle = watched->device->interrupts;
    struct interrupt_record records[BATCH];
    unsigned generation = watched->generation;
    size_t count = 0;
    int r = handle->backend->interrupts_read(handle, records, BATCH, &count);

    for (size_t i = 0; i < count && watched->generation == generation; i++) {
        if (records[i].source < watched->device->description->interrupt_count)
            handle_record(&watched->sources[records[i].source], &records[i]);
    }
    if (r == 0 && count == 0 && revents & (EPOLLHUP | EPOLLERR))
        r = -ENODEV; /* nothing to read, and it never waits for more */
    if (r < 0 && watched->generation == generation)
        lose(watched, r);
}

static int handle_readable(sd_event_source *event_source, int fd, uint32_t revents, void *userdata)
{
    (void)event_source;
    (void)fd;
    read_records(userdata, revents);
    return 0;
}

/* What the device says. */

static void handle_closing(struct device_watch *watch)
{
    struct watched *watched = container_of(watch, struct watched, watch);

    watched->io = sd_event_source_disable_unref(watched->io);
    watched->generation++;
    for (size_t i = 0; i < watched->device->description->interrupt_count; i++) {
        struct source *source = &watched->sources[i];

        owe_nothing(source);
        if (source->acknowledgement)
            acknowledgement_cancel(source->acknowledgement);
        if (source->shown.state == INTERRUPT_STORM)
            end_storm(source, "the device is closed");
        source->shown.state = INTERRUPT_ABSENT;
        error_set(&source->shown.absent, -ENODEV, "the device is being closed");
    }
}

static void set_absent(struct watched *watched, const struct error *error)
{
    for (size_t i = 0; i < watched->device->description->interrupt_count; i++) {
        watched->sources[i].shown.state = INTERRUPT_ABSENT;
        watched->sources[i].shown.absent = *error;
    }
}

/* What a principal has masked stays so when the device comes back. */
static void begin(struct source *source)
{
    bool masked = source->shown.masked_by[0];
    int r = masked ? backend_mask(source, true) : 0;

    source->shown.state = masked ? INTERRUPT_MASKED : INTERRUPT_ON;
    source->shown.absent = (struct error){0};
    storm_restart(&source->meter);
    if (r < 0)
        complain(source, "masking: %s", strerror(-r));
}

static int wait_for_records(struct watched *watched)
{
    return sd_event_add_io(watched->owner->daemon->event, &watched->io, watched->device->interrupts->fd,
            EPOLLIN, handle_readable, watched);
}

static void handle_changed(struct device_watch *watch)
{
    struct watched *watched = container_of(watch, struct watched, watch);
    struct device *device = watched->device;
    struct error error;
    int r;

    if (!device->interrupts) {
        set_absent(watched, device->handle ? &device->interrupts_absent : &device->absent);
        return;
    }
    if (watched->io || device->interrupts_lost)
        return;
    r = wait_for_records(watched);
    if (r < 0) {
        error_set(&error, r, "event loop: %s", strerror(-r));
        set_absent(watched, &error);
        return;
    }
    watched->generation++;
    for (size_t i = 0; i < device->description->interrupt_count; i++)
        begin(&watched->sources[i]);
}

/* What could not be done when the device answered again. */
static void note_owed(struct source *source)
{
    bool masked = source->owed_masked;
    int r = take_owed_result(source);

    if (r == 0)
        return;
    if (!masked && source->shown.state == INTERRUPT_ON)
        source->shown.state = INTERRUPT_WAITING;
    complain(source, "%s: %s", masked ? "masking" : "unmasking", strerror(-r));
}

/* What it waited for has happened: the device is quiet. */
static void end_waiting(struct source *source)
{
    if (source->shown.state != INTERRUPT_WAITING)
        return;
    source->shown.state = INTERRUPT_ON;
    unmask_after(source);
}

/* What came before, and has not been read yet, waits for nothing either. */
static void handle_reset(struct device_watch *watch, bool well)
{
    struct watched *watched = container_of(watch, struct watched, watch);

    if (watched->io && well)
        read_records(watched, 0);
    for (size_t i = 0; watched->io && i < watched->device->description->interrupt_count; i++) {
        note_owed(&watched->sources[i]);
        if (well)
            end_waiting(&watched->sources[i]);
    }
}

/* All of them. */

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
    acknowledgement->acknowledged = handle_acknowledged;
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
        *watched = (struct watched){.watch = {handle_closing, handle_changed, handle_answers, handle_reset},
                .owner = interrupts,
                .device = device,
                .sources = &interrupts->sources[interrupts->count]};
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

static int add_timer(
        struct interrupts *interrupts, sd_event_source **source, sd_event_time_handler_t handler)
{
    int r = sd_event_add_time(
            interrupts->daemon->event, source, CLOCK_MONOTONIC, 0, ACCURACY_US, handler, interrupts);

    return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_OFF);
}

/* Devices that are open already have theirs opened now. */
static void watch_all(struct interrupts *interrupts)
{
    for (size_t i = 0; i < interrupts->watched_count; i++) {
        struct watched *watched = &interrupts->watched[i];

        watched->device->watch = &watched->watch;
        if (watched->device->handle)
            device_attach(watched->device);
        else
            handle_changed(&watched->watch);
    }
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
        r = add_timer(interrupts, &interrupts->storms, handle_storms);
    if (r >= 0)
        r = add_timer(interrupts, &interrupts->tick, handle_tick);
    if (r < 0)
        return error_set(error, r, "interrupts: %s", strerror(-r));
    watch_all(interrupts);
    *ret_interrupts = take_ptr(interrupts);
    return 0;
}

void interrupts_free(struct interrupts *interrupts)
{
    if (!interrupts)
        return;
    for (size_t i = 0; i < interrupts->watched_count; i++) {
        sd_event_source_disable_unref(interrupts->watched[i].io);
        interrupts->watched[i].device->watch = NULL;
    }
    for (size_t i = 0; i < interrupts->count; i++)
        free(interrupts->sources[i].acknowledgement);
    sd_event_source_disable_unref(interrupts->storms);
    sd_event_source_disable_unref(interrupts->tick);
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
    r = backend_mask(source, masked);
    if (r < 0)
        return error_set(error, r, "%s %s: %s", masked ? "masking" : "unmasking", interrupt_name(shown),
                strerror(-r));
    snprintf(shown->masked_by, sizeof(shown->masked_by), "%s", masked ? principal : "");
    snprintf(reason, sizeof(reason), "%s by %s", masked ? "masked" : "unmasked", principal);
    if (shown->state == INTERRUPT_STORM)
        end_storm(source, reason);
    shown->state = masked ? INTERRUPT_MASKED : INTERRUPT_ON;
    storm_restart(&source->meter);
    add_event(source, EVENT_MASK, masked, principal);
    return 0;
}
