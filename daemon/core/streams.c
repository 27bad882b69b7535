/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See streams.h. Once a second the expiry of their principals is looked at, while there are any. As with
 * tokens it is a date and a time that runs, whichever is over first, so that setting the date back prolongs
 * nothing. */
#include "core/streams.h"

#include <errno.h>
#include <inttypes.h>

#include "util/clock.h"
#include "util/date.h"

enum { CHECK_US = 1000000 };

struct streams {
    struct daemon *daemon;
    sd_event_source *timer;
    struct stream *first;
    size_t count;
};

static void end(struct stream *stream)
{
    stream->ended = true;
    stream_wake(stream);
}

static bool is_over(const struct stream *stream, uint64_t date, uint64_t now_us)
{
    const struct principal *principal = stream->principal;

    if (principal->scope == 0)
        return true;
    return principal->expires && (date >= principal->expires || now_us >= stream->until_us);
}

void streams_recheck(struct streams *streams)
{
    uint64_t date = date_now_us() / 1000000, now_us = clock_boottime_us();

    for (struct stream *stream = streams ? streams->first : NULL; stream; stream = stream->next) {
        if (!stream->ended && is_over(stream, date, now_us))
            end(stream);
    }
}

static int check(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct streams *streams = userdata;

    (void)usec;
    streams_recheck(streams);
    if (!streams->first)
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return sd_event_source_set_time(source, clock_now_us() + CHECK_US);
}

int streams_new(struct daemon *daemon, struct streams **ret_streams)
{
    struct streams *streams = calloc(1, sizeof(*streams));
    int r;

    if (!streams)
        return -ENOMEM;
    streams->daemon = daemon;
    r = sd_event_add_time(daemon->event, &streams->timer, CLOCK_MONOTONIC, 0, CHECK_US / 4, check, streams);
    if (r >= 0)
        r = sd_event_source_set_enabled(streams->timer, SD_EVENT_OFF);
    if (r < 0) {
        streams_free(streams);
        return r;
    }
    *ret_streams = streams;
    return 0;
}

void streams_free(struct streams *streams)
{
    if (!streams)
        return;
    sd_event_source_disable_unref(streams->timer);
    free(streams);
}

static int check_limits(
        const struct streams *streams, const struct principal *principal, struct error *error)
{
    const struct limits *limits = &streams->daemon->limits;

    if (principal->account->streams >= limits->streams_per_principal)
        return error_set(error, -EDQUOT,
                "%s has %" PRIu64 " streams open, which is its limit (streams_per_principal): close some",
                principal->name, principal->account->streams);
    if (streams->count >= limits->streams)
        return error_set(error, -EAGAIN,
                "%zu streams are open, which is the limit of all together (streams): try again later",
                streams->count);
    return 0;
}

int stream_open(
        struct daemon *daemon, struct stream *stream, struct principal *principal, struct error *error)
{
    struct streams *streams = daemon->streams;
    uint64_t date = date_now_us() / 1000000;
    int r = check_limits(streams, principal, error);

    if (r < 0)
        return r;
    if (!streams->first) {
        sd_event_source_set_time(streams->timer, clock_now_us() + CHECK_US);
        sd_event_source_set_enabled(streams->timer, SD_EVENT_ON);
    }
    stream->daemon = daemon;
    stream->principal = principal;
    if (principal->expires > date)
        stream->until_us = clock_boottime_us() + (principal->expires - date) * 1000000;
    stream->next = streams->first;
    stream->link = &streams->first;
    if (stream->next)
        stream->next->link = &stream->next;
    streams->first = stream;
    streams->count++;
    principal->account->streams++;
    return 0;
}

void stream_close(struct stream *stream)
{
    if (!stream)
        return;
    *stream->link = stream->next;
    if (stream->next)
        stream->next->link = stream->link;
    stream->daemon->streams->count--;
    stream->principal->account->streams--;
    stream->free(stream);
}

ssize_t stream_read(struct stream *stream, char *data, size_t size)
{
    ssize_t count;

    if (stream->ended)
        return STREAM_END;
    count = stream->read(stream, data, size);
    return count == 0 && stream->daemon->draining ? STREAM_END : count;
}

void stream_wake(struct stream *stream)
{
    if (stream->readable)
        stream->readable(stream);
}

size_t streams_count(const struct streams *streams)
{
    return streams->count;
}

void streams_drain(struct streams *streams)
{
    for (struct stream *stream = streams->first; stream; stream = stream->next)
        stream_wake(stream);
}

void streams_end(struct streams *streams)
{
    for (struct stream *stream = streams ? streams->first : NULL; stream; stream = stream->next)
        end(stream);
}
