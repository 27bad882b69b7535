/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a request gets to the daemon and its answer back: libcurl, over a Unix socket, http or https. A
 * request is never sent twice: a register may have been touched already, though no answer came. */
#pragma once

#include <stddef.h>

#include "host.h"
#include "util/buffer.h"
#include "util/error.h"

enum { HTTP_CONTENT_TYPE_SIZE = 64 };

struct http_request {
    const char *method;
    const char *path;         /* with the query, without the host's prefix */
    const char *content_type; /* of the body; NULL: there is none */
    const void *body;
    size_t body_size;
    size_t answer_limit; /* octets of the answer's body */
    unsigned timeout_ms; /* for everything, from connecting to the answer's last octet */
};

struct http_answer {
    unsigned status;
    char content_type[HTTP_CONTENT_TYPE_SIZE]; /* without parameters, in lower case; "" when there is none */
    struct buffer body;
};

static inline void http_answer_done(struct http_answer *answer)
{
    buffer_done(&answer->body);
}
#define _cleanup_http_answer_ _cleanup_(http_answer_done)

struct http;

/* Connects later. The host must outlive it. Returns 0 or -ENOMEM. */
int http_new(const struct host *host, struct http **ret_http, struct error *error);
void http_free(struct http *http);

/* Sends one request and waits for its answer. Returns 0, -ENOTCONN when there is nobody to talk to,
 * -ETIMEDOUT, -EPROTO when the answer is cut or no HTTP, -EMSGSIZE, -ENOMEM; all with a message. */
int http_exchange(struct http *http, const struct http_request *request, struct http_answer *ret_answer,
        struct error *error);
