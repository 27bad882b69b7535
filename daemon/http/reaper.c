/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks once a second at every connection, while there are any; deadlines are many seconds long. */
#include "http/reaper.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "util/clock.h"

enum { REAPER_INTERVAL_US = 1000000 };

struct reaper {
    sd_event_source *timer;
    void (*ended)(struct reaper_entry *entry, void *context);
    void *context;
    uint64_t *timed_out;
    struct reaper_entry *first;
};

static void cut(struct reaper_entry *entry)
{
    shutdown(entry->fd, SHUT_RDWR); /* the server sees the end of the stream and closes it */
}

/* Whoever listens to a stream may have sent something, and libmicrohttpd does not read it meanwhile. */
static bool has_left(const struct reaper_entry *entry)
{
    struct pollfd end = {.fd = entry->fd, .events = POLLRDHUP};

    return poll(&end, 1, 0) > 0;
}

static bool has_ended(const struct reaper_entry *entry)
{
    char ignored;
    ssize_t size;

    if (entry->streaming)
        return has_left(entry);
    if (entry->deadline_us == 0 || entry->answering)
        return false;
    size = recv(entry->fd, &ignored, 1, MSG_PEEK | MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}

void reaper_cut(struct reaper *reaper)
{
    for (struct reaper_entry *entry = reaper->first; entry; entry = entry->next) {
        if (entry->deadline_us == 0)
            continue;
        cut(entry);
        if (has_ended(entry))
            reaper->ended(entry, reaper->context);
    }
}

static int reap(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct reaper *reaper = userdata;
    uint64_t now = clock_now_us();

    (void)usec;
    for (struct reaper_entry *entry = reaper->first; entry; entry = entry->next) {
        if (entry->deadline_us && now >= entry->deadline_us) {
            *reaper->timed_out += !entry->timed_out;
            entry->timed_out = true;
            cut(entry);
        }
        if (has_ended(entry))
            reaper->ended(entry, reaper->context);
    }
    if (!reaper->first)
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return sd_event_source_set_time(source, now + REAPER_INTERVAL_US);
}

int reaper_new(sd_event *event, void (*ended)(struct reaper_entry *entry, void *context), void *context,
        uint64_t *timed_out, struct reaper **ret_reaper)
{
    struct reaper *reaper = calloc(1, sizeof(*reaper));
    int r;

    if (!reaper)
        return -ENOMEM;
    reaper->ended = ended;
    reaper->context = context;
    reaper->timed_out = timed_out;
    r = sd_event_add_time(event, &reaper->timer, CLOCK_MONOTONIC, 0, REAPER_INTERVAL_US / 4, reap, reaper);
    if (r >= 0)
        r = sd_event_source_set_enabled(reaper->timer, SD_EVENT_OFF);
    if (r < 0) {
        reaper_free(reaper);
        return r;
    }
    *ret_reaper = reaper;
    return 0;
}

void reaper_free(struct reaper *reaper)
{
    if (!reaper)
        return;
    sd_event_source_disable_unref(reaper->timer);
    free(reaper);
}

void reaper_add(struct reaper *reaper, struct reaper_entry *entry, int fd)
{
    if (!reaper->first) {
        sd_event_source_set_time(reaper->timer, clock_now_us() + REAPER_INTERVAL_US);
        sd_event_source_set_enabled(reaper->timer, SD_EVENT_ON);
    }
    entry->fd = fd;
    entry->deadline_us = 0;
    entry->next = reaper->first;
    entry->link = &reaper->first;
    if (entry->next)
        entry->next->link = &entry->next;
    reaper->first = entry;
}

struct reaper_entry *reaper_first(const struct reaper *reaper)
{
    return reaper->first;
}

void reaper_remove(struct reaper_entry *entry)
{
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
}
