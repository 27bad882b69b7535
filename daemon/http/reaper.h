/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Absolute deadlines for requests. libmicrohttpd's own timeout is for silence, so a client that sends an
 * octet now and then would hold its connection for ever; the reaper shuts it down. It also finds connections
 * whose end libmicrohttpd has missed: it waits for edges, and one that comes together with the last octets
 * it does not see. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

struct reaper;

/* One for each connection, owned by whoever owns the connection. */
struct reaper_entry {
    int fd;
    uint64_t deadline_us; /* monotonic; 0: none, it waits for a device */
    bool answering;       /* an answer is on its way */
    bool streaming;       /* it is a stream that has nothing to send */
    bool timed_out;
    void *connection; /* the owner's */
    struct reaper_entry *next, **link;
};

/* ended is called for a connection whose other side has closed it, and that neither waits for a device nor
 * gets an answer, unless that is a stream with nothing to send. Those that are cut off for their deadline
 * are counted in *timed_out. */
int reaper_new(sd_event *event, void (*ended)(struct reaper_entry *entry, void *context), void *context,
        uint64_t *timed_out, struct reaper **ret_reaper);
void reaper_free(struct reaper *reaper);

/* Entries are added without a deadline. */
void reaper_add(struct reaper *reaper, struct reaper_entry *entry, int fd);

/* The newest; its `next` is the one before. NULL when there is none. */
struct reaper_entry *reaper_first(const struct reaper *reaper);

/* Shuts all down that have a deadline. */
void reaper_cut(struct reaper *reaper);

void reaper_remove(struct reaper_entry *entry);
