/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The API as a table: what there is, who may call it, what it takes. The server, the listing at /v1 and the
 * tests all read it. */
#pragma once

#include "api/call.h"
#include "core/permission.h"

/* What the permission is needed for. */
enum target {
    TARGET_NONE,   /* nothing in particular: having it anywhere will do */
    TARGET_REGION, /* the region that the path's first parameter names */
    TARGET_DEVICE, /* any region of the device that it names */
};

enum body_kind {
    BODY_NONE,
    BODY_JSON, /* application/json */
    BODY_NONE_OR_JSON,
    BODY_OCTETS, /* application/octet-stream */
    BODY_STREAM, /* likewise, but its handler comes first and takes it in pieces (struct call_pieces) */
};

struct route {
    const char *method;
    const char *path;  /* a segment in braces is a parameter */
    unsigned segments; /* how many the path has */
    enum permission permission;
    enum target target;
    enum body_kind body;
    const char *action;    /* what the audit calls it (core/audit.h) */
    const char *arguments; /* names of the query's arguments, separated by blanks */
    void (*handler)(struct call *call);
    const char *summary;
};

extern const struct route routes[];
extern const size_t route_count;
