/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers that go on. Whoever makes one says what comes next; whoever sends it asks for that as fast as its
 * client takes it. Here it is counted, and ended with what it rests on: its principal, or the daemon. */
#pragma once

#include <sys/types.h>

#include "core/daemon.h"

enum { STREAM_END = -1 };

struct stream {
    /* Fills in up to `size` octets. Returns how many, 0: nothing now, or STREAM_END. */
    ssize_t (*read)(struct stream *stream, char *data, size_t size);

    /* It is over; frees it. */
    void (*free)(struct stream *stream);

    /* Set by whoever sends it: called on the loop when stream_read(), which had nothing, is to be asked
     * again. NULL: nobody sends it yet. */
    void (*readable)(struct stream *stream);
    void *owner;

    /* The rest is for streams.c. */
    struct daemon *daemon;
    struct principal *principal;
    uint64_t until_us; /* CLOCK_BOOTTIME; 0: its principal does not expire */
    bool ended;
    struct stream *next, **link;
};

struct streams;

int streams_new(struct daemon *daemon, struct streams **ret_streams);
void streams_free(struct streams *streams);

/* For the principal, who must outlive it. Returns 0, -EDQUOT when the principal has too many, -EAGAIN when
 * there are too many, or another negative errno; then it is not to be closed. */
int stream_open(
        struct daemon *daemon, struct stream *stream, struct principal *principal, struct error *error);

/* Frees it; NULL is none. */
void stream_close(struct stream *stream);

ssize_t stream_read(struct stream *stream, char *data, size_t size);

/* Has it read again. */
void stream_wake(struct stream *stream);

size_t streams_count(const struct streams *streams);

/* Ends those whose principal may ask nothing any more. */
void streams_recheck(struct streams *streams);

/* Once daemon.draining is set: each ends when it has delivered what there is. */
void streams_drain(struct streams *streams);

/* Ends all, whatever there is to deliver. */
void streams_end(struct streams *streams);
