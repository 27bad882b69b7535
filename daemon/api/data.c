/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw octets, in the order the device's memory has them: no value is built, so endianness plays no part.
 * Every access still has the asked width. */
#include <errno.h>
#include <inttypes.h>

#include "api/arguments.h"
#include "api/handlers.h"
#include "api/place.h"
#include "util/json_writer.h"

/* Fills in region, offset, width and fixed. */
static int find_place(struct call *call, struct error *error)
{
    struct operation *operation = &call->operation;
    int r = arguments_region(call, &operation->region, error);

    if (r < 0)
        return r;
    if (!arguments_find(call, "offset"))
        return error_set(error, -EINVAL, "offset is missing: say where to begin, ?offset=0x0");
    r = arguments_number(call, "offset", &operation->access.offset, error);
    if (r == -EMSGSIZE)
        error->code = r = -ERANGE;
    if (r < 0)
        return r;
    call->placed = true;
    r = arguments_width(call, &operation->access.width, error);
    if (r < 0)
        return r;
    return arguments_switch(call, "fixed", &operation->access.fixed, error);
}

/* A length in octets becomes a number of accesses once the width is known, which is only when the region is
 * there: the values are as many octets as the length, not as a width that is found later would make of it.
 */
static int set_length(struct call *call, uint64_t length, struct error *error)
{
    struct operation *operation = &call->operation;
    unsigned width = operation->access.width;
    int r;

    if (length == 0)
        return error_set(error, -EINVAL, "a length of 0 moves nothing: give 1 octet or more");
    r = operation_open_region(call->daemon->dispatch, operation->region, error);
    if (r < 0)
        return r;
    if (width == 0)
        width = operation->access.width = region_default_width(operation->region);
    if (length % width)
        return error_set(error, -EOPNOTSUPP,
                "%" PRIu64
                " octets are no whole number of %u-bit accesses: change the length, or give a width",
                length, width * 8);
    operation->access.count = length / width;
    return 0;
}

static int check_length(const struct call *call, uint64_t length, struct error *error)
{
    if (length > call->daemon->limits.data_bytes)
        return error_set(error, -EMSGSIZE,
                "%" PRIu64 " octets are more than %" PRIu64 " at once: move them in pieces", length,
                call->daemon->limits.data_bytes);
    return 0;
}

/* A long answer is sent from where it was read to. */
static void finish_get(struct call *call)
{
    const struct operation *operation = &call->operation;
    size_t size = operation->access.count * operation->access.width;

    if (call->values) {
        call->reply.data = take_ptr(call->values);
        call->reply.size = call->reply.capacity = size;
    } else {
        buffer_append(&call->reply, operation->values, size);
    }
    call_answer(call, 200, "application/octet-stream");
}

static int prepare_get(struct call *call, struct error *error)
{
    uint64_t length = 0;
    int r = find_place(call, error);

    if (r < 0)
        return r;
    if (!arguments_find(call, "length"))
        return error_set(error, -EINVAL, "length is missing: say how many octets, &length=64");
    r = arguments_number(call, "length", &length, error);
    if (r < 0)
        return r;
    r = check_length(call, length, error);
    if (r < 0)
        return r;
    r = set_length(call, length, error);
    if (r < 0)
        return r;
    r = daemon_claim_data(call->daemon, call_account(call), length, error);
    if (r < 0)
        return r;
    call->claimed_bytes = length;
    return place_prepare(call, OPERATION_READ, finish_get, error);
}

void data_get(struct call *call)
{
    place_run(call, prepare_get);
}

static void finish_put(struct call *call)
{
    const struct operation *operation = &call->operation;
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_put_string(&writer, "region", region_name(operation->region));
    json_put_hex(&writer, "offset", operation->access.offset);
    json_put_count(&writer, "width", operation->access.width * 8);
    json_put_count(&writer, "length", operation->access.count * operation->access.width);
    json_end_object(&writer);
    call_answer_json(call);
}

static int prepare_put(struct call *call, struct error *error)
{
    int r = find_place(call, error);

    if (r < 0)
        return r;
    r = set_length(call, call->body.size, error);
    if (r < 0)
        return r;
    call->operation.values = call->body.data;
    return place_prepare(call, OPERATION_WRITE, finish_put, error);
}

void data_put(struct call *call)
{
    place_run(call, prepare_put);
}
