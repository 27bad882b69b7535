/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory that a simulated board reaches by DMA, and the bus addresses of it. Each board has its own,
 * with nothing in it but buffers:
 *
 *   0x0000800000    8 MiB   all that 24 to 27 address bits reach
 *   0x0008000000  128 MiB   from 28 bits on
 *   0x0080000000  256 MiB   from 32 bits on
 *   0x0100000000  256 MiB   from 33 bits on
 *
 * Of these, 256 MiB in all can be had at a time; the highest that a device reaches are given out first, as
 * others may reach less. Not locked: see sim.c, which is. */
#pragma once

#include "backends/backend.h"

#define SIM_MEMORY_MOST    (UINT64_C(256) << 20)
#define SIM_MEMORY_OBJECTS (UINT64_C(1) << 20) /* of one pool */

struct sim_memory;

/* owner is whatever sim_memory_owner() is to give of its buffers. */
int sim_memory_new(void *owner, struct sim_memory **ret_memory);
void *sim_memory_owner(const struct backend_buffer *buffer);

/* With no buffer but retained ones. */
void sim_memory_free(struct sim_memory *memory);

/* See buffer_open of struct backend. */
int sim_memory_allocate(struct sim_memory *memory, const struct buffer_wish *wish,
        struct backend_buffer **ret_buffer, struct error *error);

/* With retain its memory and addresses stay taken until sim_memory_free_retained(). */
void sim_memory_release(struct sim_memory *memory, struct backend_buffer *buffer, bool retain);
void sim_memory_free_retained(struct sim_memory *memory);

/* Whether there is any buffer, a retained one too. */
bool sim_memory_is_used(const struct sim_memory *memory);

void sim_memory_describe(const struct sim_memory *memory, struct dma_state *ret_state);

/* See buffer_segments of struct backend; at any time. */
void sim_memory_segments(const struct backend_buffer *buffer, uint64_t first,
        struct buffer_segment *segments, size_t count, size_t *ret_count);

/* What the board does: it reads or writes octets at a bus address, those of them where there is memory. */
void sim_memory_read(const struct sim_memory *memory, uint64_t bus_address, void *data, size_t size);
void sim_memory_write(const struct sim_memory *memory, uint64_t bus_address, const void *data, size_t size);
