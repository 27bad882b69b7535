/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table from errno to status. The types are names for programs; they do not change. */
#include "api/problem.h"

#include <errno.h>
#include <string.h>

#include "util/json_writer.h"

static const struct problem {
    int code;
    unsigned status;
    const char *type;
    const char *title;
} problems[] = {
        {-EINVAL, 400, "malformed", "Malformed request"},
        {-EPERM, 403, "denied", "Not permitted"},
        {-ENOENT, 404, "not-found", "Not found"},
        {-ENOSYS, 405, "method", "Method not allowed"},
        {-EBUSY, 409, "conflict", "In conflict with the present state"},
        {-ENODEV, 410, "gone", "The device is not there"},
        {-EBADMSG, 411, "length-required", "Length required"},
        {-EMSGSIZE, 413, "too-large", "Too large"},
        {-EPROTOTYPE, 415, "media-type", "Unsupported media type"},
        {-ERANGE, 416, "outside-region", "Outside the region"},
        {-EOPNOTSUPP, 422, "not-allowed", "Not allowed by the register"},
        {-EFAULT, 502, "bus-fault", "Bus fault"},
        {-EAGAIN, 503, "busy", "Busy"},
        {-ENOMEM, 503, "busy", "Busy"},
        {-ETIMEDOUT, 504, "timeout", "Timed out"},
};

static const struct problem unexpected = {0, 500, "unexpected", "Unexpected failure"};

static const struct problem *find_problem(int code)
{
    for (size_t i = 0; i < ELEMENTS(problems); i++) {
        if (problems[i].code == code)
            return &problems[i];
    }
    return &unexpected;
}

unsigned problem_status(int code)
{
    return find_problem(code)->status;
}

void problem_write(struct buffer *reply, const struct error *error, const char *region,
        const uint64_t *offset, size_t done)
{
    const struct problem *problem = find_problem(error->code);
    struct json_writer writer = json_writer(reply);
    char type[64] = "urn:devreg:problem:";

    strcat(type, problem->type);
    json_begin_object(&writer, NULL);
    json_put_string(&writer, "type", type);
    json_put_string(&writer, "title", problem->title);
    json_put_count(&writer, "status", problem->status);
    json_put_string(&writer, "detail", error->message);
    json_put_string(&writer, "errno", strerrorname_np(-error->code));
    if (region)
        json_put_string(&writer, "region", region);
    if (offset)
        json_put_hex(&writer, "offset", *offset);
    if (done)
        json_put_count(&writer, "done", done);
    json_end_object(&writer);
    buffer_append_char(reply, '\n');
}
