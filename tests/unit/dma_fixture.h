/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that has buffers, in a daemon of one device, and three principals who ask for them. */
#pragma once

#include <stdatomic.h>

#include "core/dma_buffers.h"
#include "core/safe_state.h"
#include "fault_backend.h"

/* What a waiter was told. */
struct told {
    struct dma_waiter waiter;
    unsigned count;
    struct dma_buffer *buffer;
    struct error error; /* code 0: there was none */
};

struct dma_fixture {
    struct daemon daemon;
    struct inventory inventory;
    struct region *regions[1];
    struct fault fault;
    struct device device;
    struct safe_state *safe_state;
    struct principal *alice, *bob, *token;
    struct reservation reservation;
    struct safe_write writes[2];
    unsigned presence_changed;
    bool rebound; /* what close_for_a_driver() was for is done */
};

extern struct dma_fixture fixture;

/* For each test. Whatever it allocated is off everybody's account at its end. */
int set_up(void **state);
int tear_down(void **state);

/* Asking for a buffer; `begin` for one of 4096 octets. over() is for the waiters of other things. */
void over(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error);
struct dma_buffer_wish wish_of(uint64_t size);
int begin_wish(struct principal *principal, const struct dma_buffer_wish *wish, struct told *told,
        struct error *error);
void begin(struct principal *principal, struct told *told);

/* Waiting until it is there. */
struct dma_buffer *allocate_wish(struct principal *principal, const struct dma_buffer_wish *wish);
struct dma_buffer *allocate(struct principal *principal);

/* Runs the loop until all works of the device are back; until there are no buffers. */
void settle(void);
void wait_until_gone(void);

/* Of fault.blocking and fault.closing_blocks. */
void wait_until_entered(void);
void open_gate(void);

/* How many the backend has closed, and of how many it was told that they were let go. */
void check_closed(unsigned closed, unsigned let_go);

/* The device goes, or is closed for a while: fixture.rebound says when. */
void remove_device(void);
void close_for_a_driver(void);
