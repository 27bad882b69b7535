/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events as the API writes them, as text/event-stream has them (the HTML standard, 9.2). An event is written
 * once, however many wait for it. */
#pragma once

#include "api/event_id.h"
#include "core/events.h"
#include "util/buffer.h"

void event_text_write(struct buffer *text, const struct daemon *daemon, const struct event *event);

/* Events up to `last` that nobody can be told any more; count NULL: nobody knows how many. */
void event_text_write_lost(struct buffer *text, const struct daemon *daemon, uint64_t last,
        const uint64_t *count, const char *reason);

/* The latest texts. */
struct event_texts;

int event_texts_new(struct daemon *daemon, struct event_texts **ret_texts);
void event_texts_free(struct event_texts *texts);

/* The text of an event that is kept, valid until the next call. NULL out of memory. */
const struct buffer *event_texts_get(struct event_texts *texts, const struct event *event);
