/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judges what came back: which status, whether it is JSON, whether all of it is there. */
#include "connection.h"

#include <errno.h>
#include <string.h>

#include "http.h"
#include "options.h"
#include "util/cleanup.h"

/* jansson turns hostile JSON into up to 80 times its size; this is some 10,000 regions. */
enum { JSON_ANSWER_LIMIT = 4 * 1024 * 1024 };

void connection_done(struct connection *connection)
{
    http_free(connection->http);
    identity_done(&connection->identity);
    host_done(&connection->host);
    *connection = (struct connection){0};
}

int connection_init(struct connection *connection, const struct options *options, struct failure *failure)
{
    struct error error;
    int r;

    r = host_resolve(options->host, &connection->host, failure);
    if (r < 0)
        return r;
    r = identity_resolve(options, &connection->host, &connection->identity, failure);
    if (r < 0)
        return r;
    connection->timeout_ms = options->timeout_ms;
    r = http_new(&connection->host, &connection->identity, &connection->http, &error);
    return r < 0 ? failure_set_error(failure, EXIT_CODE_OTHER, &error) : 0;
}

static int fail_exchange(
        const struct connection *connection, int r, const struct error *error, struct failure *failure)
{
    switch (r) {
    case -ENOTCONN:
        return failure_set_error(failure, EXIT_CODE_NO_CONNECTION, error);
    case -ETIMEDOUT:
        return failure_set(failure, EXIT_CODE_TIMEOUT,
                "%s did not answer within %g seconds; --timeout allows "
                "more, and what was asked may still happen",
                connection->host.text, connection->timeout_ms / 1000.0);
    case -EINVAL:
        return failure_set_error(failure, EXIT_CODE_USAGE, error);
    case -EACCES:
        return failure_set(failure, EXIT_CODE_REFUSED, "%s: %s", connection->host.text, error->message);
    default:
        return failure_set(failure, EXIT_CODE_OTHER, "%s: %s", connection->host.text, error->message);
    }
}

static json_t *parse(const struct buffer *body, json_error_t *ret_mistake)
{
    json_t *value =
            json_loadb(body->data ? body->data : "", body->size, JSON_REJECT_DUPLICATES, ret_mistake);

    if (value && !json_is_object(value)) {
        json_decref(value);
        snprintf(ret_mistake->text, sizeof(ret_mistake->text), "no object");
        return NULL;
    }
    return value;
}

static int fail_status(
        const struct connection *connection, const struct http_answer *answer, struct failure *failure)
{
    json_auto_t *problem = NULL;
    json_error_t mistake;

    if (strcmp(answer->content_type, "application/problem+json") == 0)
        problem = parse(&answer->body, &mistake);
    failure_set_status(failure, answer->status, problem, connection->host.text);
    failure->retry_after_seconds = answer->retry_after_seconds;
    return -1;
}

/* Done, made, begun, or a part of it: the answer's body says what there is now. */
static bool is_success(unsigned status)
{
    return status == 200 || status == 201 || status == 202 || status == 206;
}

int connection_exchange(struct connection *connection, struct http_request *request,
        struct http_answer *ret_answer, struct failure *failure)
{
    struct error error = {.message = "failed"};
    int r;

    request->timeout_ms = connection->timeout_ms;
    request->watch = connection->watch;
    request->outside_reservation = connection->outside_reservation;
    r = http_exchange(connection->http, request, ret_answer, &error);
    if (r < 0)
        return fail_exchange(connection, r, &error, failure);
    if (!is_success(ret_answer->status))
        return fail_status(connection, ret_answer, failure);
    return 0;
}

int connection_exchange_json(struct connection *connection, struct http_request *request,
        json_t **ret_result, struct failure *failure)
{
    _cleanup_http_answer_ struct http_answer answer = {0};
    json_error_t mistake;
    json_t *result;
    int r;

    request->answer_limit = JSON_ANSWER_LIMIT;
    r = connection_exchange(connection, request, &answer, failure);
    if (r < 0)
        return r;
    result = parse(&answer.body, &mistake);
    if (!result)
        return failure_set(failure, EXIT_CODE_OTHER,
                "%s answered with no JSON object (%s, %s): is it devregd?", connection->host.text,
                *answer.content_type ? answer.content_type : "no Content-Type", mistake.text);
    *ret_result = result;
    return 0;
}

int connection_get(
        struct connection *connection, const char *path, json_t **ret_result, struct failure *failure)
{
    struct http_request request = {.method = "GET", .path = path};

    return connection_exchange_json(connection, &request, ret_result, failure);
}

int connection_delete(
        struct connection *connection, const char *path, json_t **ret_result, struct failure *failure)
{
    struct http_request request = {.method = "DELETE", .path = path};

    return connection_exchange_json(connection, &request, ret_result, failure);
}

int connection_send_json(struct connection *connection, const char *method, const char *path,
        const struct buffer *body, json_t **ret_result, struct failure *failure)
{
    struct http_request request = {.method = method,
            .path = path,
            .content_type = "application/json",
            .body = body->data,
            .body_size = body->size};

    if (buffer_failed(body))
        return failure_set(failure, EXIT_CODE_OTHER, "out of memory");
    return connection_exchange_json(connection, &request, ret_result, failure);
}

int connection_put_octets(struct connection *connection, const char *path, const void *octets, size_t size,
        json_t **ret_result, struct failure *failure)
{
    struct http_request request = {.method = "PUT",
            .path = path,
            .content_type = "application/octet-stream",
            .body = octets,
            .body_size = size};

    return connection_exchange_json(connection, &request, ret_result, failure);
}

int connection_get_octets(struct connection *connection, const char *path, size_t size,
        struct buffer *ret_octets, struct failure *failure)
{
    struct http_request request = {.method = "GET", .path = path};
    _cleanup_http_answer_ struct http_answer answer = {0};
    int r;

    /* A refusal comes as a problem document, which may be bigger than the octets. */
    request.answer_limit = size < 65536 ? 65536 : size;
    r = connection_exchange(connection, &request, &answer, failure);
    if (r < 0)
        return r;
    if (strcmp(answer.content_type, "application/octet-stream") != 0)
        return failure_set(failure, EXIT_CODE_OTHER, "%s answered with %s instead of octets: is it devregd?",
                connection->host.text, *answer.content_type ? answer.content_type : "no Content-Type");
    if (answer.body.size != size)
        return failure_set(failure, EXIT_CODE_OTHER, "%s answered with %zu octets where %zu were asked for",
                connection->host.text, answer.body.size, size);
    *ret_octets = answer.body;
    answer.body = (struct buffer){0};
    return 0;
}

/* 408 and 429 are about the moment, what servers say of themselves too. */
static bool is_final(unsigned status)
{
    return status >= 200 && status < 500 && status != 408 && status != 429;
}

int connection_follow(struct connection *connection, const char *path, const char *last_event_id,
        const struct http_stream *stream, bool *ret_final, struct failure *failure)
{
    struct http_request request = {.method = "GET",
            .path = path,
            .last_event_id = last_event_id,
            .stream = stream,
            .answer_limit = JSON_ANSWER_LIMIT};
    _cleanup_http_answer_ struct http_answer answer = {0};
    bool followed;
    int r;

    r = connection_exchange(connection, &request, &answer, failure);
    followed = answer.status == 200 && strcmp(answer.content_type, stream->content_type) == 0;
    *ret_final = is_final(answer.status) && !followed;
    if (r < 0 || followed)
        return r;
    return failure_set(failure, EXIT_CODE_OTHER, "%s answered with %s instead of %s: is it devregd?",
            connection->host.text, *answer.content_type ? answer.content_type : "no Content-Type",
            stream->content_type);
}

void path_append_segment(struct buffer *path, const char *segment)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    for (; *segment; segment++) {
        if (strchr(plain, *segment))
            buffer_append_char(path, *segment);
        else
            buffer_append_format(path, "%%%02X", (unsigned char)*segment);
    }
}

const char *path_finish(struct buffer *path, struct failure *failure)
{
    buffer_append_char(path, '\0');
    if (!buffer_failed(path))
        return path->data;
    failure_set(failure, EXIT_CODE_OTHER, "out of memory");
    return NULL;
}
