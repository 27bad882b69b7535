/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libmicrohttpd calls the handler once when the head has come, then with each piece of the body, then once
 * more. An answer that is queued at the first call closes the connection, so only refusals are. While an
 * answer is not there yet its connection is suspended. */
#include "http/exchange.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/call.h"
#include "http/gate.h"
#include "http/router.h"

/* Bodies, in both directions, get more time the longer they are. */
enum { SLOWEST_BODY_BYTES_PER_SECOND = 64 * 1024 };

struct exchange {
    struct call call;
    struct exchange_context *context;
    struct MHD_Connection *connection;
    struct reaper_entry *entry; /* the connection's */
    char *allow;                /* for 405 */
    bool begun;
    bool suspended;
    bool close;             /* the connection can't be used after this answer */
    const char *target_end; /* in libmicrohttpd's memory, which it has written over by now */
    char target[];          /* decoded in place */
};

/* The time of this round of the loop, which costs nothing to ask for. */
static uint64_t round_us(const struct daemon *daemon)
{
    uint64_t now = 0;

    sd_event_now(daemon->event, CLOCK_MONOTONIC, &now);
    return now;
}

static uint64_t body_deadline(const struct daemon *daemon, uint64_t size)
{
    return round_us(daemon) + daemon->limits.request_seconds * 1000000 +
           size * 1000000 / SLOWEST_BODY_BYTES_PER_SECOND;
}

uint64_t exchange_head_deadline(const struct daemon *daemon)
{
    return round_us(daemon) + (daemon->limits.idle_seconds + daemon->limits.request_seconds) * 1000000;
}

struct exchange *exchange_new(struct exchange_context *context, struct MHD_Connection *connection,
        struct reaper_entry *entry, const char *target)
{
    size_t length = strlen(target);
    struct exchange *exchange;

    /* Small enough for malloc()'s own cache, which calloc() does not use. */
    static_assert(sizeof(*exchange) < 976, "exchanges have grown");
    exchange = malloc(sizeof(*exchange) + length + 1);
    if (!exchange)
        return NULL;
    memset(exchange, 0, sizeof(*exchange));
    exchange->context = context;
    exchange->connection = connection;
    exchange->entry = entry;
    exchange->call.daemon = context->daemon;
    exchange->target_end = target + length;
    memcpy(exchange->target, target, length + 1);
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    if (exchange->begun)
        exchange->context->active--;
    exchange->entry->deadline_us = exchange_head_deadline(exchange->call.daemon);
    exchange->entry->answering = false;
    call_done(&exchange->call);
    free(exchange->allow);
    free(exchange);
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
    struct call *call = &exchange->call;
    struct MHD_Response *response;
    enum MHD_Result result = MHD_NO;
    size_t size;
    char *data = buffer_take(&call->reply, &size);

    response = MHD_create_response_from_buffer_with_free_callback(size, data, free);
    if (!response) {
        free(data);
        return MHD_NO;
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, call->content_type) != MHD_YES)
        goto out;
    if (exchange->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, exchange->allow);
    if (exchange->close || call->daemon->draining)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    exchange->entry->deadline_us = body_deadline(call->daemon, size);
    exchange->entry->answering = true;
    result = MHD_queue_response(exchange->connection, call->status, response);
out:
    MHD_destroy_response(response);
    return result;
}

static void answered_later(struct call *call)
{
    struct exchange *exchange = container_of(call, struct exchange, call);

    if (!exchange->suspended)
        return;
    exchange->suspended = false;
    MHD_resume_connection(exchange->connection);
    exchange->context->resumed(exchange->context);
}

/* A suspended connection is not read, so libmicrohttpd does not see its end. Whoever only stops sending
 * counts too: with the Internet's protocols that looks the same. */
static bool client_left(const struct call *call)
{
    const struct exchange *exchange = container_of(call, struct exchange, call);
    struct pollfd end = {.fd = exchange->entry->fd, .events = POLLRDHUP};

    return poll(&end, 1, 0) > 0;
}

/* A refusal while a body follows ends the connection: what follows is not a request, or not one to trust. */
static enum MHD_Result refuse(struct exchange *exchange, const struct error *error, bool close)
{
    exchange->call.running = true; /* nothing is to be resumed */
    call_fail(&exchange->call, error);
    exchange->close = close;
    return close ? send_answer(exchange) : MHD_YES;
}

static enum MHD_Result run(struct exchange *exchange)
{
    struct call *call = &exchange->call;

    call->answered_later = answered_later;
    call->client_left = client_left;
    call_run(call);
    if (call->status)
        return send_answer(exchange);
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection);
    return MHD_YES;
}

static uint64_t body_limit(const struct call *call)
{
    const struct limits *limits = &call->daemon->limits;

    return call->route->body == BODY_OCTETS ? limits->data_bytes : limits->json_body_bytes;
}

static bool is_media_type(const char *content_type, const char *wanted)
{
    size_t length = strlen(wanted);

    return content_type && strncasecmp(content_type, wanted, length) == 0 &&
           (content_type[length] == 0 || strchr("; \t", content_type[length]));
}

static int check_body(const struct call *call, const struct gate_result *gate, struct error *error)
{
    static const char *const types[] = {
            [BODY_JSON] = "application/json", [BODY_OCTETS] = "application/octet-stream"};
    enum body_kind kind = call->route->body;

    if (kind == BODY_NONE)
        return gate->has_body ? error_set(error, -EINVAL, "this request takes no body") : 0;
    if (!is_media_type(gate->content_type, types[kind]))
        return error_set(error, -EPROTOTYPE, "this request takes %s: send the header Content-Type: %s",
                types[kind], types[kind]);
    if (gate->content_length > body_limit(call))
        return error_set(error, -EMSGSIZE, "the body is larger than %" PRIu64 " octets: send less at once",
                body_limit(call));
    return 0;
}

/* The head has come. */
static enum MHD_Result begin(struct exchange *exchange, const char *method, const char *version)
{
    struct call *call = &exchange->call;
    struct daemon *daemon = call->daemon;
    struct gate_request request = {method, version, exchange->target, exchange->target_end};
    struct gate_result gate = {0};
    char allow[ROUTER_ALLOW_SIZE];
    struct error error;
    struct uri uri;
    int r;

    exchange->begun = true;
    exchange->context->active++;
    daemon->counters.requests++;
    if (gate_check(exchange->connection, &request, &gate, &error) < 0)
        return refuse(exchange, &error, true);
    if (uri_parse(exchange->target, &uri, &error) < 0)
        return refuse(exchange, &error, gate.has_body);
    r = router_find(method, &uri, call, allow, &error);
    if (r == -ENOSYS)
        exchange->allow = strdup(allow);
    if (r < 0)
        return refuse(exchange, &error, gate.has_body);
    if (check_body(call, &gate, &error) < 0)
        return refuse(exchange, &error, gate.has_body);
    if (gate.has_body) {
        uint64_t extra = gate.content_length == UINT64_MAX ? 0 : gate.content_length;

        exchange->entry->deadline_us = round_us(daemon) + daemon->limits.request_seconds * 1000000 +
                                       extra * 1000000 / SLOWEST_BODY_BYTES_PER_SECOND;
        return MHD_YES;
    }
    /* Run at the next call: libmicrohttpd closes a connection that is answered at the first one. */
    return MHD_YES;
}

/* Raw transfers share a budget; JSON bodies are small and bounded by the number of connections. */
static int claim_body(struct call *call, size_t size, struct error *error)
{
    int r;

    if (size > body_limit(call) - call->body.size)
        return error_set(error, -EMSGSIZE, "the body is larger than %" PRIu64 " octets: send less at once",
                body_limit(call));
    if (call->route->body != BODY_OCTETS)
        return 0;
    r = daemon_claim_data(call->daemon, size, error);
    if (r == 0)
        call->claimed_bytes += size;
    return r;
}

/* A body that is refused on the way is read to its end and dropped: libmicrohttpd takes no answer before. */
static enum MHD_Result take_body(struct exchange *exchange, const char *upload, size_t *upload_size)
{
    struct call *call = &exchange->call;
    struct error error;

    if (call->status == 0) {
        int r = claim_body(call, *upload_size, &error);

        if (r == 0)
            buffer_append(&call->body, upload, *upload_size);
        if (r == 0 && buffer_failed(&call->body))
            r = error_set(&error, -ENOMEM, "out of memory for the body: try again, or send less at once");
        if (r < 0) {
            buffer_done(&call->body);
            call->running = true;
            call_fail(call, &error);
            exchange->close = true;
        }
    }
    *upload_size = 0;
    return MHD_YES;
}

enum MHD_Result exchange_handle(struct exchange *exchange, const char *method, const char *version,
        const char *upload, size_t *upload_size)
{
    if (!exchange->begun)
        return begin(exchange, method, version);
    if (*upload_size)
        return take_body(exchange, upload, upload_size);
    exchange->entry->deadline_us = 0;
    if (exchange->call.status)
        return send_answer(exchange);
    return run(exchange);
}
