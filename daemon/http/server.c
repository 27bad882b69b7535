/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libmicrohttpd has an epoll descriptor of its own, which the loop watches; it runs when that is ready or
 * when its timeout is over. Its timeouts are relative milliseconds, the loop's absolute microseconds. */
#include "http/server.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http/exchange.h"
#include "http/throttle.h"
#include "util/clock.h"

enum {
    CONNECTION_MEMORY_STEP = 4 * 1024,

    /* Rounds before others on the loop get their turn: fewer when they take longer than so, as large
     * transfers make them. */
    ROUNDS = 8,
    ROUNDS_US = 2000,
};

struct endpoint {
    struct exchange_context context;
    struct server *server;
    struct listen_socket listener;
    struct MHD_Daemon *http;
    sd_event_source *ready;
    sd_event_source *timer;
    sd_event_source *again; /* it has more to do right now */
    uint64_t timer_us;      /* what the timer is set to; 0: off */
    struct endpoint *next;
};

struct server {
    struct daemon *daemon;
    struct server_settings settings;
    struct connections connections;
    struct throttle *throttle;
    struct tls *tls; /* NULL until a socket needs it */
    struct endpoint *endpoints;
};

static enum MHD_Result handle_request(void *context, struct MHD_Connection *connection, const char *url,
        const char *method, const char *version, const char *upload, size_t *upload_size, void **request)
{
    (void)context;
    (void)connection;
    (void)url;
    if (!*request)
        return MHD_NO; /* out of memory */
    return exchange_handle(*request, method, version, upload, upload_size);
}

static void *begin_request(void *context, const char *target, struct MHD_Connection *connection)
{
    struct endpoint *endpoint = context;
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (!info || !info->socket_context)
        return NULL;
    ((struct connection *)info->socket_context)->begun = true;
    return exchange_new(&endpoint->context, info->socket_context, target);
}

static void end_request(void *context, struct MHD_Connection *connection, void **request,
        enum MHD_RequestTerminationCode how)
{
    (void)context;
    (void)connection;
    (void)how;
    exchange_free(take_ptr(*request));
}

static void run_soon(struct endpoint *endpoint)
{
    if (endpoint->again) /* gone while the endpoint's last connections are closed */
        sd_event_source_set_enabled(endpoint->again, SD_EVENT_ONESHOT);
}

static void handle_readable(void *owner)
{
    run_soon(owner);
}

static void begin_connection(
        struct endpoint *endpoint, struct MHD_Connection *http, struct connection **ret_connection)
{
    struct server *server = endpoint->server;
    struct connection *connection =
            connection_new(&server->connections, http, endpoint->context.place.local);

    server->daemon->counters.connections++;
    if (connection && endpoint->listener.tls &&
            connection_start_tls(
                    connection, tls_current(server->tls, clock_now_us()), handle_readable, endpoint) < 0) {
        shutdown(connection->entry.fd, SHUT_RDWR); /* it can't begin */
        connection_free(take_ptr(connection));
    }
    *ret_connection = connection;
}

static void handle_connection(void *context, struct MHD_Connection *http, void **socket_context,
        enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        /* Without descriptors libmicrohttpd has stopped listening, and begins again only when it is run. */
        run_soon(context);
        connection_free(take_ptr(*socket_context));
        return;
    }
    begin_connection(context, http, (struct connection **)socket_context);
}

/* Before libmicrohttpd makes anything of a new connection. */
static enum MHD_Result check_room(void *context, const struct sockaddr *address, socklen_t size)
{
    struct endpoint *endpoint = context;
    struct server *server = endpoint->server;

    (void)size;
    if (connections_have_room(&server->connections, endpoint->context.place.local ? NULL : address))
        return MHD_YES;
    server->daemon->counters.connections_refused++;
    return MHD_NO;
}

/* Every session has credentials of its own by then (tls.c). */
static int refuse_certificate(gnutls_session_t session, const struct gnutls_cert_retr_st *information,
        gnutls_pcert_st **ret_certificates, unsigned *ret_count, gnutls_ocsp_data_st **ret_ocsp,
        unsigned *ret_ocsp_count, gnutls_privkey_t *ret_key, unsigned *flags)
{
    (void)session;
    (void)information;
    (void)ret_certificates;
    (void)ret_count;
    (void)ret_ocsp;
    (void)ret_ocsp_count;
    (void)ret_key;
    (void)flags;
    return -1;
}

/* The daemon's own decoder is used instead (uri.h). */
static size_t leave_encoded(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static int run(struct endpoint *endpoint)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    bool has_timeout = true;
    uint64_t deadline, end_us = 0;

    for (int round = 0; round < ROUNDS && has_timeout && timeout_ms == 0; round++) {
        uint64_t now_us = round > 0 ? clock_now_us() : 0;

        if (round == 1)
            end_us = now_us + ROUNDS_US;
        if (now_us > end_us)
            break;
        if (MHD_run(endpoint->http) != MHD_YES)
            return sd_event_exit(endpoint->server->daemon->event, -EIO); /* or it would be deaf for ever */
        connections_park(&endpoint->server->connections);
        has_timeout = MHD_get_timeout(endpoint->http, &timeout_ms) == MHD_YES;
    }
    if (!has_timeout)
        return 0;
    if (timeout_ms == 0)
        return sd_event_source_set_enabled(endpoint->again, SD_EVENT_ONESHOT);
    /* Setting the timer is a system call at each request for a deadline that only moves away: it is left to
     * fire early and set anew then. */
    deadline = clock_now_us() + timeout_ms * 1000;
    if (endpoint->timer_us && endpoint->timer_us <= deadline)
        return 0;
    endpoint->timer_us = deadline;
    sd_event_source_set_time(endpoint->timer, deadline);
    return sd_event_source_set_enabled(endpoint->timer, SD_EVENT_ONESHOT);
}

static int handle_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)fd;
    (void)revents;
    return run(userdata);
}

static int handle_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct endpoint *endpoint = userdata;

    (void)source;
    (void)usec;
    endpoint->timer_us = 0;
    return run(endpoint);
}

static int handle_again(sd_event_source *source, void *userdata)
{
    (void)source;
    return run(userdata);
}

/* All that are resumed in one round of the loop are served by one run in the next. */
static void handle_resumed(struct exchange_context *context)
{
    struct endpoint *endpoint = container_of(context, struct endpoint, context);

    run_soon(endpoint);
}

static struct MHD_Daemon *start_http(struct endpoint *endpoint)
{
    const struct limits *limits = &endpoint->server->daemon->limits;
    unsigned flags = MHD_USE_EPOLL | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem secure[] = {
            {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)tls_priorities},
            {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)refuse_certificate},
            {MHD_OPTION_END, 0, NULL},
    };

    if (endpoint->listener.tls)
        flags |= MHD_USE_TLS;
    else
        secure[0].option = MHD_OPTION_END;
    /* Its own limit is one socket's, and never reached: check_room() is asked before. Each request zeroes
     * the memory for its head; larger heads get 414 or 431. */
    return MHD_start_daemon(flags, 0, check_room, endpoint, handle_request, endpoint,
            MHD_OPTION_LISTEN_SOCKET, endpoint->listener.fd, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned)limits->connections + CONNECTIONS_SPARE + 1, MHD_OPTION_CONNECTION_TIMEOUT,
            (unsigned)limits->idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)limits->head_bytes,
            MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)CONNECTION_MEMORY_STEP, MHD_OPTION_ARRAY, secure,
#if MHD_VERSION >= 0x01000000
            MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#endif
            MHD_OPTION_URI_LOG_CALLBACK, begin_request, endpoint, MHD_OPTION_UNESCAPE_CALLBACK,
            leave_encoded, NULL, MHD_OPTION_NOTIFY_COMPLETED, end_request, endpoint,
            MHD_OPTION_NOTIFY_CONNECTION, handle_connection, endpoint, MHD_OPTION_END);
}

static int watch(struct endpoint *endpoint)
{
    sd_event *event = endpoint->server->daemon->event;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(endpoint->http, MHD_DAEMON_INFO_EPOLL_FD);
    int r;

    if (!info)
        return -EIO;
    r = sd_event_add_io(event, &endpoint->ready, info->epoll_fd, EPOLLIN, handle_ready, endpoint);
    if (r < 0)
        return r;
    r = sd_event_add_time(event, &endpoint->timer, CLOCK_MONOTONIC, 0, 100000, handle_timer, endpoint);
    if (r < 0)
        return r;
    sd_event_source_set_enabled(endpoint->timer, SD_EVENT_OFF);
    r = sd_event_add_defer(event, &endpoint->again, handle_again, endpoint);
    if (r < 0)
        return r;
    /* After everything else, so that one socket that has always more to do starves nobody. */
    sd_event_source_set_priority(endpoint->again, SD_EVENT_PRIORITY_IDLE);
    return sd_event_source_set_enabled(endpoint->again, SD_EVENT_OFF);
}

/* None may be suspended when libmicrohttpd is stopped. */
static void unpark_all(struct server *server)
{
    for (struct reaper_entry *entry = reaper_first(server->connections.reaper); entry; entry = entry->next)
        connection_unpark(entry->connection);
}

static void endpoint_free(struct endpoint *endpoint)
{
    sd_event_source_disable_unref(endpoint->ready);
    sd_event_source_disable_unref(endpoint->timer);
    endpoint->again = sd_event_source_disable_unref(endpoint->again);
    if (endpoint->http) {
        MHD_quiesce_daemon(endpoint->http); /* or it would close the listening socket too */
        MHD_stop_daemon(endpoint->http);
    }
    listen_close(&endpoint->listener);
    free(endpoint);
}

/* Resuming makes libmicrohttpd read, and so find the end. */
static void handle_ended(struct reaper_entry *entry, void *context)
{
    struct server *server = context;
    struct connection *connection = entry->connection;

    if (connection_unpark(connection))
        return;
    if (connection->sender) {
        sender_end(connection->sender);
        return;
    }
    MHD_suspend_connection(connection->http);
    MHD_resume_connection(connection->http);
    for (struct endpoint *endpoint = server->endpoints; endpoint; endpoint = endpoint->next)
        run_soon(endpoint);
}

int server_new(struct daemon *daemon, const struct server_settings *settings, struct server **ret_server,
        struct error *error)
{
    struct server *server = calloc(1, sizeof(*server));
    int r;

    if (!server)
        return error_set(error, -ENOMEM, "out of memory");
    server->daemon = daemon;
    server->settings = *settings;
    server->connections.daemon = daemon;
    r = peers_init(&server->connections.peers, daemon);
    if (r == 0)
        r = reaper_new(daemon->event, handle_ended, server, &daemon->counters.timed_out,
                &server->connections.reaper);
    if (r >= 0)
        r = throttle_new(daemon->event, &server->throttle);
    if (r < 0) {
        server_free(server);
        return error_set(error, r, "timers: %s", strerror(-r));
    }
    *ret_server = server;
    return 0;
}

int server_add(struct server *server, const struct listen_socket *listener, struct error *error)
{
    struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
    int r;

    if (!endpoint)
        return error_set(error, -ENOMEM, "out of memory");
    endpoint->server = server;
    endpoint->listener = *listener;
    endpoint->context = (struct exchange_context){.daemon = server->daemon,
            .origins = server->settings.origins,
            .place = {.local = listener->local, .secure = listener->tls},
            .name = endpoint->listener.name,
            .exposed = listener->exposed && !server->daemon->insecure,
            .throttle = server->throttle,
            .resumed = handle_resumed};
    if (listener->tls && !server->tls) {
        r = tls_new(server->settings.tls, &server->tls, error);
        if (r < 0) {
            endpoint_free(endpoint);
            return r;
        }
    }
    endpoint->http = start_http(endpoint);
    r = endpoint->http ? watch(endpoint) : -EIO;
    if (r < 0) {
        error_set(error, r, "serving %s: %s", listener->name, strerror(-r));
        endpoint_free(endpoint);
        return r;
    }
    run_soon(endpoint); /* it may have connections waiting already */
    endpoint->next = server->endpoints;
    server->endpoints = endpoint;
    return 0;
}

void server_quiesce(struct server *server)
{
    for (struct endpoint *endpoint = server->endpoints; endpoint; endpoint = endpoint->next)
        MHD_quiesce_daemon(endpoint->http);
    throttle_release(server->throttle);
}

void server_cut(struct server *server)
{
    reaper_cut(server->connections.reaper);
}

size_t server_active(const struct server *server)
{
    size_t active = 0;

    for (const struct endpoint *endpoint = server->endpoints; endpoint; endpoint = endpoint->next)
        active += endpoint->context.active;
    return active;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    if (server->endpoints) {
        streams_end(server->daemon->streams);
        throttle_release(server->throttle);
        unpark_all(server);
    }
    while (server->endpoints) {
        struct endpoint *endpoint = server->endpoints;

        server->endpoints = endpoint->next;
        endpoint_free(endpoint);
    }
    tls_free(server->tls);
    throttle_free(server->throttle);
    reaper_free(server->connections.reaper);
    peers_done(&server->connections.peers);
    free(server);
}
