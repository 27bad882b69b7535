/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines are gathered first, so that it does not matter where chunks are cut. A line ends with CR, LF or CR
 * LF; one that ends with CR is taken at once, as what comes next may be long in coming. */
#include "event_stream.h"

#include <errno.h>
#include <string.h>

static const char byte_order_mark[] = "\xef\xbb\xbf";

void event_stream_init(struct event_stream *stream, const struct event_stream_handler *handler, size_t limit)
{
    *stream = (struct event_stream){.handler = handler, .limit = limit};
}

void event_stream_done(struct event_stream *stream)
{
    buffer_done(&stream->line);
    buffer_done(&stream->type);
    buffer_done(&stream->data);
    buffer_done(&stream->id);
}

static int too_big(const struct event_stream *stream, const char *what, struct error *error)
{
    return error_set(
            error, -EMSGSIZE, "%s of more than %zu octets in its event stream", what, stream->limit);
}

static int out_of_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

/* The text with a NUL behind it that does not count. */
static const char *terminate(struct buffer *buffer)
{
    buffer_append_char(buffer, '\0');
    if (buffer_failed(buffer))
        return NULL;
    buffer->size--;
    return buffer->data;
}

static int dispatch(struct event_stream *stream, struct error *error)
{
    static const char usual_type[] = "message";
    struct stream_event event = {.type = usual_type, .type_size = sizeof(usual_type) - 1};
    bool any = stream->data.size > 0;
    int r;

    if (any)
        stream->data.size--; /* each line of the data brought a line feed: not the last one */
    event.data = terminate(&stream->data);
    event.data_size = stream->data.size;
    event.id = terminate(&stream->id);
    event.has_id = stream->has_id;
    if (stream->type.size > 0) {
        event.type = terminate(&stream->type);
        event.type_size = stream->type.size;
    }
    if (!event.data || !event.id || !event.type || buffer_failed(&stream->type))
        return out_of_memory(error);
    if (!any)
        event.data = NULL;
    r = any || stream->has_id ? stream->handler->event(stream->handler->context, &event) : 0;
    stream->type.size = stream->data.size = 0;
    stream->has_id = stream->in_event = false;
    return r;
}

static int take_comment(struct event_stream *stream, const char *text)
{
    if (stream->in_event || !stream->handler->comment)
        return 0;
    return stream->handler->comment(stream->handler->context, text + (*text == ' '));
}

static int add_data(struct event_stream *stream, const char *value, size_t size, struct error *error)
{
    if (size >= stream->limit - stream->data.size)
        return too_big(stream, "an event", error);
    if (size > 0)
        buffer_append(&stream->data, value, size);
    buffer_append_char(&stream->data, '\n');
    return 0;
}

static void set(struct buffer *buffer, const char *value, size_t size)
{
    buffer->size = 0;
    if (size > 0)
        buffer_append(buffer, value, size);
}

static bool is(const char *name, size_t size, const char *field)
{
    return size == strlen(field) && memcmp(name, field, size) == 0;
}

static int take_field(struct event_stream *stream, const char *name, size_t name_size, const char *value,
        size_t size, struct error *error)
{
    if (is(name, name_size, "data")) {
        stream->in_event = true;
        return add_data(stream, value, size, error);
    }
    if (is(name, name_size, "event")) {
        stream->in_event = true;
        set(&stream->type, value, size);
    } else if (is(name, name_size, "id") && !memchr(value, '\0', size)) {
        stream->in_event = stream->has_id = true;
        set(&stream->id, value, size);
    }
    return 0;
}

static int take_line(struct event_stream *stream, const char *line, size_t size, struct error *error)
{
    const char *colon = memchr(line, ':', size);
    const char *value = colon ? colon + 1 : line + size;

    if (size == 0)
        return dispatch(stream, error);
    if (colon == line)
        return take_comment(stream, line + 1);
    if (colon && value < line + size && *value == ' ')
        value++;
    return take_field(stream, line, colon ? (size_t)(colon - line) : size, value,
            (size_t)(line + size - value), error);
}

/* A whole line is there. */
static int end_line(struct event_stream *stream, struct error *error)
{
    const char *line = terminate(&stream->line);
    size_t size = stream->line.size;
    int r;

    if (!line)
        return out_of_memory(error);
    if (!stream->began && size >= 3 && memcmp(line, byte_order_mark, 3) == 0) {
        line += 3;
        size -= 3;
    }
    stream->began = true;
    r = take_line(stream, line, size, error);
    stream->line.size = 0;
    return r;
}

/* How many of the octets come before the end of the line. */
static size_t before_end(const char *data, size_t size)
{
    const char *feed = memchr(data, '\n', size);
    const char *end = memchr(data, '\r', feed ? (size_t)(feed - data) : size);

    if (!end)
        end = feed;
    return end ? (size_t)(end - data) : size;
}

int event_stream_feed(struct event_stream *stream, const char *data, size_t size, struct error *error)
{
    const char *end = data + size;

    while (data < end) {
        size_t length;
        int r;

        if (stream->after_cr && *data == '\n')
            data++;
        stream->after_cr = false;
        length = before_end(data, (size_t)(end - data));
        if (length > stream->limit - stream->line.size)
            return too_big(stream, "a line", error);
        if (length > 0)
            buffer_append(&stream->line, data, length);
        data += length;
        if (data == end)
            break;
        stream->after_cr = *data++ == '\r';
        r = end_line(stream, error);
        if (r < 0)
            return r;
    }
    return buffer_failed(&stream->line) ? out_of_memory(error) : 0;
}
