/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See request.h. */
#include "request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void fail(const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    exit(EXIT_FAILURE);
}

static int connect_to_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        fail("%s: %s", path, strerror(errno));
    return fd;
}

static int connect_to_port(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
            .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0)
        fail("port %s: %s", port, strerror(errno));
    return fd;
}

int connect_to(const char *place)
{
    return strchr(place, '/') ? connect_to_path(place) : connect_to_port(place);
}

void send_all(int fd, const void *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

        if (sent < 0)
            fail("sending a request: %s", strerror(errno));
        data = (const char *)data + sent;
        size -= (size_t)sent;
    }
}

uint64_t number_in(const char *text, const char *key)
{
    const char *found = strstr(text, key);

    if (!found)
        fail("there is no %s in: %s", key, text);
    return strtoull(found + strlen(key), NULL, 10);
}

void send_head(int fd, const char *method, const char *path, const char *type, uint64_t size)
{
    char head[512];
    int length = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, path);

    if (type)
        length += snprintf(head + length, sizeof(head) - (size_t)length,
                "Content-Type: %s\r\nContent-Length: %llu\r\n", type, (unsigned long long)size);
    length += snprintf(head + length, sizeof(head) - (size_t)length, "\r\n");
    send_all(fd, head, (size_t)length);
}

size_t receive_head(int fd, char answer[REQUEST_ANSWER_BYTES], char **ret_body)
{
    size_t received = 0;
    char *end;

    do {
        ssize_t part = read(fd, answer + received, REQUEST_ANSWER_BYTES - 1 - received);

        if (part <= 0)
            fail("no answer: %s", part < 0 ? strerror(errno) : "the connection has ended");
        received += (size_t)part;
        answer[received] = '\0';
        end = strstr(answer, "\r\n\r\n");
    } while (!end);
    if (strncmp(answer, "HTTP/1.1 2", 10) != 0)
        fail("refused: %s", answer);
    *ret_body = end + 4;
    return received - (size_t)(end + 4 - answer);
}

void ask(int fd, const char *method, const char *path, const char *type, const void *body, size_t size,
        char answer[REQUEST_ANSWER_BYTES])
{
    char *start;
    size_t received;
    uint64_t wanted;

    send_head(fd, method, path, type, size);
    send_all(fd, body, size);
    received = receive_head(fd, answer, &start);
    wanted = number_in(answer, "Content-Length: ");
    if ((uint64_t)(answer + REQUEST_ANSWER_BYTES - 1 - start) < wanted)
        fail("%s %s: the answer has %llu octets", method, path, (unsigned long long)wanted);
    while (received < wanted) {
        ssize_t part = read(fd, start + received, wanted - received);

        if (part <= 0)
            fail("%s %s: the answer has ended", method, path);
        received += (size_t)part;
        start[received] = '\0';
    }
}
