/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client/event_stream.c: streams and what the HTML standard says comes of them, however they are cut. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "event_stream.h"
#include "util/cleanup.h"

enum { LIMIT = 64 };

/* What came, as text: "TYPE|DATA|ID;" for each event, "(ID);" for an id alone, "#COMMENT;" for a comment. An
 * id that an event inherited is between commas. */
struct heard {
    struct buffer text;
    unsigned stop_after; /* events; 0: never */
    unsigned events;
};

static void append_visible(struct buffer *buffer, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\0')
            buffer_append_string(buffer, "<NUL>");
        else if (text[i] == '\n')
            buffer_append_string(buffer, "/");
        else
            buffer_append_char(buffer, text[i]);
    }
}

static int hear_event(void *context, const struct stream_event *event)
{
    struct heard *heard = context;

    assert_int_equal(event->type[event->type_size], '\0');
    if (event->data) {
        assert_int_equal(event->data[event->data_size], '\0');
        append_visible(&heard->text, event->type, event->type_size);
        buffer_append_char(&heard->text, '|');
        append_visible(&heard->text, event->data, event->data_size);
        buffer_append_format(&heard->text, event->has_id ? "|%s;" : "|,%s,;", event->id);
    } else {
        assert_true(event->has_id);
        buffer_append_format(&heard->text, "(%s);", event->id);
    }
    return ++heard->events == heard->stop_after ? -ECANCELED : 0;
}

static int hear_comment(void *context, const char *text)
{
    struct heard *heard = context;

    buffer_append_format(&heard->text, "#%s;", text);
    return 0;
}

static const char *text_of(struct heard *heard)
{
    buffer_append_char(&heard->text, '\0');
    assert_false(buffer_failed(&heard->text));
    return heard->text.data;
}

/* Feeds pieces of `piece` octets, the first one of `first`, each from memory of its own size: to read beyond
 * it is found. Compares what is heard. */
static void check_cut(const char *stream, size_t size, size_t first, size_t piece, const char *expected)
{
    struct heard heard = {0};
    const struct event_stream_handler handler = {hear_event, hear_comment, &heard};
    struct event_stream reader;
    struct error error;

    event_stream_init(&reader, &handler, LIMIT);
    for (size_t done = 0, next = first; done < size; next = piece) {
        size_t length = next < size - done ? next : size - done;
        char *copy = malloc(length);

        assert_non_null(copy);
        memcpy(copy, stream + done, length);
        assert_int_equal(event_stream_feed(&reader, copy, length, &error), 0);
        free(copy);
        done += length;
    }
    event_stream_done(&reader);
    test_that(strcmp(text_of(&heard), expected) == 0, "cut at %zu, then every %zu: %s, expected %s", first,
            piece, heard.text.data, expected);
    buffer_done(&heard.text);
}

static void check(const char *stream, size_t size, const char *expected)
{
    check_cut(stream, size, size + 1, size + 1, expected);
    for (size_t piece = 1; piece <= 3; piece++)
        check_cut(stream, size, piece, piece, expected);
    for (size_t first = 1; first < size; first++)
        check_cut(stream, size, first, size, expected);
}

static void test_streams(void **state)
{
#define ROW(stream, expected)                                                                               \
    {                                                                                                       \
        stream, sizeof(stream) - 1, expected                                                                \
    }
    static const struct {
        const char *stream;
        size_t size;
        const char *expected;
    } rows[] = {
            ROW("", ""),
            ROW("\n\n\n", ""),
            ROW("data: a\n\n", "message|a|,,;"),
            ROW("data: a\n", ""), /* it ends before the empty line */
            ROW("data: a\nid: 1", ""),
            ROW("event: x\ndata: a\nid: 7\n\n", "x|a|7;"),
            /* The three ends of lines, also mixed. */
            ROW("data: a\r\rdata: b\r\r", "message|a|,,;message|b|,,;"),
            ROW("data: a\r\n\r\ndata: b\r\n\r\n", "message|a|,,;message|b|,,;"),
            ROW("data: a\r\ndata: b\n\rdata: c\r\n\n", "message|a/b|,,;message|c|,,;"),
            ROW("data: a\n\r\ndata: b\r\r\n", "message|a|,,;message|b|,,;"),
            ROW("data: a\r\n\n", "message|a|,,;"),
            /* Values. */
            ROW("data:a\n\ndata:  a\n\ndata: a \n\n", "message|a|,,;message| a|,,;message|a |,,;"),
            ROW("data: a: b:c\n\n", "message|a: b:c|,,;"),
            ROW("data:\ta\n\n", "message|\ta|,,;"),
            ROW("data: a\ndata: b\ndata\ndata:\ndata: c\n\n", "message|a/b///c|,,;"),
            ROW("data\n\ndata:\n\ndata: \n\n", "message||,,;message||,,;message||,,;"),
            ROW("data\ndata\n\n", "message|/|,,;"),
            ROW("data: a\0b\n\n", "message|a<NUL>b|,,;"),
            ROW("data: \xc3\xa4\xff\n\n", "message|\xc3\xa4\xff|,,;"),
            /* Types are for one event. */
            ROW("event: x\ndata: a\n\ndata: b\n\n", "x|a|,,;message|b|,,;"),
            ROW("event: x\n\ndata: b\n\n", "message|b|,,;"),
            ROW("event: x\nevent: y\ndata: a\n\n", "y|a|,,;"),
            ROW("event: x\nevent\ndata: a\n\n", "message|a|,,;"),
            ROW("event: x\0y\ndata: a\n\n", "x<NUL>y|a|,,;"),
            /* Ids stay. */
            ROW("id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n", "message|a|1;message|b|,1,;message|c|2;"),
            ROW("id: 1\n\ndata: b\n\n", "(1);message|b|,1,;"),
            ROW("id: 1\nevent: x\n\n", "(1);"),
            ROW("id: 1\ndata: a\n\nid\ndata: b\n\n", "message|a|1;message|b|;"),
            ROW("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", "message|a|1;message|b|,1,;"),
            ROW("id: \0002\n\n", ""),
            ROW("id: 1\nid: 2\ndata: a\n\n", "message|a|2;"),
            /* Comments. */
            ROW(": hello\n:again\n:\n:  x\n", "#hello;#again;#;# x;"),
            ROW("retry: 1000\n: devreg 1-0\n\n", "#devreg 1-0;"),
            ROW("data: a\n: inside\n\n: between\n", "message|a|,,;#between;"),
            ROW("id: 1\n: inside\n\n", "(1);"),
            ROW("event: 1\n: inside\n\n", ""),
            /* What is no field of the standard's. */
            ROW("retry: x\nfoo: bar\nDATA: a\n data: a\ndata : a\ndat: a\ndataa: a\nid2: x\nevents: e\n\n",
                    ""),
            ROW("foo\ndata: a\nbar:\n\n", "message|a|,,;"),
            /* One byte order mark at the very beginning. */
            ROW("\xef\xbb\xbf"
                "data: a\n\n",
                    "message|a|,,;"),
            ROW("\xef\xbb\xbf\n\xef\xbb\xbf"
                "data: a\n\n",
                    ""),
            ROW("\xef\xbb\xbf\xef\xbb\xbf"
                "data: a\n\n",
                    ""),
            ROW("\n\xef\xbb\xbf"
                "data: a\n\n",
                    ""),
            ROW("\xef\xbb\xbf: c\n", "#c;"),
            ROW("data: \xef\xbb\xbf\n\n", "message|\xef\xbb\xbf|,,;"),
    };
#undef ROW

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        check(rows[i].stream, rows[i].size, rows[i].expected);
}

/* As many octets as allowed, then one more; the rest of the stream does not matter. */
static void check_limit(const char *before, size_t fill, int expected, const char *message)
{
    struct heard heard = {0};
    const struct event_stream_handler handler = {hear_event, hear_comment, &heard};
    struct event_stream reader;
    struct error error = {.message = ""};
    int r;

    event_stream_init(&reader, &handler, LIMIT);
    r = event_stream_feed(&reader, before, strlen(before), &error);
    for (size_t i = 0; r == 0 && i < fill; i++)
        r = event_stream_feed(&reader, "x", 1, &error);
    if (r == 0)
        r = event_stream_feed(&reader, "\n\n", 2, &error);
    assert_int_equal(r, expected);
    if (r < 0)
        assert_non_null(strstr(error.message, message));
    else
        assert_int_equal(heard.events, 1);
    event_stream_done(&reader);
    buffer_done(&heard.text);
}

static void test_limits(void **state)
{
    (void)state;
    check_limit("data: ", LIMIT - 6, 0, "");
    check_limit("data: ", LIMIT - 5, -EMSGSIZE, "a line of more than 64 octets");
    check_limit("", 1000000, -EMSGSIZE, "a line of more than 64 octets");
    check_limit("data: 0123456789012345678901234567890\ndata:", 31, 0, "");
    check_limit("data: 0123456789012345678901234567890\ndata:", 32, -EMSGSIZE,
            "an event of more than 64 octets");
}

/* Many events in a row cost no more than one. */
static void test_memory_is_given_back(void **state)
{
    struct heard heard = {0};
    const struct event_stream_handler handler = {hear_event, NULL, &heard};
    struct event_stream reader;
    struct error error;

    (void)state;
    event_stream_init(&reader, &handler, LIMIT);
    for (unsigned i = 0; i < 10000; i++) {
        static const char event[] = ": c\nid: 12345\nevent: x\ndata: 0123456789\n\n";

        assert_int_equal(event_stream_feed(&reader, event, sizeof(event) - 1, &error), 0);
        heard.text.size = 0;
    }
    assert_int_equal(heard.events, 10000);
    assert_true(reader.line.capacity + reader.data.capacity + reader.type.capacity + reader.id.capacity <=
                4 * 256);
    event_stream_done(&reader);
    buffer_done(&heard.text);
}

static void test_the_handler_ends_it(void **state)
{
    static const char stream[] = "data: a\n\ndata: b\n\ndata: c\n\n";
    struct heard heard = {.stop_after = 2};
    const struct event_stream_handler handler = {hear_event, hear_comment, &heard};
    struct event_stream reader;
    struct error error;

    (void)state;
    event_stream_init(&reader, &handler, LIMIT);
    assert_int_equal(event_stream_feed(&reader, stream, sizeof(stream) - 1, &error), -ECANCELED);
    assert_string_equal(text_of(&heard), "message|a|,,;message|b|,,;");
    event_stream_done(&reader);
    buffer_done(&heard.text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_streams),
            cmocka_unit_test(test_limits),
            cmocka_unit_test(test_memory_is_given_back),
            cmocka_unit_test(test_the_handler_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
