/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libmicrohttpd keeps one piece for each answer, from its beginning to its end. */
#include "http/pieces.h"

#include <stdlib.h>

#include "http/connection.h"

struct outgoing {
    struct call *call;
    struct reaper_entry *entry;
};

static ssize_t send_piece(void *context, uint64_t position, char *data, size_t size)
{
    const struct outgoing *outgoing = context;
    struct call *call = outgoing->call;

    (void)position; /* they are asked for in order */
    if (call->transfer->pieces->give(call, data, size) < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    outgoing->entry->deadline_us = connection_body_deadline(call->daemon, size);
    return (ssize_t)size;
}

struct MHD_Response *pieces_response(struct call *call, struct reaper_entry *entry)
{
    uint64_t size = call->transfer->pieces->size;
    size_t piece = size < CALL_PIECE_BYTES ? (size_t)size : CALL_PIECE_BYTES;
    struct outgoing *outgoing = malloc(sizeof(*outgoing));
    struct MHD_Response *response;

    if (!outgoing)
        return NULL;
    *outgoing = (struct outgoing){call, entry};
    response = MHD_create_response_from_callback(size, piece, send_piece, outgoing, free);
    if (!response)
        free(outgoing);
    else
        entry->deadline_us = connection_body_deadline(call->daemon, piece);
    return response;
}
