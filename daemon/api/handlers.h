/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handlers that the table of routes names, by the file they are in. */
#pragma once

#include "api/call.h"

/* status.c */
void status_get(struct call *call);
void status_get_health(struct call *call);

/* devices.c */
void devices_list(struct call *call);
void devices_get(struct call *call);

/* dma_buffers.c */
void dma_buffers_list(struct call *call);
void dma_buffers_post(struct call *call);
void dma_buffers_get(struct call *call);
void dma_buffers_put(struct call *call);
void dma_buffers_delete(struct call *call);
void dma_buffers_get_segments(struct call *call);

/* dma_data.c */
void dma_data_get(struct call *call);
void dma_data_put(struct call *call);

/* dma_fill.c */
void dma_fill_post(struct call *call);
void dma_sync_post(struct call *call);

/* events.c */
void events_get_stream(struct call *call);

/* interrupts.c */
void interrupts_list(struct call *call);
void interrupts_get(struct call *call);
void interrupts_post_mask(struct call *call);
void interrupts_post_unmask(struct call *call);

/* bind.c */
void bind_post(struct call *call);
void bind_post_unbind(struct call *call);

/* reset.c */
void reset_post(struct call *call);

/* regions.c */
void regions_list(struct call *call);
void regions_get(struct call *call);

/* registers.c */
void registers_get(struct call *call);
void registers_put(struct call *call);
void registers_patch(struct call *call);

/* data.c */
void data_get(struct call *call);
void data_put(struct call *call);

/* audit.c */
void audit_list(struct call *call);

/* tokens.c */
void tokens_list(struct call *call);
void tokens_post(struct call *call);
void tokens_delete(struct call *call);

/* reservations.c */
void reservations_list(struct call *call);
void reservations_get(struct call *call);
void reservations_put(struct call *call);
void reservations_delete(struct call *call);

/* reservations_post.c */
void reservations_post(struct call *call);

/* whoami.c */
void whoami_get(struct call *call);

/* access.c */
void access_get_explanation(struct call *call);

/* routes.c */
void routes_list(struct call *call);
