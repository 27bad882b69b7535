/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `interrupts watch` and `interrupts wait` have in common: they print events as these come, a line
 * each, until there were enough or none came for too long. */
#pragma once

#include "subscription.h"
#include "verbs.h"

struct follower {
    struct call *call;
    bool for_each;       /* the patience is for each event, not for all of them */
    bool held;           /* enough is not the end yet */
    uint64_t left;       /* how many are wanted still */
    uint64_t give_up_us; /* CLOCK_BOOTTIME; 0: never */
    struct subscription subscription;
    struct buffer path;
};

/* Connects. `kinds` is what to follow, as the API has it; NULL: all that --kind does not leave out. The
 * caller may put an attend() of its own into the subscription, which calls follower_attend(); the context is
 * the follower. */
int follower_begin(struct follower *follower, struct call *call, const char *kinds, struct failure *failure);
void follower_done(struct follower *follower);
#define _cleanup_follower_ _cleanup_(follower_done)

/* The patience begins now. */
void follower_be_patient(struct follower *follower);

/* As attend() of a subscription: looks whether it is over. */
int follower_attend(struct follower *follower, struct failure *failure);

/* Whether anything that is printed still gets anywhere. Returns 0, or -1 with the failure filled. */
int follower_check_output(struct failure *failure);
