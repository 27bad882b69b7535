/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/exchange.c and http/pieces.c: bodies and answers that move in pieces, by a table of routes of the
 * test's own. */
#include "server_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

enum {
    SIZE = 3 * 1024 * 1024 + 7,
    STOP = 100000, /* where those stop that do */
};

/* What the handlers saw. */
static struct {
    unsigned begun, finished, freed;
    uint64_t body_size;
    size_t moved, largest;
    uint64_t wrong; /* octets that are not what they should be */
    char range[BYTE_RANGE_SIZE];
} seen;

/* So that no piece looks like another one. */
static char octet_at(size_t position)
{
    return (char)(position * 31 + position / 251 + position / 65537);
}

static struct call_pieces pieces;

static void note_free(struct call *call)
{
    assert_ptr_equal(call->transfer->pieces, &pieces);
    seen.freed++;
}

static void note_range(const struct call *call)
{
    snprintf(seen.range, sizeof(seen.range), "%s", call->transfer->range ? call->transfer->range : "none");
}

static void take(struct call *call, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        seen.wrong += ((const char *)data)[i] != octet_at(seen.moved + i);
    seen.moved += size;
    seen.largest = size > seen.largest ? size : seen.largest;
    if (strcmp(call->parameters[0], "stops") == 0 && seen.moved > STOP) {
        const struct error error = {-ENODEV, "it has stopped"};

        call_fail(call, &error);
    }
}

static void finish(struct call *call)
{
    seen.finished++;
    buffer_append_string(&call->reply, "{}");
    call_answer_json(call);
}

static void handle_put(struct call *call)
{
    seen.begun++;
    note_range(call);
    seen.body_size = call->transfer->body_size;
    if (strcmp(call->parameters[0], "refuses") == 0 || seen.body_size == 0) {
        const struct error error = {-EMSGSIZE, "it is not wanted"};

        call_fail(call, &error);
        return;
    }
    pieces = (struct call_pieces){.take = take, .free = note_free};
    call->transfer->pieces = &pieces;
    call->finish = finish;
}

static int give(struct call *call, void *data, size_t size)
{
    if (strcmp(call->parameters[0], "stops") == 0 && seen.moved > STOP)
        return -ENODEV;
    for (size_t i = 0; i < size; i++)
        ((char *)data)[i] = octet_at(seen.moved + i);
    seen.moved += size;
    seen.largest = size > seen.largest ? size : seen.largest;
    return 0;
}

static void handle_get(struct call *call)
{
    bool part = strcmp(call->parameters[0], "part") == 0;

    seen.begun++;
    note_range(call);
    if (part)
        byte_range_format(&(struct byte_range){5, 7}, SIZE, call->transfer->content_range);
    pieces = (struct call_pieces){.give = give, .size = part ? 7 : SIZE, .free = note_free};
    call_answer_pieces(call, &pieces, part ? 206 : 200, "application/octet-stream");
}

const struct route routes[] = {
        {"GET", "/{name}", 1, PERMISSION_NONE, TARGET_NONE, BODY_NONE, "read", "", handle_get, ""},
        {"PUT", "/{name}", 1, PERMISSION_NONE, TARGET_NONE, BODY_STREAM, "write", "", handle_put, ""},
};
const size_t route_count = ELEMENTS(routes);

static int set_up_pieces(void **state)
{
    memset(&seen, 0, sizeof(seen));
    return set_up(state);
}

static void run_for(uint64_t us)
{
    uint64_t end = clock_now_us() + us;

    for (uint64_t now = clock_now_us(); now < end; now = clock_now_us())
        sd_event_run(fixture.api.daemon.event, end - now);
}

/* Until everything has been done that can be. */
static void settle(void)
{
    while (sd_event_run(fixture.api.daemon.event, 50000) > 0)
        ;
}

static void send_octets(int fd, size_t from, size_t size)
{
    _cleanup_free_ char *data = malloc(size);

    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = octet_at(from + i);
    assert_true(send_all(fd, data, size));
}

/* What comes until so much is there or the connection ends, and then the NUL. Returns whether it ended. */
static bool receive(int fd, struct buffer *data, size_t enough)
{
    for (unsigned rounds = 0; data->size < enough; rounds++) {
        char *room = buffer_reserve(data, 65537);
        ssize_t size = recv(fd, room, 65536, 0);

        test_that(rounds < 100000, "no answer comes");
        if (size == 0 || (size < 0 && errno != EAGAIN))
            return true;
        data->size += size > 0 ? (size_t)size : 0;
        data->data[data->size] = 0;
        sd_event_run(fixture.api.daemon.event, size > 0 ? 0 : 10000);
    }
    return false;
}

static void expect(int fd, const char *status, const char *text)
{
    _cleanup_buffer_ struct buffer data = {0};

    receive(fd, &data, 20);
    settle();
    receive(fd, &data, data.size + 1 + (strstr(data.data, "Content-Length: 2\r") ? 0 : SIZE_MAX / 2));
    test_that(strncmp(data.data + 9, status, 3) == 0 && strstr(data.data, text), "no %s with %s in\n%s",
            status, text, data.data);
}

#define HEAD(name) "PUT /" name " HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"

static void begin_put(int fd, const char *name, size_t size)
{
    char head[200];

    snprintf(head, sizeof(head), HEAD("%s") "Content-Length: %zu\r\n\r\n", name, size);
    assert_true(send_text(fd, head));
    settle();
}

static void check_over(unsigned finished)
{
    settle();
    assert_int_equal(seen.finished, finished);
    assert_int_equal(seen.freed, 1);
    assert_int_equal(seen.wrong, 0);
    assert_int_equal(server_active(fixture.server), 0);
}

static void test_body(void **state)
{
    _cleanup_close_ int fd = dial();
    _cleanup_buffer_ struct buffer answer = {0};

    (void)state;
    begin_put(fd, "x", SIZE);
    assert_int_equal(seen.begun, 1);
    assert_int_equal(seen.body_size, SIZE);
    send_octets(fd, 0, 5);
    settle();
    assert_int_equal(seen.moved, 5); /* at once */
    assert_int_equal(server_active(fixture.server), 1);
    send_octets(fd, 5, SIZE - 5);
    settle();
    assert_int_equal(seen.moved, SIZE);
    test_that(seen.largest <= CALL_PIECE_BYTES, "a piece of %zu octets came", seen.largest);
    receive(fd, &answer, 100);
    test_that(strstr(answer.data, "200 OK") && strstr(answer.data, "{}"), "%s", answer.data);
    check_over(1);
    /* The connection is still good. */
    seen.freed = 0;
    seen.moved = 0;
    begin_put(fd, "x", 3);
    send_octets(fd, 0, 3);
    check_over(2);
}

static void test_refused_before(void **state)
{
    _cleanup_close_ int fd = dial();

    (void)state;
    begin_put(fd, "refuses", SIZE);
    expect(fd, "413", "Connection: close");
    assert_int_equal(seen.begun, 1);
    assert_int_equal(seen.moved, 0);
    assert_int_equal(seen.freed, 0);
    assert_int_equal(server_active(fixture.server), 0);
}

/* No body at all is for the handler to judge; the connection stays good. */
static void test_empty_body(void **state)
{
    _cleanup_close_ int fd = dial();
    _cleanup_buffer_ struct buffer answer = {0};

    (void)state;
    begin_put(fd, "x", 0);
    receive(fd, &answer, 100);
    test_that(strstr(answer.data, " 413 ") && !strstr(answer.data, "close"), "%s", answer.data);
    begin_put(fd, "x", 3);
    send_octets(fd, 0, 3);
    check_over(1);
}

static void test_refused_on_the_way(void **state)
{
    _cleanup_close_ int fd = dial();

    (void)state;
    begin_put(fd, "stops", SIZE);
    send_octets(fd, 0, SIZE);
    expect(fd, "410", "it has stopped");
    test_that(seen.moved > STOP && seen.moved <= STOP + CALL_PIECE_BYTES, "%zu were taken", seen.moved);
    check_over(0);
}

static void test_body_breaks_off(void **state)
{
    int fd = dial();

    (void)state;
    begin_put(fd, "x", SIZE);
    send_octets(fd, 0, STOP);
    settle();
    close(fd);
    settle();
    assert_int_equal(seen.moved, STOP);
    check_over(0);
}

/* Every refusal that any body gets. */
static void test_heads(void **state)
{
    static const struct {
        const char *head, *status, *text;
    } rows[] = {
            {"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "415", "octet-stream"},
            {HEAD("x") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "411", "Content-Length"},
            {HEAD("x") "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", "400", "several times"},
            {HEAD("x") "Content-Length: 3\r\nContent-Range: a\r\nContent-Range: a\r\n\r\n", "400", "once"},
            {HEAD("x?a=b") "Content-Length: 3\r\n\r\n", "400", "unknown argument"},
            {"GET /x HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nRange: bytes=0-1\r\n\r\n", "400", "once"},
            {"GET /x HTTP/1.1\r\nHost: a\r\nRange: "
             "bytes=0-1,2-3,4-5,6-7,8-9,10-11,12-13,14-15,16-17,18-19,20-"
             "21,22-23,24-25,26-27,28-29\r\n\r\n",
                    "400", "longer than"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        _cleanup_close_ int fd = dial();
        _cleanup_buffer_ struct buffer answer = {0};

        assert_true(send_text(fd, rows[i].head));
        receive(fd, &answer, 150);
        test_that(strncmp(answer.data + 9, rows[i].status, 3) == 0 && strstr(answer.data, rows[i].text),
                "row %zu: no %s with %s in\n%s", i, rows[i].status, rows[i].text, answer.data);
        assert_int_equal(seen.begun, 0);
    }
}

static void check_range(const char *head, const char *range)
{
    _cleanup_close_ int fd = dial();

    seen.range[0] = 0;
    assert_true(send_text(fd, head));
    settle();
    assert_string_equal(seen.range, range);
}

static void test_ranges(void **state)
{
    (void)state;
    check_range("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "none");
    check_range("GET /x HTTP/1.1\r\nHost: a\r\nrange: \tbytes=1-2 \r\n\r\n", "bytes=1-2");
    check_range("GET /x HTTP/1.1\r\nHost: a\r\nRange:\r\n\r\n", "");
    check_range("GET /x HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\nIf-Range: \"a\"\r\n\r\n", "none");
    check_range("GET /x HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 1-2\r\n\r\n", "none");
    check_range(HEAD("x") "Content-Length: 3\r\nContent-Range: bytes 0-2/3\r\n\r\n", "bytes 0-2/3");
    check_range(HEAD("x") "Content-Length: 3\r\nRange: bytes=0-2\r\n\r\n", "none");
}

static void test_answer(void **state)
{
    _cleanup_close_ int fd = dial();
    _cleanup_buffer_ struct buffer answer = {0};
    const char *body;

    (void)state;
    assert_true(send_text(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    settle();
    assert_int_equal(server_active(fixture.server), 1);
    test_that(seen.moved > 0 && seen.moved < SIZE, "%zu octets moved to somebody who does not read",
            seen.moved);
    receive(fd, &answer, 100);
    body = strstr(answer.data, "\r\n\r\n");
    test_that(body && strstr(answer.data, "200 OK") && strstr(answer.data, "Content-Length: 3145735\r\n") &&
                      strstr(answer.data, "Accept-Ranges: bytes\r\n") &&
                      !strstr(answer.data, "Content-Range"),
            "%s", answer.data);
    receive(fd, &answer, (size_t)(body + 4 - answer.data) + SIZE);
    body = strstr(answer.data, "\r\n\r\n") + 4;
    assert_int_equal(answer.data + answer.size - body, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        seen.wrong += body[i] != octet_at(i);
    assert_int_equal(seen.largest, CALL_PIECE_BYTES);
    check_over(0);
    /* The connection is still good. */
    seen.freed = 0;
    answer.size = 0;
    assert_true(send_text(fd, "GET /part HTTP/1.1\r\nHost: a\r\n\r\n"));
    receive(fd, &answer, 150);
    test_that(strstr(answer.data, "206 Partial") && strstr(answer.data, "Content-Length: 7\r\n") &&
                      strstr(answer.data, "Content-Range: bytes 5-11/3145735\r\n") &&
                      strstr(answer.data, "Accept-Ranges: bytes\r\n"),
            "%s", answer.data);
    check_over(0);
}

static void test_answer_breaks_off(void **state)
{
    _cleanup_close_ int fd = dial();
    _cleanup_buffer_ struct buffer answer = {0};

    (void)state;
    assert_true(send_text(fd, "GET /stops HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(receive(fd, &answer, SIZE));
    test_that(answer.size > STOP && answer.size <= CALL_PIECE_BYTES + 1000, "%zu octets came", answer.size);
    check_over(0);
}

static void test_reader_leaves(void **state)
{
    int fd = dial();

    (void)state;
    assert_true(send_text(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    settle();
    close(fd);
    check_over(0);
    assert_true(seen.moved < SIZE);
}

static void check_cut(int fd)
{
    _cleanup_buffer_ struct buffer answer = {0};

    run_for(3500000);
    assert_true(receive(fd, &answer, SIZE));
    assert_int_equal(fixture.api.daemon.counters.timed_out, 1);
    check_over(0);
}

static void test_stalled_writer(void **state)
{
    _cleanup_close_ int fd = dial();

    (void)state;
    fixture.api.daemon.limits.request_seconds = 1;
    begin_put(fd, "x", 1000);
    send_octets(fd, 0, 10);
    check_cut(fd);
}

/* An octet now and then is no progress. */
static void test_dripping_writer(void **state)
{
    _cleanup_close_ int fd = dial();

    (void)state;
    fixture.api.daemon.limits.request_seconds = 1;
    begin_put(fd, "x", 1000);
    for (size_t i = 0; i < 5; i++) {
        send_octets(fd, i, 1);
        run_for(100000);
    }
    check_cut(fd);
}

static void test_stalled_reader(void **state)
{
    _cleanup_close_ int fd = dial();

    (void)state;
    fixture.api.daemon.limits.request_seconds = 1;
    assert_true(send_text(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    run_for(6500000); /* a piece has four seconds more */
    assert_int_equal(fixture.api.daemon.counters.timed_out, 1);
    check_over(0);
}

/* Each piece comes within its time, all of them do not. */
static void test_slow_but_moving(void **state)
{
    _cleanup_close_ int writer = dial();

    (void)state;
    fixture.api.daemon.limits.request_seconds = 1;
    begin_put(writer, "x", SIZE);
    for (size_t i = 0; i < 7; i++) {
        send_octets(writer, i * 160000, 160000);
        run_for(1000000);
    }
    assert_int_equal(fixture.api.daemon.counters.timed_out, 0);
    assert_int_equal(server_active(fixture.server), 1);
    send_octets(writer, 7 * 160000, SIZE - 7 * 160000);
    check_over(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_body, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_refused_before, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_empty_body, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_refused_on_the_way, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_body_breaks_off, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_heads, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_ranges, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_answer, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_answer_breaks_off, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_reader_leaves, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_stalled_writer, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_dripping_writer, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_stalled_reader, set_up_pieces, tear_down),
            cmocka_unit_test_setup_teardown(test_slow_but_moving, set_up_pieces, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
