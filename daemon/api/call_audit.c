/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See call_audit.h. One place for all routes, so that a new one is recorded without doing anything for it.
 */
#include "api/call_audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/problem.h"
#include "api/routes.h"

enum {
    VALUES = 8, /* of more than these, the first ones and the last are written out */

    /* Requests that may be under way at once and each need a record; with more at once, some are only
     * counted. */
    ROOM = 1024,
};

static bool has_room(const struct call *call)
{
    return !call->daemon->audit || audit_has_room(call->daemon->audit, ROOM);
}

int call_audit_room(const struct call *call, struct error *error)
{
    if (has_room(call))
        return 0;
    return error_set(error, -EAGAIN,
            "the journal takes no records, and what must be recorded is not done without "
            "one: see 'systemctl status systemd-journald' on the daemon's machine");
}

static bool is_refusal(int code)
{
    switch (code) {
    case -EKEYREJECTED:
    case -EPERM:
    case -EHOSTUNREACH:
    case -EUSERS:
    case -EDQUOT:
    case -ETXTBSY:
        return true;
    default:
        return false;
    }
}

static bool reads(const struct call *call)
{
    return !call->route || strcmp(call->route->method, "GET") == 0;
}

/* What the client got wrong has changed nothing; how far something came that failed here is not known. */
static bool is_recorded(const struct call *call, const struct error *error)
{
    if (error && is_refusal(error->code))
        return true;
    if (call->started && reads(call))
        return call->operation.region->description->audit_reads;
    if (reads(call))
        return false;
    return !error || call->started || (call->act && call->act->attempted) ||
           problem_status(error->code) >= 500;
}

/* Whether it was not let start because there is no room for its record. Like any other refusal it takes no
 * room from what is under way. */
static bool had_no_room(const struct call *call, const struct error *error)
{
    return error->code == -EAGAIN && !call->started && !has_room(call);
}

static const char *result_of(const struct call *call, const struct error *error)
{
    if (!error)
        return "ok";
    return is_refusal(error->code) || had_no_room(call, error) ? "refused" : "failed";
}

static const char *format_value(uint64_t value, unsigned width, char *text, size_t size)
{
    snprintf(text, size, "0x%0*" PRIx64, (int)width * 2, value);
    return text;
}

static const char *format_values(const struct operation *operation, char text[AUDIT_VALUES_SIZE])
{
    size_t count = operation->access.count, used = 0;

    for (size_t i = 0; i < count; i++) {
        if (i == VALUES - 1 && count > VALUES) {
            used += (size_t)snprintf(text + used, AUDIT_VALUES_SIZE - used, ",...");
            i = count - 1;
        }
        used += (size_t)snprintf(text + used, AUDIT_VALUES_SIZE - used, "%s0x%0*" PRIx64, i ? "," : "",
                (int)operation->access.width * 2, operation_get_value(operation, i));
    }
    return text;
}

struct texts {
    char request[CALL_REQUEST_ID_SIZE];
    char mask[24], before[24];
    char values[AUDIT_VALUES_SIZE];
};

static void describe_operation(
        const struct operation *operation, struct audit_record *record, struct texts *texts)
{
    unsigned width = operation->access.width;

    record->region = region_name(operation->region);
    record->has_offset = true;
    record->offset = operation->access.offset;
    record->width_bits = width * 8;
    record->count = operation->access.count;
    record->fixed = operation->access.fixed;
    switch (operation->kind) {
    case OPERATION_READ:
        if (operation->done == operation->access.count)
            record->old_value = format_values(operation, texts->values);
        return;
    case OPERATION_WRITE:
        record->new_value = format_values(operation, texts->values);
        return;
    case OPERATION_MODIFY:
        record->mask = format_value(operation->mask, width, texts->mask, sizeof(texts->mask));
        if (operation->done > 0)
            record->old_value = format_value(operation->before, width, texts->before, sizeof(texts->before));
        record->new_value = operation->done > 0 ? format_values(operation, texts->values)
                                                : format_value(operation->value, width, texts->values, 24);
        return;
    }
}

void call_audit(const struct call *call, const struct error *error)
{
    struct audit_record record = {0};
    struct texts texts;

    if (!call->daemon->audit || !is_recorded(call, error))
        return;
    record.principal = call->principal ? call->principal->name : NULL;
    record.peer = call->peer;
    record.request = call_request_id(call, texts.request);
    record.action = call->route ? call->route->action : "request";
    record.subject = call->subject;
    if (call->act) {
        record.old_value = call->act->before;
        record.new_value = call->act->after;
        record.forced = call->act->forced;
        record.has_offset = call->act->octets > 0;
        record.offset = call->act->offset;
        record.count = call->act->octets;
    }
    if (call->started)
        describe_operation(&call->operation, &record, &texts);
    else if (call->route && call->route->target == TARGET_REGION)
        record.region = call->parameters[0];
    else if (!record.subject && call->route && strchr(call->route->path, '{'))
        record.subject = call->parameters[0];
    record.result = result_of(call, error);
    record.status = error ? problem_status(error->code) : call->status;
    record.reason = error ? error->message : call->reason;
    audit_write(call->daemon->audit, &record);
}
