/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reservations: a principal's time-limited hold on regions, or on ranges of them. An exclusive one keeps
 * everybody else out; shared ones keep out whoever has none of them. Those that wait are served in the order
 * in which they came, and none overtakes one that it conflicts with.
 *
 * Two conflict when they have octets in common, through whichever region, and one of them is exclusive; also
 * two of one holder, whose scripts may know nothing of each other. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "core/inventory.h"
#include "core/principal.h"

enum {
    RESERVATION_ID_SIZE = 24, /* "r-" and hexadecimal digits, never used twice */
    RESERVATION_TEXT = 256,   /* octets of a note, a contact, a reason, with the NUL */
    RESERVATION_TARGET = 160,
    RESERVATION_SAFE_WRITES = 16,            /* of one reservation, at most */
    RESERVATION_SAFE_WRITES_PENDING = 64,    /* an account with more to be made can't add to them */
    RESERVATION_SECONDS_MOST = 24 * 60 * 60, /* what taking or renewing can give */
};

/* Until one is dropped that nobody asks for: while it waits, or after its turn has come. */
#define RESERVATION_UNCLAIMED_US (UINT64_C(30) * 1000000)

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

/* What is reserved: octets of a region, both included. UINT64_MAX is its last one, wherever that is: the
 * region may be absent. */
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
    char target[RESERVATION_TARGET]; /* as people write it: "edu", "edu:0x4-0x7", "device edu" */
    struct reservation_window *windows;
    size_t window_count;
    char holder[PRINCIPAL_NAME_SIZE];
    struct account *account;
    char note[RESERVATION_TEXT];
    char contact[RESERVATION_TEXT];
    char reason[PRINCIPAL_NAME_SIZE +
                RESERVATION_TEXT]; /* why it ended; of a takeover: who took it and why */
    uint64_t duration_us;          /* what taking and renewing give */
    uint64_t until_us;             /* CLOCK_BOOTTIME: when it expires */
    uint64_t ended_us;             /* CLOCK_BOOTTIME */
    struct safe_write *safe_writes;
    size_t safe_write_count;

    size_t position;  /* while it waits: 1 when none that waits is before it */
    bool granted;     /* it was held: there is something to make safe when it ends */
    bool claimed;     /* its holder knows that it is held */
    uint64_t seen_us; /* CLOCK_BOOTTIME: when its holder last asked for it */
    unsigned watches; /* of its holder */
};

struct reservations;

struct reservation_limits {
    uint64_t total;        /* held and waiting */
    uint64_t per_account;  /* likewise */
    uint64_t unclaimed_us; /* RESERVATION_UNCLAIMED_US, but in tests */
};

/* What others must do when something happens here. Each may be NULL, and none may change reservations. */
struct reservation_callbacks {
    /* It has ended, whether it was held (then granted is set) or waited. The next one is only granted after
     * this returns: operations that it admitted must be revoked and its safe writes submitted now. */
    void (*ended)(const struct reservation *reservation, void *context);

    /* It is held from now on, at once or because its turn has come (then claimed is not set): what others
     * have under way there must be revoked. */
    void (*granted)(const struct reservation *reservation, void *context);

    /* Once after each change, when all is settled: to save them. */
    void (*changed)(void *context);

    void *context;
};

/* The accounts must outlive the reservations. Returns 0 or a negative errno. */
int reservations_new(sd_event *event, struct accounts *accounts, const struct reservation_limits *limits,
        const struct reservation_callbacks *callbacks, struct reservations **ret_reservations);

/* Ends none of them: they were saved. */
void reservations_free(struct reservations *reservations);

/* What somebody wants to reserve. Windows and safe writes are copied. */
struct reservation_wish {
    const char *holder; /* the principal's name */
    bool exclusive;
    bool wait; /* in the queue, when it can't be had now */
    const char *target;
    const struct reservation_window *windows;
    size_t window_count;
    const struct safe_write *safe_writes;
    size_t safe_write_count;
    const char *note, *contact; /* NULL: none */
    const char *takeover;       /* the reason to end those that are in the way; NULL: they stay */
    uint64_t duration_us;
};

/* Takes a reservation, or a place in the queue: its state says which. A takeover goes before those that
 * wait. Returns 0 or
 *   -EUSERS  reserved by another, or another waits for it already; *ret_blocking says which
 *   -EDQUOT  its holder has too many, or too many safe writes still to be made
 *   -EAGAIN  there are too many in all */
int reservations_take(struct reservations *reservations, const struct reservation_wish *wish,
        struct reservation **ret_reservation, const struct reservation **ret_blocking, struct error *error);

/* Gives it its duration once more, from now; a duration other than 0 becomes the new one. One that waits
 * stays in its place. -EPERM when it is another's, -ESTALE when it has ended; the message says how. */
int reservations_renew(struct reservations *reservations, struct reservation *reservation,
        const char *principal, uint64_t duration_us, struct error *error);

/* Ends it, also one that waits, for its holder or for an administrator of what it is for. Errors as above.
 */
int reservations_release(struct reservations *reservations, struct reservation *reservation,
        const char *principal, bool is_admin, struct error *error);

/* Ends all of an account that may no longer hold any. */
void reservations_revoke(struct reservations *reservations, const char *holder, const char *reason);

/* Ends those that must not be restored, without their safe-state writes: their holders may not make them any
 * more. */
void reservations_drop(struct reservations *reservations,
        bool (*is_void)(const struct reservation *reservation, const void *context), const void *context,
        const char *reason);

/* To be called when its holder asks for it: it is dropped when nobody does. One that is held ends
 * at latest_us (CLOCK_BOOTTIME) then, when its holder is no longer valid; UINT64_MAX: always is. */
void reservations_touch(
        struct reservations *reservations, struct reservation *reservation, uint64_t latest_us);

/* Whoever wants to know when a reservation changes, once. */
struct reservation_watch {
    struct reservation_watch *next;
    struct reservation *reservation; /* NULL when it is not watching */
    bool by_holder;                  /* counts as asking for it all the while */
    enum reservation_state state;    /* as it was */
    size_t position;
    void (*changed)(struct reservation_watch *watch); /* it is not watching any more then */
};

/* changed is called when the state or the place in the queue is another, and by reservations_wake(). The
 * reservation must not have ended. */
void reservations_watch(struct reservations *reservations, struct reservation *reservation, bool by_holder,
        struct reservation_watch *watch);
void reservations_unwatch(struct reservations *reservations, struct reservation_watch *watch);

/* Calls whoever watches anything: the daemon stops. */
void reservations_wake(struct reservations *reservations);

/* Takes over one that was saved: until_us is when a held one expires, or 0 for one that waits. They are
 * restored in the order of reservations_first(), the held ones before those that wait, and then settled.
 * -EUSERS when it conflicts with one that is held already. */
int reservations_restore(struct reservations *reservations, const struct reservation_wish *wish,
        const char *id, uint64_t until_us, struct error *error);
void reservations_settle(struct reservations *reservations);

/* The first of those in this state, in the order in which they came there; the others follow with next. */
const struct reservation *reservations_first(
        const struct reservations *reservations, enum reservation_state state);

/* Whether the reservation of this id is held by the principal, so that what it asks for in its name is
 * valid. -EUSERS when not; the message says how it ended. */
int reservations_require(
        const struct reservations *reservations, const char *principal, const char *id, struct error *error);

/* The reservation that keeps the principal from these octets of the region, also through another region
 * that is a window of the same addresses; NULL when none does. Cheap when there are none at all. */
const struct reservation *reservations_blocking(const struct reservations *reservations,
        const struct principal *principal, const struct region *region, uint64_t first, uint64_t last);

/* Finds one by its id, also one that has ended lately. NULL when there is none. */
struct reservation *reservations_find(const struct reservations *reservations, const char *id);

/* A window of it that has octets of the region, also through another region; NULL when none has. */
const struct reservation_window *reservation_find_window(
        const struct reservation *reservation, const struct region *region);

/* Whether it can't be held beside what is wished: a takeover ends it. */
bool reservation_is_in_the_way(const struct reservation *reservation, const struct reservation_wish *wish);

/* Rounded up; 0 for one that is not held. */
uint64_t reservation_seconds_left(const struct reservation *reservation);

/* "held", "waiting", "ended". */
const char *reservation_state_name(enum reservation_state state);

/* "released", "expired", "taken-over", "revoked"; NULL while it has not ended. */
const char *reservation_end_name(enum reservation_end end);

enum { RESERVATION_END_TEXT = 512 };

/* How it ended, for people: "was taken over 12 s ago by user:bob: the nightly run". Returns text. */
const char *reservation_end_text(const struct reservation *reservation, char text[RESERVATION_END_TEXT]);
