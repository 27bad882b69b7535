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
#include "http/pieces.h"
#include "http/router.h"

struct exchange {
    struct call call;
    struct exchange_context *context;
    struct connection *connection;
    char *allow;        /* for 405 and 204 */
    const char *origin; /* whose pages may read the answer; NULL: none need to */
    bool begun;
    bool active;  /* counted as such in its context */
    bool counted; /* on its principal's account */
    bool suspended;
    bool delayed;           /* at the first call, so that one is made again */
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

struct exchange *exchange_new(
        struct exchange_context *context, struct connection *connection, const char *target)
{
    size_t length = strlen(target);
    struct exchange *exchange;

    /* Small enough for malloc()'s own cache, which calloc() does not use. */
    static_assert(sizeof(*exchange) <= 976, "exchanges have grown");
    exchange = malloc(sizeof(*exchange) + length + 1);
    if (!exchange)
        return NULL;
    memset(exchange, 0, sizeof(*exchange));
    exchange->context = context;
    exchange->connection = connection;
    exchange->call.daemon = context->daemon;
    exchange->call.peer = connection->peer.text;
    connection->transfer = (struct call_transfer){0};
    exchange->call.transfer = &connection->transfer;
    exchange->target_end = target + length;
    memcpy(exchange->target, target, length + 1);
    return exchange;
}

/* It is not under way any more. */
static void uncount(struct exchange *exchange)
{
    if (exchange->active)
        exchange->context->active--;
    if (exchange->counted)
        call_account(&exchange->call)->requests--;
    exchange->active = exchange->counted = false;
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    uncount(exchange);
    sender_free(take_ptr(exchange->connection->sender));
    throttle_forget(exchange->context->throttle, &exchange->connection->wait);
    exchange->connection->entry.deadline_us = connection_head_deadline(exchange->call.daemon);
    exchange->connection->entry.answering = false;
    call_done(&exchange->call);
    free(exchange->allow);
    free(exchange);
}

/* What a page of a listed origin may send, when its browser asks before (the Fetch standard, 3.2). */
static void add_origin_headers(const struct exchange *exchange, struct MHD_Response *response)
{
    if (!exchange->context->origins->origins)
        return;
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Origin");
    if (!exchange->origin)
        return;
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, exchange->origin);
    MHD_add_response_header(response, "Access-Control-Expose-Headers",
            "Accept-Ranges, Content-Range, Devreg-Request, Retry-After");
    if (exchange->call.status != 204)
        return;
    MHD_add_response_header(response, "Access-Control-Allow-Methods", exchange->allow);
    MHD_add_response_header(response, "Access-Control-Allow-Headers",
            "authorization, content-range, content-type, devreg-reservation, last-event-id, range");
    MHD_add_response_header(response, "Access-Control-Max-Age", "600");
}

static void add_headers(const struct exchange *exchange, struct MHD_Response *response)
{
    const struct call *call = &exchange->call;
    const struct call_transfer *transfer = call->transfer;
    char id[CALL_REQUEST_ID_SIZE];

    MHD_add_response_header(response, "Devreg-Request", call_request_id(call, id));
    if (call->wait && call->wait->location)
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, call->wait->location);
    if (call->status == 405)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, exchange->allow);
    if (call->status == 401)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"devreg\"");
    if (call->status == 429 || call->status == 503)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (transfer->content_range[0])
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, transfer->content_range);
    if (transfer->content_range[0] || (transfer->pieces && transfer->pieces->give))
        MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    if (exchange->close || call->daemon->draining)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    add_origin_headers(exchange, response);
}

static struct MHD_Response *make_answer(struct exchange *exchange)
{
    struct call *call = &exchange->call;
    struct MHD_Response *response;
    size_t size;
    char *data = buffer_take(&call->reply, &size);

    response = MHD_create_response_from_buffer_with_free_callback(size, data, free);
    if (!response)
        free(data);
    exchange->connection->entry.deadline_us = connection_body_deadline(call->daemon, size);
    return response;
}

static void handle_resumed(void *owner)
{
    struct exchange_context *context = owner;

    context->resumed(context);
}

/* A stream that has begun is not under way any more: nobody waits for its end. */
static struct MHD_Response *make_stream(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;
    struct MHD_Response *response;

    connection->sender = sender_new(
            connection->http, &connection->entry, exchange->call.stream, handle_resumed, exchange->context);
    response = connection->sender ? sender_response(connection->sender) : NULL;
    if (response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    exchange->connection->entry.deadline_us = connection_body_deadline(exchange->call.daemon, 0);
    uncount(exchange);
    return response;
}

static struct MHD_Response *make_response(struct exchange *exchange)
{
    struct call *call = &exchange->call;

    if (call->stream)
        return make_stream(exchange);
    if (call->transfer->pieces && call->transfer->pieces->give)
        return pieces_response(call, &exchange->connection->entry);
    return make_answer(exchange);
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
    struct call *call = &exchange->call;
    struct MHD_Response *response = make_response(exchange);
    enum MHD_Result result = MHD_NO;

    if (!response)
        return MHD_NO;
    if (call->content_type &&
            MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, call->content_type) != MHD_YES)
        goto out;
    add_headers(exchange, response);
    exchange->connection->entry.answering = true;
    result = MHD_queue_response(exchange->connection->http, call->status, response);
out:
    MHD_destroy_response(response);
    return result;
}

static void suspend(struct exchange *exchange)
{
    exchange->suspended = true;
    MHD_suspend_connection(exchange->connection->http);
}

static void resume(struct exchange *exchange)
{
    if (!exchange->suspended)
        return;
    exchange->suspended = false;
    MHD_resume_connection(exchange->connection->http);
    exchange->context->resumed(exchange->context);
}

/* A suspended connection is not read, so libmicrohttpd does not see its end. Whoever only stops sending
 * counts too: with the Internet's protocols that looks the same. */
static bool client_left(const struct call *call)
{
    const struct exchange *exchange = container_of(call, struct exchange, call);
    struct pollfd end = {.fd = exchange->connection->entry.fd, .events = POLLRDHUP};

    return poll(&end, 1, 0) > 0;
}

static void answered_later(struct call *call)
{
    resume(container_of(call, struct exchange, call));
}

static void handle_delay_over(struct throttle_wait *wait)
{
    resume(wait->owner);
}

/* A refusal while a body follows ends the connection: what follows is not a request, or not one to trust. */
static enum MHD_Result refuse(struct exchange *exchange, const struct error *error, bool close)
{
    exchange->call.running = true; /* nothing is to be resumed */
    call_fail(&exchange->call, error);
    exchange->close = close;
    return close ? send_answer(exchange) : MHD_YES;
}

/* A refusal of wrong credentials, which may have to wait. Then the body, if there is one, is not read. */
static enum MHD_Result refuse_credentials(struct exchange *exchange, const struct error *error, bool close)
{
    const struct peer *peer = &exchange->connection->peer;
    struct throttle *throttle = exchange->context->throttle;
    uint64_t now_us = round_us(exchange->call.daemon), delay_us = 0;
    struct error too_many;

    if (throttle_fail(throttle, &peer->key, peer->text, error, now_us, &delay_us) < 0) {
        error_set(&too_many, -EDQUOT,
                "too many requests with wrong credentials came from where you are: try again later");
        return refuse(exchange, &too_many, close);
    }
    if (delay_us == 0)
        return refuse(exchange, error, close);
    exchange->call.running = true; /* nothing is to be resumed but by the throttle */
    call_fail(&exchange->call, error);
    exchange->close = close;
    exchange->delayed = true;
    exchange->connection->entry.deadline_us = 0;
    exchange->connection->wait.over = handle_delay_over;
    exchange->connection->wait.owner = exchange;
    throttle_wait(throttle, &exchange->connection->wait, now_us, delay_us);
    suspend(exchange);
    return MHD_YES;
}

static enum MHD_Result run(struct exchange *exchange)
{
    struct call *call = &exchange->call;

    call->answered_later = answered_later;
    call->client_left = client_left;
    call_run(call);
    if (call->status)
        return send_answer(exchange);
    suspend(exchange);
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
    static const char *const types[] = {[BODY_JSON] = "application/json",
            [BODY_NONE_OR_JSON] = "application/json",
            [BODY_OCTETS] = "application/octet-stream",
            [BODY_STREAM] = "application/octet-stream"};
    enum body_kind kind = call->route->body;

    if (kind == BODY_NONE)
        return gate->has_body ? error_set(error, -EINVAL, "this request takes no body") : 0;
    if (kind == BODY_NONE_OR_JSON && !gate->has_body)
        return 0;
    if (!is_media_type(gate->content_type, types[kind]))
        return error_set(error, -EPROTOTYPE, "this request takes %s: send the header Content-Type: %s",
                types[kind], types[kind]);
    if (kind != BODY_STREAM && gate->content_length > body_limit(call))
        return error_set(error, -EMSGSIZE, "the body is larger than %" PRIu64 " octets: send less at once",
                body_limit(call));
    return 0;
}

/* An id is "r-" and hexadecimal digits (core/reservations.h). */
static int take_reservation(struct exchange *exchange, const struct gate_text *text, struct error *error)
{
    char *id = exchange->connection->reservation;

    if (!text->value)
        return 0;
    if (text->size < 3 || text->size >= RESERVATION_ID_SIZE || memcmp(text->value, "r-", 2) != 0)
        goto malformed;
    memcpy(id, text->value, text->size);
    id[text->size] = 0;
    if (id[2 + strspn(id + 2, "0123456789abcdef")])
        goto malformed;
    exchange->call.reservation = id;
    return 0;
malformed:
    return error_set(error, -EINVAL,
            "the header Devreg-Reservation has no reservation's id: /v1/reservations lists them");
}

/* Whoever makes the stream looks at it. */
static void take_last_event(struct exchange *exchange, const struct gate_text *text)
{
    struct connection *connection = exchange->connection;
    size_t size = text->size < CONNECTION_EVENT_SIZE ? text->size : CONNECTION_EVENT_SIZE - 1;

    if (!text->value)
        return;
    memcpy(connection->last_event, text->value, size);
    connection->last_event[size] = 0;
    exchange->call.last_event = connection->last_event;
}

/* Without a validator If-Range never holds, and then all is sent (RFC 9110, 13.1.5). Who sends a part must
 * not have it taken for the whole, so there is no part where parts are not known (RFC 9110, 14.4). */
static int take_range(
        struct exchange *exchange, const char *method, const struct gate_result *gate, struct error *error)
{
    struct connection *connection = exchange->connection;
    bool gets = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
    const struct gate_text *text = gets ? &gate->range : &gate->content_range;

    if (!text->value || (gets && gate->if_range.value))
        return 0;
    if (!gets && exchange->call.route->body != BODY_STREAM)
        return error_set(error, -EINVAL, "this request takes no Content-Range: send the whole");
    if (text->size >= BYTE_RANGE_SIZE)
        return error_set(error, -EINVAL, "the header %s is longer than %d octets: send one range",
                gets ? "Range" : "Content-Range", BYTE_RANGE_SIZE - 1);
    memcpy(connection->range, text->value, text->size);
    connection->range[text->size] = 0;
    connection->transfer.range = connection->range;
    return 0;
}

/* Once the principal is known. */
static int check_principal(struct exchange *exchange, struct error *error)
{
    const struct exchange_context *context = exchange->context;
    struct call *call = &exchange->call;
    struct account *account = call->principal->account;
    uint64_t limit = call->daemon->limits.requests_per_principal;
    int r;

    if (context->exposed && call->principal->kind == PRINCIPAL_ANONYMOUS &&
            (!call->route || strcmp(call->route->action, "health") != 0))
        return error_set(error, -EKEYREJECTED,
                "others than this machine's users reach %s, so say who you are: send a token "
                "(Authorization: Bearer devreg_...)%s",
                context->name, context->place.secure ? " or show a client certificate" : "");
    r = connection_own(exchange->connection, call->principal, error);
    if (r < 0) {
        exchange->close = true;
        return r;
    }
    if (account->requests >= limit)
        return error_set(error, -EDQUOT,
                "%" PRIu64 " requests of %s are under way, which is its limit: wait for some of them", limit,
                call->principal->name);
    account->requests++;
    exchange->counted = true;
    return 0;
}

/* Whose page it is, where that matters. */
static int check_origin(struct exchange *exchange, const struct gate_result *gate, struct error *error)
{
    const struct exchange_context *context = exchange->context;
    int r = connection_check_host(
            exchange->connection, context->origins, &context->place, &gate->host, error);

    return r < 0 ? r : origin_check(context->origins, &context->place, gate, &exchange->origin, error);
}

/* A browser asks before it sends a page's request, and asks without credentials. */
static enum MHD_Result answer_preflight(struct exchange *exchange)
{
    exchange->call.running = true;
    call_answer(&exchange->call, 204, NULL);
    return MHD_YES;
}

/* A body that is taken as it comes has to keep moving, and as long as it does it may take its time. */
static void expect_piece(struct exchange *exchange, uint64_t size)
{
    exchange->connection->moved = 0;
    exchange->connection->entry.deadline_us = connection_body_deadline(
            exchange->call.daemon, size < CALL_PIECE_BYTES ? size : CALL_PIECE_BYTES);
}

static enum MHD_Result begin_stream(struct exchange *exchange, const struct gate_result *gate)
{
    struct call *call = &exchange->call;

    call->transfer->body_size = gate->content_length;
    call_begin(call);
    exchange->close = call->status && gate->has_body;
    if (exchange->close)
        return send_answer(exchange);
    expect_piece(exchange, call->transfer->body_size);
    return MHD_YES;
}

/* The head has come. */
static enum MHD_Result begin(struct exchange *exchange, const char *method, const char *version)
{
    struct call *call = &exchange->call;
    struct daemon *daemon = call->daemon;
    struct gate_request request = {method, version, exchange->target, exchange->target_end};
    struct gate_result gate = {0};
    char allow[ROUTER_ALLOW_SIZE];
    struct error error, routing;
    struct uri uri;
    int r;

    exchange->begun = exchange->active = true;
    exchange->context->active++;
    call->request = ++daemon->counters.requests;
    if (gate_check(exchange->connection->http, &request, &gate, &error) < 0)
        return refuse(exchange, &error, true);
    if (connection_admit(exchange->connection, &error) < 0)
        return refuse(exchange, &error, true);
    if (check_origin(exchange, &gate, &error) < 0)
        return refuse(exchange, &error, gate.has_body);
    if (uri_parse(exchange->target, &uri, &error) < 0)
        return refuse(exchange, &error, gate.has_body);
    r = router_find(method, &uri, call, allow, &routing);
    if (r == -ENOSYS)
        exchange->allow = strdup(allow);
    if (exchange->allow && exchange->origin && strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0 &&
            !gate.has_body)
        return answer_preflight(exchange);
    if (connection_identify(exchange->connection, &gate.authorization, &call->principal, &error) < 0)
        return error.code == -EKEYREJECTED ? refuse_credentials(exchange, &error, gate.has_body)
                                           : refuse(exchange, &error, gate.has_body);
    if (check_principal(exchange, &error) < 0)
        return refuse(exchange, &error, gate.has_body || exchange->close);
    if (r < 0)
        return refuse(exchange, &routing, gate.has_body);
    take_last_event(exchange, &gate.last_event);
    if (take_reservation(exchange, &gate.reservation, &error) < 0)
        return refuse(exchange, &error, gate.has_body);
    if (take_range(exchange, method, &gate, &error) < 0)
        return refuse(exchange, &error, gate.has_body);
    if (call_admit(call, &error) < 0)
        return refuse(exchange, &error, gate.has_body);
    if (check_body(call, &gate, &error) < 0)
        return refuse(exchange, &error, gate.has_body);
    if (call->route->body == BODY_STREAM)
        return begin_stream(exchange, &gate);
    if (gate.has_body) {
        exchange->connection->entry.deadline_us = connection_body_deadline(daemon, gate.content_length);
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
    r = daemon_claim_data(call->daemon, call_account(call), size, error);
    if (r == 0)
        call->claimed_bytes += size;
    return r;
}

static void take_piece(struct exchange *exchange, const char *upload, size_t size)
{
    exchange->connection->moved += size;
    if (exchange->connection->moved >= CALL_PIECE_BYTES)
        expect_piece(exchange, CALL_PIECE_BYTES);
    if (exchange->call.status)
        return;
    call_take(&exchange->call, upload, size);
    exchange->close = exchange->call.status;
}

/* A body that is refused on the way is read to its end and dropped: libmicrohttpd takes no answer before. */
static enum MHD_Result take_body(struct exchange *exchange, const char *upload, size_t *upload_size)
{
    struct call *call = &exchange->call;
    struct error error;

    if (call->transfer->pieces) {
        take_piece(exchange, upload, *upload_size);
    } else if (call->status == 0) {
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
    if (exchange->delayed && !exchange->close) {
        exchange->delayed = false;
        return MHD_YES; /* as at every first call */
    }
    if (*upload_size)
        return take_body(exchange, upload, upload_size);
    exchange->connection->entry.deadline_us = 0;
    if (exchange->call.status)
        return send_answer(exchange);
    return run(exchange);
}
