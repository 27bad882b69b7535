/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of buffers that have ended, but that a backend retains as the device may still write to it. Whoever
 * had it pays for it until it is given back: it is missing for everybody else. */
#include <stdlib.h>

#include "core/dma_buffers.h"
#include "core/dma_life.h"
#include "util/cleanup.h"

struct dma_retained {
    struct dma_retained *next;
    struct account *account;
    struct device *device;
    uint64_t bytes; /* on the account, and on that of all */
};

/* NULL out of memory. */
static struct dma_retained *find(struct dma_buffers *buffers, const struct dma_buffer *buffer)
{
    struct dma_retained *retained = buffers->retained;

    while (retained && (retained->account != buffer->account || retained->device != buffer->device))
        retained = retained->next;
    if (retained)
        return retained;
    retained = calloc(1, sizeof(*retained));
    if (!retained)
        return NULL;
    retained->account = accounts_get(&buffers->daemon->accounts, buffer->account->name); /* it is there */
    retained->device = buffer->device;
    retained->next = buffers->retained;
    return buffers->retained = retained;
}

void dma_retained_keep(struct dma_buffer *buffer)
{
    struct dma_retained *retained = find(buffer->buffers, buffer);

    if (!retained)
        return; /* then it is on nobody's account */
    retained->bytes += buffer->bytes;
    buffer->bytes = 0;
}

static void give_back(struct dma_buffers *buffers, struct dma_retained *retained)
{
    buffers->bytes -= retained->bytes;
    retained->account->buffer_bytes -= retained->bytes;
    accounts_put(&buffers->daemon->accounts, retained->account);
    free(retained);
}

void dma_retained_give_back(struct dma_buffers *buffers, const struct device *device)
{
    struct dma_retained **link = &buffers->retained;

    while (*link) {
        struct dma_retained *retained = *link;

        if (device && retained->device != device) {
            link = &retained->next;
            continue;
        }
        *link = retained->next;
        give_back(buffers, retained);
    }
}

uint64_t dma_retained_bytes(
        const struct dma_buffers *buffers, const struct account *account, const struct device **ret_device)
{
    uint64_t bytes = 0;

    for (const struct dma_retained *one = buffers->retained; one; one = one->next) {
        if (account && one->account != account)
            continue;
        bytes += one->bytes;
        *ret_device = one->device;
    }
    return bytes;
}

void dma_retained_look(struct dma_buffers *buffers)
{
    for (struct dma_retained *retained = buffers->retained, *next; retained; retained = next) {
        next = retained->next;
        dma_look_anew(buffers, retained->device);
    }
}
