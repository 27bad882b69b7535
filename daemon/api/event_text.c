/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See event_text.h. Texts stand in a table at their sequence number modulo its size: those who listen are
 * mostly at the same place, so few are enough. */
#include "api/event_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/interrupts.h"
#include "util/date.h"
#include "util/json_writer.h"

enum { TEXTS = 1024 };

static const uint64_t LARGEST_COUNT = UINT64_C(1) << 53; /* that JSON's numbers are exact for */

struct event_texts {
    struct daemon *daemon;
    struct event_text {
        uint64_t sequence; /* 0: none is here */
        struct buffer text;
    } table[TEXTS];
};

static void put_count(struct json_writer *writer, const char *key, uint64_t count)
{
    json_put_count(writer, key, count < LARGEST_COUNT ? count : LARGEST_COUNT);
}

static void put_source(struct json_writer *writer, const struct event *event)
{
    json_put_string(writer, "source", interrupt_name(event->source));
    json_put_string(writer, "device", device_name(event->device));
}

static void put_time(struct json_writer *writer, const struct event *event)
{
    char text[DATE_SIZE];

    json_put_string(writer, "time", date_format_ns(event->realtime_ns, text));
}

static void put_interrupt_value(struct json_writer *writer, const struct event *event)
{
    const struct interrupt_description *description = event->source->description;

    if (!event->has_value)
        json_put_string(writer, "value", NULL);
    else if (description->acknowledged)
        json_put_value(writer, "value", event->value, description->acknowledge.width * 8);
    else
        json_put_hex(writer, "value", event->value);
}

static void put_interrupt(struct json_writer *writer, const struct event *event)
{
    char nanoseconds[24];

    put_source(writer, event);
    json_put_count(writer, "vector", event->source->description->vector);
    put_count(writer, "number", event->number);
    put_count(writer, "missed", event->missed);
    put_time(writer, event);
    snprintf(nanoseconds, sizeof(nanoseconds), "%" PRIu64, event->monotonic_ns);
    json_put_string(writer, "monotonic_ns", nanoseconds);
    put_interrupt_value(writer, event);
    json_put_bool(writer, "masked", event->masked);
}

static void put_mask(struct json_writer *writer, const struct event *event)
{
    put_source(writer, event);
    json_put_bool(writer, "masked", event->on);
    json_put_string(writer, "by", event->text);
    put_time(writer, event);
}

static void put_storm(struct json_writer *writer, const struct event *event)
{
    put_source(writer, event);
    json_put_bool(writer, "storm", event->on);
    json_put_string(writer, "reason", event->text);
    put_time(writer, event);
}

static void put_device(struct json_writer *writer, const struct event *event)
{
    json_put_string(writer, "device", device_name(event->device));
    json_put_bool(writer, "present", event->on);
    json_put_string(writer, "reason", event->text);
    put_time(writer, event);
}

static void put_driver(struct json_writer *writer, const struct event *event)
{
    json_put_string(writer, "device", device_name(event->device));
    json_put_string(writer, "driver", event->on ? event->text : NULL);
    put_time(writer, event);
}

/* By whom is for all who may list the device: so is who has reserved or masked some of it. */
static void put_reset(struct json_writer *writer, const struct event *event)
{
    json_put_string(writer, "device", device_name(event->device));
    json_put_string(writer, "by", event->text);
    put_time(writer, event);
}

static void put_daemon(struct json_writer *writer, const struct event *event)
{
    json_put_string(writer, "daemon", event->on ? "started" : "stopping");
    json_put_string(writer, "version", DEVREG_VERSION);
    put_time(writer, event);
}

static void (*const put_data[])(struct json_writer *writer, const struct event *event) = {
        [EVENT_INTERRUPT] = put_interrupt,
        [EVENT_MASK] = put_mask,
        [EVENT_STORM] = put_storm,
        [EVENT_DEVICE] = put_device,
        [EVENT_DRIVER] = put_driver,
        [EVENT_RESET] = put_reset,
        [EVENT_DAEMON] = put_daemon,
};

/* The data follow, as an object. */
static struct json_writer begin(
        struct buffer *text, const struct daemon *daemon, uint64_t sequence, const char *kind)
{
    struct json_writer writer = json_writer(text);
    char id[EVENT_ID_SIZE];

    buffer_append_format(text, "id: %s\nevent: %s\ndata: ", event_id_format(daemon, sequence, id), kind);
    json_begin_object(&writer, NULL);
    return writer;
}

static void end(struct json_writer *writer)
{
    json_end_object(writer);
    buffer_append_string(writer->buffer, "\n\n");
}

void event_text_write(struct buffer *text, const struct daemon *daemon, const struct event *event)
{
    struct json_writer writer = begin(text, daemon, event->sequence, event_kind_name(event->kind));

    put_data[event->kind](&writer, event);
    end(&writer);
}

void event_text_write_lost(struct buffer *text, const struct daemon *daemon, uint64_t last,
        const uint64_t *count, const char *reason)
{
    struct json_writer writer = begin(text, daemon, last, "lost");

    if (count)
        put_count(&writer, "count", *count);
    else
        json_put_string(&writer, "count", NULL);
    json_put_string(&writer, "reason", reason);
    end(&writer);
}

int event_texts_new(struct daemon *daemon, struct event_texts **ret_texts)
{
    struct event_texts *texts = calloc(1, sizeof(*texts));

    if (!texts)
        return -ENOMEM;
    texts->daemon = daemon;
    *ret_texts = texts;
    return 0;
}

void event_texts_free(struct event_texts *texts)
{
    if (!texts)
        return;
    for (size_t i = 0; i < TEXTS; i++)
        buffer_done(&texts->table[i].text);
    free(texts);
}

const struct buffer *event_texts_get(struct event_texts *texts, const struct event *event)
{
    struct event_text *row = &texts->table[event->sequence % TEXTS];

    if (row->sequence == event->sequence)
        return &row->text;
    row->sequence = 0;
    row->text.size = 0; /* its memory is used again */
    event_text_write(&row->text, texts->daemon, event);
    if (buffer_failed(&row->text)) {
        buffer_done(&row->text);
        return NULL;
    }
    row->sequence = event->sequence;
    return &row->text;
}
