/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done to a buffer's octets in place: filling them, a piece in each round of the loop so that nobody
 * waits for more than one; and handing them over between the device and the processor. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/dma_extent.h"
#include "api/dma_number.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include "util/number.h"

/* Which octets; all from the offset on when there is no length, and all when there is neither. */
static int take_range(
        const json_t *body, const struct dma_buffer *buffer, struct byte_range *range, struct error *error)
{
    uint64_t size = dma_buffer_size(buffer);
    int r;

    *range = (struct byte_range){0};
    r = dma_number_take(body, "offset", &range->first, error);
    if (r < 0)
        return r;
    range->length = range->first < size ? size - range->first : 1;
    r = dma_number_take(body, "length", &range->length, error);
    return r < 0 ? r : dma_extent_check(range, size, error);
}

/* Filling */

struct fill {
    struct call_wait wait;
    struct call *call;
    struct dma_extent extent;
    sd_event_source *round;
    unsigned char pattern[8];
    unsigned width; /* octets */
};

static void fill_free(struct fill *fill)
{
    sd_event_source_disable_unref(fill->round);
    dma_extent_done(&fill->extent);
    free(fill);
}
DEFINE_CLEANUP(struct fill *, fill_free)

static void cancel_fill(struct call_wait *wait)
{
    fill_free(container_of(wait, struct fill, wait));
}

/* Whether there is more to do. Answers when there is not. */
static bool fill_piece(struct fill *fill)
{
    struct dma_extent *extent = &fill->extent;
    uint64_t left = extent->range.length - extent->done;
    int r = dma_extent_fill(
            extent, fill->pattern, fill->width, left < CALL_PIECE_BYTES ? (size_t)left : CALL_PIECE_BYTES);

    if (r == 0 && extent->done < extent->range.length)
        return true;
    fill->call->wait = NULL;
    if (r < 0)
        dma_extent_fail(extent);
    else
        dma_extent_answer(extent);
    return false;
}

/* One at a time: a source that is always on would come before all others of its priority. */
static int handle_round(sd_event_source *source, void *userdata)
{
    struct fill *fill = userdata;

    if (fill_piece(fill))
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    fill_free(fill);
    return 0;
}

static int take_pattern(const json_t *body, struct fill *fill, struct error *error)
{
    uint64_t bits = 8, value = 0;
    int r = dma_number_take(body, "width", &bits, error);

    if (r < 0)
        return r;
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
        return error_set(
                error, -EINVAL, "width %" PRIu64 " is none: a value has 8, 16, 32 or 64 bits", bits);
    fill->width = (unsigned)bits / 8;
    if (!json_object_get(body, "value"))
        return error_set(error, -EINVAL, "\"value\" is missing: give what to fill the octets with");
    r = dma_number_take(body, "value", &value, error);
    if (r < 0)
        return r;
    if (!number_fits(value, (unsigned)bits))
        return error_set(error, -EINVAL,
                "value 0x%" PRIx64 " does not fit %u bits: give a smaller one, or a width", value,
                (unsigned)bits);
    for (unsigned i = 0; i < fill->width; i++)
        fill->pattern[i] = (unsigned char)(value >> 8 * i);
    return 0;
}

static int prepare_fill(struct call *call, struct fill *fill, struct error *error)
{
    json_auto_t *body = NULL;
    struct dma_buffer *buffer = dma_buffers_find(call->daemon, call->principal, call->parameters[0], error);
    struct byte_range range = {0};
    int r;

    if (!buffer)
        return -ENOENT;
    r = json_body_parse(call, "value width offset length", &body, error);
    if (r == 0)
        r = take_pattern(body, fill, error);
    if (r == 0)
        r = take_range(body, buffer, &range, error);
    if (r < 0)
        return r;
    if (range.length % fill->width)
        return error_set(error, -EINVAL,
                "%" PRIu64 " octets are no whole number of %u-bit values: change the length, or the width",
                range.length, fill->width * 8);
    return dma_extent_begin(&fill->extent, call, buffer, &range, error);
}

static int begin_fill(struct call *call, struct error *error)
{
    _cleanup_(fill_freep) struct fill *fill = calloc(1, sizeof(*fill));
    int r;

    if (!fill)
        return error_set(error, -ENOMEM, "out of memory: try again");
    fill->call = call;
    fill->width = 1;
    r = prepare_fill(call, fill, error);
    if (r < 0 || !fill_piece(fill))
        return r;
    r = sd_event_add_defer(call->daemon->event, &fill->round, handle_round, fill);
    /* As the server does what it has left over: they take turns. */
    if (r >= 0)
        r = sd_event_source_set_priority(fill->round, SD_EVENT_PRIORITY_IDLE);
    if (r < 0) {
        dma_extent_record_end(&fill->extent, "there was no memory");
        return error_set(error, -ENOMEM, "out of memory: try again");
    }
    fill->wait.cancel = cancel_fill;
    call->wait = &take_ptr(fill)->wait;
    return 0;
}

void dma_fill_post(struct call *call)
{
    struct error error;

    if (begin_fill(call, &error) < 0)
        call_fail(call, &error);
}

/* Handing over */

struct handing {
    struct call_wait wait;
    struct call *call; /* NULL: it is over */
    struct dma_sync sync;
};

static void cancel_handing(struct call_wait *wait)
{
    container_of(wait, struct handing, wait)->call = NULL;
}

static void handed_over(struct dma_sync *sync)
{
    struct handing *handing = container_of(sync, struct handing, sync);
    struct call *call = handing->call;

    if (call) {
        call->wait = NULL;
        if (sync->result < 0) {
            call_fail(call, &sync->error);
        } else {
            buffer_append_string(&call->reply, "{}");
            call_answer_json(call);
        }
    }
    free(handing);
}

static int take_side(const json_t *body, bool *ret_for_device, struct error *error)
{
    const char *side = json_string_value(json_object_get(body, "for"));

    if (!side || (strcmp(side, "device") != 0 && strcmp(side, "cpu") != 0))
        return error_set(error, -EINVAL,
                "\"for\" is neither \"device\" nor \"cpu\": say who uses the octets from now on");
    *ret_for_device = strcmp(side, "device") == 0;
    return 0;
}

static int begin_handing(struct call *call, struct error *error)
{
    json_auto_t *body = NULL;
    struct dma_buffer *buffer = dma_buffers_find(call->daemon, call->principal, call->parameters[0], error);
    _cleanup_free_ struct handing *handing = calloc(1, sizeof(*handing));
    struct byte_range range = {0};
    int r;

    if (!buffer)
        return -ENOENT;
    if (!handing)
        return error_set(error, -ENOMEM, "out of memory: try again");
    r = json_body_parse(call, "for offset length", &body, error);
    if (r == 0)
        r = take_side(body, &handing->sync.for_device, error);
    if (r == 0)
        r = take_range(body, buffer, &range, error);
    if (r < 0)
        return r;
    handing->sync.offset = range.first;
    handing->sync.size = range.length;
    handing->sync.completed = handed_over;
    handing->call = call;
    handing->wait.cancel = cancel_handing;
    call->wait = &handing->wait;
    r = dma_sync_start(call->daemon, buffer, &handing->sync, error);
    if (r < 0)
        call->wait = NULL;
    else
        take_ptr(handing);
    return r;
}

void dma_sync_post(struct call *call)
{
    struct error error;

    if (begin_handing(call, &error) < 0)
        call_fail(call, &error);
}
