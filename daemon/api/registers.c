/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers by offset: read, written, and changed under a mask. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "api/arguments.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include "api/place.h"
#include "util/json_writer.h"

/* Fills in region, offset and width from path and query. */
static int find_register(struct call *call, struct error *error)
{
    struct operation *operation = &call->operation;
    int r = arguments_region(call, &operation->region, error);

    if (r < 0)
        return r;
    r = arguments_offset(operation->region, call->parameters[1], &operation->access.offset, error);
    if (r < 0)
        return r;
    call->placed = true;
    return arguments_width(call, &operation->access.width, error);
}

/* The beginning of every answer. */
static void write_place(struct json_writer *writer, const struct operation *operation)
{
    json_begin_object(writer, NULL);
    json_put_string(writer, "region", region_name(operation->region));
    json_put_hex(writer, "offset", operation->access.offset);
    json_put_count(writer, "width", operation->access.width * 8);
}

static void finish_get(struct call *call)
{
    const struct operation *operation = &call->operation;
    struct json_writer writer = json_writer(&call->reply);
    unsigned width = operation->access.width * 8;

    write_place(&writer, operation);
    if (call->as_list) {
        json_put_count(&writer, "count", operation->access.count);
        json_begin_array(&writer, "values");
        for (size_t i = 0; i < operation->access.count; i++)
            json_put_value(&writer, NULL, operation_get_value(operation, i), width);
        json_end_array(&writer);
    } else {
        json_put_value(&writer, "value", operation_get_value(operation, 0), width);
    }
    if (operation->suspect)
        json_put_bool(&writer, "suspect", true);
    json_end_object(&writer);
    call_answer_json(call);
}

static int prepare_get(struct call *call, struct error *error)
{
    struct operation *operation = &call->operation;
    uint64_t count = 1;
    int r = find_register(call, error);

    if (r < 0)
        return r;
    r = arguments_number(call, "count", &count, error);
    if (r < 0)
        return r;
    if (count == 0)
        return error_set(error, -EINVAL, "count=0 reads nothing: give 1 or more");
    if (count > call->daemon->limits.values)
        return error_set(error, -EMSGSIZE,
                "count=%" PRIu64 " is more than %" PRIu64 ": read in pieces, or with data", count,
                call->daemon->limits.values);
    call->as_list = arguments_find(call, "count");
    operation->access.count = (size_t)count;
    return place_prepare(call, OPERATION_READ, finish_get, error);
}

void registers_get(struct call *call)
{
    place_run(call, prepare_get);
}

static void finish_put(struct call *call)
{
    const struct operation *operation = &call->operation;
    struct json_writer writer = json_writer(&call->reply);

    write_place(&writer, operation);
    json_put_count(&writer, "count", operation->access.count);
    json_end_object(&writer);
    call_answer_json(call);
}

static int put_values(struct operation *operation, const json_t *list, struct error *error)
{
    size_t index;
    json_t *element;
    int r;

    json_array_foreach (list, index, element) {
        uint64_t value;
        char what[40];

        snprintf(what, sizeof(what), "values[%zu]", index);
        r = json_body_value(element, what, operation->access.width, &value, error);
        if (r < 0)
            return r;
        operation_set_value(operation, index, value);
    }
    return 0;
}

static int prepare_put(struct call *call, struct error *error)
{
    struct operation *operation = &call->operation;
    json_auto_t *body = NULL;
    const json_t *list, *single;
    uint64_t value;
    int r = find_register(call, error);

    if (r < 0)
        return r;
    r = json_body_parse(call, "value values", &body, error);
    if (r < 0)
        return r;
    list = json_object_get(body, "values");
    single = json_object_get(body, "value");
    if (!list == !single)
        return error_set(error, -EINVAL, "the body takes either \"value\" or \"values\"");
    if (list && (!json_is_array(list) || json_array_size(list) == 0))
        return error_set(error, -EINVAL, "\"values\" is not a list of one value or more");
    operation->access.count = list ? json_array_size(list) : 1;
    if (operation->access.count > call->daemon->limits.values)
        return error_set(error, -EMSGSIZE,
                "%zu values are more than %" PRIu64 ": write in pieces, or with data",
                operation->access.count, call->daemon->limits.values);
    r = place_prepare(call, OPERATION_WRITE, finish_put, error);
    if (r < 0)
        return r;
    if (list)
        return put_values(operation, list, error);
    r = json_body_value(single, "value", operation->access.width, &value, error);
    if (r < 0)
        return r;
    operation_set_value(operation, 0, value);
    return 0;
}

void registers_put(struct call *call)
{
    place_run(call, prepare_put);
}

static void finish_patch(struct call *call)
{
    const struct operation *operation = &call->operation;
    struct json_writer writer = json_writer(&call->reply);
    unsigned width = operation->access.width * 8;

    write_place(&writer, operation);
    json_put_value(&writer, "before", operation->before, width);
    json_put_value(&writer, "value", operation_get_value(operation, 0), width);
    if (operation->suspect)
        json_put_bool(&writer, "suspect", true);
    json_end_object(&writer);
    call_answer_json(call);
}

static int prepare_patch(struct call *call, struct error *error)
{
    struct operation *operation = &call->operation;
    json_auto_t *body = NULL;
    int r = find_register(call, error);

    if (r < 0)
        return r;
    r = json_body_parse(call, "mask value", &body, error);
    if (r < 0)
        return r;
    operation->access.count = 1;
    r = place_prepare(call, OPERATION_MODIFY, finish_patch, error);
    if (r < 0)
        return r;
    r = json_body_value(
            json_object_get(body, "mask"), "mask", operation->access.width, &operation->mask, error);
    if (r < 0)
        return r;
    r = json_body_value(
            json_object_get(body, "value"), "value", operation->access.width, &operation->value, error);
    if (r < 0)
        return r;
    if (operation->value & ~operation->mask)
        return error_set(error, -EINVAL,
                "value 0x%" PRIx64 " has bits outside mask 0x%" PRIx64 ": they would not be written",
                operation->value, operation->mask);
    return 0;
}

void registers_patch(struct call *call)
{
    place_run(call, prepare_patch);
}
