/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device with two sources of interrupts, of which a test says when they come. */
#pragma once

#include "core/daemon.h"
#include "core/events.h"
#include "core/interrupts.h"
#include "fault_backend.h"

enum {
    SOURCES = 2,
    QUEUE = 512,
    LOG = 32,
    STATUS = 0x10,
    CLEAR = 0x20,
};

#define SECOND_NS UINT64_C(1000000000)

/* What the device's interrupts do. */
struct fake_interrupts {
    struct backend_interrupts base;
    int open_result, mask_result, read_result;
    unsigned opened, closed, reads;
    struct interrupt_record queue[QUEUE];
    size_t first, count;
    bool endless; /* there is always a whole batch more */
    struct {
        unsigned source;
        bool masked;
    } masks[LOG];
    size_t mask_count;
};

struct interrupts_fixture {
    struct daemon daemon;
    struct inventory inventory;
    struct fault fault;
    struct backend backend;
    struct device device;
    struct interrupt_description descriptions[SOURCES];
    struct interrupt_source *first, *second; /* "first" and "second" */
    uint64_t seen;                           /* of the events */
};

extern struct fake_interrupts fake;
extern struct interrupts_fixture fixture;

/* For each test: the device is open and its interrupts are read; "first" is acknowledged by the daemon; the
 * device is closed until begin(). */
int set_up(void **state);
int set_up_acknowledged(void **state);
int set_up_closed(void **state);
int tear_down(void **state);

/* Somebody reads the interrupts from now on. */
void begin(void);

/* One comes, or only the descriptor wakes up. Zero time: now. */
void come(struct interrupt_record record);
void wake(void);

/* Runs the loop until nothing happens. */
void settle(void);

/* The next event must be this; next_interrupt() returns it. */
const struct event *next_interrupt(const struct interrupt_source *source);
void expect_change(enum event_kind kind, bool on, const char *text);
void expect_no_event(void);

/* The backend was told this since it was asked last, and nothing else. */
void expect_mask(unsigned source, bool masked);
void expect_state(const struct interrupt_source *source, const char *state);
