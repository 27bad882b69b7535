/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stream of events. Who listens has a position in the ring and no queue: what comes next is looked for
 * when its client has taken what was before, and what is gone by then is reported as lost. What it may be
 * told is worked out when it begins, and again when a device comes, as only then it is known which regions
 * are windows of the same hardware. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/arguments.h"
#include "api/event_text.h"
#include "api/handlers.h"
#include "api/sources.h"

enum {
    RETRY_MS = 1000,
    HEARTBEAT_SECONDS = 15,
    HEARTBEAT_SECONDS_MOST = 300,
};

#define ALL_KINDS      ((1U << (EVENT_DAEMON + 1)) - 1)
#define KIND_BIT(kind) (1U << (kind))
#define ABOUT_SOURCE   (KIND_BIT(EVENT_INTERRUPT) | KIND_BIT(EVENT_MASK) | KIND_BIT(EVENT_STORM))

static const char no_memory[] = "out of memory: try again";
static const char not_kept[] = "these events are not kept any more";
static const char anew[] = "devregd was started anew, so it is not known what came before";

struct subscriber {
    struct stream stream;
    struct events_reader reader;
    struct daemon *daemon;
    uint64_t next;     /* that is to be looked at */
    bool started_anew; /* since the event that its client has seen last; to be told */
    bool counts;       /* it ends after `left` more events */
    uint64_t left;
    unsigned kinds;
    struct interrupt_source **asked; /* for these alone, sorted as pointers */
    size_t asked_count;              /* 0: all */

    /* Sources and devices that it is told of, sorted as pointers. */
    const void **visible;
    size_t visible_count;

    sd_event_source *timer;
    uint64_t heartbeat_us;
    uint64_t told_us; /* when something was sent last */
    bool beat;        /* a heartbeat is due */

    /* The rest of one text that did not fit into what its client took. */
    struct buffer piece;
    size_t piece_taken;
};

static struct subscriber *subscriber_of(struct stream *stream)
{
    return container_of(stream, struct subscriber, stream);
}

static uint64_t round_us(const struct daemon *daemon)
{
    uint64_t now = 0;

    sd_event_now(daemon->event, CLOCK_MONOTONIC, &now);
    return now;
}

static int compare_pointers(const void *left, const void *right)
{
    uintptr_t a = (uintptr_t) * (const void *const *)left, b = (uintptr_t) * (const void *const *)right;

    return (a > b) - (a < b);
}

static bool is_in(const void *item, const void *const *list, size_t count)
{
    return count > 0 && bsearch(&item, list, count, sizeof(void *), compare_pointers);
}

static bool has_asked(const struct subscriber *subscriber, const struct interrupt_source *source)
{
    return subscriber->asked_count == 0 ||
           is_in(source, (const void *const *)subscriber->asked, subscriber->asked_count);
}

static bool has_asked_device(const struct subscriber *subscriber, const struct device *device)
{
    for (size_t i = 0; i < subscriber->asked_count; i++) {
        if (subscriber->asked[i]->device == device)
            return true;
    }
    return subscriber->asked_count == 0;
}

static bool may_list(const struct subscriber *subscriber, const struct device *device)
{
    struct access_decision decision;

    for (size_t i = 0; i < device->region_count; i++) {
        if (access_may(subscriber->daemon->access, subscriber->stream.principal, PERMISSION_LIST,
                    &device->regions[i], &decision))
            return true;
    }
    return false;
}

static void find_visible(struct subscriber *subscriber)
{
    const struct daemon *daemon = subscriber->daemon;
    const struct inventory *inventory = daemon->inventory;
    struct access_decision decision;
    size_t count = 0;

    for (size_t i = 0; i < interrupts_count(daemon->interrupts); i++) {
        const struct interrupt_source *source = interrupts_at(daemon->interrupts, i);

        if (has_asked(subscriber, source) &&
                sources_may_see(daemon, subscriber->stream.principal, source, &decision))
            subscriber->visible[count++] = source;
    }
    for (size_t i = 0; i < inventory->device_count; i++) {
        const struct device *device = &inventory->devices[i];

        if (has_asked_device(subscriber, device) && may_list(subscriber, device))
            subscriber->visible[count++] = device;
    }
    qsort(subscriber->visible, count, sizeof(void *), compare_pointers);
    subscriber->visible_count = count;
}

static bool wants(const struct subscriber *subscriber, const struct event *event)
{
    const void *about = KIND_BIT(event->kind) & ABOUT_SOURCE ? (const void *)event->source : event->device;

    if (!(subscriber->kinds & KIND_BIT(event->kind)))
        return false;
    return event->kind == EVENT_DAEMON || is_in(about, subscriber->visible, subscriber->visible_count);
}

static bool has_lost(const struct subscriber *subscriber)
{
    return subscriber->started_anew || subscriber->next < events_first(subscriber->daemon->events);
}

/* The next event that it is to be told; NULL: there is none yet. Those before it are done with. */
static const struct event *find_next(struct subscriber *subscriber)
{
    const struct event *event;

    for (; (event = events_get(subscriber->daemon->events, subscriber->next)); subscriber->next++) {
        if (event->kind == EVENT_DEVICE && event->on)
            find_visible(subscriber);
        if (wants(subscriber, event))
            return event;
    }
    return NULL;
}

static bool is_finished(const struct subscriber *subscriber)
{
    return subscriber->counts && subscriber->left == 0;
}

static bool has_more(struct subscriber *subscriber)
{
    return is_finished(subscriber) || subscriber->beat || has_lost(subscriber) || find_next(subscriber);
}

static void handle_added(struct events_reader *reader)
{
    struct subscriber *subscriber = container_of(reader, struct subscriber, reader);

    if (has_more(subscriber))
        stream_wake(&subscriber->stream);
}

static int handle_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct subscriber *subscriber = userdata;
    uint64_t due_us = subscriber->told_us + subscriber->heartbeat_us;

    if (usec < due_us) {
        sd_event_source_set_time(source, due_us);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    }
    subscriber->beat = true;
    stream_wake(&subscriber->stream);
    sd_event_source_set_time(source, round_us(subscriber->daemon) + subscriber->heartbeat_us);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Where its client's next octets go. */
struct room {
    char *data;
    size_t size, used;
};

static void put(struct subscriber *subscriber, struct room *room, const char *text, size_t size)
{
    size_t fits = room->size - room->used < size ? room->size - room->used : size;

    memcpy(room->data + room->used, text, fits);
    room->used += fits;
    if (fits < size)
        buffer_append(&subscriber->piece, text + fits, size - fits);
}

static void put_rest(struct subscriber *subscriber, struct room *room)
{
    struct buffer *piece = &subscriber->piece;
    size_t left = piece->size - subscriber->piece_taken;
    size_t fits = room->size - room->used < left ? room->size - room->used : left;

    if (fits == 0)
        return;
    memcpy(room->data + room->used, piece->data + subscriber->piece_taken, fits);
    room->used += fits;
    subscriber->piece_taken += fits;
    if (fits == left) {
        buffer_done(piece);
        subscriber->piece_taken = 0;
    }
}

static void put_lost(struct subscriber *subscriber, struct room *room)
{
    uint64_t first = events_first(subscriber->daemon->events);
    uint64_t count = first - subscriber->next;
    _cleanup_buffer_ struct buffer text = {0};

    if (subscriber->started_anew)
        event_text_write_lost(&text, subscriber->daemon, first - 1, NULL, anew);
    else
        event_text_write_lost(&text, subscriber->daemon, first - 1, &count, not_kept);
    if (buffer_failed(&text)) {
        subscriber->piece.failed = true;
        return;
    }
    put(subscriber, room, text.data, text.size);
    subscriber->started_anew = false;
    subscriber->next = first;
}

static void put_event(struct subscriber *subscriber, struct room *room, const struct event *event)
{
    const struct buffer *text = event_texts_get(subscriber->daemon->event_texts, event);

    if (!text) {
        subscriber->piece.failed = true;
        return;
    }
    put(subscriber, room, text->data, text->size);
    subscriber->next++;
    subscriber->left -= subscriber->counts;
}

/* Its position: its client may go on after it. */
static void put_heartbeat(struct subscriber *subscriber, struct room *room)
{
    char id[EVENT_ID_SIZE], text[EVENT_ID_SIZE + 8];
    int size = snprintf(
            text, sizeof(text), ": %s\n\n", event_id_format(subscriber->daemon, subscriber->next - 1, id));

    put(subscriber, room, text, (size_t)size);
}

/* Returns whether there was anything. */
static bool put_next(struct subscriber *subscriber, struct room *room)
{
    const struct event *event;

    if (is_finished(subscriber))
        return false;
    if (has_lost(subscriber)) {
        put_lost(subscriber, room);
        return true;
    }
    event = find_next(subscriber);
    if (event) {
        put_event(subscriber, room, event);
        return true;
    }
    if (subscriber->beat && room->used == 0)
        put_heartbeat(subscriber, room);
    return false;
}

static ssize_t read_subscriber(struct stream *stream, char *data, size_t size)
{
    struct subscriber *subscriber = subscriber_of(stream);
    struct room room = {data, size, 0};

    put_rest(subscriber, &room);
    while (room.used < size && !buffer_failed(&subscriber->piece) && put_next(subscriber, &room))
        continue;
    if (buffer_failed(&subscriber->piece))
        return STREAM_END; /* it can go on from where it is */
    if (room.used > 0) {
        subscriber->beat = false;
        subscriber->told_us = round_us(subscriber->daemon);
        return (ssize_t)room.used;
    }
    return is_finished(subscriber) ? STREAM_END : 0;
}

static void free_subscriber(struct subscriber *subscriber)
{
    if (!subscriber)
        return;
    events_remove_reader(&subscriber->reader);
    sd_event_source_disable_unref(subscriber->timer);
    buffer_done(&subscriber->piece);
    free(subscriber->asked);
    free(subscriber->visible);
    free(subscriber);
}
DEFINE_CLEANUP(struct subscriber *, free_subscriber)

static void close_subscriber(struct stream *stream)
{
    free_subscriber(subscriber_of(stream));
}

/* Calls the function for each name of a list with commas. */
static int for_each_name(const char *list, struct subscriber *subscriber,
        int (*function)(struct subscriber *subscriber, const char *name, struct error *error),
        struct error *error)
{
    _cleanup_free_ char *copy = strdup(list);
    char *rest = copy, *name;

    if (!copy)
        return error_set(error, -ENOMEM, "%s", no_memory);
    while ((name = strsep(&rest, ","))) {
        int r = function(subscriber, name, error);

        if (r < 0)
            return r;
    }
    return 0;
}

static int take_kind(struct subscriber *subscriber, const char *name, struct error *error)
{
    for (enum event_kind kind = EVENT_INTERRUPT; kind <= EVENT_DAEMON; kind++) {
        if (strcmp(name, event_kind_name(kind)) != 0)
            continue;
        subscriber->kinds |= KIND_BIT(kind);
        return 0;
    }
    return error_set(error, -EINVAL,
            "there are no events of the kind '%.32s': there are "
            "interrupt, mask, storm, device, driver, reset and daemon",
            name);
}

static int take_source(struct subscriber *subscriber, const char *name, struct error *error)
{
    const struct daemon *daemon = subscriber->daemon;
    struct access_decision decision;
    struct interrupt_source *source;
    struct interrupt_source **asked;
    int r = sources_find(daemon, name, &source, error);

    if (r < 0)
        return r;
    if (subscriber->asked_count > 0 && has_asked(subscriber, source))
        return 0;
    if (!sources_may_see(daemon, subscriber->stream.principal, source, &decision))
        return access_refuse(
                subscriber->stream.principal, PERMISSION_INTERRUPT, source->region, &decision, error);
    asked = reallocarray(subscriber->asked, subscriber->asked_count + 1, sizeof(struct interrupt_source *));
    if (!asked)
        return error_set(error, -ENOMEM, "%s", no_memory);
    asked[subscriber->asked_count++] = source;
    subscriber->asked = asked;
    qsort(asked, subscriber->asked_count, sizeof(struct interrupt_source *), compare_pointers);
    return 0;
}

/* After the event with this id; without one, after the latest. */
static int take_since(struct subscriber *subscriber, const char *since, struct error *error)
{
    const struct daemon *daemon = subscriber->daemon;
    uint64_t identity, sequence, next = events_next(daemon->events);

    subscriber->next = next;
    if (!since)
        return 0;
    subscriber->next = events_first(daemon->events);
    if (strcmp(since, "0") == 0)
        return 0;
    if (event_id_parse(since, &identity, &sequence) < 0)
        return error_set(error, -EINVAL,
                "'%.64s' is not the id of an event: send one as it was received, or 0 for all that are kept",
                since);
    subscriber->started_anew = identity != daemon->identity;
    if (subscriber->started_anew)
        return 0;
    if (sequence >= next)
        return error_set(error, -EINVAL, "there is no event %s yet", since);
    subscriber->next = sequence + 1;
    return 0;
}

static int take_heartbeat(const struct call *call, struct subscriber *subscriber, struct error *error)
{
    uint64_t seconds = HEARTBEAT_SECONDS;
    int r = arguments_number(call, "heartbeat", &seconds, error);

    if (r < 0)
        return r;
    if (seconds < 1 || seconds > HEARTBEAT_SECONDS_MOST)
        return error_set(error, -EINVAL, "heartbeat=%" PRIu64 " is not between 1 and %d seconds", seconds,
                HEARTBEAT_SECONDS_MOST);
    subscriber->heartbeat_us = seconds * 1000000;
    return 0;
}

static int take_count(const struct call *call, struct subscriber *subscriber, struct error *error)
{
    int r;

    subscriber->counts = arguments_find(call, "count");
    r = arguments_number(call, "count", &subscriber->left, error);
    if (r < 0)
        return r;
    if (subscriber->counts && subscriber->left == 0)
        return error_set(error, -EINVAL, "count=0 asks for no event: ask for one at least");
    return 0;
}

static int take_arguments(const struct call *call, struct subscriber *subscriber, struct error *error)
{
    const char *kinds = arguments_find(call, "kind"), *sources = arguments_find(call, "source");
    int r = 0;

    if (kinds)
        r = for_each_name(kinds, subscriber, take_kind, error);
    else
        subscriber->kinds = ALL_KINDS;
    if (r == 0 && sources)
        r = for_each_name(sources, subscriber, take_source, error);
    if (r == 0)
        r = take_heartbeat(call, subscriber, error);
    if (r == 0)
        r = take_count(call, subscriber, error);
    if (r == 0)
        r = take_since(
                subscriber, call->last_event ? call->last_event : arguments_find(call, "since"), error);
    return r;
}

static int start_timer(struct subscriber *subscriber)
{
    struct daemon *daemon = subscriber->daemon;

    subscriber->told_us = round_us(daemon);
    return sd_event_add_time(daemon->event, &subscriber->timer, CLOCK_MONOTONIC,
            subscriber->told_us + subscriber->heartbeat_us, subscriber->heartbeat_us / 16, handle_timer,
            subscriber);
}

static int begin(struct subscriber *subscriber, struct error *error)
{
    struct daemon *daemon = subscriber->daemon;
    size_t most = interrupts_count(daemon->interrupts) + daemon->inventory->device_count;
    char id[EVENT_ID_SIZE];

    subscriber->visible = calloc(most + 1, sizeof(void *));
    if (!subscriber->visible || start_timer(subscriber) < 0)
        return error_set(error, -ENOMEM, "%s", no_memory);
    find_visible(subscriber);
    buffer_append_format(&subscriber->piece, "retry: %d\n\n: devreg %s\n\n", RETRY_MS,
            event_id_format(daemon, subscriber->next - 1, id));
    subscriber->reader.added = handle_added;
    events_add_reader(daemon->events, &subscriber->reader);
    return 0;
}

static int start(struct call *call, struct error *error)
{
    _cleanup_(free_subscriberp) struct subscriber *subscriber = calloc(1, sizeof(*subscriber));
    int r;

    if (!subscriber)
        return error_set(error, -ENOMEM, "%s", no_memory);
    subscriber->daemon = call->daemon;
    subscriber->stream.principal = call->principal;
    subscriber->stream.read = read_subscriber;
    subscriber->stream.free = close_subscriber;
    r = take_arguments(call, subscriber, error);
    if (r == 0)
        r = begin(subscriber, error);
    if (r == 0)
        r = stream_open(call->daemon, &subscriber->stream, call->principal, error);
    if (r == 0)
        call_answer_stream(call, &take_ptr(subscriber)->stream, "text/event-stream");
    return r;
}

void events_get_stream(struct call *call)
{
    struct error error;

    if (start(call, &error) < 0)
        call_fail(call, &error);
}
