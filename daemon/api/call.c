/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See call.h. */
#include "api/call.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/arguments.h"
#include "api/call_audit.h"
#include "api/problem.h"
#include "api/routes.h"
#include "core/admission.h"
#include "util/date.h"
#include "util/json_writer.h"

/* Whether the principal has the route's permission, anywhere or for what the path names. What does not
 * exist is refused like what is not allowed, unless the principal may ask for something. */
static bool may(const struct call *call, const struct region **ret_region, struct access_decision *decision)
{
    const struct daemon *daemon = call->daemon;
    enum permission permission = call->route->permission;
    const char *name = call->parameters[0];
    const struct device *device;

    *ret_region = NULL;
    if (call->route->target == TARGET_REGION)
        *ret_region = inventory_find_region(daemon->inventory, name);
    device = call->route->target == TARGET_DEVICE ? inventory_find_device(daemon->inventory, name) : NULL;
    if (!device)
        return access_may(daemon->access, call->principal, permission, *ret_region, decision);
    for (size_t i = 0; i < device->region_count; i++) {
        *ret_region = &device->regions[i];
        if (access_may(daemon->access, call->principal, permission, *ret_region, decision))
            return true;
    }
    return false;
}

/* What a reservation that the request names must be held for; the rest is about reservations itself, or
 * harmless. */
enum {
    FENCED = 1 << PERMISSION_READ | 1 << PERMISSION_WRITE | 1 << PERMISSION_INTERRUPT | 1 << PERMISSION_DMA
};

bool call_may_list(const struct call *call, const struct region *region)
{
    struct access_decision decision;

    return access_may(call->daemon->access, call->principal, PERMISSION_LIST, region, &decision);
}

int call_admit(struct call *call, struct error *error)
{
    struct daemon *daemon = call->daemon;
    enum permission permission = call->route->permission;
    struct access_decision decision;
    const struct region *region;

    if (call->principal->expires && date_now_us() / 1000000 >= call->principal->expires)
        return error_set(error, -EKEYREJECTED, "%s has expired: ask for a new one", call->principal->name);
    if (permission != PERMISSION_NONE && !may(call, &region, &decision))
        return access_refuse(call->principal, permission, region, &decision, error);
    if (strcmp(call->route->method, "GET") != 0) {
        int r = call_audit_room(call, error);

        if (r < 0)
            return r;
    }
    if (!call->reservation || !(permission_bit(permission) & FENCED))
        return 0;
    return reservations_require(daemon->reservations, call->principal->name, call->reservation, error);
}

void call_begin(struct call *call)
{
    struct error error;

    call->running = true;
    if (arguments_check(call, &error) < 0)
        call_fail(call, &error);
    else
        call->route->handler(call);
    call->running = false;
    assert(call->status || call->transfer->pieces);
}

void call_take(struct call *call, const void *data, size_t size)
{
    call->running = true;
    call->transfer->pieces->take(call, data, size);
    call->running = false;
}

void call_run(struct call *call)
{
    struct error error;

    call->running = true;
    if (call->route->body == BODY_STREAM) {
        call->finish(call);
        call->running = false;
        return;
    }
    /* What was allowed when the head came need not be when the body is there. */
    if (arguments_check(call, &error) < 0 || (call->body.size > 0 && call_admit(call, &error) < 0))
        call_fail(call, &error);
    else
        call->route->handler(call);
    call->running = false;
}

static void count(struct counters *counters, unsigned status)
{
    if (status >= 500)
        counters->failed++;
    else if (status >= 400)
        counters->refused++;
    counters->unauthenticated += status == 401;
    counters->denied += status == 403;
    counters->reserved += status == 423;
    counters->over_limit += status == 429;
}

void call_answer(struct call *call, unsigned status, const char *content_type)
{
    assert(call->status == 0);
    if (buffer_failed(&call->reply)) {
        struct error error = {-ENOMEM, "out of memory for the answer: try again, or ask for less"};

        buffer_done(&call->reply);
        call_fail(call, &error);
        return;
    }
    call->status = status;
    call->content_type = content_type;
    if (status < 400)
        call_audit(call, NULL);
    count(&call->daemon->counters, status);
    if (!call->running && call->answered_later)
        call->answered_later(call);
}

void call_answer_stream(struct call *call, struct stream *stream, const char *content_type)
{
    call->stream = stream;
    call_answer(call, 200, content_type);
}

void call_answer_pieces(
        struct call *call, struct call_pieces *pieces, unsigned status, const char *content_type)
{
    call->transfer->pieces = pieces;
    call_answer(call, status, content_type);
}

void call_answer_json(struct call *call)
{
    call_answer_json_status(call, 200);
}

void call_answer_json_status(struct call *call, unsigned status)
{
    buffer_append_char(&call->reply, '\n');
    call_answer(call, status, "application/json");
}

/* Before the end, with at least so many digits; returns where it begins. */
static size_t write_hex(char *text, size_t end, uint64_t value, unsigned least)
{
    size_t start = end;

    for (; value || end - start < least; value >>= 4)
        text[--start] = "0123456789abcdef"[value & 0xf];
    return start;
}

/* Every answer has one, so it is written without snprintf(). */
const char *call_request_id(const struct call *call, char id[CALL_REQUEST_ID_SIZE])
{
    size_t start = CALL_REQUEST_ID_SIZE - 1;

    id[start] = 0;
    start = write_hex(id, start, call->request, 1);
    id[--start] = '-';
    return id + write_hex(id, start, call->daemon->identity, 16);
}

static void fail(struct call *call, const struct error *error, const char *region, const uint64_t *offset,
        size_t done)
{
    char id[CALL_REQUEST_ID_SIZE];
    const struct problem_facts facts = {.region = region,
            .offset = offset,
            .done = done,
            .request = call_request_id(call, id),
            .blocking = call->blocking};

    buffer_done(&call->reply);
    problem_write(&call->reply, error, &facts);
    call_audit(call, error);
    if (error->code == -EFAULT)
        call->daemon->counters.bus_faults++;
    if (buffer_failed(&call->reply))
        buffer_done(&call->reply); /* an answer without a body is better than none */
    call_answer(call, problem_status(error->code), "application/problem+json");
}

void call_fail(struct call *call, const struct error *error)
{
    fail(call, error, NULL, NULL, 0);
}

void call_fail_at(
        struct call *call, const struct error *error, const char *region, uint64_t offset, size_t done)
{
    fail(call, error, region, &offset, done);
}

void call_done(struct call *call)
{
    if (call->wait)
        call->wait->cancel(call->wait);
    stream_close(take_ptr(call->stream));
    if (call->transfer && call->transfer->pieces) {
        call->transfer->pieces->free(call);
        call->transfer->pieces = NULL;
    }
    daemon_return_data(call->daemon, call_account(call), call->claimed_bytes);
    call->claimed_bytes = 0;
    principal_unref(&call->daemon->accounts, take_ptr(call->principal));
    free(call->values);
    call->values = NULL;
    buffer_done(&call->body);
    buffer_done(&call->reply);
}
