/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See fault_backend.h. The description is part of struct fault, which is how a device finds its orders. */
#include "fault_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

struct fault_handle {
    struct backend_device base;
    struct fault *fault;
};

struct fault_region {
    struct backend_region base;
    struct fault *fault;
};

struct fault_buffer {
    struct backend_buffer base;
    struct fault *fault;
};

static void enter(struct fault *fault)
{
    int inside = atomic_fetch_add(&fault->inside, 1) + 1;

    if (inside > atomic_load(&fault->most_inside))
        atomic_store(&fault->most_inside, inside);
}

static void leave(struct fault *fault)
{
    atomic_fetch_sub(&fault->inside, 1);
}

static int usable(struct error *error)
{
    (void)error;
    return 0;
}

static int device_open(const struct device_description *description, struct backend_device **ret_device,
        struct error *error)
{
    struct fault *fault = container_of(description, struct fault, description);
    struct fault_handle *handle;
    int r = atomic_load(&fault->open_result);

    if (r < 0)
        return error_set(error, r, "it was told not to open");
    handle = calloc(1, sizeof(*handle));
    assert_non_null(handle);
    handle->fault = fault;
    strcpy(handle->base.address, "fault-0");
    handle->base.can_reset = fault->can_reset;
    atomic_fetch_add(&fault->opened, 1);
    *ret_device = &handle->base;
    return 0;
}

static void block(struct fault *fault, const atomic_bool *blocking)
{
    if (!atomic_load(blocking))
        return;
    sem_post(&fault->entered);
    while (sem_wait(&fault->gate) < 0 && errno == EINTR)
        continue;
}

static void device_close(struct backend_device *device)
{
    struct fault_handle *handle = container_of(device, struct fault_handle, base);

    enter(handle->fault);
    block(handle->fault, &handle->fault->ending_blocks);
    if (!atomic_load(&handle->fault->unstopped))
        atomic_store(&handle->fault->retained, 0);
    atomic_fetch_add(&handle->fault->closed, 1);
    leave(handle->fault);
    free(handle);
}

static bool device_present(struct backend_device *device)
{
    struct fault *fault = container_of(device, struct fault_handle, base)->fault;

    atomic_fetch_add(&fault->presence_asked, 1);
    return atomic_load(&fault->present);
}

static int region_open(struct backend_device *device, const struct region_description *description,
        struct backend_region **ret_region, struct error *error)
{
    struct fault *fault = container_of(device, struct fault_handle, base)->fault;
    struct fault_region *region;
    int r = atomic_load(&fault->region_result[description - fault->regions]);

    if (r < 0)
        return error_set(error, r, "its window was told not to open");
    region = calloc(1, sizeof(*region));
    assert_non_null(region);
    region->fault = fault;
    region->base.type = REGION_MMIO;
    region->base.size = FAULT_SIZE;
    region->base.address = fault->address;
    region->base.widths = fault->widths;
    region->base.slow = fault->slow;
    atomic_fetch_add(&fault->regions_opened, 1);
    *ret_region = &region->base;
    return 0;
}

static void region_close(struct backend_region *base)
{
    struct fault_region *region = container_of(base, struct fault_region, base);

    enter(region->fault);
    atomic_fetch_add(&region->fault->regions_closed, 1);
    leave(region->fault);
    free(region);
}

static int access_memory(struct fault *fault, const struct access *access, uint8_t *values,
        const uint8_t *stored, int result, size_t *ret_done)
{
    for (*ret_done = 0; *ret_done < access->count; (*ret_done)++) {
        uint8_t *register_octets = fault->memory + access_offset(access, *ret_done);

        if (result < 0 && access_offset(access, *ret_done) >= fault->fault_offset)
            return result;
        if (stored)
            memcpy(register_octets, stored + *ret_done * access->width, access->width);
        else
            memcpy(values + *ret_done * access->width, register_octets, access->width);
    }
    return 0;
}

static int fault_read(
        struct backend_region *base, const struct access *access, void *values, size_t *ret_done)
{
    struct fault *fault = container_of(base, struct fault_region, base)->fault;
    int r;

    enter(fault);
    block(fault, &fault->blocking);
    atomic_fetch_add(&fault->reads, 1);
    r = access_memory(fault, access, values, NULL, atomic_load(&fault->read_result), ret_done);
    leave(fault);
    return r;
}

static int fault_write(
        struct backend_region *base, const struct access *access, const void *values, size_t *ret_done)
{
    struct fault *fault = container_of(base, struct fault_region, base)->fault;
    int r;

    enter(fault);
    block(fault, &fault->blocking);
    atomic_fetch_add(&fault->writes, 1);
    r = access_memory(fault, access, NULL, values, atomic_load(&fault->write_result), ret_done);
    leave(fault);
    return r;
}

static int dma_describe(struct backend_device *device, struct dma_state *ret_state, struct error *error)
{
    struct fault *fault = container_of(device, struct fault_handle, base)->fault;

    (void)error;
    enter(fault);
    *ret_state = (struct dma_state){.size_max = 1 << 20,
            .total_max = 1 << 24,
            .total = atomic_load(&fault->buffers_opened) - atomic_load(&fault->buffers_closed),
            .retained = atomic_load(&fault->retained)};
    atomic_fetch_add(&fault->looks, 1);
    leave(fault);
    return 0;
}

/* Pages, as everywhere. */
static int buffer_open(struct backend_device *device, const struct buffer_wish *wish,
        struct backend_buffer **ret_buffer, struct error *error)
{
    struct fault *fault = container_of(device, struct fault_handle, base)->fault;
    struct fault_buffer *buffer;
    int r;

    enter(fault);
    block(fault, &fault->blocking);
    leave(fault);
    r = atomic_load(&fault->buffer_result);
    if (r < 0)
        return error_set(error, r, "it was told to have no memory");
    buffer = calloc(1, sizeof(*buffer));
    assert_non_null(buffer);
    buffer->fault = fault;
    buffer->base.size = (wish->size * wish->count + 4095) / 4096 * 4096 + atomic_load(&fault->waste);
    buffer->base.data = calloc(1, buffer->base.size);
    assert_non_null(buffer->base.data);
    buffer->base.bus_address = FAULT_BUS_ADDRESS;
    buffer->base.segment_count = wish->count;
    atomic_fetch_add(&fault->buffers_opened, 1);
    *ret_buffer = &buffer->base;
    return 0;
}

static void buffer_close(struct backend_buffer *base, bool let_go)
{
    struct fault_buffer *buffer = container_of(base, struct fault_buffer, base);
    struct fault *fault = buffer->fault;

    enter(fault);
    block(fault, &fault->closing_blocks);
    atomic_fetch_add(&fault->buffers_closed, 1);
    atomic_fetch_add(&fault->buffers_let_go, let_go);
    if (!let_go && atomic_load(&fault->retaining))
        atomic_fetch_add(&fault->retained, (unsigned)base->size);
    atomic_store(&fault->writes_at_close, atomic_load(&fault->writes));
    leave(fault);
    free(buffer->base.data);
    free(buffer);
}

static int buffer_segments(struct backend_buffer *base, uint64_t first, struct buffer_segment *segments,
        size_t count, size_t *ret_count)
{
    *ret_count = 0;
    for (; *ret_count < count && first < base->segment_count; first++)
        segments[(*ret_count)++] = (struct buffer_segment){FAULT_BUS_ADDRESS + first, first, 1};
    return 0;
}

static int buffer_sync(struct backend_buffer *base, uint64_t offset, uint64_t size, bool for_device)
{
    struct fault *fault = container_of(base, struct fault_buffer, base)->fault;

    (void)for_device;
    enter(fault);
    assert_true(offset + size <= base->size);
    atomic_fetch_add(&fault->syncs, 1);
    leave(fault);
    return atomic_load(&fault->sync_result);
}

static int safe_state_set(
        struct backend_device *device, const struct safe_register *writes, size_t count, struct error *error)
{
    struct fault *fault = container_of(device, struct fault_handle, base)->fault;
    int r = atomic_load(&fault->safe_result);

    enter(fault);
    atomic_fetch_add(&fault->safe_sets, 1);
    assert_true(count <= FAULT_SAFE);
    for (size_t i = 0; i < count; i++)
        r = writes[i].offset == FAULT_REFUSED ? -EACCES : r;
    if (r == 0)
        memcpy(fault->safe, writes, count * sizeof(*writes));
    if (r == 0)
        atomic_store(&fault->safe_count, (unsigned)count);
    leave(fault);
    return r < 0 ? error_set(error, r, "it was told to take no writes") : 0;
}

static int device_reset(struct backend_device *device, struct error *error)
{
    struct fault *fault = container_of(device, struct fault_handle, base)->fault;
    int r;

    enter(fault);
    block(fault, &fault->reset_blocks);
    atomic_fetch_add(&fault->resets, 1);
    r = atomic_load(&fault->reset_result);
    if (r == 0)
        atomic_store(&fault->retained, 0);
    leave(fault);
    return r < 0 ? error_set(error, r, "it was told not to be reset") : 0;
}

static const struct backend_form form = {.device_takes = UINT32_MAX, .region_takes = UINT32_MAX};

#define OPERATIONS                                                                                          \
    .summary = "a device that does what a test says", .forms = &form, .form_count = 1, .usable = usable,    \
    .device_open = device_open, .device_close = device_close, .device_present = device_present,             \
    .region_open = region_open, .region_close = region_close, .read = fault_read, .write = fault_write

const struct backend fault_backend = {.name = "fault",
        OPERATIONS,
        .device_reset = device_reset,
        .dma_describe = dma_describe,
        .buffer_open = buffer_open,
        .buffer_close = buffer_close,
        .buffer_segments = buffer_segments,
        .buffer_sync = buffer_sync,
        .safe_state_set = safe_state_set};
const struct backend fault_backend_revocable = {.name = "revocable", .revocable = true, OPERATIONS};
const struct backend fault_backend_better = {.name = "better", OPERATIONS};

void fault_init(struct fault *fault, size_t regions)
{
    memset(fault, 0, sizeof(*fault));
    fault->description.name = (char *)"fault";
    fault->description.backend = (char *)"fault"; /* so that no other is chosen */
    fault->description.regions = fault->regions;
    fault->description.region_count = regions;
    fault->regions[0].name = (char *)"fault";
    fault->regions[1].name = (char *)"other";
    fault->widths = 1 | 2 | 4 | 8;
    fault->address = ADDRESS_UNKNOWN;
    atomic_store(&fault->present, true);
    sem_init(&fault->entered, 0, 0);
    sem_init(&fault->gate, 0, 0);
}

void fault_done(struct fault *fault)
{
    test_that(atomic_load(&fault->opened) == atomic_load(&fault->closed),
            "it was opened %u times, closed %u", atomic_load(&fault->opened), atomic_load(&fault->closed));
    test_that(atomic_load(&fault->regions_opened) == atomic_load(&fault->regions_closed),
            "regions were opened %u times, closed %u", atomic_load(&fault->regions_opened),
            atomic_load(&fault->regions_closed));
    test_that(atomic_load(&fault->buffers_opened) == atomic_load(&fault->buffers_closed),
            "buffers were opened %u times, closed %u", atomic_load(&fault->buffers_opened),
            atomic_load(&fault->buffers_closed));
    test_that(atomic_load(&fault->most_inside) <= 1, "%d calls were made to one device at once",
            atomic_load(&fault->most_inside));
    sem_destroy(&fault->entered);
    sem_destroy(&fault->gate);
}

void fault_device(struct fault *fault, const struct backend *backend, struct device *device)
{
    *device = (struct device){.description = &fault->description, .backend = backend};
    pthread_mutex_init(&device->asking, NULL);
    device->region_count = fault->description.region_count;
    device->regions = calloc(device->region_count, sizeof(*device->regions));
    assert_non_null(device->regions);
    for (size_t i = 0; i < device->region_count; i++) {
        device->regions[i].device = device;
        device->regions[i].description = &fault->regions[i];
    }
}
