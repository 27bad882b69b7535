/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What DMA of a device there is, is asked for by its worker: a backend may have to wait until somebody else
 * is through with the device. Whoever wants to know gets what was seen last, and makes it be looked at anew.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/dma_buffers.h"
#include "core/dma_life.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { LOOK_INTERVAL_US = 1000000 };

struct dma_look {
    struct work work;
    struct dma_buffers *buffers;
    bool working;
    uint64_t next_us; /* CLOCK_BOOTTIME: not before */
    struct dma_seen seen;
};

static struct dma_look *look_of(const struct dma_buffers *buffers, const struct device *device)
{
    return &buffers->looks[device - buffers->daemon->inventory->devices];
}

int dma_looks_new(struct dma_buffers *buffers)
{
    size_t count = buffers->daemon->inventory->device_count;

    buffers->looks = calloc(count ? count : 1, sizeof(*buffers->looks));
    for (size_t i = 0; buffers->looks && i < count; i++)
        buffers->looks[i].buffers = buffers;
    return buffers->looks ? 0 : -ENOMEM;
}

void dma_looks_free(struct dma_buffers *buffers)
{
    free(take_ptr(buffers->looks));
}

void dma_look(struct device *device, struct dma_seen *ret_seen)
{
    const struct backend *backend = device->backend;

    ret_seen->known =
            backend->dma_describe && backend->dma_describe(device->handle, &ret_seen->state, NULL) == 0;
}

void dma_look_note(struct dma_buffers *buffers, struct device *device, const struct dma_seen *seen)
{
    if (!seen->known || !device->handle)
        return;
    device->dma = seen->state;
    look_of(buffers, device)->next_us = clock_boottime_us() + LOOK_INTERVAL_US;
    if (device->dma.retained == 0)
        dma_retained_give_back(buffers, device);
}

static void run(struct work *work)
{
    dma_look(work->device, &container_of(work, struct dma_look, work)->seen);
}

static void done(struct work *work)
{
    struct dma_look *look = container_of(work, struct dma_look, work);

    look->working = false;
    if (work->end == WORK_RAN)
        dma_look_note(look->buffers, work->device, &look->seen);
}

/* Nobody waits for it: one that can't be had now is not missed. */
void dma_look_anew(struct dma_buffers *buffers, struct device *device)
{
    struct dma_look *look = look_of(buffers, device);
    uint64_t now_us = clock_boottime_us();

    if (look->working || now_us < look->next_us || !device->handle || !device->has_dma)
        return;
    look->next_us = now_us + LOOK_INTERVAL_US;
    look->work = (struct work){.run = run, .done = done, .apart = true};
    look->working = true;
    if (dispatch_submit(buffers->daemon->dispatch, device, &look->work, 0, NULL) < 0)
        look->working = false;
}

bool dma_buffers_look(struct device *device, struct dma_state *ret_state)
{
    if (device->buffers)
        dma_look_anew(container_of(device->buffers, struct dma_buffers, devices), device);
    *ret_state = device->dma;
    return device->has_dma;
}
