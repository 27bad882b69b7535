/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What keeps other people's web pages out. A page that a user looks at can send requests to every address
 * the user's browser reaches, also by giving its own name our address (DNS rebinding). A browser says so: in
 * Host is the name that the page knows us by, in Origin and Sec-Fetch-Site whose page it is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "http/gate.h"
#include "util/error.h"

/* As configured; both are ended by NULL, or NULL. */
struct origin_settings {
    char **hosts;   /* names that this machine is asked by, besides its addresses */
    char **origins; /* whose pages may call us: "https://bench.lab.example" */
};

/* Where a request came in. */
struct origin_place {
    bool local;  /* a Unix socket: no browser reaches it, and its Host means nothing */
    bool secure; /* TLS */
};

/* Whether a configured host or origin is one; the message says what is expected. */
int origin_check_host(const char *text, struct error *error);
int origin_check_origin(const char *text, struct error *error);

/* The host in a Host header, without its port. */
struct gate_text origin_host(const struct gate_text *host);

/* Whether Host is one that every connection of this place may be asked by: a name of loopback, where tunnels
 * end, or a configured one. */
bool origin_knows_host(const struct origin_settings *settings, const struct origin_place *place,
        const struct gate_text *host);

/* -EHOSTUNREACH: the Host is none of ours. */
int origin_refuse_host(const struct gate_text *host, struct error *error);

/* Whether a page of this origin may ask. Returns 0, with the configured origin that it matched, or NULL when
 * it needed none; -EPERM when it may not. */
int origin_check(const struct origin_settings *settings, const struct origin_place *place,
        const struct gate_result *gate, const char **ret_listed, struct error *error);
