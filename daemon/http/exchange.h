/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One HTTP request and its response on a connection: collects the body, runs the call, sends the answer. */
#pragma once

#include <microhttpd.h>

#include "core/daemon.h"
#include "http/reaper.h"

/* What the exchanges of one server share. */
struct exchange_context {
    struct daemon *daemon;
    size_t active; /* exchanges whose head has come and whose answer has not gone */
};

struct exchange;

/* For a request whose target has come. The target is where libmicrohttpd has it. NULL out of memory. */
struct exchange *exchange_new(
        struct exchange_context *context, struct MHD_Connection *connection, const char *target);
void exchange_free(struct exchange *exchange);

/* libmicrohttpd's access handler. */
enum MHD_Result exchange_handle(struct exchange *exchange, struct reaper_entry *entry, const char *method,
        const char *version, const char *upload, size_t *upload_size);
