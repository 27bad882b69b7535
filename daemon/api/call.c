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
#include "api/problem.h"
#include "api/routes.h"
#include "util/json_writer.h"

void call_run(struct call *call)
{
    struct error error;

    call->running = true;
    if (arguments_check(call, &error) < 0)
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
    count(&call->daemon->counters, status);
    if (!call->running && call->answered_later)
        call->answered_later(call);
}

void call_answer_json(struct call *call)
{
    buffer_append_char(&call->reply, '\n');
    call_answer(call, 200, "application/json");
}

const char *call_request_id(const struct call *call, char id[CALL_REQUEST_ID_SIZE])
{
    snprintf(id, CALL_REQUEST_ID_SIZE, "%016" PRIx64 "-%" PRIx64, call->daemon->identity, call->request);
    return id;
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
    daemon_return_data(call->daemon, call->claimed_bytes);
    call->claimed_bytes = 0;
    principal_unref(&call->daemon->accounts, take_ptr(call->principal));
    free(call->values);
    call->values = NULL;
    buffer_done(&call->body);
    buffer_done(&call->reply);
}
