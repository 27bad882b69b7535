/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a text/event-stream as the HTML standard has it (Server-sent events, "Interpreting an event
 * stream"), in chunks that may be cut anywhere. What a `retry` field says is left alone: the client has a
 * back-off of its own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/buffer.h"
#include "util/error.h"

/* Valid during the call. Texts end with a NUL that their sizes do not count; there may be others in them. */
struct stream_event {
    const char *type; /* "message" when the stream does not say */
    size_t type_size;
    const char *data; /* NULL: there is none, so by the standard no event, but the id counts */
    size_t data_size;
    const char *id; /* the last one of the stream, "" before the first; there is no NUL in it */
    bool has_id;    /* it came with this event */
};

/* What is done with what comes. Both return 0 to go on, or a negative number, at which reading ends. */
struct event_stream_handler {
    int (*event)(void *context, const struct stream_event *event);
    /* Behind the colon, without the space. Only of comments between events; NULL: none are wanted. */
    int (*comment)(void *context, const char *text);
    void *context;
};

struct event_stream {
    const struct event_stream_handler *handler;
    size_t limit;
    struct buffer line; /* what is there of the current one */
    struct buffer type, data, id;
    bool has_id;   /* in the current event */
    bool began;    /* the first line is over: no byte order mark comes any more */
    bool after_cr; /* a line feed that comes now belongs to the end of the last line */
    bool in_event; /* a field of it was there */
};

/* No line, and no event's data with the ends of its lines, may have more than `limit` octets. The handler
 * must outlive it. */
void event_stream_init(
        struct event_stream *stream, const struct event_stream_handler *handler, size_t limit);
void event_stream_done(struct event_stream *stream);
#define _cleanup_event_stream_ _cleanup_(event_stream_done)

/* The next octets. Returns 0, what the handler returned, -EMSGSIZE or -ENOMEM, the last two with the error
 * filled; then nothing more must be fed. What is not finished when the stream ends is no event. */
int event_stream_feed(struct event_stream *stream, const char *data, size_t size, struct error *error);
