/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a request is from: its token's principal; without one that of its connection, which is a client
 * certificate's or a Unix user's; without either nobody in particular. What the connection says is found out
 * once and kept with it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/daemon.h"
#include "http/gate.h"
#include "http/throttle.h"

enum {
    PEER_TEXT_SIZE = 64,
    PEER_NAMES = 16,
};

/* What all peers of a daemon share. */
struct peers {
    struct daemon *daemon;
    struct principal *anonymous;
    struct peer_name {
        uid_t uid;
        uint64_t until_us; /* monotonic; 0: the row is free */
        char name[PRINCIPAL_SHORT_NAME + 1];
    } names[PEER_NAMES];
};

/* The other end of a connection. */
struct peer {
    struct principal *principal; /* NULL: the connection says nothing */
    char *refusal;               /* what is wrong with its certificate; NULL: nothing */
    char text[PEER_TEXT_SIZE];   /* "uid=1000 pid=4711", "192.0.2.1:4711" */
    struct throttle_key key;
};

int peers_init(struct peers *peers, struct daemon *daemon);
void peers_done(struct peers *peers);

/* The principal of a Unix user of this name (NULL: it has none) and number. Names that could be taken for
 * something else stand back for the number. */
struct principal *peer_user(struct accounts *accounts, const char *name, uid_t uid);

enum { PEER_HOST_SIZE = 64 };

/* An address as Host has it, without a port: "192.0.2.7", "[2001:db8::7]". "" for others than IP's. */
void peer_write_host(const struct sockaddr *address, char host[PEER_HOST_SIZE]);

/* All of them leave a peer for peer_done(), also when they fail. */
int peer_init_unix(struct peer *peer, struct peers *peers, int fd);
void peer_init_address(struct peer *peer, const struct sockaddr *address);
void peer_done(struct peer *peer, struct peers *peers);

/* The principal of a certificate that was verified; seconds since the epoch until it expires. */
int peer_set_certificate(struct peer *peer, struct peers *peers, const char *name, uint64_t expires);

/* What is wrong with the certificate that it showed. */
int peer_refuse_certificate(struct peer *peer, const char *message);

/* The token in an Authorization header (RFC 6750), copied so that it ends. -EKEYREJECTED for other schemes,
 * and for what can't be a token. */
int peer_read_token(
        const struct gate_text *authorization, char ret_secret[TOKEN_SECRET_SIZE], struct error *error);

/* Gives a reference to who asks. -EKEYREJECTED for wrong credentials, which is never the same as none. */
int peer_identify(const struct peer *peer, struct peers *peers, const struct gate_text *authorization,
        struct principal **ret_principal, struct error *error);
