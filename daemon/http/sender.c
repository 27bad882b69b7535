/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libmicrohttpd asks for the next piece when the one before it has gone into the socket, and asks again at
 * once when there is none, as long as the connection is not suspended. Suspended connections are not polled;
 * the reaper looks for the end of those. */
#include "http/sender.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "util/clock.h"

enum {
    PIECE_BYTES = 16 * 1024,

    /* For one piece, to be taken as a whole. The system's own buffers are in between, so a client that takes
     * anything at all takes that much. */
    STALLED_US = 30 * 1000000,

    /* That the system keeps for a client that does not read: by itself it would be megabytes for each. */
    SOCKET_BYTES = 128 * 1024,
};

struct sender {
    struct stream *stream;
    struct MHD_Connection *http;
    struct reaper_entry *entry;
    sender_resumed resumed;
    void *owner;
    bool suspended;
    bool gone;
};

static void resume(struct sender *sender)
{
    if (!sender->suspended)
        return;
    sender->suspended = false;
    sender->entry->streaming = false;
    MHD_resume_connection(sender->http);
    sender->resumed(sender->owner);
}

static void handle_readable(struct stream *stream)
{
    resume(stream->owner);
}

struct sender *sender_new(struct MHD_Connection *http, struct reaper_entry *entry, struct stream *stream,
        sender_resumed resumed, void *owner)
{
    struct sender *sender = calloc(1, sizeof(*sender));

    if (!sender)
        return NULL;
    sender->stream = stream;
    sender->http = http;
    sender->entry = entry;
    sender->resumed = resumed;
    sender->owner = owner;
    setsockopt(entry->fd, SOL_SOCKET, SO_SNDBUF, &(int){SOCKET_BYTES}, sizeof(int));
    stream->owner = sender;
    stream->readable = handle_readable;
    return sender;
}

void sender_free(struct sender *sender)
{
    if (!sender)
        return;
    sender->stream->readable = NULL;
    sender->entry->streaming = false;
    free(sender);
}

static void suspend(struct sender *sender)
{
    sender->suspended = true;
    sender->entry->streaming = true;
    sender->entry->deadline_us = 0;
    MHD_suspend_connection(sender->http);
}

static ssize_t send_piece(void *context, uint64_t position, char *data, size_t size)
{
    struct sender *sender = context;
    ssize_t count;

    (void)position;
    if (sender->gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    count = stream_read(sender->stream, data, size);
    if (count == 0) {
        suspend(sender);
        return 0;
    }
    sender->entry->deadline_us = clock_now_us() + STALLED_US;
    return count > 0 ? count : MHD_CONTENT_READER_END_OF_STREAM;
}

struct MHD_Response *sender_response(struct sender *sender)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, send_piece, sender, NULL);
}

void sender_end(struct sender *sender)
{
    sender->gone = true;
    resume(sender);
}
