/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/events.c: what is read comes out whole and in order however little is read at a time, and what was
 * lost meanwhile is said. What kinds of interrupts there are is tested on the boards. */
#include "test.h"

#include <string.h>

#include "api/event_text.h"
#include "api/handlers.h"
#include "api/routes.h"
#include "api_fixture.h"

static struct api_fixture fixture;
static struct call call;
static unsigned woken;

static int set_up(void **state)
{
    (void)state;
    api_open(&fixture, true);
    fixture.daemon.identity = 0xabc;
    woken = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (call.daemon)
        call_done(&call);
    memset(&call, 0, sizeof(call));
    api_close(&fixture);
    return 0;
}

static void note_woken(struct stream *stream)
{
    assert_ptr_equal(stream, call.stream);
    woken++;
}

/* Since this id (NULL: now), and with one more argument (NULL: none). */
static void subscribe(const char *since, const char *name, const char *value)
{
    static const struct route *route;

    if (call.daemon)
        call_done(&call);
    for (size_t i = 0; i < route_count; i++) {
        if (strcmp(routes[i].path, "/v1/events") == 0)
            route = &routes[i];
    }
    call = (struct call){.daemon = &fixture.daemon, .route = route};
    call.principal = principal_new(&fixture.daemon.accounts, PRINCIPAL_ANONYMOUS, NULL);
    call.last_event = since;
    if (name)
        call.arguments[call.argument_count++] = (struct call_argument){name, value};
    call_run(&call);
    assert_int_equal(call.status, 200);
    assert_string_equal(call.content_type, "text/event-stream");
    assert_non_null(call.stream);
    call.stream->readable = note_woken;
}

static void add(const char *text)
{
    events_add(fixture.daemon.events, &(struct event){.kind = EVENT_DEVICE,
                                              .device = &fixture.daemon.inventory->devices[0],
                                              .text = (char *)text});
}

static void add_many(unsigned count)
{
    char text[300];

    for (unsigned i = 0; i < count; i++) {
        memset(text, 'a' + (int)(i % 26), sizeof(text));
        text[i * 37 % sizeof(text)] = 0;
        add(text);
    }
}

/* All there is, `size` octets at a time; returns what the last read did. */
static ssize_t read_all(struct buffer *text, size_t size)
{
    char data[4096];
    ssize_t count;

    assert_true(size <= sizeof(data));
    while ((count = stream_read(call.stream, data, size)) > 0) {
        assert_true((size_t)count <= size);
        buffer_append(text, data, (size_t)count);
    }
    buffer_append_char(text, 0);
    text->size--;
    return count;
}

static unsigned count_of(const struct buffer *text, const char *wanted)
{
    unsigned count = 0;

    for (const char *at = text->data; (at = strstr(at, wanted)); at++)
        count++;
    return count;
}

static void test_any_size(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 7, 64, 127, 128, 500, 1000, 4095};
    _cleanup_buffer_ struct buffer wanted = {0};

    (void)state;
    add_many(API_EVENTS);
    subscribe("0", NULL, NULL);
    assert_int_equal(read_all(&wanted, 4096), 0);
    assert_int_equal(count_of(&wanted, "\nevent: device\n"), API_EVENTS);
    assert_true(strncmp(wanted.data,
                        "retry: 1000\n\n: devreg 0000000000000abc-0\n\nid: 0000000000000abc-1\n", 65) == 0);
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        _cleanup_buffer_ struct buffer text = {0};

        subscribe("0", NULL, NULL);
        assert_int_equal(read_all(&text, sizes[i]), 0);
        assert_string_equal(text.data, wanted.data);
    }
}

/* The ring goes round while a text is half read: that one comes whole, and then what is missing is said. */
static void test_lost_while_reading(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};
    char data[100];

    (void)state;
    add_many(4);
    subscribe("0", NULL, NULL);
    assert_int_equal(stream_read(call.stream, data, sizeof(data)), sizeof(data));
    buffer_append(&text, data, sizeof(data));
    add_many(API_EVENTS);
    assert_int_equal(read_all(&text, 33), 0);
    assert_int_equal(count_of(&text, "event: lost\n"), 1);
    assert_int_equal(count_of(&text, "id: 0000000000000abc-1\n"), 1);
    assert_non_null(strstr(text.data, "\n\nid: 0000000000000abc-4\nevent: lost\ndata: {\"count\":3,"));
    assert_int_equal(count_of(&text, "event: device\n"), 1 + API_EVENTS);
    assert_non_null(strstr(text.data, "\n\nid: 0000000000000abc-20\n"));
}

static void test_another_start(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    add_many(API_EVENTS + 5);
    subscribe("0000000000000abd-7", NULL, NULL);
    assert_int_equal(read_all(&text, 4096), 0);
    assert_non_null(strstr(text.data, ": devreg 0000000000000abc-5\n\nid: 0000000000000abc-5\nevent: lost\n"
                                      "data: {\"count\":null,\"reason\":\"devregd was started anew"));
    assert_int_equal(count_of(&text, "event: lost\n"), 1);
    assert_int_equal(count_of(&text, "event: device\n"), API_EVENTS);
}

static void test_woken_for_what_it_wants(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    subscribe(NULL, "kind", "daemon");
    read_all(&text, 4096);
    add_many(3);
    while (sd_event_run(fixture.daemon.event, 0) > 0)
        continue;
    assert_int_equal(woken, 0);
    events_add(fixture.daemon.events, &(struct event){.kind = EVENT_DAEMON, .on = true});
    while (sd_event_run(fixture.daemon.event, 0) > 0)
        continue;
    assert_int_equal(woken, 1);
    buffer_done(&text);
    assert_int_equal(read_all(&text, 4096), 0);
    assert_int_equal(count_of(&text, "\nevent: "), 1);
    assert_non_null(strstr(text.data, "id: 0000000000000abc-4\nevent: daemon\n"));
}

/* What a busy stream does not want is not lost to it. */
static void test_skipped_is_not_lost(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    subscribe(NULL, "kind", "daemon");
    for (unsigned i = 0; i < 5; i++) {
        add_many(API_EVENTS - 1);
        while (sd_event_run(fixture.daemon.event, 0) > 0)
            continue;
    }
    assert_int_equal(read_all(&text, 4096), 0);
    assert_int_equal(count_of(&text, "event: "), 0);
}

static void test_heartbeat(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    add_many(2);
    subscribe(NULL, "heartbeat", "1");
    read_all(&text, 4096);
    buffer_done(&text);
    for (unsigned i = 0; i < 5 && woken == 0; i++)
        sd_event_run(fixture.daemon.event, 1000000);
    assert_int_equal(woken, 1);
    assert_int_equal(read_all(&text, 4096), 0);
    assert_string_equal(text.data, ": 0000000000000abc-2\n\n");
}

static void test_count(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    add_many(5);
    subscribe("0000000000000abc-1", "count", "2");
    assert_int_equal(read_all(&text, 10), STREAM_END);
    assert_int_equal(count_of(&text, "event: device\n"), 2);
    assert_non_null(strstr(text.data, "id: 0000000000000abc-3\n"));
}

static void test_drain(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};

    (void)state;
    subscribe(NULL, NULL, NULL);
    read_all(&text, 4096);
    buffer_done(&text);
    fixture.daemon.draining = true;
    events_add(fixture.daemon.events, &(struct event){.kind = EVENT_DAEMON});
    assert_int_equal(read_all(&text, 4096), STREAM_END);
    assert_non_null(strstr(text.data, "\"daemon\":\"stopping\""));
}

#define with_daemon(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            with_daemon(test_any_size),
            with_daemon(test_lost_while_reading),
            with_daemon(test_another_start),
            with_daemon(test_woken_for_what_it_wants),
            with_daemon(test_skipped_is_not_lost),
            with_daemon(test_heartbeat),
            with_daemon(test_count),
            with_daemon(test_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
