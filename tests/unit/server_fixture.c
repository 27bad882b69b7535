/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See server_fixture.h. */
#include "server_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backends/bus_guard.h"
#include "util/cleanup.h"

struct server_fixture fixture;

int set_up(void **state)
{
    static const struct origin_settings origins;
    static const struct server_settings settings = {.origins = &origins};
    static const struct listen_policy policy;
    struct listen_socket listener;
    struct error error = {0};

    (void)state;
    api_open(&fixture.api, true);
    fixture.api.daemon.limits.idle_seconds = 600;
    snprintf(fixture.path, sizeof(fixture.path), "%s/socket", fixture.api.directory);
    assert_int_equal(server_new(&fixture.api.daemon, &settings, &fixture.server, &error), 0);
    test_that(listen_open(fixture.path, &policy, &listener, &error) == 0, "%s", error.message);
    test_that(server_add(fixture.server, &listener, &error) == 0, "%s", error.message);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    server_free(fixture.server);
    server_free(NULL);
    api_close(&fixture.api);
    return 0;
}

int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(bus_guard_install(), 0); /* in each test: cmocka puts its own handler there before */
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture.path);
    test_that(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%s: %s", fixture.path,
            strerror(errno));
    return fd;
}

bool send_all(int fd, const void *data, size_t size)
{
    for (unsigned rounds = 0; size > 0; rounds++) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

        test_that(sent >= 0 || errno == EAGAIN || errno == EPIPE, "sending: %s", strerror(errno));
        if (sent < 0 && errno == EPIPE)
            return false;
        if (sent > 0) {
            data = (const char *)data + sent;
            size -= (size_t)sent;
        }
        sd_event_run(fixture.api.daemon.event, sent > 0 ? 0 : 100000);
        test_that(rounds < 100000, "the daemon does not read");
    }
    return true;
}

bool send_text(int fd, const char *text)
{
    return send_all(fd, text, strlen(text));
}

static size_t content_length(const char *head)
{
    const char *header = strcasestr(head, "\r\nContent-Length:");

    return header ? strtoul(header + 17, NULL, 10) : 0;
}

void receive_response(int fd, struct response *response, bool until_closed)
{
    _cleanup_buffer_ struct buffer data = {0};
    const char *end = NULL;
    size_t head = 0, whole = SIZE_MAX;

    *response = (struct response){0};
    for (unsigned rounds = 0; data.size < whole || (until_closed && !response->closed); rounds++) {
        char *room = buffer_reserve(&data, 65536);
        ssize_t size = recv(fd, room, 65536, 0);

        test_that(rounds < 3000, "no answer came: %.*s", (int)data.size, data.data);
        if (size == 0 || (size < 0 && errno != EAGAIN)) {
            response->closed = true;
            break;
        }
        if (size > 0)
            data.size += (size_t)size;
        else
            sd_event_run(fixture.api.daemon.event, 10000);
        end = data.size ? memmem(data.data, data.size, "\r\n\r\n", 4) : NULL;
        if (end && whole == SIZE_MAX) {
            head = (size_t)(end + 4 - data.data);
            test_that(head < sizeof(response->head), "the head is %zu octets long", head);
            memcpy(response->head, data.data, head);
            response->head[head] = 0;
            whole = head + content_length(response->head);
        }
    }
    if (data.size == 0)
        return;
    test_that(end && data.size == whole, "the answer is malformed: %.*s", (int)data.size, data.data);
    assert_int_equal(sscanf(response->head, "HTTP/1.1 %u", &response->status), 1);
    buffer_append(&response->body, data.data + head, data.size - head);
    buffer_append_char(&response->body, 0);
}

unsigned ask(const void *request, size_t size, struct response *response)
{
    _cleanup_close_ int fd = dial();

    send_all(fd, request, size);
    receive_response(fd, response, false);
    return response->status;
}

void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct response response;
        unsigned status = ask(rows[i].request, strlen(rows[i].request), &response);
        const char *body = response.body.data ? response.body.data : "";

        test_that(status == rows[i].status, "row %zu was answered with %u, expected %u:\n%s\n%s%s", i,
                status, rows[i].status, rows[i].request, response.head, body);
        test_that(!rows[i].text || strstr(response.head, rows[i].text) || strstr(body, rows[i].text),
                "row %zu: no %s in\n%s%s", i, rows[i].text, response.head, body);
        test_that(status < 400 || strstr(response.head, "application/problem+json"),
                "row %zu: no problem:\n%s", i, response.head);
        buffer_done(&response.body);
    }
    assert_int_equal(server_active(fixture.server), 0);
}
