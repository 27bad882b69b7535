/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reservations: a principal's time-limited hold on regions, or on ranges of them. An exclusive one keeps
 * everybody else out; shared ones keep out whoever has none of them. Those that wait are served in the order
 * in which they came, and none overtakes one that it conflicts with. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "core/inventory.h"
#include "core/principal.h"

enum {
    RESERVATION_ID_SIZE = 24, /* "r-" and hexadecimal digits, never used twice */
    RESERVATION_TEXT = 256,   /* octets of a note, a contact, a reason */
};

enum reservation_state {
    RESERVATION_WAITING,
    RESERVATION_HELD,
    RESERVATION_ENDED, /* kept for a while, so that its holder can be told how it ended */
};

enum reservation_end {
    RESERVATION_END_NONE,
    RESERVATION_RELEASED,
    RESERVATION_EXPIRED,
    RESERVATION_TAKEN_OVER,
    RESERVATION_REVOKED, /* its holder may no longer hold anything: a revoked token */
};

/* What is reserved: octets of a region, both included. */
struct reservation_window {
    struct region *region;
    uint64_t first, last;
};

/* A write to be made when the reservation ends. */
struct safe_write {
    struct region *region;
    uint64_t offset;
    unsigned width; /* octets */
    uint64_t value;
};

struct reservation {
    struct reservation *next;
    char id[RESERVATION_ID_SIZE];
    enum reservation_state state;
    enum reservation_end end;
    bool exclusive;
    char target[160]; /* as people write it: "edu", "edu:0x4-0x7", "device edu" */
    struct reservation_window *windows;
    size_t window_count;
    char holder[PRINCIPAL_NAME_SIZE];
    struct account *account;
    char note[RESERVATION_TEXT];
    char contact[RESERVATION_TEXT];
    char reason[RESERVATION_TEXT]; /* of a takeover: who took it and why */
    uint64_t duration_us;          /* what taking and renewing give */
    uint64_t until_us;             /* CLOCK_BOOTTIME: when it expires */
    struct safe_write *safe_writes;
    size_t safe_write_count;
};

struct reservations;

/* The reservation that keeps the principal from these octets of the region, also through another region
 * that is a window of the same addresses; NULL when none does. Cheap when there are none at all. */
const struct reservation *reservations_blocking(const struct reservations *reservations,
        const struct principal *principal, const struct region *region, uint64_t first, uint64_t last);

/* Finds one by its id, also one that has ended lately. NULL when there is none. */
struct reservation *reservations_find(const struct reservations *reservations, const char *id);
