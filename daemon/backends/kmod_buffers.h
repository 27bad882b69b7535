/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DMA buffers from the module. Each is a descriptor; see struct backend for what the functions promise. */
#pragma once

#include "backends/backend.h"

/* device is a device's descriptor, name what the configuration calls it. */
int kmod_buffers_describe(int device, const char *name, struct dma_state *ret_state, struct error *error);
int kmod_buffer_open(int device, const char *name, const struct buffer_wish *wish,
        struct backend_buffer **ret_buffer, struct error *error);

void kmod_buffer_close(struct backend_buffer *buffer, bool let_go);
int kmod_buffer_segments(struct backend_buffer *buffer, uint64_t first, struct buffer_segment *segments,
        size_t count, size_t *ret_count);
int kmod_buffer_sync(struct backend_buffer *buffer, uint64_t offset, uint64_t size, bool for_device);
