/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The octets of a buffer that one request reads or writes, and how far it has come. */
#pragma once

#include "api/byte_range.h"
#include "api/call.h"
#include "core/dma_buffers.h"

struct dma_extent {
    struct call *call;
    struct dma_transfer transfer;
    struct byte_range range;
    uint64_t done;       /* octets */
    struct call_act act; /* what was written, for the audit */
};

/* Whether the buffer of this size has such octets: 0, -EINVAL for none, -ERANGE. */
int dma_extent_check(const struct byte_range *range, uint64_t size, struct error *error);

/* Returns 0, or -ENODEV when the buffer is lost. */
int dma_extent_begin(struct dma_extent *extent, struct call *call, struct dma_buffer *buffer,
        const struct byte_range *range, struct error *error);
void dma_extent_done(struct dma_extent *extent);

/* The next octets. Return 0, or -ENODEV when the buffer has ended. The pattern is of 1, 2, 4 or 8 octets,
 * and size a multiple of that. */
int dma_extent_read(struct dma_extent *extent, void *octets, size_t size);
int dma_extent_write(struct dma_extent *extent, const void *octets, size_t size);
int dma_extent_fill(struct dma_extent *extent, const void *pattern, size_t pattern_size, size_t size);

/* Answers that so many were written; or why no more were, after one of these failed. */
void dma_extent_answer(struct dma_extent *extent);
void dma_extent_fail(struct dma_extent *extent);

/* Records what was written for a call that is never answered. */
void dma_extent_record_end(struct dma_extent *extent, const char *why);
