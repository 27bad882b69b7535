/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libmicrohttpd 0.9.75 clears a connection's readiness when reading tells it that there is nothing, but not
 * when the TLS handshake does. So until its first request begins, a TLS connection that has nothing to read
 * is suspended and its descriptor watched here. */
#include "http/connection.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/listen.h"
#include "util/clock.h"

enum {
    /* A spare connection is there to be told something, not to wait. */
    SPARE_SECONDS = 5,

    STRANGERS_OF_ONE = 64,

    /* Bodies get more time the longer they are. */
    SLOWEST_BODY_BYTES_PER_SECOND = 64 * 1024,
};

static uint64_t round_us(const struct daemon *daemon)
{
    uint64_t now = 0;

    sd_event_now(daemon->event, CLOCK_MONOTONIC, &now);
    return now;
}

uint64_t connection_head_deadline(const struct daemon *daemon)
{
    return round_us(daemon) + (daemon->limits.idle_seconds + daemon->limits.request_seconds) * 1000000;
}

uint64_t connection_body_deadline(const struct daemon *daemon, uint64_t size)
{
    return round_us(daemon) + daemon->limits.request_seconds * 1000000 +
           size * 1000000 / SLOWEST_BODY_BYTES_PER_SECOND;
}

/* For a Unix socket's users, those that are nobody's do not count. */
static uint64_t count_for(const struct connections *connections, bool local)
{
    return connections->count - (local ? connections->stranger_count : 0);
}

/* One address may not keep all others out by saying nothing. On this machine it is everybody's. */
static bool has_too_many_strangers(const struct connections *connections, const struct sockaddr *address)
{
    struct peer peer = {0};
    uint64_t count = 0;

    peer_init_address(&peer, address);
    for (const struct connection *other = connections->strangers; other; other = other->next_stranger)
        count += memcmp(&other->peer.key, &peer.key, sizeof(peer.key)) == 0;
    return count >= STRANGERS_OF_ONE;
}

bool connections_have_room(const struct connections *connections, const struct sockaddr *address)
{
    uint64_t limit = connections->daemon->limits.connections + CONNECTIONS_SPARE;

    if (count_for(connections, !address) >= limit)
        return false;
    return !address || listen_is_loopback(address) || !has_too_many_strangers(connections, address);
}

static void set_stranger(struct connection *connection)
{
    struct connections *all = connection->all;

    connection->next_stranger = all->strangers;
    connection->stranger_link = &all->strangers;
    if (connection->next_stranger)
        connection->next_stranger->stranger_link = &connection->next_stranger;
    all->strangers = connection;
    all->stranger_count++;
}

static void forget_stranger(struct connection *connection)
{
    if (!connection->stranger_link)
        return;
    *connection->stranger_link = connection->next_stranger;
    if (connection->next_stranger)
        connection->next_stranger->stranger_link = connection->stranger_link;
    connection->stranger_link = NULL;
    connection->all->stranger_count--;
}

static int init_peer(struct connection *connection, bool local)
{
    const union MHD_ConnectionInfo *info;

    if (local)
        return peer_init_unix(&connection->peer, &connection->all->peers, connection->entry.fd);
    info = MHD_get_connection_info(connection->http, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return -EIO;
    peer_init_address(&connection->peer, info->client_addr);
    return 0;
}

struct connection *connection_new(struct connections *connections, struct MHD_Connection *http, bool local)
{
    struct daemon *daemon = connections->daemon;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection = calloc(1, sizeof(*connection));
    struct error error;

    if (!connection || !info) {
        free(connection);
        return NULL;
    }
    connection->all = connections;
    connection->http = http;
    reaper_add(connections->reaper, &connection->entry, info->connect_fd);
    connection->entry.connection = connection;
    connection->entry.deadline_us = connection_head_deadline(daemon);
    connections->count++;
    if (!local)
        set_stranger(connection);
    connection->spare = count_for(connections, local) > daemon->limits.connections;
    if (init_peer(connection, local) < 0) {
        connection_free(connection);
        return NULL;
    }
    /* One that is over its user's limit is told so when it asks for something. */
    if (connection->peer.principal && connection_own(connection, connection->peer.principal, &error) < 0)
        connection->spare = true;
    if (connection->spare)
        connection->entry.deadline_us = round_us(daemon) + SPARE_SECONDS * 1000000;
    return connection;
}

static void disown(struct connection *connection)
{
    if (!connection->owner)
        return;
    connection->owner->account->connections--;
    principal_unref(&connection->all->daemon->accounts, connection->owner);
    connection->owner = NULL;
}

static void forget_stalled(struct connection *connection)
{
    if (!connection->stalled_link)
        return;
    *connection->stalled_link = connection->next_stalled;
    if (connection->next_stalled)
        connection->next_stalled->stalled_link = connection->stalled_link;
    connection->stalled_link = NULL;
}

void connection_free(struct connection *connection)
{
    if (!connection)
        return;
    forget_stranger(connection);
    forget_stalled(connection);
    sd_event_source_disable_unref(connection->source);
    disown(connection);
    reaper_remove(&connection->entry);
    peer_done(&connection->peer, &connection->all->peers);
    tls_credentials_unref(connection->credentials);
    connection->all->count--;
    free(connection);
}

int connection_admit(struct connection *connection, struct error *error)
{
    const struct connections *all = connection->all;

    if (!connection->spare)
        return 0;
    if (count_for(all, !connection->stranger_link) > all->daemon->limits.connections) {
        all->daemon->counters.connections_refused++;
        return error_set(error, -EAGAIN,
                "%" PRIu64 " connections are open, which is the limit of all together: close some, or try "
                "again later",
                all->daemon->limits.connections);
    }
    connection->spare = false;
    return 0;
}

static bool is_own_address(const struct connection *connection, const char *name)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
    } address;
    socklen_t size = sizeof(address);
    char own[PEER_HOST_SIZE];

    if (getsockname(connection->entry.fd, &address.any, &size) < 0)
        return false;
    peer_write_host(&address.any, own);
    return strcasecmp(name, own) == 0;
}

/* Asking takes long, so the answer for the last name is kept. */
static bool is_asked_by(struct connection *connection, const struct gate_text *host)
{
    struct gate_text text = origin_host(host);
    char name[PEER_HOST_SIZE];

    if (text.size == 0 || text.size >= sizeof(name))
        return false;
    if (text.size == strlen(connection->host) && strncasecmp(text.value, connection->host, text.size) == 0)
        return true;
    memcpy(name, text.value, text.size);
    name[text.size] = 0;
    if (!is_own_address(connection, name) &&
            (!connection->credentials || !tls_is_for(connection->credentials, name)))
        return false;
    strcpy(connection->host, name);
    return true;
}

int connection_check_host(struct connection *connection, const struct origin_settings *settings,
        const struct origin_place *place, const struct gate_text *host, struct error *error)
{
    if (origin_knows_host(settings, place, host) || is_asked_by(connection, host))
        return 0;
    return origin_refuse_host(host, error);
}

static int verify(struct connection *connection)
{
    char name[TLS_NAME_SIZE];
    struct error error;
    uint64_t expires;
    int r = tls_client(connection->credentials, connection->session, name, &expires, &error);

    if (r > 0)
        return peer_set_certificate(&connection->peer, &connection->all->peers, name, expires);
    if (r == -EKEYREJECTED)
        return peer_refuse_certificate(&connection->peer, error.message);
    return r;
}

int connection_identify(struct connection *connection, const struct gate_text *authorization,
        struct principal **ret_principal, struct error *error)
{
    if (connection->credentials && !connection->verified) {
        int r = verify(connection);

        if (r < 0)
            return error_set(error, r, "out of memory: try again");
        connection->verified = true;
    }
    return peer_identify(&connection->peer, &connection->all->peers, authorization, ret_principal, error);
}

int connection_own(struct connection *connection, struct principal *principal, struct error *error)
{
    uint64_t limit = connection->all->daemon->limits.connections_per_principal;

    if (connection->owner == principal)
        return 0;
    if (!connection->owner || connection->owner->account != principal->account) {
        if (principal->account->connections >= limit)
            return error_set(error, -EDQUOT,
                    "%s has %" PRIu64 " connections open, which is its limit: close some, or make several "
                    "requests on one",
                    principal->name, limit);
    }
    disown(connection);
    forget_stranger(connection);
    connection->owner = principal_ref(principal);
    principal->account->connections++;
    return 0;
}

/* Called from inside libmicrohttpd, which must not be interfered with there. */
static void stall(struct connection *connection)
{
    if (connection->begun || connection->stalled_link)
        return;
    connection->next_stalled = connection->all->stalled;
    connection->stalled_link = &connection->all->stalled;
    if (connection->next_stalled)
        connection->next_stalled->stalled_link = &connection->next_stalled;
    connection->all->stalled = connection;
}

/* GnuTLS reads with this. */
static ssize_t pull(gnutls_transport_ptr_t context, void *data, size_t size)
{
    struct connection *connection = context;
    ssize_t r = recv(connection->entry.fd, data, size, 0);

    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        stall(connection);
    return r;
}

/* Never asked as things are, but GnuTLS's own would take the context for a descriptor. */
static int pull_timeout(gnutls_transport_ptr_t context, unsigned timeout_ms)
{
    const struct connection *connection = context;
    struct pollfd readable = {.fd = connection->entry.fd, .events = POLLIN};

    return poll(&readable, 1, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms);
}

static int handle_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct connection *connection = userdata;

    (void)source;
    (void)fd;
    (void)revents;
    connection_unpark(connection);
    return 0;
}

int connection_start_tls(struct connection *connection, struct tls_credentials *credentials,
        void (*readable)(void *owner), void *owner)
{
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection->http, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    int r;

    connection->credentials = credentials;
    connection->readable = readable;
    connection->readable_owner = owner;
    if (!info || !info->tls_session)
        return -EIO;
    connection->session = info->tls_session;
    r = tls_apply(credentials, connection->session);
    if (r < 0)
        return r;
    r = sd_event_add_io(connection->all->daemon->event, &connection->source, connection->entry.fd, EPOLLIN,
            handle_readable, connection);
    if (r < 0)
        return r;
    gnutls_transport_set_pull_function(connection->session, pull);
    gnutls_transport_set_pull_timeout_function(connection->session, pull_timeout);
    gnutls_transport_set_ptr2(
            connection->session, connection, (gnutls_transport_ptr_t)(intptr_t)connection->entry.fd);
    return sd_event_source_set_enabled(connection->source, SD_EVENT_OFF);
}

void connections_park(struct connections *connections)
{
    struct connection *connection;

    while ((connection = connections->stalled)) {
        forget_stalled(connection);
        if (connection->begun || connection->parked)
            continue;
        connection->parked = true;
        MHD_suspend_connection(connection->http);
        sd_event_source_set_enabled(connection->source, SD_EVENT_ON);
    }
}

bool connection_unpark(struct connection *connection)
{
    if (!connection->parked)
        return false;
    connection->parked = false;
    sd_event_source_set_enabled(connection->source, SD_EVENT_OFF);
    MHD_resume_connection(connection->http);
    connection->readable(connection->readable_owner);
    return true;
}
