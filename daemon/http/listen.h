/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening sockets: a Unix socket's path, or an address and port. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "util/error.h"

enum { LISTEN_NAME_SIZE = 128 };

/* Who may open a Unix socket, besides its owner. */
#define LISTEN_GROUP "devreg"

struct listen_socket {
    int fd;
    int lock;                    /* of a Unix socket: held while the daemon lives */
    char name[LISTEN_NAME_SIZE]; /* as people write it, with the real port */
    bool local;                  /* a Unix socket */
    bool tls;
    bool exposed; /* an address that is not on loopback */
};

/* What decides where may be listened. */
struct listen_policy {
    bool insecure;        /* --insecure */
    bool has_certificate; /* tls.certificate is configured */
    bool has_key;         /* tls.key is */
    bool authenticates;   /* tls.client_ca is, or an access rule is for a token */
};

/* Whether the text is a Unix socket's path rather than an address. */
bool listen_is_path(const char *text);

bool listen_is_loopback(const struct sockaddr *address);

/* Whether the text is an address for TLS, "https://...". */
bool listen_is_tls(const char *text);

/* Whether the text is one that listen_open() takes, without opening anything. -EINVAL when it is none,
 * -EPERM for one that the policy forbids; the message names the setting that is missing. */
int listen_check(const char *text, const struct listen_policy *policy, struct error *error);

/* Opens "/path", "127.0.0.1:7373", "[::1]:7373" or "https://192.0.2.7:7373" (port 0: any free one). A Unix
 * socket is created 0660, and one that a dead daemon left is replaced. Errors: -EADDRINUSE when another
 * daemon has it. */
int listen_open(const char *text, const struct listen_policy *policy, struct listen_socket *ret_socket,
        struct error *error);

/* Closes it and removes a Unix socket's path. */
void listen_close(struct listen_socket *socket);
