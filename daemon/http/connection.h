/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server knows of one connection: whose it is, how long it may take, whether there is room for it.
 * Requests come and go on it (exchange.h). */
#pragma once

#include <microhttpd.h>

#include "api/call.h"
#include "http/origin.h"
#include "http/peer.h"
#include "http/reaper.h"
#include "http/sender.h"
#include "http/tls.h"

/* Above the limit so many are let in, to be told that they are too many; the next are closed at once. */
enum { CONNECTIONS_SPARE = 32 };

/* The id of an event is shorter (api/event_id.h); of what is longer the rest does not matter. */
enum { CONNECTION_EVENT_SIZE = 64 };

/* All connections of all sockets. */
struct connections {
    struct daemon *daemon;
    struct reaper *reaper;
    struct peers peers;
    uint64_t count;
    uint64_t stranger_count;
    struct connection *strangers; /* over the network, and nobody's yet */
    struct connection *stalled;
};

struct connection {
    struct reaper_entry entry; /* its `connection` is the whole */
    struct connections *all;
    struct MHD_Connection *http;
    struct peer peer;
    struct principal *owner;   /* on whose account it is; NULL: not known yet */
    bool spare;                /* it came over the limit */
    bool begun;                /* the first line of its first request has come */
    char host[PEER_HOST_SIZE]; /* a Host that it may be asked by, without a port; "": none known yet */

    /* Of the request that is under way. */
    struct throttle_wait wait; /* before its refusal */
    char reservation[RESERVATION_ID_SIZE];
    char last_event[CONNECTION_EVENT_SIZE];
    char range[BYTE_RANGE_SIZE];
    struct call_transfer transfer;
    size_t moved;          /* octets of a BODY_STREAM since its deadline was set */
    struct sender *sender; /* NULL: its answer is no stream */

    /* TLS alone. */
    gnutls_session_t session;
    struct tls_credentials *credentials;
    bool verified;                 /* its client certificate has been looked at */
    void (*readable)(void *owner); /* called after it went on */
    void *readable_owner;
    sd_event_source *source;
    bool parked;
    struct connection *next_stranger, **stranger_link; /* link is NULL when it is none */
    struct connection *next_stalled, **stalled_link;   /* link is NULL while it is not stalled */
};

/* Whether another may be accepted: from this address, or NULL of a Unix socket, whose users connections that
 * are nobody's can't keep out. */
bool connections_have_room(const struct connections *connections, const struct sockaddr *address);

/* When the head of the first request must have come, and of the next one. */
uint64_t connection_head_deadline(const struct daemon *daemon);

/* When so many octets of a body, in either direction, must have moved from now on. */
uint64_t connection_body_deadline(const struct daemon *daemon, uint64_t size);

/* For one that was just accepted; local says that it is of a Unix socket. NULL out of memory. */
struct connection *connection_new(struct connections *connections, struct MHD_Connection *http, bool local);
void connection_free(struct connection *connection);

/* Makes it a TLS connection, before its first octet is read. Owns the credentials from then on, also on
 * failure. */
int connection_start_tls(struct connection *connection, struct tls_credentials *credentials,
        void (*readable)(void *owner), void *owner);

/* 0, or -EAGAIN when there are too many and this is one of them. */
int connection_admit(struct connection *connection, struct error *error);

/* Whether a Host is one that its place, its own address or its certificate is for; -EHOSTUNREACH. */
int connection_check_host(struct connection *connection, const struct origin_settings *settings,
        const struct origin_place *place, const struct gate_text *host, struct error *error);

/* Gives a reference to who asks. -EKEYREJECTED for wrong credentials. */
int connection_identify(struct connection *connection, const struct gate_text *authorization,
        struct principal **ret_principal, struct error *error);

/* Puts the connection on the principal's account. -EDQUOT when that has too many. */
int connection_own(struct connection *connection, struct principal *principal, struct error *error);

/* Takes those out of libmicrohttpd's hands that wait for their peer in a TLS handshake: it would try again
 * and again, as fast as it can. To be called after each MHD_run(). */
void connections_park(struct connections *connections);

/* Gives it back, when it is parked; returns whether it was. */
bool connection_unpark(struct connection *connection);
