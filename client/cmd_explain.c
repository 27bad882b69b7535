/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl explain: why a place can or can't be reached. The daemon's facts are put together here and
 * applied to that very offset; no register is touched. */
#include <inttypes.h>
#include <string.h>

#include "output.h"
#include "request.h"
#include "util/number.h"
#include "values.h"

/* What is being explained, and what is known of it. */
struct subject {
    const char *text;
    struct place place; /* its region is NULL when a region or device is asked for */
    json_t *region;     /* NULL: it is a device */
    json_t *device;
    json_t *backend;
    json_t *reasons; /* strings: why it can't be reached */
    json_t *widths;  /* {"width", "reachable", "reason"} for each width of the region */
    bool reachable;
};

static void subject_done(struct subject *subject)
{
    place_done(&subject->place);
    json_decref(subject->region);
    json_decref(subject->device);
    json_decref(subject->backend);
    json_decref(subject->reasons);
    json_decref(subject->widths);
}

/* What the device, its region and its backend say may be the same. */
static void add_reason(struct subject *subject, const char *text)
{
    const json_t *reason;
    size_t i;

    subject->reachable = false;
    json_array_foreach (subject->reasons, i, reason) {
        if (strcmp(json_string_value(reason), text) == 0)
            return;
    }
    json_array_append_new(subject->reasons, json_string(text));
}

static bool is_absent(const json_t *one)
{
    return strcmp(member_text(one, "state", "present"), "present") != 0;
}

static void judge_state(struct subject *subject)
{
    const json_t *one = subject->region ? subject->region : subject->device;

    if (is_absent(one))
        add_reason(subject, member_text(one, "reason", "it is absent"));
    if (subject->backend && !json_is_true(json_object_get(subject->backend, "usable")))
        add_reason(subject, member_text(subject->backend, "reason", "its backend is not usable"));
}

/* Why an access of `width` bits at the offset is impossible; empty text: it is possible. */
static void judge_width(const struct subject *subject, unsigned width, char *ret_reason, size_t size)
{
    const char *region = subject->place.region;
    uint64_t offset = subject->place.offset;
    uint64_t octets = width / 8;
    char readable[NUMBER_SIZE_TEXT];
    uint64_t region_size;

    *ret_reason = '\0';
    if (offset % octets != 0)
        snprintf(ret_reason, size,
                "0x%" PRIx64 " is not a multiple of %" PRIu64 "; that register is at 0x%" PRIx64, offset,
                octets, offset - offset % octets);
    else if (value_from_json(json_object_get(subject->region, "size"), &region_size) < 0)
        return;
    else if (offset >= region_size)
        snprintf(ret_reason, size, "0x%" PRIx64 " is outside %s (%s)", offset, region,
                number_format_size(region_size, readable));
    else if (region_size - offset < octets)
        snprintf(ret_reason, size, "from 0x%" PRIx64 " on, only %" PRIu64 " octets are left in %s", offset,
                region_size - offset, region);
}

/* Each width of the region, at this offset. */
static void judge_offset(struct subject *subject)
{
    const json_t *value;
    bool any = false;
    size_t i;

    json_array_foreach (json_object_get(subject->region, "widths"), i, value) {
        unsigned width = count_from_json(value, 64);
        char reason[256];

        if (width < 8)
            continue;
        judge_width(subject, width, reason, sizeof(reason));
        any = any || *reason == '\0';
        json_array_append_new(
                subject->widths, json_pack("{s:i, s:b, s:s*}", "width", (int)width, "reachable",
                                         *reason == '\0', "reason", *reason ? reason : NULL));
    }
    if (!any && json_array_size(subject->widths) > 0)
        add_reason(subject, "no width of the region fits this offset");
}

static int find_region_and_device(struct subject *subject, struct call *call, struct failure *failure)
{
    const char *device;
    int r;

    if (!subject->place.region)
        r = get_region_or_device(call, subject->text, &subject->region, &subject->device, failure);
    else
        r = get_named(call, "regions", subject->place.region, &subject->region, failure);
    if (r < 0)
        return r;
    if (subject->place.region && !subject->region)
        return failure_set(failure, EXIT_CODE_NOT_FOUND,
                "no region is called %s; devregctl list shows those there are", subject->place.region);
    device = member_text(subject->region, "device", NULL);
    if (!device || strcmp(member_text(subject->device, "name", ""), device) == 0)
        return 0;
    json_decref(subject->device);
    subject->device = NULL;
    return get_named(call, "devices", device, &subject->device, failure);
}

/* What the daemon says of the backend that is in use. */
static int find_backend(struct subject *subject, struct call *call, struct failure *failure)
{
    const char *name = member_text(subject->region ? subject->region : subject->device, "backend", "");
    json_auto_t *status = NULL;
    json_t *backend;
    size_t i;
    int r;

    r = connection_get(&call->connection, "/v1/status", &status, failure);
    if (r < 0)
        return r;
    json_array_foreach (json_object_get(status, "backends"), i, backend) {
        if (strcmp(member_text(backend, "name", ""), name) == 0 && !subject->backend)
            subject->backend = json_incref(backend);
    }
    return 0;
}

static int find_all(struct subject *subject, struct call *call, struct failure *failure)
{
    int r;

    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = find_region_and_device(subject, call, failure);
    if (r < 0)
        return r;
    return find_backend(subject, call, failure);
}

int cmd_explain(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_(subject_done) struct subject subject = {
            .text = call->operands[0], .reasons = json_array(), .widths = json_array(), .reachable = true};
    int r = 0;

    if (strchr(subject.text, ':'))
        r = parse_single_place(subject.text, "explain", &subject.place, failure);
    if (r < 0)
        return r;
    r = find_all(&subject, call, failure);
    if (r < 0)
        return r;
    judge_state(&subject);
    if (subject.place.region && !subject.place.name)
        judge_offset(&subject);
    *ret_result = json_pack("{s:s, s:b, s:O, s:O*, s:O*, s:O*, s:O}", "subject", subject.text, "reachable",
            subject.reachable, "reasons", subject.reasons, "region", subject.region, "device",
            subject.device, "backend", subject.backend, "widths", subject.widths);
    return *ret_result ? 0 : failure_set(failure, EXIT_CODE_OTHER, "out of memory");
}

/* "edu: mmio, 1 MiB, little": the members that are there. */
static void write_members(FILE *stream, const char *label, const json_t *object, const char *const *members)
{
    _cleanup_buffer_ struct buffer text = {0};
    const char *separator = ": ";

    if (!object)
        return;
    buffer_append_string(&text, member_text(object, "name", "?"));
    for (; *members; members++) {
        const char *member = member_text(object, *members, NULL);

        if (!member)
            continue;
        buffer_append_string(&text, separator);
        if (strcmp(*members, "size") == 0)
            size_append(&text, member);
        else
            buffer_append_string(&text, member);
        separator = ", ";
    }
    buffer_append_char(&text, '\0');
    if (!buffer_failed(&text))
        fact_write(stream, 2, label, text.data);
}

static void write_member(FILE *stream, const char *label, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    _cleanup_buffer_ struct buffer text = {0};

    if (!value || (json_is_array(value) && json_array_size(value) == 0))
        return;
    words_append(&text, value, ", ");
    buffer_append_char(&text, '\0');
    if (!buffer_failed(&text))
        fact_write(stream, 2, label, text.data);
}

/* Every backend that the configuration's keys are enough for, and whether it would do now. */
static void write_candidates(FILE *stream, const json_t *device)
{
    const char *chosen = member_text(device, "backend", "");
    const json_t *candidate;
    size_t i;

    json_array_foreach (json_object_get(device, "candidates"), i, candidate) {
        const char *name = member_text(candidate, "name", "?");
        bool usable = json_is_true(json_object_get(candidate, "usable"));
        _cleanup_buffer_ struct buffer text = {0};

        buffer_append_format(&text, "%s%s: ", name, strcmp(name, chosen) == 0 ? " (chosen)" : "");
        buffer_append_string(&text, usable ? "usable" : member_text(candidate, "reason", "not usable"));
        buffer_append_char(&text, '\0');
        if (!buffer_failed(&text))
            fact_write(stream, 2, "candidate", text.data);
    }
}

static void write_widths(FILE *stream, const json_t *widths)
{
    const json_t *one;
    size_t i;

    json_array_foreach ((json_t *)widths, i, one) {
        const char *reason = member_text(one, "reason", NULL);
        char label[32], text[300];

        snprintf(label, sizeof(label), "%d bits", (int)json_integer_value(json_object_get(one, "width")));
        snprintf(text, sizeof(text), "%s%s", reason ? "no: " : "yes", reason ? reason : "");
        fact_write(stream, 2, label, text);
    }
}

void cmd_explain_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const region_members[] = {
            "type", "size", "address", "endianness", "access", "state", NULL};
    static const char *const device_members[] = {"description", "address", "id", "state", NULL};
    static const char *const backend_members[] = {"summary", NULL};
    const json_t *region = json_object_get(result, "region");
    const json_t *device = json_object_get(result, "device");
    bool reachable = json_is_true(json_object_get(result, "reachable"));
    const json_t *reason;
    size_t i;

    fact_write(stream, 0, call->operands[0], reachable ? "can be reached" : "cannot be reached");
    json_array_foreach (json_object_get(result, "reasons"), i, reason) {
        fact_write(stream, 2, "because", json_string_value(reason));
    }
    write_members(stream, "region", region, region_members);
    write_members(stream, "device", device, device_members);
    write_members(stream, "backend", json_object_get(result, "backend"), backend_members);
    write_member(stream, "why this backend", device, "why");
    write_candidates(stream, device);
    write_member(stream, "kernel driver", device, "driver");
    write_member(stream, "owner", region, "owner");
    write_member(stream, "overlaps", region, "aliases");
    if (json_array_size(json_object_get(result, "widths")) == 0)
        write_member(stream, "widths", region, "widths");
    write_widths(stream, json_object_get(result, "widths"));
}
