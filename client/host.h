/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which daemon to talk to: a Unix socket, a URL, or a name from the user's hosts.json. */
#pragma once

#include <stdbool.h>

#include "failure.h"

struct host {
    char *text;        /* what messages call it: the path or the URL */
    char *socket_path; /* NULL for a URL */
    bool tls;
    char *authority; /* NAME[:PORT] as in the URL, for the Host field; "localhost" for a socket */
    char *prefix;    /* what the URL's path is, without a slash at the end: "" or "/rigs/1" */

    /* Files that hosts.json has for it; NULL: none. */
    char *token_file;
    char *cacert;
    char *cert;
    char *key;
};

void host_done(struct host *host);
#define _cleanup_host_ _cleanup_(host_done)

/* Finds out which daemon `text` (NULL: DEVREG_HOST, else the usual sockets) means. Nothing is connected.
 * Returns 0, or -1 with the failure filled: it says what was tried and what to do. */
int host_resolve(const char *text, struct host *ret_host, struct failure *failure);
