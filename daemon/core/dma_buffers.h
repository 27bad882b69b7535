/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that principals have for DMA of a device. It is allocated and freed as work of the device, in order
 * with its register accesses; while it is there its octets are touched on the loop, without the device. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/daemon.h"

enum {
    DMA_BUFFER_ID_SIZE = 24, /* "b-" and hexadecimal digits, never used twice */
    DMA_BUFFER_NOTE = 256,   /* octets with the NUL */
    DMA_BUFFER_SECONDS_MOST = 30 * 24 * 60 * 60,
};

struct dma_transfer;

enum dma_buffer_state {
    DMA_BUFFER_OPENING, /* listed nowhere yet */
    DMA_BUFFER_LIVE,
    DMA_BUFFER_LOST,    /* its device went; why is in `lost` */
    DMA_BUFFER_CLOSING, /* nobody finds it any more */
};

struct dma_buffer {
    struct dma_buffer *next, **link;
    char id[DMA_BUFFER_ID_SIZE];
    enum dma_buffer_state state;
    struct device *device;
    struct buffer_wish wish;
    struct backend_buffer *handle; /* NULL unless it is live */
    struct error lost;
    char owner[PRINCIPAL_NAME_SIZE];
    struct account *account;
    char reservation[RESERVATION_ID_SIZE]; /* it ends with; "": none */
    char note[DMA_BUFFER_NOTE];
    uint64_t duration_us;  /* what allocating and renewing give; 0: no limit */
    uint64_t until_us;     /* CLOCK_BOOTTIME; 0: no limit */
    uint64_t allocated_us; /* CLOCK_REALTIME */
    uint64_t bytes;        /* on its owner's account */
    struct dma_transfer *transfers;
};

/* Octets of a buffer on their way to or from a client. The buffer may end meanwhile: then it has none. */
struct dma_transfer {
    struct dma_buffer *buffer; /* NULL: it has ended */
    struct dma_transfer *next, **link;
};

/* Returns 0, or -ENODEV when the buffer is lost. */
int dma_transfer_begin(struct dma_transfer *transfer, struct dma_buffer *buffer, struct error *error);
void dma_transfer_end(struct dma_transfer *transfer);

/* Both check nothing but that the buffer is still there and its memory can be touched: -ENODEV otherwise. */
int dma_transfer_read(struct dma_transfer *transfer, uint64_t offset, void *data, size_t size);
int dma_transfer_write(struct dma_transfer *transfer, uint64_t offset, const void *data, size_t size);

/* How many octets its data has: what was asked for, of a pool what is mapped. */
uint64_t dma_buffer_size(const struct dma_buffer *buffer);

/* The buffer of this id that the principal may know of: its own, or an administrator's of its device. NULL
 * with -ENOENT, whether there is one or not. */
struct dma_buffer *dma_buffers_find(
        struct daemon *daemon, const struct principal *principal, const char *id, struct error *error);
