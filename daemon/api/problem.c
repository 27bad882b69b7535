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
        {-EKEYREJECTED, 401, "unauthenticated", "Not authenticated"},
        {-EPERM, 403, "denied", "Not permitted"},
        {-ENOENT, 404, "not-found", "Not found"},
        {-ENOSYS, 405, "method", "Method not allowed"},
        {-EBUSY, 409, "conflict", "In conflict with the present state"},
        {-ETXTBSY, 409, "conflict", "In conflict with the present state"},
        {-ENODEV, 410, "gone", "The device is not there"},
        {-ESTALE, 410, "ended", "It has ended"},
        {-EBADMSG, 411, "length-required", "Length required"},
        {-EMSGSIZE, 413, "too-large", "Too large"},
        {-E2BIG, 413, "too-large", "Too large"},
        {-EPROTOTYPE, 415, "media-type", "Unsupported media type"},
        {-ERANGE, 416, "outside-region", "Outside the region"},
        {-EHOSTUNREACH, 421, "misdirected", "Misdirected request"},
        {-EOPNOTSUPP, 422, "not-allowed", "Not allowed by the register"},
        {-EUSERS, 423, "reserved", "Reserved by another"},
        {-EDQUOT, 429, "over-limit", "Over a limit of this principal's"},
        {-EFAULT, 502, "bus-fault", "Bus fault"},
        {-ENODATA, 503, "unavailable", "Not available here"},
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

/* Who has what was asked for, and for how long: enough to go and ask. */
static void write_blocking(struct json_writer *writer, const struct reservation *reservation)
{
    json_put_string(writer, "reservation", reservation->id);
    json_put_string(writer, "holder", reservation->holder);
    json_put_count(writer, "until_seconds", reservation_seconds_left(reservation));
    if (reservation->note[0])
        json_put_string(writer, "note", reservation->note);
    if (reservation->contact[0])
        json_put_string(writer, "contact", reservation->contact);
}

void problem_write(struct buffer *reply, const struct error *error, const struct problem_facts *facts)
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
    if (facts->request)
        json_put_string(&writer, "request", facts->request);
    if (facts->region)
        json_put_string(&writer, "region", facts->region);
    if (facts->offset)
        json_put_hex(&writer, "offset", *facts->offset);
    if (facts->done)
        json_put_count(&writer, "done", facts->done);
    if (facts->blocking)
        write_blocking(&writer, facts->blocking);
    json_end_object(&writer);
    buffer_append_char(reply, '\n');
}
