/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See place.h. */
#include "api/place.h"

#include <errno.h>
#include <stdlib.h>

#include "api/call_audit.h"
#include "core/admission.h"

static int find_memory(struct call *call, struct error *error)
{
    struct operation *operation = &call->operation;
    size_t size = operation->access.count * operation->access.width;

    if (operation->values) /* the caller brought them */
        return 0;
    if (size <= sizeof(call->inline_values)) {
        operation->values = call->inline_values;
        return 0;
    }
    call->values = malloc(size); /* a successful read fills all of it, a write has filled it before */
    if (!call->values)
        return error_set(error, -ENOMEM, "out of memory for %zu octets: try again, or ask for less", size);
    operation->values = call->values;
    return 0;
}

static void fail(struct call *call, const struct error *error)
{
    const struct operation *operation = &call->operation;

    if (call->placed)
        call_fail_at(call, error, region_name(operation->region),
                access_offset(&operation->access, operation->done), operation->done);
    else
        call_fail(call, error);
}

static void complete(struct operation *operation)
{
    struct call *call = container_of(operation, struct call, operation);

    admission_end(operation);
    if (operation->result == -EUSERS)
        admission_ask(call->daemon, operation, &call->blocking, NULL); /* who has it now */
    if (operation->result < 0)
        fail(call, &operation->error);
    else
        call->finish(call);
}

int place_prepare(
        struct call *call, enum operation_kind kind, void (*finish)(struct call *call), struct error *error)
{
    struct operation *operation = &call->operation;
    int r;

    call->finish = finish;
    operation->kind = kind;
    operation->completed = complete;
    r = operation_prepare(call->daemon->dispatch, operation->region, kind, &operation->access, error);
    if (r < 0)
        return r;
    return find_memory(call, error);
}

void place_run(struct call *call, int (*prepare)(struct call *call, struct error *error))
{
    struct error error;
    int r;

    call->operation.principal = call->principal;
    call->operation.reservation = call->reservation;
    r = prepare(call, &error);
    /* For changes call_admit() has asked, when it was not known yet what is read. */
    if (r == 0 && call->operation.region->description->audit_reads)
        r = call_audit_room(call, &error);
    if (r == 0) {
        call->started = true;
        r = admission_start(call->daemon, &call->operation, &call->blocking, &error);
    }
    if (r < 0)
        fail(call, &error);
}
