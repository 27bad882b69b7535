/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See events.h. An event stands at its sequence number modulo the capacity. The memory is asked for at once,
 * so adding can't fail, and the system gives it page by page as it is used. */
#include "core/events.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "util/clock.h"

enum { LEAST_CAPACITY = 16 };

struct events {
    sd_event_source *tell;
    struct events_reader *readers;
    uint64_t next;
    size_t capacity;
    struct event ring[];
};

static void add_to(struct events_reader **list, struct events_reader *reader)
{
    reader->next = *list;
    reader->link = list;
    if (reader->next)
        reader->next->link = &reader->next;
    *list = reader;
}

void events_add_reader(struct events *events, struct events_reader *reader)
{
    add_to(&events->readers, reader);
}

void events_remove_reader(struct events_reader *reader)
{
    if (!reader->link)
        return;
    *reader->link = reader->next;
    if (reader->next)
        reader->next->link = reader->link;
    reader->link = NULL;
}

/* Readers that are told may remove themselves and others, so those to be told stand in a list of their own,
 * and go back one by one. */
static int tell(sd_event_source *source, void *userdata)
{
    struct events *events = userdata;
    struct events_reader *untold = events->readers;

    (void)source;
    events->readers = NULL;
    if (untold)
        untold->link = &untold;
    while (untold) {
        struct events_reader *reader = untold;

        events_remove_reader(reader);
        events_add_reader(events, reader);
        reader->added(reader);
    }
    return 0;
}

int events_new(sd_event *event, size_t capacity, struct events **ret_events)
{
    _cleanup_(events_freep) struct events *events = NULL;
    int r;

    if (capacity < LEAST_CAPACITY)
        return -EINVAL;
    if (capacity > (SIZE_MAX - sizeof(*events)) / sizeof(events->ring[0]))
        return -ENOMEM;
    events = calloc(1, sizeof(*events) + capacity * sizeof(events->ring[0]));
    if (!events)
        return -ENOMEM;
    events->next = 1;
    events->capacity = capacity;
    r = sd_event_add_defer(event, &events->tell, tell, events);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(events->tell, SD_EVENT_OFF);
    if (r < 0)
        return r;
    *ret_events = take_ptr(events);
    return 0;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    while (events->readers)
        events_remove_reader(events->readers);
    for (size_t i = 0; i < events->capacity && i < events->next; i++)
        free(events->ring[i].text);
    sd_event_source_disable_unref(events->tell);
    free(events);
}

void events_add(struct events *events, const struct event *event)
{
    struct event *place = &events->ring[events->next % events->capacity];

    free(place->text);
    *place = *event;
    place->sequence = events->next++;
    if (event->text)
        place->text = strdup(event->text);
    if (place->monotonic_ns == 0)
        place->monotonic_ns = clock_now_ns();
    if (place->realtime_ns == 0)
        place->realtime_ns = clock_realtime_at(place->monotonic_ns);
    sd_event_source_set_enabled(events->tell, SD_EVENT_ONESHOT);
}

uint64_t events_first(const struct events *events)
{
    return events->next > events->capacity ? events->next - events->capacity : 1;
}

uint64_t events_next(const struct events *events)
{
    return events->next;
}

const struct event *events_get(const struct events *events, uint64_t sequence)
{
    if (sequence < events_first(events) || sequence >= events->next)
        return NULL;
    return &events->ring[sequence % events->capacity];
}

const char *event_kind_name(enum event_kind kind)
{
    static const char *const names[] = {
            [EVENT_INTERRUPT] = "interrupt",
            [EVENT_MASK] = "mask",
            [EVENT_STORM] = "storm",
            [EVENT_DEVICE] = "device",
            [EVENT_DRIVER] = "driver",
            [EVENT_RESET] = "reset",
            [EVENT_DAEMON] = "daemon",
    };

    assert(kind < ELEMENTS(names));
    return names[kind];
}
