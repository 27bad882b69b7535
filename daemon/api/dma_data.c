/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Octets of buffers, to and from their clients: piece by piece, each straight between the connection and the
 * buffer's memory, so that a transfer of any length takes no more of the daemon's than one piece. The buffer
 * may end between two pieces; then so does the transfer. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "api/arguments.h"
#include "api/dma_extent.h"
#include "api/handlers.h"

/* What is kept of a request until its last octet. */
struct data {
    struct call_pieces pieces;
    struct dma_extent extent;
};

static struct data *data_of(const struct call *call)
{
    return container_of(call->transfer->pieces, struct data, pieces);
}

/* Whose client left in the middle of its body has written all the same. */
static void free_data(struct call *call)
{
    struct data *data = data_of(call);
    const struct dma_extent *extent = &data->extent;

    if (call->status == 0 && extent->act.octets > 0)
        dma_extent_record_end(&data->extent, "its client left");
    dma_extent_done(&data->extent);
    free(data);
}

/* NULL with the error when the buffer is lost, or out of memory. */
static struct data *new_data(
        struct call *call, struct dma_buffer *buffer, const struct byte_range *range, struct error *error)
{
    struct data *data = calloc(1, sizeof(*data));

    if (!data) {
        error_set(error, -ENOMEM, "out of memory: try again");
        return NULL;
    }
    if (dma_extent_begin(&data->extent, call, buffer, range, error) < 0) {
        free(data);
        return NULL;
    }
    data->pieces.free = free_data;
    return data;
}

static int choose_offset(const struct call *call, uint64_t *ret_offset, struct error *error)
{
    int r = arguments_number(call, "offset", ret_offset, error);

    if (r == -EMSGSIZE)
        error->code = r = -ERANGE;
    return r;
}

/* Which octets are asked for. */
static int choose_get(const struct call *call, uint64_t size, struct byte_range *range, struct error *error)
{
    const char *header = call->transfer->range;
    int r;

    if (header && call->argument_count > 0)
        return error_set(error, -EINVAL,
                "the header Range and the query both say which octets are wanted: use one of them");
    if (header)
        return byte_range_parse(header, size, range, error);
    *range = (struct byte_range){0};
    r = choose_offset(call, &range->first, error);
    if (r < 0)
        return r;
    range->length = range->first < size ? size - range->first : 1;
    r = arguments_number(call, "length", &range->length, error);
    if (r == -EMSGSIZE)
        error->code = r = -ERANGE;
    return r < 0 ? r : dma_extent_check(range, size, error);
}

static int give(struct call *call, void *octets, size_t size)
{
    return dma_extent_read(&data_of(call)->extent, octets, size);
}

/* The piece that libmicrohttpd keeps is on the account of raw transfers. */
static int claim_piece(struct call *call, uint64_t length, struct error *error)
{
    size_t size = length < CALL_PIECE_BYTES ? (size_t)length : CALL_PIECE_BYTES;
    int r = daemon_claim_data(call->daemon, call_account(call), size, error);

    if (r == 0)
        call->claimed_bytes = size;
    return r;
}

static int get(struct call *call, struct error *error)
{
    struct dma_buffer *buffer = dma_buffers_find(call->daemon, call->principal, call->parameters[0], error);
    struct call_transfer *transfer = call->transfer;
    struct byte_range range = {0};
    struct data *data;
    int r;

    if (!buffer)
        return -ENOENT;
    r = choose_get(call, dma_buffer_size(buffer), &range, error);
    if (r == -ERANGE)
        byte_range_format(NULL, dma_buffer_size(buffer), transfer->content_range);
    if (r < 0)
        return r;
    r = claim_piece(call, range.length, error);
    if (r < 0)
        return r;
    data = new_data(call, buffer, &range, error);
    if (!data)
        return error->code;
    data->pieces.give = give;
    data->pieces.size = range.length;
    if (transfer->range)
        byte_range_format(&range, dma_buffer_size(buffer), transfer->content_range);
    call_answer_pieces(call, &data->pieces, transfer->range ? 206 : 200, "application/octet-stream");
    return 0;
}

void dma_data_get(struct call *call)
{
    struct error error;

    if (get(call, &error) < 0)
        call_fail(call, &error);
}

/* Where the body goes. */
static int choose_put(const struct call *call, uint64_t size, struct byte_range *range, struct error *error)
{
    const char *header = call->transfer->range;
    uint64_t length = call->transfer->body_size;
    int r;

    if (length == 0)
        return error_set(error, -EINVAL, "the body is empty: send the octets to be written");
    if (header && call->argument_count > 0)
        return error_set(error, -EINVAL,
                "the header Content-Range and the query both say where the octets go: use one of them");
    *range = (struct byte_range){.length = 1};
    r = header ? byte_range_parse_content(header, size, range, error)
               : choose_offset(call, &range->first, error);
    if (r < 0)
        return r;
    if (header && range->length != length)
        return error_set(error, -EINVAL,
                "the header Content-Range is of %" PRIu64 " octets, and the body has %" PRIu64,
                range->length, length);
    r = dma_extent_check(range, size, error);
    if (r < 0)
        return r;
    if (length > size - range->first)
        return error_set(error, -EMSGSIZE,
                "the body has %" PRIu64 " octets, and from 0x%" PRIx64 " on the buffer has %" PRIu64
                ": nothing was written",
                length, range->first, size - range->first);
    range->length = length;
    return 0;
}

static void take(struct call *call, const void *octets, size_t size)
{
    struct dma_extent *extent = &data_of(call)->extent;

    if (dma_extent_write(extent, octets, size) < 0)
        dma_extent_fail(extent);
}

static void finish_put(struct call *call)
{
    dma_extent_answer(&data_of(call)->extent);
}

static int put(struct call *call, struct error *error)
{
    struct dma_buffer *buffer = dma_buffers_find(call->daemon, call->principal, call->parameters[0], error);
    struct byte_range range = {0};
    struct data *data;
    int r;

    if (!buffer)
        return -ENOENT;
    r = choose_put(call, dma_buffer_size(buffer), &range, error);
    if (r == -ERANGE)
        byte_range_format(NULL, dma_buffer_size(buffer), call->transfer->content_range);
    if (r < 0)
        return r;
    data = new_data(call, buffer, &range, error);
    if (!data)
        return error->code;
    data->pieces.take = take;
    call->transfer->pieces = &data->pieces;
    call->finish = finish_put;
    return 0;
}

void dma_data_put(struct call *call)
{
    struct error error;

    if (put(call, &error) < 0)
        call_fail(call, &error);
}
