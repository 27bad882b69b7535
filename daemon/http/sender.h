/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sends a stream as the body of an answer: as fast as its client takes it, and no faster. While there is
 * nothing to send its connection is suspended, and costs nothing. */
#pragma once

#include <microhttpd.h>

#include "core/streams.h"
#include "http/reaper.h"

struct sender;

/* Called after the connection was resumed; see exchange_context. */
typedef void (*sender_resumed)(void *owner);

/* For the stream of the answer that is queued next; both must outlive it. NULL out of memory. */
struct sender *sender_new(struct MHD_Connection *http, struct reaper_entry *entry, struct stream *stream,
        sender_resumed resumed, void *owner);
void sender_free(struct sender *sender);

/* The answer, which refers to the sender until its request is over. NULL out of memory. */
struct MHD_Response *sender_response(struct sender *sender);

/* Its client has closed the connection: ends it. */
void sender_end(struct sender *sender);
