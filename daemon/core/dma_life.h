/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What dma_buffers.c, dma_allocate.c and dma_end.c share, and nobody else needs. */
#pragma once

#include "core/dma_buffers.h"

struct dma_buffers {
    struct device_buffers devices; /* what each device has of this */
    struct daemon *daemon;
    sd_event_source *timer;
    struct dma_buffer *first;
    size_t count;
    uint64_t bytes;
};

/* To be called when times or the list have changed. */
void dma_buffers_set_timer(struct dma_buffers *buffers);

/* What is on its owner's account, and on that of all. */
void dma_buffer_claim(struct dma_buffer *buffer, uint64_t bytes);
void dma_buffer_return(struct dma_buffer *buffer);

void dma_waiter_tell(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error);

/* Nobody asked for its end. */
void dma_buffer_end(struct dma_buffer *buffer, const char *reason);

/* Begins to close one that nobody finds any more. It may be gone afterwards, and others of its device. */
void dma_buffer_close(struct dma_buffer *buffer);

/* Its memory is given back, or was never there: nothing is left of it. */
void dma_buffer_forget(struct dma_buffer *buffer);

/* Closes it here and now, whatever it waits for: its device has stopped. */
void dma_buffer_cut(struct dma_buffer *buffer, const char *reason);

/* For struct device_buffers. */
void dma_buffers_handle_closing(struct device_buffers *devices, struct device *device, const char *reason);
