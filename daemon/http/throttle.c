/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table is looked through only when something failed. When it is full the place whose last failure is
 * longest ago is forgotten: whoever has thousands of addresses is not to be slowed this way, and is not to
 * fill our memory either. */
#include "http/throttle.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/log.h"

#define WINDOW_US        UINT64_C(60000000)
#define FIRST_DELAY_US   UINT64_C(100000)
#define LONGEST_DELAY_US UINT64_C(5000000)

enum {
    LOG_LINES = 10, /* in LOG_US */
    LOG_US = 10000000,
};

struct place {
    struct throttle_key key;
    unsigned failures; /* 0: the row is free */
    uint64_t since_us; /* the first of them */
    uint64_t last_us;
};

struct throttle {
    struct place places[THROTTLE_PEERS];
    struct throttle_wait *first;
    size_t waiting;
    bool released;
    sd_event_source *timer;
    uint64_t logged_since_us;
    unsigned logged;
    unsigned unlogged;
};

static struct place *find(struct throttle *throttle, const struct throttle_key *key)
{
    struct place *oldest = &throttle->places[0];

    for (size_t i = 0; i < THROTTLE_PEERS; i++) {
        struct place *place = &throttle->places[i];

        if (place->failures && memcmp(&place->key, key, sizeof(*key)) == 0)
            return place;
        if (place->last_us < oldest->last_us)
            oldest = place;
    }
    *oldest = (struct place){.key = *key};
    return oldest;
}

/* A minute without a failure forgives all; a few within a minute are forgotten when it is over. */
static uint64_t note(struct place *place, uint64_t now_us)
{
    uint64_t delay_us = FIRST_DELAY_US;

    if (now_us - place->last_us > WINDOW_US ||
            (place->failures <= THROTTLE_FREE && now_us - place->since_us > WINDOW_US))
        place->failures = 0;
    if (place->failures == 0)
        place->since_us = now_us;
    place->last_us = now_us;
    place->failures++;
    if (place->failures <= THROTTLE_FREE)
        return 0;
    for (unsigned i = THROTTLE_FREE + 1; i < place->failures && delay_us < LONGEST_DELAY_US; i++)
        delay_us *= 2;
    return delay_us < LONGEST_DELAY_US ? delay_us : LONGEST_DELAY_US;
}

static void log_failure(
        struct throttle *throttle, const char *peer, const struct error *failure, uint64_t now_us)
{
    if (throttle->logged == 0 || now_us - throttle->logged_since_us > LOG_US) {
        if (throttle->unlogged)
            log_warning("%u more requests with wrong credentials", throttle->unlogged);
        throttle->logged_since_us = now_us;
        throttle->logged = throttle->unlogged = 0;
    }
    if (throttle->logged == LOG_LINES) {
        throttle->unlogged++;
        return;
    }
    throttle->logged++;
    log_warning("wrong credentials from %s: %s", peer, failure->message);
}

int throttle_fail(struct throttle *throttle, const struct throttle_key *key, const char *peer,
        const struct error *failure, uint64_t now_us, uint64_t *ret_delay_us)
{
    uint64_t delay_us = note(find(throttle, key), now_us);

    log_failure(throttle, peer, failure, now_us);
    if (throttle->released)
        delay_us = 0;
    if (delay_us && throttle->waiting == THROTTLE_WAITING)
        return -EDQUOT;
    *ret_delay_us = delay_us;
    return 0;
}

static void set_timer(struct throttle *throttle)
{
    uint64_t earliest_us = UINT64_MAX;

    for (const struct throttle_wait *wait = throttle->first; wait; wait = wait->next) {
        if (wait->until_us < earliest_us)
            earliest_us = wait->until_us;
    }
    if (!throttle->first) {
        sd_event_source_set_enabled(throttle->timer, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(throttle->timer, earliest_us);
    sd_event_source_set_enabled(throttle->timer, SD_EVENT_ONESHOT);
}

static void end_waits(struct throttle *throttle, uint64_t now_us)
{
    struct throttle_wait *next;

    for (struct throttle_wait *wait = throttle->first; wait; wait = next) {
        next = wait->next;
        if (wait->until_us > now_us)
            continue;
        throttle_forget(throttle, wait);
        wait->over(wait);
    }
    set_timer(throttle);
}

static int handle_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    end_waits(userdata, usec);
    return 0;
}

int throttle_new(sd_event *event, struct throttle **ret_throttle)
{
    struct throttle *throttle = calloc(1, sizeof(*throttle));
    int r;

    if (!throttle)
        return -ENOMEM;
    r = sd_event_add_time(event, &throttle->timer, CLOCK_MONOTONIC, 0, 1000, handle_timer, throttle);
    if (r >= 0)
        r = sd_event_source_set_enabled(throttle->timer, SD_EVENT_OFF);
    if (r < 0) {
        throttle_free(throttle);
        return r;
    }
    *ret_throttle = throttle;
    return 0;
}

void throttle_free(struct throttle *throttle)
{
    if (!throttle)
        return;
    sd_event_source_disable_unref(throttle->timer);
    free(throttle);
}

void throttle_wait(struct throttle *throttle, struct throttle_wait *wait, uint64_t now_us, uint64_t delay_us)
{
    wait->until_us = now_us + delay_us;
    wait->next = throttle->first;
    wait->link = &throttle->first;
    if (wait->next)
        wait->next->link = &wait->next;
    throttle->first = wait;
    throttle->waiting++;
    set_timer(throttle);
}

void throttle_forget(struct throttle *throttle, struct throttle_wait *wait)
{
    if (!wait->link)
        return;
    *wait->link = wait->next;
    if (wait->next)
        wait->next->link = wait->link;
    wait->link = NULL;
    throttle->waiting--;
}

void throttle_release(struct throttle *throttle)
{
    throttle->released = true;
    end_waits(throttle, UINT64_MAX);
}
