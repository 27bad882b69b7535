/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slows down whoever guesses credentials: after a few failures in a minute the answers to further ones from
 * the same place wait, longer each time. Nothing else does: good credentials are never delayed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "util/error.h"

enum {
    THROTTLE_FREE = 5,     /* failures within a minute that are answered at once */
    THROTTLE_WAITING = 64, /* answers that wait at once, at most */
    THROTTLE_PEERS = 256,  /* that are remembered */
};

/* Where failures come from: an IP address or a Unix user. */
struct throttle_key {
    uint8_t kind;
    uint8_t octets[16];
};

struct throttle;

/* One answer that waits, owned by whoever has the answer. */
struct throttle_wait {
    uint64_t until_us; /* monotonic */
    void (*over)(struct throttle_wait *wait);
    void *owner;
    struct throttle_wait *next, **link; /* link is NULL while it does not wait */
};

int throttle_new(sd_event *event, struct throttle **ret_throttle);
void throttle_free(struct throttle *throttle);

/* Notes a failure at this time, and logs it unless there are too many to log. Returns 0 with how long its
 * answer must wait, or -EDQUOT when too many wait already: then it is to be told so at once. */
int throttle_fail(struct throttle *throttle, const struct throttle_key *key, const char *peer,
        const struct error *failure, uint64_t now_us, uint64_t *ret_delay_us);

/* Lets an answer wait; wait->over is called on the loop then. */
void throttle_wait(
        struct throttle *throttle, struct throttle_wait *wait, uint64_t now_us, uint64_t delay_us);

/* It waits no longer, or never did. */
void throttle_forget(struct throttle *throttle, struct throttle_wait *wait);

/* Ends all waits now, and lets nothing wait from then on. */
void throttle_release(struct throttle *throttle);
