/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests and answers, as the verbs see them: a path, then JSON or octets, or a failure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "failure.h"
#include "host.h"
#include "util/buffer.h"

struct http;

struct connection {
    struct host host;
    unsigned timeout_ms;
    struct http *http;
};

void connection_done(struct connection *connection);
#define _cleanup_connection_ _cleanup_(connection_done)

/* Resolves the host (see host_resolve()); connects with the first request. */
int connection_init(
        struct connection *connection, const char *host, unsigned timeout_ms, struct failure *failure);

/* Paths start with "/v1". All of these return 0, or -1 with the failure filled. The results are the
 * caller's. Answers are JSON objects. */
int connection_get(
        struct connection *connection, const char *path, json_t **ret_result, struct failure *failure);
int connection_send_json(struct connection *connection, const char *method, const char *path,
        const struct buffer *body, json_t **ret_result, struct failure *failure);

/* Exactly `size` octets come, or it fails. */
int connection_get_octets(struct connection *connection, const char *path, size_t size,
        struct buffer *ret_octets, struct failure *failure);
int connection_put_octets(struct connection *connection, const char *path, const void *octets, size_t size,
        json_t **ret_result, struct failure *failure);

/* Appends a name that may hold anything as one segment of a path. */
void path_append_segment(struct buffer *path, const char *segment);

/* Ends a path that was built in a buffer. Returns it, or NULL with the failure filled. */
const char *path_finish(struct buffer *path, struct failure *failure);
