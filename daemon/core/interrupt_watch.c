/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One descriptor a device is waited for on the loop. It leaves the loop when the device says that it is
 * about to be closed; whatever is begun with a device can lead to that, so after each step `generation`
 * tells whether it is still the same. */
#include <errno.h>
#include <string.h>

#include "core/interrupt_sources.h"
#include "core/silence.h"
#include "util/log.h"

enum { BATCH = 128 }; /* records that are taken before the loop looks at everybody else */

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
    rates_need_tick(interrupts);
}

/* It was masked when it came, and the device is quiet now. */
static void unmask_after(struct source *source)
{
    int r = source->shown.state == INTERRUPT_ON ? source_mask(source, false) : 0;

    if (r == 0)
        return;
    source->shown.state = INTERRUPT_WAITING;
    source_complain(source, "unmasking: %s", strerror(-r));
}

/* It was masked when it came, and the device may not be quiet. */
static void wait_after(struct source *source)
{
    if (source->shown.state == INTERRUPT_ON)
        source->shown.state = INTERRUPT_WAITING;
}

void watched_acknowledged(struct acknowledgement *acknowledgement, const struct interrupt_record *record,
        const struct error *error)
{
    struct source *source = acknowledgement->context;

    if (error)
        source_complain(source, "the acknowledgement failed: %s", error->message);
    if (record->masked && error)
        wait_after(source);
    else if (record->masked)
        unmask_after(source);
    add_interrupt(source, record, record->masked && source->shown.state == INTERRUPT_WAITING);
}

static void handle_record(struct source *source, const struct interrupt_record *record)
{
    bool by_backend = source->watched->device->interrupts->acknowledges;

    rates_count(source, record);
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

/* On the device's worker. */
static void handle_answers(struct device_watch *watch)
{
    struct watched *watched = container_of(watch, struct watched, watch);

    for (size_t i = 0; i < watched->device->description->interrupt_count; i++)
        source_pay(&watched->sources[i]);
}

static void handle_closing(struct device_watch *watch)
{
    struct watched *watched = container_of(watch, struct watched, watch);

    watched->io = sd_event_source_disable_unref(watched->io);
    watched->generation++;
    for (size_t i = 0; i < watched->device->description->interrupt_count; i++) {
        struct source *source = &watched->sources[i];

        source_owe_nothing(source);
        if (source->acknowledgement)
            acknowledgement_cancel(source->acknowledgement);
        if (source->shown.state == INTERRUPT_STORM)
            rates_end_storm(source, "the device is closed");
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
    int r = masked ? source_mask(source, true) : 0;

    source->shown.state = masked ? INTERRUPT_MASKED : INTERRUPT_ON;
    source->shown.absent = (struct error){0};
    storm_restart(&source->meter);
    if (r < 0)
        source_complain(source, "masking: %s", strerror(-r));
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
    int r = source_take_owed_result(source);

    if (r == 0)
        return;
    if (!masked && source->shown.state == INTERRUPT_ON)
        source->shown.state = INTERRUPT_WAITING;
    source_complain(source, "%s: %s", masked ? "masking" : "unmasking", strerror(-r));
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

void watched_start(struct watched *watched)
{
    watched->watch = (struct device_watch){handle_closing, handle_changed, handle_answers, handle_reset};
    watched->device->watch = &watched->watch;
    if (watched->device->handle)
        device_attach(watched->device);
    else
        handle_changed(&watched->watch);
}

void watched_stop(struct watched *watched)
{
    sd_event_source_disable_unref(watched->io);
    watched->device->watch = NULL;
}
