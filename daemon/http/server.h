/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HTTP on the daemon's event loop: one libmicrohttpd daemon for each listening socket, without threads. */
#pragma once

#include "core/daemon.h"
#include "http/listen.h"
#include "http/origin.h"
#include "http/tls.h"

struct server;

struct server_settings {
    const struct tls_settings *tls;
    const struct origin_settings *origins;
};

/* The daemon and what is set must outlive it. */
int server_new(struct daemon *daemon, const struct server_settings *settings, struct server **ret_server,
        struct error *error);

/* Serves a socket, which the server owns from then on, also on failure. */
int server_add(struct server *server, const struct listen_socket *listener, struct error *error);

/* Takes no more connections; those that are open are told to close with their next answer. */
void server_quiesce(struct server *server);

/* Cuts the connections off that neither wait for a device nor are silent between requests: what they still
 * owe or are owed takes too long. */
void server_cut(struct server *server);

/* How many requests are being answered. */
size_t server_active(const struct server *server);

/* Closes all connections. No operation may be under way. */
void server_free(struct server *server);
