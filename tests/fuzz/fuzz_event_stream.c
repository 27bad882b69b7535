/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/event_stream.c: what comes of a stream does not depend on where it is cut. */
#include <errno.h>
#include <string.h>

#include "../../client/event_stream.h"
#include "fuzz.h"

enum { LIMIT = 256 };

static int take_event(void *context, const struct stream_event *event)
{
    struct buffer *heard = context;

    fuzz_assert(event->data || event->has_id);
    fuzz_assert(event->type_size > 0 && event->type_size < LIMIT && !event->type[event->type_size]);
    fuzz_assert(strlen(event->id) < LIMIT && event->data_size < LIMIT);
    buffer_append(heard, event->type, event->type_size + 1);
    if (event->data)
        buffer_append(heard, event->data, event->data_size + 1);
    buffer_append(heard, event->id, strlen(event->id) + 1);
    return 0;
}

static int take_comment(void *context, const char *text)
{
    buffer_append(context, text, strlen(text) + 1);
    return 0;
}

static int feed(const char *data, size_t size, size_t piece, struct buffer *heard)
{
    const struct event_stream_handler handler = {take_event, take_comment, heard};
    struct event_stream stream;
    struct error error = {0};
    int r = 0;

    event_stream_init(&stream, &handler, LIMIT);
    for (size_t done = 0; r == 0 && done < size; done += piece)
        r = event_stream_feed(&stream, data + done, piece < size - done ? piece : size - done, &error);
    fuzz_assert(r == 0 || (r == -EMSGSIZE && error.code == r && error.message[0]));
    event_stream_done(&stream);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct buffer whole = {0};
    int r = feed(text, size, size + 1, &whole);

    for (size_t piece = 1; piece <= 3; piece++) {
        struct buffer heard = {0};

        fuzz_assert(feed(text, size, piece, &heard) == r);
        fuzz_assert(heard.size == whole.size &&
                    (whole.size == 0 || memcmp(heard.data, whole.data, heard.size) == 0));
        buffer_done(&heard);
    }
    buffer_done(&whole);
    free(text);
    return 0;
}
