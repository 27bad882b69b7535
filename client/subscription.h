/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Follows the daemon's events over connections that break and daemons that are started anew: each event is
 * handed over once, and what could not be is told by the daemon as an event of the type "lost". */
#pragma once

#include <stdint.h>

#include "event_stream.h"
#include "http.h"
#include "verbs.h"

enum { POSITION_SIZE = 48 }; /* "4fa1000000000000-18446744073709551615" */

struct subscription {
    struct call *call;          /* connected */
    const char *path;           /* with the query */
    const char *since;          /* where the path says to begin; NULL: from now on */
    unsigned heartbeat_seconds; /* as often the daemon is to say something, asked for in the path */
    bool once;                  /* a connection that breaks is the end */
    int fd;                     /* to attend to when it is readable; -1: none */
    uint64_t wake_us;           /* CLOCK_BOOTTIME: attend() wants to be called then; 0: whenever */

    /* These return 0 to go on, 1 when all is well and done, or -1 with the failure filled. attend() is
     * called at least once a second, whether there is a connection or not. */
    int (*event)(void *context, const struct stream_event *event, struct failure *failure);
    int (*attend)(void *context, struct failure *failure);
    void *context;

    /* What follows is for reading. */
    bool subscribed;              /* the daemon has said from where on everything comes */
    bool lost;                    /* the connection was, and is not back */
    char position[POSITION_SIZE]; /* all up to there was handed over; "" while it is not known */

    /* What follows is the subscription's own. */
    struct event_stream stream;
    struct http_watch watch;
    struct failure *failure;
    char last_id[POSITION_SIZE];
    uint64_t heard_us; /* when something came last */
    uint64_t began_us; /* when the daemon had answered on this connection; 0: not yet */
    unsigned pause_ms;
    bool done; /* with `result` */
    int result;
};

/* Follows until it is done. Failures of the first connection are final; later ones when the daemon refuses,
 * or with `once`. Returns 0 when all is well, or -1 with the failure filled. */
int subscription_run(struct subscription *subscription, struct failure *failure);
