/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limit that devregd is measured against: a libmicrohttpd server that does nothing but answer with a
 * constant body of the given size, or take one of that size and copy it there.
 *   bench-minimal [SIZE [SOCKET [POOL]]]
 * Prints its port, or the socket's path, ends when standard input does. The pool is libmicrohttpd's memory
 * for each connection, a quarter to a half of which it lets a body come in at once. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { POOL_BYTES = 16384 };

struct limit {
    char *body;
    size_t size;
    struct MHD_Response *constant, *taken;
    size_t come; /* of the one body that is on its way at a time */
};

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
        const char *method, const char *version, const char *upload, size_t *upload_size, void **request)
{
    struct limit *limit = context;

    (void)url;
    (void)version;
    /* An answer queued at the first call would close the connection. */
    if (!*request) {
        *request = context;
        limit->come = 0;
        return MHD_YES;
    }
    if (*upload_size > limit->size - limit->come)
        return MHD_NO;
    if (*upload_size) {
        memcpy(limit->body + limit->come, upload, *upload_size);
        limit->come += *upload_size;
        *upload_size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, *method == 'P' ? limit->taken : limit->constant);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
        return -1;
    return fd;
}

static struct MHD_Daemon *start(struct limit *limit, const char *path, size_t pool)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_OptionItem place[] = {
            {MHD_OPTION_SOCK_ADDR, 0, &address},
            {MHD_OPTION_END, 0, NULL},
    };

    if (path)
        place[0] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, listen_at(path), NULL};
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, limit, MHD_OPTION_ARRAY,
            place, MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool, MHD_OPTION_END);
}

static int make_answers(struct limit *limit)
{
    limit->body = malloc(limit->size);
    if (!limit->body)
        return -1;
    memset(limit->body, 'x', limit->size);
    limit->constant = MHD_create_response_from_buffer(limit->size, limit->body, MHD_RESPMEM_PERSISTENT);
    limit->taken = MHD_create_response_from_buffer(2, (char[]){"{}"}, MHD_RESPMEM_MUST_COPY);
    if (!limit->constant || !limit->taken ||
            MHD_add_response_header(limit->constant, "Content-Type", "application/json") != MHD_YES)
        return -1;
    return 0;
}

int main(int argc, char **argv)
{
    struct limit limit = {.size = argc > 1 ? strtoul(argv[1], NULL, 10) : 64};
    const char *path = argc > 2 && *argv[2] ? argv[2] : NULL;
    struct MHD_Daemon *http;
    char ignored;

    if (make_answers(&limit) < 0)
        return 1;
    http = start(&limit, path, argc > 3 ? strtoul(argv[3], NULL, 10) : POOL_BYTES);
    if (!http)
        return 1;
    if (path)
        printf("%s\n", path);
    else
        printf("%u\n", MHD_get_daemon_info(http, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (read(STDIN_FILENO, &ignored, 1) > 0)
        continue;
    MHD_stop_daemon(http);
    MHD_destroy_response(limit.constant);
    MHD_destroy_response(limit.taken);
    free(limit.body);
    return 0;
}
