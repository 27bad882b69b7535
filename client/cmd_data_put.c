/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl data put PLACE [FILE]: octets from a file or standard input. */
#include <inttypes.h>

#include "cmd_data.h"
#include "source.h"
#include "values.h"

/* A file that takes several requests is compared with the region first: finding out at the last piece that
 * it does not fit would leave the device half written. The daemon judges single requests by itself. */
static int judge_size(const struct transfer *transfer, const struct source *source, struct failure *failure)
{
    struct call *call = transfer->call;
    json_auto_t *region = NULL;
    unsigned width = call->options->width;
    uint64_t region_size, last;
    int r;

    if (!source->has_size || source->size <= transfer->piece)
        return 0;
    r = get_named(call, "regions", transfer->place.region, &region, failure);
    if (r < 0)
        return r;
    if (width == 0)
        width = count_from_json(json_object_get(region, "default_width"), 64);
    if (width >= 8 && source->size % (width / 8) != 0)
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s has %" PRIu64
                " octets, which is no multiple of the width of %u bits; nothing was written",
                source->name, source->size, width);
    if (options_have(call->options, OPTION_FIXED) ||
            value_from_json(json_object_get(region, "size"), &region_size) < 0)
        return 0;
    if (__builtin_add_overflow(transfer->place.offset, source->size, &last) || last > region_size)
        return failure_set(failure, EXIT_CODE_NOT_FOUND,
                "%s has 0x%" PRIx64 " octets, and from %s on they do not fit the 0x%" PRIx64
                " octets of %s; nothing was written",
                source->name, source->size, transfer->place.text, region_size, transfer->place.region);
    return 0;
}

static int put_piece(struct transfer *transfer, const char *octets, size_t size, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    const json_t *length;
    int r;

    transfer_begin_path(transfer, &path);
    if (!path_finish(&path, failure))
        return -1;
    r = connection_put_octets(&transfer->call->connection, path.data, octets, size, &answer, failure);
    if (r < 0)
        return r;
    length = json_object_get(answer, "length");
    if (!json_is_integer(length) || json_integer_value(length) != (json_int_t)size)
        return fail_unexpected(transfer->call, "another length than what was sent", failure);
    transfer->done += size;
    return 0;
}

/* The octets of one buffer; in smaller pieces when the daemon wants that. */
static int put_octets(struct transfer *transfer, const char *octets, size_t size, struct failure *failure)
{
    size_t sent = 0;
    int r;

    while (sent < size) {
        size_t part = size - sent < transfer->piece ? size - sent : transfer->piece;

        r = put_piece(transfer, octets + sent, part, failure);
        if (r == 0)
            sent += part;
        else if (!transfer_shrink(transfer, failure))
            return r;
    }
    return 0;
}

static int put_all(struct transfer *transfer, const struct source *source, struct failure *failure)
{
    _cleanup_free_ char *octets = malloc(PIECE_MOST);
    size_t size = PIECE_MOST;
    int r = 0;

    if (!octets)
        return failure_set(failure, EXIT_CODE_OTHER, "out of memory");
    while (r == 0 && size == PIECE_MOST) {
        r = source_read(source, octets, PIECE_MOST, &size, failure);
        if (r == 0 && size == 0 && transfer->done == 0)
            return failure_set(failure, EXIT_CODE_USAGE, "%s is empty: nothing was written", source->name);
        if (r == 0)
            r = put_octets(transfer, octets, size, failure);
    }
    if (r < 0 && transfer->done > 0)
        failure_append(failure, "%" PRIu64 " octets were written before", transfer->done);
    return r;
}

int cmd_data_put(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_transfer_ struct transfer transfer = {0};
    _cleanup_source_ struct source source = {.fd = -1};
    int r;

    r = transfer_init(&transfer, call, failure);
    if (r < 0)
        return r;
    r = source_open(&source, call->verb->name, call->operand_count > 1 ? call->operands[1] : NULL, failure);
    if (r < 0)
        return r;
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = judge_size(&transfer, &source, failure);
    if (r < 0)
        return r;
    r = put_all(&transfer, &source, failure);
    if (r == 0)
        *ret_result = transfer_result(&transfer, NULL);
    return r;
}
