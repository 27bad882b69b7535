/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/gate.c: what is no HTTP, or not only that, is refused before anybody looks at it. */
#include "server_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

/* Only the status: libmicrohttpd 0.9 sends the head of some of its own refusals twice. */
static unsigned receive_status(int fd, const char *request)
{
    char text[32] = "";
    unsigned status = 0;
    ssize_t size = -1;

    for (unsigned rounds = 0; size < 0 && rounds < 3000; rounds++) {
        sd_event_run(fixture.api.daemon.event, 10000);
        size = recv(fd, text, sizeof(text) - 1, 0);
        if (size < 0 && errno != EAGAIN)
            return 0;
    }
    test_that(size >= 0, "no answer came to %s", request);
    return sscanf(text, "HTTP/1.%*1u %u", &status) == 1 ? status : 0;
}

static void test_malformed(void **state)
{
    static const struct row rows[] = {
            {"GET /healthz HTTP/1.1\r\n" END, 400, "Host"},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n" END, 400, "several Host"},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nhost: a\r\n" END, 400, "several Host"},
            {"GET /healthz HTTP/1.1\r\nHost:\r\n" END, 400, "Host header is malformed"},
            {"GET /healthz HTTP/1.1\r\nHost: a b\r\n" END, 400, "Host header is malformed"},
            {"GET /healthz HTTP/1.1\r\nHost: a/b\r\n" END, 400, "Host header is malformed"},
            {"GET /healthz HTTP/1.1\r\nHost: a@b\r\n" END, 400, "Host header is malformed"},
            {"GET /healthz HTTP/1.1\nHost: a\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\nX: b\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nX: b\nHost: a\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nX Y: b\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nX : b\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nX(: b\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\n: b\r\n" END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x01"
             "b\r\n" END,
                    400, NULL},
            {"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n" END, 400, NULL},
            {"GET  /healthz HTTP/1.1\r\n" HOST END, 400, NULL},
            {"GET /healthz  HTTP/1.1\r\n" HOST END, 400, NULL},
            {"GET /healthz x HTTP/1.1\r\n" HOST END, 400, NULL},
            {"GET /h\xc3\xa9 HTTP/1.1\r\n" HOST END, 400, "percent-encoded"},
            {"G(T /healthz HTTP/1.1\r\n" HOST END, 400, NULL},
            {"GET /healthz HTTP/1.2\r\n" HOST END, 400, NULL},
            {"GET http://a/healthz HTTP/1.1\r\n" HOST END, 400, NULL},
            {"OPTIONS * HTTP/1.1\r\n" HOST END, 400, NULL},
            {"GET /healthz HTTP/1.1\r\n" HOST "Content-Length: 3\r\n" END "abc", 400, "GET takes no body"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON
             "Content-Length: 11\r\nContent-Length: 11\r\n" END "{\"value\":1}",
                    400, "several times"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON
             "Content-Length: 11\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n",
                    400, "both there"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: gzip\r\n" END,
                    400, "not chunked"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON
             "Transfer-Encoding: chunked, gzip\r\n" END "0\r\n\r\n",
                    400, "not chunked"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON
             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n",
                    400, "several times"},
            {"PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON JSON "Content-Length: 11\r\n" END
             "{\"value\":1}",
                    400, "several times"},
    };

    (void)state;
    check_rows(rows, ELEMENTS(rows));
}

/* libmicrohttpd answers some of these itself; that none of them is taken is what counts. */
static void test_never_taken(void **state)
{
    static const char *const requests[] = {
            "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: -1\r\n" END
            "{\"value\":1}",
            "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: 0x0b\r\n" END
            "{\"value\":1}",
            "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: +11\r\n" END
            "{\"value\":1}",
            "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Content-Length: 11, 11\r\n" END
            "{\"value\":1}",
            "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON
            "Content-Length: 99999999999999999999999\r\n" END "{\"value\":1}",
            "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n" END
            "zz\r\n{\"value\":1}\r\n0\r\n\r\n",
            "PUT /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n" END
            "-1\r\n{\"value\":1}\r\n0\r\n\r\n",
            "GET /v1/regions/edu/registers/0x4 HTTP/9.9\r\n" HOST END,
            "GET /healthz HTTP/1.1\r\nHost\r\n" END, "GET\r\n" HOST END, "nonsense\r\n\r\n",
            "\x16\x03\x01\x02\x01\xfc\x03\x03\r\n\r\n", /* TLS */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        _cleanup_close_ int fd = dial();
        unsigned status;

        send_all(fd, requests[i], strlen(requests[i]));
        status = receive_status(fd, requests[i]);
        test_that(status == 0 || (status >= 400 && status < 600), "%s\nwas answered with %u", requests[i],
                status);
    }
    check_rows(
            &(struct row){"GET /v1/regions/edu/registers/0x4 HTTP/1.1\r\n" HOST END, 200, "0x00000000"}, 1);
}

/* A NUL ends a C string, and with it what a careless reader sees. */
static void test_nul(void **state)
{
    static const struct {
        const char *request;
        size_t size;
    } rows[] = {
#define NUL_ROW(text) {text, sizeof(text) - 1}
            NUL_ROW("GET /healthz\0x HTTP/1.1\r\n" HOST END),
            NUL_ROW("GET /healthz HTTP/1.1\r\nHost: a\0b\r\n" END),
            NUL_ROW("GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\0\r\n" END),
            NUL_ROW("GET /healthz HTTP/1.1\r\nHost: a\r\nX\0Y: b\r\n" END),
            NUL_ROW("G\0T /healthz HTTP/1.1\r\n" HOST END),
            NUL_ROW("GET /healthz HTTP/1.1\0\r\n" HOST END),
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct response response;
        unsigned status = ask(rows[i].request, rows[i].size, &response);

        test_that(status == 0 || status == 400 || status == 505, "row %zu was answered with %u:\n%s", i,
                status, response.head);
        buffer_done(&response.body);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_never_taken, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_nul, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
