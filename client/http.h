/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a request gets to the daemon and its answer back: libcurl, over a Unix socket, http or https. A
 * request is never sent twice: a register may have been touched already, though no answer came. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host.h"
#include "identity.h"
#include "util/buffer.h"
#include "util/error.h"

enum { HTTP_CONTENT_TYPE_SIZE = 64, HTTP_CONTENT_RANGE_SIZE = 80 };

/* What has to be looked after while a request is under way. */
struct http_watch {
    int fd;           /* attended to when it is readable, and otherwise once a second; -1: only that */
    uint64_t wake_us; /* CLOCK_BOOTTIME: earlier than in a second, when that is then; 0: no matter when */
    int (*attend)(void *context); /* 0: go on; negative: give the request up, with this error */
    void *context;
};

struct http_answer;

/* An answer that is handed over as it comes, which may go on for ever. */
struct http_stream {
    const char *content_type; /* that it must have, and the status 200 or 206: others are bodies as usual */
    int (*begin)(void *context, const struct http_answer *head); /* before the first octet; NULL: nothing */
    int (*take)(void *context, const char *data, size_t size);   /* both as attend() of a watch */
    void *context;
};

/* A body that is fetched as it goes. */
struct http_upload {
    uint64_t size;                                                         /* exactly so many octets */
    int (*read)(void *context, char *data, size_t size, size_t *ret_size); /* as attend() of a watch */
    void *context;
};

struct http_request {
    const char *method;
    const char *path;         /* with the query, without the host's prefix */
    const char *content_type; /* of the body; NULL: there is none */
    const void *body;
    size_t body_size;
    const struct http_upload *upload; /* instead of body; NULL: that one */
    const char *range;                /* "bytes=0-99"; NULL: all of it */
    size_t answer_limit;              /* octets of the answer's body */
    unsigned timeout_ms;              /* for everything, from connecting to the answer's last octet; with a
                                       * stream or an upload for connecting alone */
    const struct http_stream *stream; /* NULL: a usual answer */
    const char *last_event_id;        /* NULL: there is none */
    const struct http_watch *watch;   /* NULL: nothing */
    bool outside_reservation;         /* it does not count as part of DEVREG_RESERVATION */
};

struct http_answer {
    unsigned status;
    char content_type[HTTP_CONTENT_TYPE_SIZE]; /* without parameters, in lower case; "" when there is none */
    char content_range[HTTP_CONTENT_RANGE_SIZE]; /* "" when there is none */
    unsigned retry_after_seconds;                /* 0: it does not say */
    struct buffer body;
};

static inline void http_answer_done(struct http_answer *answer)
{
    buffer_done(&answer->body);
}
#define _cleanup_http_answer_ _cleanup_(http_answer_done)

struct http;

/* Connects later. The host and the identity must outlive it. Returns 0 or -ENOMEM. */
int http_new(const struct host *host, const struct identity *identity, struct http **ret_http,
        struct error *error);
void http_free(struct http *http);

/* Sends one request and waits for its answer. The answer's status is also set when it was cut, 0 when there
 * was none. Returns 0, -ENOTCONN when there is nobody to talk to,
 * -ETIMEDOUT, -EPROTO when the answer is cut or no HTTP, -EACCES when the client's certificate is refused,
 * -EINVAL when a file of the identity is none, -EMSGSIZE, -ENOMEM, what the watch, the stream or the upload
 * returned; all with a message. */
int http_exchange(struct http *http, const struct http_request *request, struct http_answer *ret_answer,
        struct error *error);
