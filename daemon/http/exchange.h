/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One HTTP request and its response on a connection: collects the body, runs the call, sends the answer. */
#pragma once

#include <microhttpd.h>

#include "core/daemon.h"
#include "http/connection.h"

/* What the exchanges of one listening socket share. */
struct exchange_context {
    struct daemon *daemon;
    const struct origin_settings *origins;
    struct origin_place place;
    const char *name; /* of the socket */
    bool exposed;     /* others than this machine's users reach it: they must say who they are */
    struct throttle *throttle;
    size_t active; /* exchanges whose head has come and whose answer has not gone */

    /* Called after a connection was resumed: libmicrohttpd must be run, it has no descriptor that says so.
     */
    void (*resumed)(struct exchange_context *context);
};

struct exchange;

/* For a request whose target has come. The target is where libmicrohttpd has it. NULL out of memory. */
struct exchange *exchange_new(
        struct exchange_context *context, struct connection *connection, const char *target);

/* Sets the deadline for the connection's next request. */
void exchange_free(struct exchange *exchange);

/* libmicrohttpd's access handler. */
enum MHD_Result exchange_handle(struct exchange *exchange, const char *method, const char *version,
        const char *upload, size_t *upload_size);
