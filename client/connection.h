/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests and answers, as the verbs see them: a path, then JSON or octets, or a failure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "failure.h"
#include "host.h"
#include "identity.h"
#include "util/buffer.h"

struct http;
struct http_answer;
struct http_request;
struct http_stream;
struct http_watch;
struct options;

struct connection {
    struct host host;
    struct identity identity;
    unsigned timeout_ms;
    const struct http_watch *watch; /* looked after while requests are under way; NULL: nothing */
    bool outside_reservation;       /* requests are not part of DEVREG_RESERVATION: they are about such */
    struct http *http;
};

void connection_done(struct connection *connection);
#define _cleanup_connection_ _cleanup_(connection_done)

/* Resolves the host (see host_resolve()) and the identity; connects with the first request. */
int connection_init(struct connection *connection, const struct options *options, struct failure *failure);

/* Paths start with "/v1". All of these return 0, or -1 with the failure filled. The results are the
 * caller's. Answers are JSON objects. */
int connection_get(
        struct connection *connection, const char *path, json_t **ret_result, struct failure *failure);
int connection_delete(
        struct connection *connection, const char *path, json_t **ret_result, struct failure *failure);
int connection_send_json(struct connection *connection, const char *method, const char *path,
        const struct buffer *body, json_t **ret_result, struct failure *failure);

/* Exactly `size` octets come, or it fails. */
int connection_get_octets(struct connection *connection, const char *path, size_t size,
        struct buffer *ret_octets, struct failure *failure);
int connection_put_octets(struct connection *connection, const char *path, const void *octets, size_t size,
        json_t **ret_result, struct failure *failure);

/* Follows what goes on for ever, from behind last_event_id on (NULL: the path says from where), with
 * timeout_ms for connecting alone. Returns 0 when the daemon ended it, or -1 with the failure filled:
 * *ret_final tells whether that is its last word, so that asking again is no use. */
int connection_follow(struct connection *connection, const char *path, const char *last_event_id,
        const struct http_stream *stream, bool *ret_final, struct failure *failure);

/* What the ones above are made of, for requests of another kind: adds to the request what the connection is,
 * and sends it. The answer, which is the caller's to release in any case, has a status of success. */
int connection_exchange(struct connection *connection, struct http_request *request,
        struct http_answer *ret_answer, struct failure *failure);
int connection_exchange_json(struct connection *connection, struct http_request *request,
        json_t **ret_result, struct failure *failure);

/* Appends a name that may hold anything as one segment of a path. */
void path_append_segment(struct buffer *path, const char *segment);

/* Ends a path that was built in a buffer. Returns it, or NULL with the failure filled. */
const char *path_finish(struct buffer *path, struct failure *failure);
