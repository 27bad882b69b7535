/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limit that devregd is measured against: a libmicrohttpd server that does nothing but answer with a
 * constant body of the given size. Prints its port, ends when standard input does. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
        const char *method, const char *version, const char *upload, size_t *upload_size, void **request)
{
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_size;
    /* An answer queued at the first call would close the connection. */
    if (!*request) {
        *request = context;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, context);
}

int main(int argc, char **argv)
{
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Response *response;
    struct MHD_Daemon *http;
    char *body = malloc(size);
    char ignored;

    if (!body)
        return 1;
    memset(body, 'x', size);
    response = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_PERSISTENT);
    if (!response || MHD_add_response_header(response, "Content-Type", "application/json") != MHD_YES)
        return 1;
    http = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, response,
            MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,
            MHD_OPTION_END);
    if (!http)
        return 1;
    printf("%u\n", MHD_get_daemon_info(http, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (read(STDIN_FILENO, &ignored, 1) > 0)
        continue;
    MHD_stop_daemon(http);
    MHD_destroy_response(response);
    free(body);
    return 0;
}
