/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a request is from, as far as it says so itself: a token, a client certificate, the reservation that it
 * belongs to; and by which authorities a daemon is believed to be what it says. */
#pragma once

#include "failure.h"
#include "host.h"
#include "options.h"

struct identity {
    char *token;       /* NULL: none. It is never printed */
    char *reservation; /* DEVREG_RESERVATION; NULL: none */
    char *cacert;      /* files, for https; NULL: the system's authorities, no certificate */
    char *cert;
    char *key;
};

void identity_done(struct identity *identity);
#define _cleanup_identity_ _cleanup_(identity_done)

/* Finds out who to be for this host: the command line, then the environment, then what hosts.json has for
 * the host. A token is refused where others could read it on its way. Returns 0, or -1 with the failure
 * filled. */
int identity_resolve(const struct options *options, const struct host *host, struct identity *ret_identity,
        struct failure *failure);
