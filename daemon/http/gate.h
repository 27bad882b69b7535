/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The gate against malformed HTTP (RFC 9112), before anything else looks at a request. libmicrohttpd 0.9
 * lets through what two readers of the same octets can understand in two ways; a daemon that may stand
 * behind a proxy must not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "util/error.h"

struct gate_request {
    const char *method;
    const char *version;
    const char *target;     /* as it was received, still encoded */
    const char *target_end; /* where it ended in libmicrohttpd's own memory */
};

/* A header's value, without the blanks around it. */
struct gate_text {
    const char *value; /* NULL when it was not given; not terminated */
    size_t size;
};

struct gate_result {
    bool has_body;
    bool chunked;
    uint64_t content_length;  /* octets */
    const char *content_type; /* NULL when none was given */
    struct gate_text host, origin, sec_fetch_site, authorization, reservation, last_event;
    struct gate_text range, content_range, if_range;
};

/* Returns 0, -EINVAL, or -EBADMSG for a body without a length. */
int gate_check(struct MHD_Connection *connection, const struct gate_request *request,
        struct gate_result *ret_result, struct error *error);
