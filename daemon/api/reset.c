/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resetting devices. The answer comes when it is done; a client that does not wait for it changes nothing
 * about that. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/call_audit.h"
#include "api/devices.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include "core/device_reset.h"
#include "util/cleanup.h"

/* Kept while the call waits; freed with it. */
struct job {
    struct call_wait wait;
    struct call *call;
    struct call_act act;
    struct device_reset reset;
    char text[64];
};

static void free_job(struct call_wait *wait)
{
    struct job *job = container_of(wait, struct job, wait);

    device_reset_forget(&job->reset);
    free(job);
}

/* As the device is shown, with what the reset has freed. */
static void answer(struct call *call, const struct device_reset *reset)
{
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    devices_write_members(&writer, call, reset->device);
    json_put_count(&writer, "given_back", reset->given_back);
    json_end_object(&writer);
    call_answer_json(call);
}

static void completed(struct device_reset *reset)
{
    struct job *job = container_of(reset, struct job, reset);
    struct call *call = job->call;

    job->act.attempted = reset->attempted;
    call->blocking = reset->blocking;
    if (reset->given_back > 0) {
        snprintf(job->text, sizeof(job->text), "%" PRIu64 " octets of retained memory were given back",
                reset->given_back);
        call->reason = job->text;
    }
    if (reset->result < 0)
        call_fail(call, &reset->error);
    else
        answer(call, reset);
}

static void left(struct device_reset *reset, const struct error *error)
{
    struct job *job = container_of(reset, struct job, reset);

    job->act.attempted = true;
    call_audit(job->call, error);
}

static int check_body(const struct call *call, struct error *error)
{
    json_auto_t *body = NULL;

    return call->body.size > 0 ? json_body_parse(call, "", &body, error) : 0;
}

static int start(struct call *call, struct error *error)
{
    struct device *device = devices_find(call, error);
    struct job *job;
    int r;

    if (!device)
        return error->code;
    r = check_body(call, error);
    if (r < 0)
        return r;
    job = calloc(1, sizeof(*job));
    if (!job)
        return error_set(error, -ENOMEM, "out of memory: try again");
    job->call = call;
    job->wait.cancel = free_job;
    call->wait = &job->wait;
    call->act = &job->act;
    job->reset.device = device;
    job->reset.principal = call->principal;
    job->reset.reservation = call->reservation;
    job->reset.completed = completed;
    job->reset.left = left;
    return device_reset_start(call->daemon, &job->reset, &call->blocking, error);
}

void reset_post(struct call *call)
{
    struct error error;

    if (start(call, &error) < 0)
        call_fail(call, &error);
}
