/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Buffers for DMA as the API shows them: allocated, listed, renewed, freed. What is in them is dma_data.c's.
 */
#include "core/dma_buffers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/arguments.h"
#include "api/dma_number.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include "core/admission.h"
#include "util/cleanup.h"
#include "util/date.h"
#include "util/json_writer.h"

enum {
    SECONDS_DEFAULT = 3600,
    ADDRESS_BITS_DEFAULT = 32,
    OBJECT_ALIGNMENT_DEFAULT = 8,
    SEGMENTS_DEFAULT = 1024,
    SEGMENTS_MOST = 4096,
};

static const char keys[] =
        "device kind size address_bits alignment boundary direction count note seconds reservation";

/* Showing them */

static const char *direction_name(const struct buffer_wish *wish)
{
    if (wish->to_device && wish->from_device)
        return "both";
    return wish->to_device ? "to_device" : "from_device";
}

static const char *state_name(const struct dma_buffer *buffer)
{
    return buffer->state == DMA_BUFFER_LOST ? "lost" : "live";
}

static void write_memory(struct json_writer *writer, const struct dma_buffer *buffer)
{
    const struct buffer_wish *wish = &buffer->wish;

    json_put_string(writer, "kind", dma_buffer_kind_name(wish->kind));
    json_put_count(writer, "size", wish->size);
    json_put_count(writer, "mapped_size", buffer->mapped_size);
    json_put_value(writer, "bus_address", buffer->bus_address, 64);
    json_put_count(writer, "address_bits", wish->address_bits);
    json_put_count(writer, "alignment", wish->alignment);
    json_put_count(writer, "boundary", wish->boundary);
    json_put_string(writer, "direction", direction_name(wish));
    json_put_count(writer, "count", wish->count);
    json_put_count(writer, "segments", buffer->segment_count);
    json_put_bool(writer, "needs_sync", buffer->needs_sync);
    json_put_bool(writer, "translated", buffer->translated);
    json_put_bool(writer, "reserved", buffer->reserved);
}

static void write_buffer(struct json_writer *writer, const struct dma_buffer *buffer, const char *state)
{
    uint64_t left = dma_buffer_seconds_left(buffer);
    char date[DATE_SIZE];

    json_begin_object(writer, NULL);
    json_put_string(writer, "id", buffer->id);
    json_put_string(writer, "device", device_name(buffer->device));
    write_memory(writer, buffer);
    json_put_string(writer, "owner", buffer->owner);
    json_put_string(writer, "note", buffer->note);
    json_put_string(writer, "reservation", buffer->reservation[0] ? buffer->reservation : NULL);
    if (left == UINT64_MAX)
        json_put_string(writer, "expires_in", NULL);
    else
        json_put_count(writer, "expires_in", left);
    json_put_string(writer, "allocated", date_format(buffer->allocated_us / 1000000, date));
    json_put_string(writer, "state", state);
    if (buffer->state == DMA_BUFFER_LOST)
        json_put_string(writer, "reason", buffer->lost.message);
    json_end_object(writer);
}

static void answer(struct call *call, const struct dma_buffer *buffer, unsigned status)
{
    struct json_writer writer = json_writer(&call->reply);

    write_buffer(&writer, buffer, state_name(buffer));
    call_answer_json_status(call, status);
}

static struct dma_buffer *find(const struct call *call, struct error *error)
{
    return dma_buffers_find(call->daemon, call->principal, call->parameters[0], error);
}

void dma_buffers_list(struct call *call)
{
    const struct dma_buffer *buffer = dma_buffers_first(call->daemon);
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "buffers");
    for (; buffer; buffer = dma_buffers_next(buffer)) {
        if (dma_buffer_may_see(call->daemon, call->principal, buffer))
            write_buffer(&writer, buffer, state_name(buffer));
    }
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}

void dma_buffers_get(struct call *call)
{
    struct error error;
    const struct dma_buffer *buffer = find(call, &error);

    if (buffer)
        answer(call, buffer, 200);
    else
        call_fail(call, &error);
}

/* Segments */

static int read_segments(const struct dma_buffer *buffer, uint64_t first, struct buffer_segment *segments,
        size_t wanted, size_t *ret_count, struct error *error)
{
    size_t count = 0, more = 1;

    while (count < wanted && more > 0) {
        int r = buffer->handle->backend->buffer_segments(
                buffer->handle, first + count, segments + count, wanted - count, &more);

        if (r < 0)
            return error_set(
                    error, r, "the segments of buffer %s can't be had: %s", buffer->id, strerror(-r));
        count += more;
    }
    *ret_count = count;
    return 0;
}

static void write_segments(struct json_writer *writer, const struct buffer_segment *segments, size_t count)
{
    json_begin_array(writer, "segments");
    for (size_t i = 0; i < count; i++) {
        json_begin_object(writer, NULL);
        json_put_value(writer, "bus_address", segments[i].bus_address, 64);
        json_put_count(writer, "offset", segments[i].offset);
        json_put_count(writer, "size", segments[i].size);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static int parse_range(const struct call *call, const struct dma_buffer *buffer, uint64_t *ret_first,
        uint64_t *ret_count, struct error *error)
{
    int r = arguments_number(call, "first", ret_first, error);

    if (r == 0)
        r = arguments_number(call, "count", ret_count, error);
    if (r < 0)
        return r;
    if (*ret_count == 0 || *ret_count > SEGMENTS_MOST)
        return error_set(error, -EINVAL, "count=%" PRIu64 " is outside 1 to %d: ask for them in parts",
                *ret_count, SEGMENTS_MOST);
    if (*ret_first >= buffer->segment_count)
        return error_set(error, -ERANGE, "first=%" PRIu64 " is outside: buffer %s has %" PRIu64 " segments",
                *ret_first, buffer->id, buffer->segment_count);
    if (*ret_count > buffer->segment_count - *ret_first)
        *ret_count = buffer->segment_count - *ret_first;
    return 0;
}

static int answer_segments(struct call *call, const struct dma_buffer *buffer, struct error *error)
{
    _cleanup_free_ struct buffer_segment *segments = NULL;
    struct json_writer writer = json_writer(&call->reply);
    uint64_t first = 0, wanted = SEGMENTS_DEFAULT;
    size_t count = 0;
    int r = parse_range(call, buffer, &first, &wanted, error);

    if (r < 0)
        return r;
    segments = calloc(wanted, sizeof(*segments));
    if (!segments)
        return error_set(error, -ENOMEM, "out of memory: try again, or ask for less");
    r = read_segments(buffer, first, segments, wanted, &count, error);
    if (r < 0)
        return r;
    json_begin_object(&writer, NULL);
    json_put_count(&writer, "first", first);
    json_put_count(&writer, "total", buffer->segment_count);
    write_segments(&writer, segments, count);
    json_end_object(&writer);
    call_answer_json(call);
    return 0;
}

void dma_buffers_get_segments(struct call *call)
{
    struct error error;
    const struct dma_buffer *buffer = find(call, &error);

    if (!buffer || dma_buffer_check_live(buffer, &error) < 0 || answer_segments(call, buffer, &error) < 0)
        call_fail(call, &error);
}

/* What is wished for */

/* NULL when there is none. */
static int take_string(const json_t *body, const char *key, const char **ret_text, struct error *error)
{
    const json_t *value = json_object_get(body, key);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return error_set(error, -EINVAL, "\"%s\" is not a string", key);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return error_set(error, -EINVAL, "\"%s\" has a NUL in it", key);
    *ret_text = json_string_value(value);
    return 0;
}

static int take_kind(const json_t *body, struct buffer_wish *wish, struct error *error)
{
    const char *name = "coherent";
    int r = take_string(body, "kind", &name, error);

    if (r == 0 && dma_buffer_kind_parse(name, &wish->kind) < 0)
        return error_set(error, -EINVAL,
                "\"kind\" '%.32s' is none: they are coherent, streaming, scattered and pool", name);
    return r;
}

static int take_direction(const json_t *body, struct buffer_wish *wish, struct error *error)
{
    const char *name = "both";
    int r = take_string(body, "direction", &name, error);
    bool both = strcmp(name, "both") == 0;

    if (r < 0)
        return r;
    wish->to_device = both || strcmp(name, "to_device") == 0;
    wish->from_device = both || strcmp(name, "from_device") == 0;
    if (!wish->to_device && !wish->from_device)
        return error_set(
                error, -EINVAL, "\"direction\" '%.32s' is none: it is both, to_device or from_device", name);
    if (!both && (wish->kind == BUFFER_COHERENT || wish->kind == BUFFER_POOL))
        return error_set(error, -EINVAL,
                "\"direction\" is of streaming and scattered buffers: a %s one has both",
                dma_buffer_kind_name(wish->kind));
    return 0;
}

static int take_sizes(const json_t *body, struct buffer_wish *wish, struct error *error)
{
    bool pool = wish->kind == BUFFER_POOL;
    uint64_t address_bits = ADDRESS_BITS_DEFAULT;
    int r;

    if (!json_object_get(body, "size"))
        return error_set(
                error, -EINVAL, "\"size\" is missing: give the octets%s", pool ? " of one object" : "");
    if (pool && !json_object_get(body, "count"))
        return error_set(error, -EINVAL, "\"count\" is missing: how many objects the pool has");
    wish->count = 1;
    wish->alignment = pool ? OBJECT_ALIGNMENT_DEFAULT : (uint64_t)sysconf(_SC_PAGESIZE);
    r = dma_number_take(body, "size", &wish->size, error);
    if (r == 0)
        r = dma_number_take(body, "count", &wish->count, error);
    if (r == 0)
        r = dma_number_take(body, "alignment", &wish->alignment, error);
    if (r == 0)
        r = dma_number_take(body, "boundary", &wish->boundary, error);
    if (r == 0)
        r = dma_number_take(body, "address_bits", &address_bits, error);
    wish->address_bits = address_bits > UINT8_MAX ? UINT8_MAX : (unsigned)address_bits;
    return r;
}

/* Microseconds; left alone when there is none given. */
static int take_seconds(const json_t *body, uint64_t *ret_duration_us, struct error *error)
{
    const json_t *value = json_object_get(body, "seconds");
    json_int_t seconds = json_integer_value(value);

    if (!value)
        return 0;
    if (!json_is_null(value) &&
            (!json_is_integer(value) || seconds < 1 || seconds > DMA_BUFFER_SECONDS_MOST))
        return error_set(error, -EINVAL, "\"seconds\" is not a number from 1 to %d, nor null for no limit",
                DMA_BUFFER_SECONDS_MOST);
    *ret_duration_us = (uint64_t)seconds * 1000000;
    return 0;
}

static int take_note(const json_t *body, const char **ret_note, struct error *error)
{
    int r = take_string(body, "note", ret_note, error);

    if (r == 0 && *ret_note && strlen(*ret_note) >= DMA_BUFFER_NOTE)
        return error_set(
                error, -EMSGSIZE, "\"note\" has more than %d octets: shorten it", DMA_BUFFER_NOTE - 1);
    return r;
}

/* The one of the header was looked at with the head of the request. */
static int take_reservation(
        const struct call *call, const json_t *body, const char **ret_reservation, struct error *error)
{
    int r = take_string(body, "reservation", ret_reservation, error);

    if (r < 0)
        return r;
    if (*ret_reservation)
        return reservations_require(
                call->daemon->reservations, call->principal->name, *ret_reservation, error);
    *ret_reservation = call->reservation;
    return 0;
}

static int take_device(
        const struct call *call, const json_t *body, struct device **ret_device, struct error *error)
{
    const char *name = NULL;
    int r = take_string(body, "device", &name, error);

    if (r < 0)
        return r;
    if (!name)
        return error_set(
                error, -EINVAL, "\"device\" is missing: give the name of the one that is to reach it");
    *ret_device = inventory_find_device(call->daemon->inventory, name);
    if (!*ret_device)
        return error_set(error, -ENOENT, "there is no device '%.64s': /v1/devices lists them", name);
    return 0;
}

static int take_wish(
        const struct call *call, const json_t *body, struct dma_buffer_wish *wish, struct error *error)
{
    int r = take_device(call, body, &wish->device, error);

    if (r == 0)
        r = take_kind(body, &wish->memory, error);
    if (r == 0)
        r = take_direction(body, &wish->memory, error);
    if (r == 0)
        r = take_sizes(body, &wish->memory, error);
    if (r == 0)
        r = take_note(body, &wish->note, error);
    if (r == 0)
        r = take_reservation(call, body, &wish->reservation, error);
    wish->duration_us = wish->reservation ? 0 : UINT64_C(1000000) * SECONDS_DEFAULT;
    return r == 0 ? take_seconds(body, &wish->duration_us, error) : r;
}

/* Allocating and freeing: work of the device, which a call waits for */

/* Freed with its call. */
struct job {
    struct call_wait wait;
    struct dma_waiter waiter;
    struct call *call;
    char id[DMA_BUFFER_ID_SIZE];
    char location[DMA_BUFFER_ID_SIZE + 16];
    char text[DMA_BUFFER_TEXT];
};

static void free_job(struct call_wait *wait)
{
    struct job *job = container_of(wait, struct job, wait);

    dma_waiter_leave(&job->waiter);
    free(job);
}

static struct job *job_new(struct call *call,
        void (*over)(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error),
        struct error *error)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job) {
        error_set(error, -ENOMEM, "out of memory: try again");
        return NULL;
    }
    job->call = call;
    job->wait.cancel = free_job;
    job->waiter.over = over;
    call->wait = &job->wait;
    return job;
}

/* For the audit, whatever becomes of the buffer. */
static void note_subject(struct job *job, const struct dma_buffer *buffer)
{
    snprintf(job->id, sizeof(job->id), "%s", buffer->id);
    job->call->subject = job->id;
    job->call->reason = dma_buffer_describe(buffer, job->text);
}

/* Who has gone away learns of no buffer, so nobody would free it. */
static void allocated(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error)
{
    struct job *job = container_of(waiter, struct job, waiter);
    struct call *call = job->call;
    struct error left;

    if (!buffer) {
        call_fail(call, error);
        return;
    }
    note_subject(job, buffer);
    if (call->client_left && call->client_left(call)) {
        dma_buffer_release(buffer, NULL);
        error_set(&left, -ESTALE, "the client went away while the buffer was allocated: it is freed");
        call_fail(call, &left);
        return;
    }
    snprintf(job->location, sizeof(job->location), "/v1/buffers/%s", job->id);
    job->wait.location = job->location;
    answer(call, buffer, 201);
}

static int allocate(struct call *call, struct error *error)
{
    json_auto_t *body = NULL;
    struct dma_buffer_wish wish = {0};
    struct job *job;
    int r = json_body_parse(call, keys, &body, error);

    if (r == 0)
        r = take_wish(call, body, &wish, error);
    if (r == 0)
        r = admission_ask_dma(call->daemon, call->principal, wish.device, &call->blocking, error);
    if (r < 0)
        return r;
    job = job_new(call, allocated, error);
    if (!job)
        return error->code;
    return dma_buffers_allocate(call->daemon, call->principal, &wish, &job->waiter, error);
}

void dma_buffers_post(struct call *call)
{
    struct error error;

    if (allocate(call, &error) < 0)
        call_fail(call, &error);
}

static void freed(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error)
{
    struct call *call = container_of(waiter, struct job, waiter)->call;

    (void)buffer;
    if (error)
        call_fail(call, error);
    else
        call_answer_json(call);
}

/* The answer is written while there is what it is about. */
static int start_free(struct call *call, struct error *error)
{
    struct json_writer writer = json_writer(&call->reply);
    struct dma_buffer *buffer = find(call, error);
    struct job *job = buffer ? job_new(call, freed, error) : NULL;

    if (!job)
        return error->code;
    note_subject(job, buffer);
    write_buffer(&writer, buffer, "freed");
    dma_buffer_release(buffer, &job->waiter);
    return 0;
}

void dma_buffers_delete(struct call *call)
{
    struct error error;

    if (start_free(call, &error) < 0)
        call_fail(call, &error);
}

static int renew(struct call *call, struct dma_buffer **ret_buffer, struct error *error)
{
    json_auto_t *body = NULL;
    uint64_t duration_us;
    int r = json_body_parse(call, "seconds", &body, error);

    if (r < 0)
        return r;
    *ret_buffer = find(call, error);
    if (!*ret_buffer)
        return error->code;
    duration_us = (*ret_buffer)->duration_us;
    r = take_seconds(body, &duration_us, error);
    if (r == 0)
        dma_buffer_renew(*ret_buffer, duration_us);
    return r;
}

void dma_buffers_put(struct call *call)
{
    struct dma_buffer *buffer;
    struct error error;

    if (renew(call, &buffer, &error) < 0)
        call_fail(call, &error);
    else
        answer(call, buffer, 200);
}
