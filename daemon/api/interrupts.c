/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sources of interrupts as the API shows them, and masking them. */
#include <inttypes.h>
#include <stdio.h>

#include "api/event_text.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include "api/sources.h"
#include "core/admission.h"
#include "util/clock.h"
#include "util/date.h"
#include "util/json_writer.h"

static void write_position(struct json_writer *writer, const struct daemon *daemon)
{
    char id[EVENT_ID_SIZE];

    json_put_string(writer, "position", event_id_format(daemon, events_next(daemon->events) - 1, id));
}

/* The status register's value is for those who are told of the interrupt. */
static void write_last(
        struct json_writer *writer, const struct call *call, const struct interrupt_source *source)
{
    const struct daemon *daemon = call->daemon;
    char id[EVENT_ID_SIZE], date[DATE_SIZE];
    struct access_decision decision;

    if (source->last_sequence == 0) {
        json_put_string(writer, "last", NULL);
        return;
    }
    json_begin_object(writer, "last");
    json_put_string(writer, "id", event_id_format(daemon, source->last_sequence, id));
    json_put_string(writer, "time", date_format_ns(source->last_realtime_ns, date));
    if (!source->has_last_value || !sources_may_see(daemon, call->principal, source, &decision))
        json_put_string(writer, "value", NULL);
    else if (source->description->acknowledged)
        json_put_value(writer, "value", source->last_value, source->description->acknowledge.width * 8);
    else
        json_put_hex(writer, "value", source->last_value);
    json_end_object(writer);
}

static void write_acknowledge(struct json_writer *writer, const struct interrupt_source *source)
{
    const struct acknowledge_description *acknowledge = &source->description->acknowledge;
    unsigned bits = acknowledge->width * 8;

    if (!source->description->acknowledged) {
        json_put_string(writer, "acknowledge", NULL);
        return;
    }
    json_begin_object(writer, "acknowledge");
    json_put_string(writer, "region", region_name(source->region));
    json_put_count(writer, "width", bits);
    json_put_hex(writer, "read", acknowledge->read);
    if (acknowledge->writes)
        json_put_hex(writer, "write", acknowledge->write);
    else
        json_put_string(writer, "write", NULL);
    if (acknowledge->writes && acknowledge->constant)
        json_put_value(writer, "value", acknowledge->value, bits);
    else
        json_put_string(writer, "value", NULL);
    json_put_value(writer, "mask", acknowledge->mask, bits);
    json_end_object(writer);
}

static void write_members(
        struct json_writer *writer, const struct call *call, const struct interrupt_source *source)
{
    const struct backend_interrupts *interrupts = source->device->interrupts;

    json_put_string(writer, "name", interrupt_name(source));
    if (source->description->description)
        json_put_string(writer, "description", source->description->description);
    json_put_string(writer, "device", device_name(source->device));
    json_put_string(writer, "region", region_name(source->region));
    json_put_count(writer, "vector", source->description->vector);
    json_put_string(writer, "type", interrupts ? interrupts->type : NULL);
    json_put_string(writer, "state", interrupt_state_name(source->state));
    json_put_count(writer, "count", source->count);
    json_put_count(writer, "missed", source->missed);
    json_put_count(writer, "storms", source->storms);
    json_put_tenths(writer, "rate", source->rate);
    write_last(writer, call, source);
    write_acknowledge(writer, source);
    if (source->state == INTERRUPT_ABSENT)
        json_put_string(writer, "absent", source->absent.message);
    if (source->masked_by[0])
        json_put_string(writer, "masked_by", source->masked_by);
}

void interrupts_list(struct call *call)
{
    struct interrupts *interrupts = call->daemon->interrupts;
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    write_position(&writer, call->daemon);
    json_begin_array(&writer, "interrupts");
    for (size_t i = 0; i < interrupts_count(interrupts); i++) {
        const struct interrupt_source *source = interrupts_at(interrupts, i);

        if (!call_may_list(call, source->region))
            continue;
        json_begin_object(&writer, NULL);
        write_members(&writer, call, source);
        json_end_object(&writer);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}

static void answer(struct call *call, const struct interrupt_source *source)
{
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    write_position(&writer, call->daemon);
    write_members(&writer, call, source);
    json_end_object(&writer);
    call_answer_json(call);
}

static int find_listed(struct call *call, struct interrupt_source **ret_source, struct error *error)
{
    struct access_decision decision;
    int r = sources_find(call->daemon, call->parameters[0], ret_source, error);

    if (r < 0)
        return r;
    if (!access_may(
                call->daemon->access, call->principal, PERMISSION_LIST, (*ret_source)->region, &decision))
        return access_refuse(call->principal, PERMISSION_LIST, (*ret_source)->region, &decision, error);
    return 0;
}

void interrupts_get(struct call *call)
{
    struct interrupt_source *source;
    struct error error;

    if (find_listed(call, &source, &error) < 0)
        call_fail(call, &error);
    else
        answer(call, source);
}

static int mask(struct call *call, bool masked, struct interrupt_source **ret_source, struct error *error)
{
    json_auto_t *body = NULL;
    int r = sources_find(call->daemon, call->parameters[0], ret_source, error);

    if (r == 0)
        r = json_body_parse(call, "", &body, error);
    if (r == 0)
        r = admission_ask_region(
                call->daemon, call->principal, (*ret_source)->region, &call->blocking, error);
    if (r < 0)
        return r;
    return interrupts_mask(call->daemon->interrupts, *ret_source, masked, call->principal->name, error);
}

static void post(struct call *call, bool masked)
{
    struct interrupt_source *source;
    struct error error;

    if (mask(call, masked, &source, &error) < 0)
        call_fail(call, &error);
    else
        answer(call, source);
}

void interrupts_post_mask(struct call *call)
{
    post(call, true);
}

void interrupts_post_unmask(struct call *call)
{
    post(call, false);
}
