/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request and its answer, free of any transport: the server above fills the first half, a handler the
 * second. A handler answers before it returns, or starts an operation and answers from its completion. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "api/byte_range.h"
#include "core/daemon.h"
#include "core/operation.h"
#include "core/streams.h"
#include "util/buffer.h"

struct call;
struct route;
struct reservation;

enum {
    CALL_PARAMETERS = 2, /* in a path */
    CALL_ARGUMENTS = 7,  /* in a query */
    CALL_INLINE_VALUES = 2,
};

struct call_argument {
    const char *name;
    const char *value;
};

/* Embedded in what a handler keeps while its call waits. */
struct call_wait {
    void (*cancel)(struct call_wait *wait); /* the call is over; it frees itself */
    const char *location; /* where what was made is found, for the answer; NULL: nothing was made */
};

/* Octets that are too many to stand in memory all at once: of an answer, or of a BODY_STREAM. Embedded in
 * what a handler keeps of them. */
struct call_pieces {
    /* Fills in the next `size` octets of the answer. Returns 0, or a negative errno when there are no more,
     * which ends the connection: the client sees that some are missing. NULL: it is no answer. */
    int (*give)(struct call *call, void *data, size_t size);
    uint64_t size; /* octets of the answer in all */

    /* Takes the next octets of the body; answers the call when it takes no more. NULL: it is no body. */
    void (*take)(struct call *call, const void *data, size_t size);

    /* The call is over, maybe before all have gone or come; frees itself. */
    void (*free)(struct call *call);
};

/* Of a request for octets: what its head says of them, and its answer. */
struct call_transfer {
    uint64_t body_size;         /* of a BODY_STREAM: how many are to come */
    const char *range;          /* the header Range of a GET, Content-Range of a BODY_STREAM; NULL: none */
    struct call_pieces *pieces; /* NULL: none */
    char content_range[BYTE_RANGE_SIZE]; /* the header of the answer; "": none */
};

enum { CALL_PIECE_BYTES = 256 * 1024 };

/* More of an act, for the audit. */
struct call_act {
    const char *before, *after; /* what it was and is: a driver's name, or NULL */
    bool forced;                /* it was to be done whoever is in the way */
    bool attempted;             /* it may have changed something, also when it failed */
    uint64_t offset, octets;    /* what it wrote of its subject; octets 0: nothing */
};

struct call {
    struct daemon *daemon;
    const struct route *route;
    const char *parameters[CALL_PARAMETERS]; /* decoded, in the order of the path */
    struct call_argument arguments[CALL_ARGUMENTS];
    size_t argument_count;
    struct buffer body;

    /* Who asks, settled before the body was read; the call has a reference. */
    struct principal *principal;
    const char *peer;               /* from where, for the audit */
    const char *reservation;        /* the id that the request must hold to be valid; NULL: it named none */
    const char *last_event;         /* the id after which a stream goes on; NULL: it named none */
    struct call_transfer *transfer; /* outlives the call */
    uint64_t request;               /* its number; call_request_id() makes the text */

    unsigned status; /* 0 until it is answered */
    bool running;    /* inside call_run() */
    const char *content_type;
    struct buffer reply;
    struct stream *stream; /* what comes instead of the reply; NULL: nothing does */

    /* Called on the loop when an answer comes after call_run() has returned. */
    void (*answered_later)(struct call *call);

    /* What a call waits with that waits for something else than a device; call_done() gives it up. */
    struct call_wait *wait;

    /* Whether its client has gone away meanwhile; NULL when that is not to be known. */
    bool (*client_left)(const struct call *call);

    /* What handlers keep from start to completion. */
    struct operation operation;
    void (*finish)(struct call *call); /* answers when the operation has succeeded, or the body has come */
    uint64_t inline_values[CALL_INLINE_VALUES]; /* for short operations */
    void *values;                               /* for the others */
    size_t claimed_bytes;                       /* of the daemon's memory for raw transfers */
    bool placed;                                /* region and offset are known */
    bool started;                               /* the operation is complete, and was asked for */
    bool as_list;                               /* the answer is a list even of one value */

    /* For the audit: what an administrative act is on, when its path does not say it, and why it is done.
     * Valid until the call is answered. */
    const char *subject;
    const char *reason;
    const struct call_act *act; /* NULL: there is no more to say */

    const struct reservation *blocking; /* for the facts of a 423; valid until the loop goes on */
};

enum { CALL_REQUEST_ID_SIZE = 40 };

/* Whether the principal may ask this at all, and the reservation that the request names is held. Asked once
 * the head of the request is known, before its body is read. Returns 0 or a refusal. */
int call_admit(struct call *call, struct error *error);

/* The request's id, unique for all daemons: a random number of this daemon's and the request's. */
const char *call_request_id(const struct call *call, char id[CALL_REQUEST_ID_SIZE]);

/* Whose account the call is on; NULL while it is nobody's. */
static inline struct account *call_account(const struct call *call)
{
    return call->principal ? call->principal->account : NULL;
}

/* Whether the principal may list the region: lists leave out what it may not. */
bool call_may_list(const struct call *call, const struct region *region);

/* Checks the query's arguments against the route and calls its handler. Of a BODY_STREAM, when that has
 * come, calls call->finish instead. */
void call_run(struct call *call);

/* Of a BODY_STREAM, once the head of the request is known: calls the handler, which sets pieces and finish,
 * or answers to refuse the body. Then call_take() is called with each piece of the body until the call is
 * answered, and call_run() at its end if it is not. */
void call_begin(struct call *call);
void call_take(struct call *call, const void *data, size_t size);

/* Ends the call with what stands in call->reply. */
void call_answer(struct call *call, unsigned status, const char *content_type);

/* Ends the call with a stream that is open, and is the call's from then on. */
void call_answer_stream(struct call *call, struct stream *stream, const char *content_type);

/* Ends the call with octets that are given piece by piece, and are the call's from then on. */
void call_answer_pieces(
        struct call *call, struct call_pieces *pieces, unsigned status, const char *content_type);

/* Ends the call with call->reply as JSON and status 200, or another one that is no failure. */
void call_answer_json(struct call *call);
void call_answer_json_status(struct call *call, unsigned status);

/* Ends the call with a problem document for the error. */
void call_fail(struct call *call, const struct error *error);

/* The same, with a region and an offset as facts for programs; done is how many accesses were completed. */
void call_fail_at(
        struct call *call, const struct error *error, const char *region, uint64_t offset, size_t done);

/* Releases what the call holds, not the call. */
void call_done(struct call *call);
