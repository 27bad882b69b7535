/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/server.c and http/exchange.c: octets in, octets out. */
#include "server_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"

static void test_answers(void **state)
{
    static const struct row rows[] = {
            {"GET /healthz HTTP/1.1\r\n" HOST END, 200, "ok\n"},
            {"GET /v1 HTTP/1.1\r\n" HOST END, 200, "\"routes\""},
            {"GET /v1/regions/edu/registers/0x0 HTTP/1.1\r\n" HOST END, 200, "0x010000ed"},
            {"GET /v1/regions/edu/registers/0x0?count=2&width=32 HTTP/1.1\r\n" HOST END, 200, "\"values\""},
            {"GET /v1/regions/%65du/registers/0x0 HTTP/1.1\r\n" HOST END, 200, "0x010000ed"},
            {"GET /healthz HTTP/1.0\r\n" END, 200, "ok\n"},
            {"GET /healthz HTTP/1.1\r\nHost: [::1]:7373\r\n" END, 200, NULL},
            {"GET /healthz HTTP/1.1\r\nHost:\ta\r\nX-Empty:\r\nX-Blank:   \r\n" END, 200, NULL},
            {"GET /healthz HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END, 200, NULL},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: 11\r\n" END
             "{\"value\":1}",
                    200, NULL},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST
             "Content-Type: Application/JSON; charset=utf-8\r\nContent-Length: 11\r\n" END "{\"value\":1}",
                    200, NULL},
            {"PUT /v1/regions/ram/data?offset=0 HTTP/1.1\r\n" HOST OCTETS "Content-Length: 4\r\n" END "0123",
                    200, "\"length\":4"},
            {"GET /v1/regions/ram/data?offset=0&length=4 HTTP/1.1\r\n" HOST END, 200, "0123"},
    };

    (void)state;
    check_rows(rows, ELEMENTS(rows));
}

static void test_refusals(void **state)
{
    static const struct row rows[] = {
            {"GET /nothing HTTP/1.1\r\n" HOST END, 404, "no such path"},
            {"POST /v1/status HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END, 405, "Allow: GET\r\n"},
            {"DELETE /v1/regions/edu/registers/0x0 HTTP/1.1\r\n" HOST END, 405,
                    "Allow: GET, PUT, PATCH\r\n"},
            {"BREW /v1/status HTTP/1.1\r\n" HOST END, 405, NULL},
            {"GET /v1/ HTTP/1.1\r\n" HOST END, 400, "empty segment"},
            {"GET /v1/regions/..%2f/registers/0x0 HTTP/1.1\r\n" HOST END, 400, "encoded slash"},
            {"GET /v1/../v1 HTTP/1.1\r\n" HOST END, 400, "dot segment"},
            {"GET /v1%00 HTTP/1.1\r\n" HOST END, 400, "control character"},
            {"GET /v1/regions/%ff HTTP/1.1\r\n" HOST END, 400, "UTF-8"},
            {"GET /v1?a=%00 HTTP/1.1\r\n" HOST END, 400, "control character"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST "Content-Length: 11\r\n" END
             "{\"value\":1}",
                    415, "Content-Type: application/json"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST
             "Content-Type: text/plain\r\nContent-Length: 11\r\n" END "{\"value\":1}",
                    415, NULL},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST
             "Content-Type: application/jsonx\r\nContent-Length: 11\r\n" END "{\"value\":1}",
                    415, NULL},
            {"PUT /v1/regions/ram/data?offset=0 HTTP/1.1\r\n" HOST JSON "Content-Length: 4\r\n" END "0123",
                    415, NULL},
            {"PUT /v1/regions/ram/data?offset=0 HTTP/1.1\r\n" HOST OCTETS
             "Content-Range: bytes 0-3/4\r\nContent-Length: 4\r\n" END "0123",
                    400, "takes no Content-Range"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: 65537\r\n" END, 413,
                    "larger than 65536"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: 0\r\n" END, 400,
                    "empty"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: 1\r\n" END "{", 400,
                    "not JSON"},
    };

    (void)state;
    check_rows(rows, ELEMENTS(rows));
}

static void expect(int fd, unsigned status, const char *text, bool closed)
{
    struct response response;

    receive_response(fd, &response, closed);
    test_that(response.status == status, "answered with %u, expected %u: %s", response.status, status,
            response.head);
    test_that(!text || strstr(response.body.data, text), "no %s in %s", text, response.body.data);
    assert_int_equal(response.closed, closed);
    buffer_done(&response.body);
}

/* Answers of every kind leave the connection usable, so long as what follows can be told. */
static void test_keep_alive(void **state)
{
    _cleanup_close_ int fd = dial();

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        send_text(fd, "GET /v1/regions/edu/registers/0x0 HTTP/1.1\r\n" HOST END);
        expect(fd, 200, "0x010000ed", false);
        send_text(fd, "GET /nothing HTTP/1.1\r\n" HOST END);
        expect(fd, 404, NULL, false);
        send_text(fd, "GET /v1/regions/odd/registers/0x10000 HTTP/1.1\r\n" HOST END);
        expect(fd, 502, "bus fault", false);
        send_text(fd, "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: 9\r\n" END
                      "{\"value\":");
        expect(fd, 400, "not JSON", false);
    }
    assert_true(fixture.api.daemon.counters.connections == 1);
    assert_true(fixture.api.daemon.counters.requests == 12);
    assert_true(fixture.api.daemon.counters.bus_faults == 3);
    assert_true(fixture.api.daemon.counters.refused == 6);
}

static void test_refusal_with_body_closes(void **state)
{
    _cleanup_close_ int fd = dial();

    (void)state;
    send_text(fd, "PUT /nothing HTTP/1.1\r\n" HOST JSON "Content-Length: 1000\r\n" END);
    expect(fd, 404, NULL, true);
}

/* libmicrohttpd reads chunks leniently, so none are taken. */
static void test_chunked(void **state)
{
    static const char request[] = "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON
                                  "Transfer-Encoding: chunked\r\n" END "b\r\n{\"value\":1}\r\n0\r\n\r\n";
    _cleanup_close_ int fd = dial();

    (void)state;
    send_text(fd, request);
    expect(fd, 411, "Content-Length", true);
}

/* A body that is refused is not read: the answer comes first, and is the last. */
static void test_body_limit(void **state)
{
    _cleanup_close_ int fd = dial();

    (void)state;
    fixture.api.daemon.limits.data_bytes = 4096;
    send_text(
            fd, "PUT /v1/regions/ram/data?offset=0 HTTP/1.1\r\n" HOST OCTETS "Content-Length: 4097\r\n" END);
    expect(fd, 413, "larger than 4096", true);
}

/* Slow clients are cut off when the daemon stops; one that waits for a device is not. */
static void test_server_cut(void **state)
{
    _cleanup_close_ int half = dial(), waiting = dial();
    struct response response;

    (void)state;
    send_text(half, "GET /heal");
    send_text(waiting, "GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\n" HOST END);
    for (unsigned i = 0; i < 1000 && server_active(fixture.server) < 1; i++)
        sd_event_run(fixture.api.daemon.event, 10000);
    server_cut(fixture.server);
    receive_response(half, &response, true);
    assert_int_equal(response.status, 0);
    assert_true(response.closed);
    expect(waiting, 200, "0x00000000", false);
}

static void test_budget(void **state)
{
    _cleanup_close_ int first = dial(), second = dial();

    (void)state;
    fixture.api.daemon.limits.data_total_bytes = 6000;
    send_text(first,
            "PUT /v1/regions/ram/data?offset=0 HTTP/1.1\r\n" HOST OCTETS "Content-Length: 4096\r\n" END);
    for (unsigned i = 0; i < 100; i++)
        send_text(first, "0123456789012345678901234567890123456789");
    for (unsigned i = 0; i < 100 && fixture.api.daemon.data_bytes_in_use < 4000; i++)
        sd_event_run(fixture.api.daemon.event, 10000);
    assert_true(fixture.api.daemon.data_bytes_in_use == 4000);
    send_text(second, "GET /v1/regions/ram/data?offset=0&length=2004 HTTP/1.1\r\n" HOST END);
    expect(second, 503, "too much raw data", false);
    close(first); /* whoever goes away gives back what it held */
    first = -1;
    for (unsigned i = 0; i < 100 && fixture.api.daemon.data_bytes_in_use; i++)
        sd_event_run(fixture.api.daemon.event, 10000);
    assert_true(fixture.api.daemon.data_bytes_in_use == 0);
    send_text(second, "GET /v1/regions/ram/data?offset=0&length=2004 HTTP/1.1\r\n" HOST END);
    expect(second, 200, NULL, false);
}

static void test_large_transfer(void **state)
{
    _cleanup_close_ int fd = dial();
    struct response response;
    char head[200], data[API_RAM_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 11 >> 3);
    snprintf(head, sizeof(head),
            "PUT /v1/regions/ram/data?offset=0&width=64 HTTP/1.1\r\n" HOST OCTETS
            "Content-Length: %zu\r\n" END,
            sizeof(data));
    send_text(fd, head);
    send_all(fd, data, sizeof(data));
    expect(fd, 200, "\"length\":8192", false);
    send_text(fd, "GET /v1/regions/ram/data?offset=0&length=8192&width=8 HTTP/1.1\r\n" HOST END);
    receive_response(fd, &response, false);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.body.size, sizeof(data) + 1);
    assert_memory_equal(response.body.data, data, sizeof(data));
    buffer_done(&response.body);
}

/* Two that wait for a slow device, and one that does not. */
static void test_answers_later(void **state)
{
    _cleanup_close_ int first = dial(), second = dial(), third = dial();

    (void)state;
    send_text(first, "GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\n" HOST END);
    send_text(second, "GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\n" HOST END);
    for (unsigned i = 0; i < 1000 && server_active(fixture.server) < 2; i++)
        sd_event_run(fixture.api.daemon.event, 10000);
    assert_int_equal(server_active(fixture.server), 2);
    send_text(third, "GET /v1/regions/edu/registers/0x0 HTTP/1.1\r\n" HOST END);
    expect(third, 200, "0x010000ed", false);
    expect(first, 200, "0x00000000", false);
    expect(second, 200, "0x00000001", false);
    for (unsigned i = 0; i < 100 && server_active(fixture.server); i++)
        sd_event_run(fixture.api.daemon.event, 10000);
    assert_int_equal(server_active(fixture.server), 0);
}

static void test_client_goes_away(void **state)
{
    int fd = dial();

    (void)state;
    send_text(fd, "GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\n" HOST END);
    for (unsigned i = 0; i < 1000 && server_active(fixture.server) < 1; i++)
        sd_event_run(fixture.api.daemon.event, 10000);
    assert_int_equal(server_active(fixture.server), 1);
    close(fd);
    for (unsigned i = 0; i < 1000 && server_active(fixture.server); i++)
        sd_event_run(fixture.api.daemon.event, 10000);
    assert_int_equal(server_active(fixture.server), 0);

    /* In the middle of a head, and of a body. */
    fd = dial();
    send_text(fd, "GET /v1/regions/odd");
    sd_event_run(fixture.api.daemon.event, 10000);
    close(fd);
    fd = dial();
    send_text(fd,
            "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: 11\r\n" END "{\"v");
    sd_event_run(fixture.api.daemon.event, 10000);
    close(fd);
    check_rows(
            &(struct row){"GET /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST END, 200, "0x00000000"}, 1);
    assert_int_equal(server_active(fixture.server), 0);
}

static void test_octet_by_octet(void **state)
{
    static const char request[] = "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON
                                  "Content-Length: 11\r\n" END "{\"value\":1}";
    _cleanup_close_ int fd = dial();

    (void)state;
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        send_all(fd, request + i, 1);
        sd_event_run(fixture.api.daemon.event, 1000);
    }
    expect(fd, 200, "\"count\":1", false);
}

/* While the daemon stops, answers say that the connection ends, and nobody new is let in. */
static void test_draining(void **state)
{
    _cleanup_close_ int fd = dial(), late = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct response response;

    (void)state;
    send_text(fd, "GET /v1/regions/odd/registers/0x18 HTTP/1.1\r\n" HOST END);
    for (unsigned i = 0; i < 1000 && server_active(fixture.server) < 1; i++)
        sd_event_run(fixture.api.daemon.event, 10000);
    fixture.api.daemon.draining = true;
    server_quiesce(fixture.server);
    late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture.path);
    (void)!connect(late, (struct sockaddr *)&address, sizeof(address));
    (void)!send(late, "GET /healthz HTTP/1.1\r\n" HOST END, 34, MSG_NOSIGNAL);
    receive_response(fd, &response, true);
    assert_int_equal(response.status, 200);
    assert_non_null(strcasestr(response.head, "\r\nConnection: close\r\n"));
    buffer_done(&response.body);
    sd_event_run(fixture.api.daemon.event, 10000);
    assert_int_equal(server_active(fixture.server), 0);
    assert_true(fixture.api.daemon.counters.connections == 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_keep_alive, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_refusal_with_body_closes, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_chunked, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_body_limit, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_server_cut, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_large_transfer, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_answers_later, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_client_goes_away, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_octet_by_octet, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_draining, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
