/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See device.h. Nothing here depends on clients, and only closing a device may take long; dispatch.c decides
 * when it may run. */
#include "core/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

int device_init(struct device *device, const struct device_description *description, struct error *error)
{
    int r;

    pthread_mutex_init(&device->asking, NULL);
    device->description = description;
    r = backend_choose(description, &device->backend, device->why, sizeof(device->why), error);
    if (r < 0)
        return r;
    device->regions = calloc(description->region_count, sizeof(*device->regions));
    if (!device->regions)
        return error_set(error, -ENOMEM, "out of memory");
    device->region_count = description->region_count;
    for (size_t i = 0; i < device->region_count; i++) {
        device->regions[i].device = device;
        device->regions[i].description = &description->regions[i];
        region_note_place(&device->regions[i]);
    }
    error_set(&device->absent, -ENODEV, "not opened yet");
    return 0;
}

/* Interrupts are opened for somebody who reads them: a device need not master the bus for nobody. */
static bool wants_interrupts(const struct device *device)
{
    return device->watch && device->description->interrupt_count > 0;
}

bool device_is_complete(const struct device *device)
{
    if (!device->handle ||
            (wants_interrupts(device) && device->backend->interrupts_open && !device->interrupts))
        return false;
    for (size_t i = 0; i < device->region_count; i++) {
        if (!device->regions[i].handle)
            return false;
    }
    return true;
}

/* Offsets are aligned from the region's start, so what that start is not aligned to can't be had, nor what
 * is wider than the region. */
static width_set possible_widths(const struct backend_region *handle)
{
    width_set widths = handle->widths;

    for (unsigned width = 1; width <= 8; width *= 2) {
        if (width > handle->size || (handle->address != ADDRESS_UNKNOWN && handle->address % width))
            widths &= (width_set)~width;
    }
    return widths;
}

/* The widths that were asked for must be among those that exist. */
static int check_widths(const struct region *region, struct error *error)
{
    region->handle->widths = possible_widths(region->handle);
    if (region_widths(region))
        return 0;
    return error_set(error, -EINVAL,
            "none of its configured widths is possible: its address, size or backend does not allow them");
}

static void attach_region(struct region *region)
{
    struct device *device = region->device;
    const struct backend *backend = device->backend;

    if (backend->region_open(device->handle, region->description, &region->handle, &region->absent) < 0) {
        region->handle = NULL;
        return;
    }
    region->handle->backend = backend;
    region_note_place(region);
    if (check_widths(region, &region->absent) < 0) {
        backend->region_close(region->handle);
        region->handle = NULL;
    }
}

static void attach_regions(struct device *device)
{
    for (size_t i = 0; i < device->region_count; i++) {
        if (!device->regions[i].handle)
            attach_region(&device->regions[i]);
    }
}

static int explain_no_interrupts(const struct device *device, struct error *error)
{
    const struct device_description *description = device->description;

    if (description->address || description->id)
        return error_set(error, -EOPNOTSUPP,
                "the backend %s has no interrupts: bind the device to the driver devreg (devregctl bind "
                "%s), or to a UIO driver",
                device->backend->name, device_name(device));
    if (description->platform)
        return error_set(error, -EOPNOTSUPP,
                "the backend %s has no interrupts: bind the device to the driver devreg (devregctl bind %s)",
                device->backend->name, device_name(device));
    return error_set(error, -EOPNOTSUPP,
            "the backend %s has no interrupts: configure the device by its \"address\", \"id\", "
            "\"platform\" or \"uio\", and bind it to the driver devreg or to a UIO driver",
            device->backend->name);
}

static void attach_interrupts(struct device *device)
{
    const struct backend *backend = device->backend;

    if (!backend->interrupts_open) {
        explain_no_interrupts(device, &device->interrupts_absent);
        return;
    }
    if (backend->interrupts_open(device->handle, &device->interrupts, &device->interrupts_absent) < 0)
        device->interrupts = NULL;
    else
        device->interrupts->backend = backend;
}

/* Later it is looked at by its worker: core/dma_look.c. */
static void look_dma(struct device *device)
{
    const struct backend *backend = device->backend;

    device->has_dma = device->handle && backend->dma_describe &&
                      backend->dma_describe(device->handle, &device->dma, NULL) == 0;
    if (device->buffers)
        device->buffers->opened(device->buffers, device);
}

/* All that there is besides the device itself, which is open. */
static void attach_parts(struct device *device)
{
    attach_regions(device);
    if (wants_interrupts(device) && !device->interrupts)
        attach_interrupts(device);
}

static void tell_watch(struct device *device)
{
    if (device->watch)
        device->watch->changed(device->watch);
}

/* Which backend is the best changes while the daemon runs: drivers are bound and unbound, modules loaded. */
static int open_anew(struct device *device)
{
    const struct device_description *description = device->description;
    int r;

    if (!description->backend)
        backend_choose(description, &device->backend, device->why, sizeof(device->why), NULL);
    r = device->backend->device_open(description, &device->handle, &device->absent);
    if (r < 0)
        device->handle = NULL;
    else
        device->handle->backend = device->backend;
    look_dma(device);
    return r;
}

void device_attach(struct device *device)
{
    if (device->handle || open_anew(device) == 0)
        attach_parts(device);
    tell_watch(device);
}

bool device_leave(struct device *device, const char *reason)
{
    return device->buffers && !atomic_load(&device->stopping) &&
           device->buffers->leaving(device->buffers, device, reason);
}

static void drop_better(struct device *device)
{
    struct backend_device *better = take_ptr(device->better);

    if (better)
        better->backend->device_close(better);
}

/* A window of addresses that works stays as it is: whether it can be claimed is known when it is too late.
 */
static bool choose_better(
        const struct device *device, const struct backend **ret_better, char *why, size_t why_size)
{
    const struct device_description *description = device->description;

    return device->handle && !description->backend &&
           (description->address || description->id || description->platform) &&
           backend_choose(description, ret_better, why, why_size, NULL) >= 0 &&
           backend_is_preferred(*ret_better, device->backend);
}

/* It may be open already. */
static bool open_better(struct device *device, const struct backend *better)
{
    if (device->better && device->better->backend == better)
        return true;
    drop_better(device);
    if (better->device_open(device->description, &device->better, NULL) < 0) {
        device->better = NULL;
        return false;
    }
    device->better->backend = better;
    return true;
}

/* That the better one works is known before anything is lost for it. */
bool device_improve(struct device *device)
{
    static const char reason[] = "it is reached through another backend now";
    const struct backend *better;
    struct backend_device *handle;
    char why[sizeof(device->why)];

    if (!choose_better(device, &better, why, sizeof(why))) {
        drop_better(device);
        return false;
    }
    if (!open_better(device, better) || device_leave(device, reason))
        return false;
    handle = take_ptr(device->better);
    device_detach(device, reason);
    device->backend = better;
    memcpy(device->why, why, sizeof(why));
    device->handle = handle;
    look_dma(device);
    attach_parts(device);
    tell_watch(device);
    return true;
}

void device_close_interrupts(struct device *device)
{
    if (!device->interrupts)
        return;
    if (device->watch)
        device->watch->closing(device->watch);
    device->backend->interrupts_close(device->interrupts);
    device->interrupts = NULL;
    device->interrupts_lost = false;
}

void device_close_regions(struct device *device)
{
    for (size_t i = 0; i < device->region_count; i++) {
        if (device->regions[i].handle)
            device->backend->region_close(device->regions[i].handle);
        device->regions[i].handle = NULL;
    }
}

struct backend_device *device_release(struct device *device, const char *reason)
{
    struct backend_device *handle;

    device_close_interrupts(device);
    if (device->buffers)
        device->buffers->closing(device->buffers, device, reason);
    device_close_regions(device);
    handle = take_ptr(device->handle);
    drop_better(device);
    device->has_dma = false;
    device->cost_ns = 0; /* it may be reached through another backend next */
    error_set(&device->absent, -ENODEV, "%s", reason);
    tell_watch(device);
    return handle;
}

void device_detach(struct device *device, const char *reason)
{
    struct backend_device *handle = device_release(device, reason);

    if (handle)
        handle->backend->device_close(handle);
}

void device_done(struct device *device)
{
    if (device->regions) {
        device_detach(device, "the daemon ended");
        pthread_mutex_destroy(&device->asking);
    }
    free(device->regions);
    device->regions = NULL;
    device->region_count = 0;
}
