/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Binding devices to kernel drivers, and back. The answer comes when the kernel is done; a client that does
 * not wait for it changes nothing about that. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/devices.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include "core/binding.h"
#include "util/cleanup.h"

static const char default_driver[] = "devreg";

/* Kept while the call waits; freed with it. */
struct job {
    struct call_wait wait;
    struct call *call;
    struct call_act act;
    struct binding binding;
};

static void free_job(struct call_wait *wait)
{
    struct job *job = container_of(wait, struct job, wait);

    binding_forget(&job->binding);
    free(job);
}

static const char *or_null(const char *driver)
{
    return driver[0] ? driver : NULL;
}

static void answer(struct call *call, const struct binding *binding)
{
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_put_string(&writer, "name", device_name(binding->device));
    json_put_string(&writer, "driver_before", or_null(binding->change.before));
    json_put_string(&writer, "driver", or_null(binding->change.now));
    json_put_bool(&writer, "changed", binding->change.touched);
    if (binding->change.despite[0])
        json_put_string(&writer, "despite", binding->change.despite);
    devices_write(&writer, "device", call, binding->device);
    json_end_object(&writer);
    call_answer_json(call);
}

static void completed(struct binding *binding)
{
    struct job *job = container_of(binding, struct job, binding);
    const struct driver_change *change = &binding->change;
    struct call *call = job->call;

    job->act.before = or_null(change->before);
    job->act.after = or_null(change->now);
    job->act.attempted = change->touched;
    call->reason = or_null(change->despite);
    call->blocking = binding->blocking;
    if (binding->result < 0)
        call_fail(call, &binding->error);
    else
        answer(call, binding);
}

static int take_driver(const json_t *value, char wanted[DRIVER_NAME_SIZE], struct error *error)
{
    const char *name = value ? json_string_value(value) : default_driver;
    int r;

    if (!name)
        return error_set(error, -EINVAL, "\"driver\" is no string: send a driver's name");
    r = driver_name_check(name, error);
    if (r == 0)
        strcpy(wanted, name);
    return r;
}

static int take_force(const json_t *value, bool *ret_force, struct error *error)
{
    if (value && !json_is_boolean(value))
        return error_set(error, -EINVAL, "\"force\" is neither true nor false");
    *ret_force = json_is_true(value);
    return 0;
}

static int parse(const struct call *call, bool binds, struct driver_change *change, struct error *error)
{
    json_auto_t *body = NULL;
    int r = json_body_parse(call, binds ? "driver force" : "force", &body, error);

    if (r == 0)
        r = take_force(json_object_get(body, "force"), &change->force, error);
    if (r == 0 && binds)
        r = take_driver(json_object_get(body, "driver"), change->wanted, error);
    return r;
}

static int start(struct call *call, bool binds, struct error *error)
{
    struct device *device = devices_find(call, error);
    struct job *job;
    int r;

    if (!device)
        return error->code;
    job = calloc(1, sizeof(*job));
    if (!job)
        return error_set(error, -ENOMEM, "out of memory: try again");
    job->call = call;
    job->wait.cancel = free_job;
    call->wait = &job->wait;
    call->act = &job->act;
    r = parse(call, binds, &job->binding.change, error);
    if (r < 0)
        return r;
    job->act.forced = job->binding.change.force;
    job->binding.device = device;
    job->binding.principal = call->principal;
    job->binding.reservation = call->reservation;
    job->binding.completed = completed;
    return binding_start(call->daemon, &job->binding, &call->blocking, error);
}

void bind_post(struct call *call)
{
    struct error error;

    if (start(call, true, &error) < 0)
        call_fail(call, &error);
}

void bind_post_unbind(struct call *call)
{
    struct error error;

    if (start(call, false, &error) < 0)
        call_fail(call, &error);
}
