/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reservations of a few regions, with what was called back for them. */
#pragma once

#include "core/reservations.h"
#include "test.h"

enum {
    EDU,    /* 0x1000 to 0x10ff */
    MIDDLE, /* 0x1080 to 0x117f: the second half of edu and more */
    PORTS,  /* ports 0x1000 to 0x10ff: not the same hardware */
    ALONE,  /* without a known address */
    ABSENT,
    REGIONS
};

enum { UNCLAIMED_MS = 200 }; /* longer than a busy machine keeps a process waiting */

static const uint64_t MS = 1000, MINUTE = UINT64_C(60) * 1000000;

struct reservations_fixture {
    sd_event *event;
    struct accounts accounts;
    struct reservations *reservations;
    struct region_description descriptions[REGIONS];
    struct backend_region handles[REGIONS];
    struct region regions[REGIONS];
    unsigned ended, granted, changed, told;
    char last_ended[RESERVATION_ID_SIZE];
    char order[16]; /* what was called back: e g c */
};

extern struct reservations_fixture fixture;

/* For each test: with ample limits; for 4 reservations, 2 of them of one holder; with UNCLAIMED_MS for
 * claiming. */
int set_up(void **state);
int set_up_small(void **state);
int set_up_impatient(void **state);
int tear_down(void **state);
void set_up_with(uint64_t total, uint64_t per_account, uint64_t unclaimed_us);

/* What most tests ask for. */
struct request {
    const char *holder;
    unsigned region;
    uint64_t first, last;
    bool shared, wait;
    const char *takeover;
    uint64_t duration_us; /* 0: a minute */
};

#define whole(holder_, region_, ...)                                                                        \
    ((struct request){.holder = (holder_), .region = (region_), .last = UINT64_MAX, __VA_ARGS__})

int try_take(const struct request *request, struct reservation **ret_reservation,
        const struct reservation **ret_blocking, struct error *error);

/* One that must be had, or that must be refused with this text: who blocks it. */
struct reservation *take(struct request request);
const struct reservation *refused(struct request request, const char *text);

void release(struct reservation *reservation);
bool is_blocked(const char *principal, unsigned region, uint64_t first, uint64_t last);

/* The loop, until so many were counted, or for this time. */
void run_until(const unsigned *counter, unsigned wanted);
void run_for(uint64_t duration_us);
