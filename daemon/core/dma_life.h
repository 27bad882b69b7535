/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that make up core/dma_buffers.h share, and nobody else needs. */
#pragma once

#include "core/dma_buffers.h"

struct dma_look;
struct dma_retained;

struct dma_buffers {
    struct device_buffers devices; /* what each device has of this */
    struct daemon *daemon;
    sd_event_source *timer;
    struct dma_buffer *first;
    size_t count;
    uint64_t bytes;
    struct dma_retained *retained;
    struct dma_look *looks; /* in the order of the inventory */
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

/* What is on its account stays there until dma_retained_give_back(): its memory is retained. */
void dma_retained_keep(struct dma_buffer *buffer);

/* Nothing is retained of the device any more, as far as anybody knows; NULL: of any. */
void dma_retained_give_back(struct dma_buffers *buffers, const struct device *device);

/* On the account; NULL: on all. When there is any, *ret_device is one of the devices. */
uint64_t dma_retained_bytes(
        const struct dma_buffers *buffers, const struct account *account, const struct device **ret_device);

/* Makes all devices be looked at that retain any. */
void dma_retained_look(struct dma_buffers *buffers);

int dma_looks_new(struct dma_buffers *buffers);
void dma_looks_free(struct dma_buffers *buffers);

/* The first asks the device: part of a work of it. The second makes that what is known, on the loop. */
void dma_look(struct device *device, struct dma_seen *ret_seen);
void dma_look_note(struct dma_buffers *buffers, struct device *device, const struct dma_seen *seen);

/* Makes the device be looked at by its worker, unless that was done within a second. */
void dma_look_anew(struct dma_buffers *buffers, struct device *device);

/* For struct device_buffers. */
bool dma_buffers_handle_leaving(struct device_buffers *devices, struct device *device, const char *reason);
void dma_buffers_handle_closing(struct device_buffers *devices, struct device *device, const char *reason);
void dma_buffers_handle_opened(struct device_buffers *devices, struct device *device);
