/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl buffer put ID [FILE]: octets from a file or standard input into a DMA buffer. A file goes in one
 * request; of a pipe nobody knows how long it is before its end, so it goes in pieces. */
#include <inttypes.h>
#include <string.h>

#include "cmd_buffer.h"
#include "octets.h"
#include "progress.h"
#include "source.h"

enum { PIECE_SIZE = 4 * 1024 * 1024 };

struct delivery {
    struct call *call;
    struct source source;
    char *piece;  /* of a pipe: what goes in this request; NULL: they come right from the file */
    size_t taken; /* of it */
    uint64_t done;
    uint64_t read; /* of the request under way: octets that were handed over */
    struct progress progress;
};

static void delivery_done(struct delivery *delivery)
{
    source_done(&delivery->source);
    free(delivery->piece);
}

static int read_octets(void *context, void *octets, size_t size, size_t *ret_size, struct failure *failure)
{
    struct delivery *delivery = context;
    int r;

    if (delivery->piece) {
        memcpy(octets, delivery->piece + delivery->taken, size);
        delivery->taken += size;
        *ret_size = size;
    } else {
        r = source_read(&delivery->source, octets, size, ret_size, failure);
        if (r < 0)
            return r;
        if (*ret_size == 0)
            return failure_set(failure, EXIT_CODE_OTHER,
                    "%s became shorter meanwhile: %" PRIu64 " of %" PRIu64 " octets were sent",
                    delivery->source.name, delivery->read, delivery->source.size);
    }
    delivery->read += *ret_size;
    progress_show(&delivery->progress, delivery->done + delivery->read);
    return 0;
}

static int deliver_octets(struct delivery *delivery, uint64_t size, struct failure *failure)
{
    struct call *call = delivery->call;
    const struct octets_source source = {.read = read_octets, .context = delivery};
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    const json_t *written;
    int r;

    r = buffer_begin_path(&path, call->operands[0], failure);
    if (r < 0)
        return r;
    buffer_append_string(&path, "/data");
    path_append_parameter(&path, "offset=0x%" PRIx64, call->options->offset + delivery->done);
    if (!path_finish(&path, failure))
        return -1;
    delivery->taken = 0;
    delivery->read = 0;
    r = octets_put(&call->connection, path.data, size, &source, &answer, failure);
    if (r < 0)
        return r;
    written = json_object_get(answer, "written");
    if (!json_is_integer(written) || (uint64_t)json_integer_value(written) != size)
        return fail_unexpected(call, "another length than what was sent", failure);
    delivery->done += size;
    return 0;
}

static int deliver_file(struct delivery *delivery, struct failure *failure)
{
    delivery->progress.total = delivery->source.size;
    return deliver_octets(delivery, delivery->source.size, failure);
}

static int fail_empty(const struct delivery *delivery, struct failure *failure)
{
    return failure_set(failure, EXIT_CODE_USAGE, "%s is empty: nothing was written", delivery->source.name);
}

static int deliver_pipe(struct delivery *delivery, struct failure *failure)
{
    size_t size = PIECE_SIZE;
    int r = 0;

    delivery->piece = malloc(PIECE_SIZE);
    if (!delivery->piece)
        return failure_set(failure, EXIT_CODE_OTHER, "out of memory");
    while (r == 0 && size == PIECE_SIZE) {
        r = source_read(&delivery->source, delivery->piece, PIECE_SIZE, &size, failure);
        if (r == 0 && size > 0)
            r = deliver_octets(delivery, size, failure);
    }
    if (r == 0 && delivery->done == 0)
        return fail_empty(delivery, failure);
    if (r < 0 && delivery->done > 0)
        failure_append(failure, "%" PRIu64 " octets were written before", delivery->done);
    return r;
}

int cmd_buffer_put(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_(delivery_done) struct delivery delivery = {.call = call, .source = {.fd = -1}};
    const char *file = call->operand_count > 1 ? call->operands[1] : NULL;
    _cleanup_buffer_ struct buffer path = {0};
    int r;

    if (buffer_begin_path(&path, call->operands[0], failure) < 0 ||
            source_open(&delivery.source, call->verb->name, file, failure) < 0 ||
            call_connect(call, failure) < 0)
        return -1;
    progress_begin(&delivery.progress, true);
    r = delivery.source.has_size ? deliver_file(&delivery, failure) : deliver_pipe(&delivery, failure);
    progress_end(&delivery.progress);
    if (r < 0)
        return r;
    *ret_result =
            buffer_transfer_result(call->operands[0], call->options->offset, delivery.done, NULL, failure);
    return *ret_result ? 0 : -1;
}
