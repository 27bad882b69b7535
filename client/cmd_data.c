/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd_data.h"

#include <inttypes.h>

void transfer_done(struct transfer *transfer)
{
    place_done(&transfer->place);
}

int transfer_init(struct transfer *transfer, struct call *call, struct failure *failure)
{
    const char *text = call->operands[0];
    int r = parse_single_place(text, call->verb->name, &transfer->place, failure);

    if (r < 0)
        return r;
    transfer->call = call;
    transfer->piece = PIECE_MOST;
    transfer->done = 0;
    if (transfer->place.name)
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s: a block starts at an offset, not at a register's name: write REGION:0xOFFSET", text);
    return 0;
}

void transfer_begin_path(const struct transfer *transfer, struct buffer *path)
{
    const struct options *options = transfer->call->options;
    bool fixed = options_have(options, OPTION_FIXED);

    buffer_append_string(path, "/v1/regions/");
    path_append_segment(path, transfer->place.region);
    buffer_append_string(path, "/data");
    path_append_parameter(path, "offset=0x%" PRIx64, transfer->place.offset + (fixed ? 0 : transfer->done));
    if (options->width)
        path_append_parameter(path, "width=%u", options->width);
    if (fixed)
        path_append_parameter(path, "fixed=1");
}

bool transfer_shrink(struct transfer *transfer, const struct failure *failure)
{
    if (failure->status != 413 || transfer->piece <= PIECE_LEAST)
        return false;
    transfer->piece /= 2;
    return true;
}

json_t *transfer_result(const struct transfer *transfer, const char *file)
{
    char offset[32];
    json_t *result;

    snprintf(offset, sizeof(offset), "0x%" PRIx64, transfer->place.offset);
    result = json_pack("{s:s, s:s, s:I}", "region", transfer->place.region, "offset", offset, "length",
            (json_int_t)transfer->done);
    if (file)
        json_object_set_new(result, "file", json_string(file));
    return result;
}
