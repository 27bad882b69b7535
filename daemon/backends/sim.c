/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Simulated boards: devices in the daemon's own memory, so that everything above the backends can be tried
 * and tested without privileges. A device is one board with one region. With a trace file each access is
 * recorded as it reached the board, one line each: "R 32 0x0 0x010000ed" (R or W, width in bits, offset,
 * value), "R 32 0x10000 fault" for one that faulted. DMA is not recorded.
 *
 * Interrupts are taken as they are raised, by whoever made the access that raised them or by the board's own
 * thread: acknowledged at once, and then put where the loop finds them. */
#include "backends/sim.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/sim_interrupts.h"
#include "backends/sim_memory.h"
#include "backends/sim_thread.h"
#include "util/cleanup.h"
#include "util/clock.h"

extern const struct sim_board sim_edu, sim_odd, sim_ram;

static const struct sim_board *const boards[] = {&sim_edu, &sim_odd, &sim_ram};

enum {
    RAISED = 8, /* more than a board raises in one call */
    TAKEN = 64, /* interrupts until the board's thread lets others have the board */
};

/* What was raised and not yet taken. */
struct sim_line {
    struct {
        unsigned vector;
        uint64_t time_ns;
    } raised[RAISED];
    size_t count;
};

struct sim_device {
    struct backend_device base;
    const struct device_description *description;
    const struct sim_board *board;
    int trace;                 /* file, or -1 */
    struct sim_thread *thread; /* the board's own; NULL: it had nothing to do yet */

    pthread_mutex_t lock; /* held around each of the board's functions; guards the trace and what follows */
    struct sim_line line;
    struct sim_region *region; /* NULL: it is not open */
    struct sim_handle *taker;  /* of its interrupts; NULL: nobody */
    struct sim_memory *memory; /* NULL: the board has no DMA */
    uint64_t sleeps_till;      /* the thread, monotonic, nanoseconds */
};

struct sim_region {
    struct backend_region base;
    struct sim_device *device;
    const struct region_description *description;
    void *state;
};

/* The open interrupts. */
struct sim_handle {
    struct backend_interrupts base;
    struct sim_device *device;
    struct sim_interrupts *interrupts;
};

static int sim_usable(struct error *error)
{
    (void)error;
    return 0;
}

static const struct sim_board *find_board(const char *name)
{
    for (size_t i = 0; i < ELEMENTS(boards); i++) {
        if (strcmp(boards[i]->name, name) == 0)
            return boards[i];
    }
    return NULL;
}

static int check_interrupt(
        const struct sim_board *board, const struct interrupt_description *interrupt, struct error *error)
{
    const struct acknowledge_description *acknowledge = &interrupt->acknowledge;

    if (board->vectors == 0)
        return error_set(error, -EINVAL, "the simulated board %s has no interrupts", board->name);
    if (interrupt->vector >= board->vectors)
        return error_set(error, -EINVAL, "the simulated board %s has no vector %u: its last one is %u",
                board->name, interrupt->vector, board->vectors - 1);
    if (interrupt->acknowledged && !(acknowledge->width & board->widths))
        return error_set(error, -EINVAL, "the simulated board %s takes no accesses of %u bits", board->name,
                acknowledge->width * 8);
    if (interrupt->acknowledged &&
            (acknowledge->read >= board->size || (acknowledge->writes && acknowledge->write >= board->size)))
        return error_set(error, -EINVAL,
                "the simulated board %s has 0x%" PRIx64
                " octets: the registers that acknowledge %s are beyond its end",
                board->name, board->size, interrupt->name);
    return 0;
}

static int sim_check(const struct device_description *description, struct error *error)
{
    const struct sim_board *board = find_board(description->model);

    if (!board)
        return error_set(error, -EINVAL, "there is no simulated board '%s': there are edu, odd and ram",
                description->model);
    if (description->region_count != 1)
        return error_set(error, -EINVAL, "a simulated board has exactly one region");
    if (board->size && description->regions[0].size && description->regions[0].size != board->size)
        return error_set(error, -EINVAL, "the simulated board %s has 0x%" PRIx64 " octets: leave size out",
                board->name, board->size);
    if (!board->size && (!description->regions[0].size || description->regions[0].size > SIM_SIZE_LIMIT))
        return error_set(
                error, -EINVAL, "the simulated board %s needs a size of 1 GiB at most", board->name);
    if (description->path && board->size)
        return error_set(error, -EINVAL, "the simulated board %s takes no path: only ram does", board->name);
    for (size_t i = 0; i < description->interrupt_count; i++) {
        int r = check_interrupt(board, &description->interrupts[i], error);

        if (r < 0)
            return r;
    }
    return 0;
}

static void sim_device_close(struct backend_device *base)
{
    struct sim_device *device = container_of(base, struct sim_device, base);

    if (device->thread)
        sim_thread_free(device->thread);
    if (device->memory)
        sim_memory_free(device->memory);
    closep(&device->trace);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

static inline void sim_device_closep(struct sim_device **device)
{
    if (*device)
        sim_device_close(&(*device)->base);
}

static int sim_device_open(const struct device_description *description, struct backend_device **ret_device,
        struct error *error)
{
    _cleanup_(sim_device_closep) struct sim_device *device = NULL;
    int r = sim_check(description, error);

    if (r < 0)
        return r;
    device = calloc(1, sizeof(*device));
    if (!device)
        return error_set(error, -ENOMEM, "out of memory");
    device->description = description;
    device->board = find_board(description->model);
    device->trace = -1;
    pthread_mutex_init(&device->lock, NULL);
    if (device->board->transfers && sim_memory_new(device, &device->memory) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    if (description->trace) {
        device->trace = open(description->trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (device->trace < 0)
            return error_set(error, -errno, "trace file %s: %s", description->trace, strerror(errno));
    }
    device->base.can_reset = true;
    *ret_device = &take_ptr(device)->base;
    return 0;
}

static int sim_region_open(struct backend_device *base, const struct region_description *description,
        struct backend_region **ret_region, struct error *error)
{
    struct sim_device *device = container_of(base, struct sim_device, base);
    const struct sim_board *board = device->board;
    _cleanup_free_ struct sim_region *region = calloc(1, sizeof(*region));
    int r;

    if (!region)
        return error_set(error, -ENOMEM, "out of memory");
    r = board->open(device->description, description, &device->line, device->memory, &region->state, error);
    if (r < 0)
        return r;
    region->device = device;
    region->description = description;
    region->base.type = REGION_MMIO;
    region->base.size = board->size ? board->size : description->size;
    region->base.address = ADDRESS_UNKNOWN;
    region->base.widths = board->widths;
    region->base.slow = board->slow;
    pthread_mutex_lock(&device->lock);
    device->region = region;
    pthread_mutex_unlock(&device->lock);
    *ret_region = &take_ptr(region)->base;
    return 0;
}

/* To be called after each of the board's functions: what the board can't write to any more is freed. */
static void free_retained(struct sim_device *device)
{
    if (device->memory && !(device->region && device->board->transfers(device->region->state)))
        sim_memory_free_retained(device->memory);
}

static void sim_region_close(struct backend_region *base)
{
    struct sim_region *region = container_of(base, struct sim_region, base);

    pthread_mutex_lock(&region->device->lock);
    region->device->region = NULL;
    region->device->line.count = 0;
    if (region->device->taker) /* else what opens next would begin with an interrupt of this one's */
        sim_interrupts_forget_pending(region->device->taker->interrupts);
    free_retained(region->device);
    pthread_mutex_unlock(&region->device->lock);
    region->device->board->close(region->state);
    free(region);
}

static uint64_t load_value(const void *values, size_t index, unsigned width)
{
    uint64_t little_endian = 0;

    memcpy(&little_endian, (const char *)values + index * width, width);
    return le64toh(little_endian);
}

static void store_value(void *values, size_t index, unsigned width, uint64_t value)
{
    uint64_t little_endian = htole64(value);

    memcpy((char *)values + index * width, &little_endian, width);
}

/* A trace that can't be written must not pass for one that is complete: the access fails. */
static int record(
        int trace, char direction, const struct access *access, size_t index, uint64_t value, int r)
{
    char line[80];
    int size;

    if (trace < 0)
        return r;
    size = snprintf(line, sizeof(line), "%c %u 0x%" PRIx64 " ", direction, access->width * 8,
            access_offset(access, index));
    if (r < 0)
        size += snprintf(line + size, sizeof(line) - (size_t)size, "fault\n");
    else
        size += snprintf(line + size, sizeof(line) - (size_t)size, "0x%0*" PRIx64 "\n",
                (int)access->width * 2, value);
    if (write(trace, line, (size_t)size) == size)
        return r;
    return errno == ENOSPC ? -ENOSPC : -EIO;
}

static int read_register(
        struct sim_region *region, const struct access *access, size_t index, uint64_t *ret_value)
{
    const struct sim_device *device = region->device;
    int r = device->board->read(region->state, access_offset(access, index), access->width, ret_value);

    return record(device->trace, 'R', access, index, *ret_value, r);
}

static int write_register(
        struct sim_region *region, const struct access *access, size_t index, uint64_t value)
{
    const struct sim_device *device = region->device;
    int r = device->board->write(region->state, access_offset(access, index), access->width, value);

    return record(device->trace, 'W', access, index, value, r);
}

static void acknowledge(struct sim_region *region, const struct acknowledge_description *description,
        struct interrupt_record *taken)
{
    const struct access status = {.offset = description->read, .width = description->width, .count = 1};
    const struct access back = {.offset = description->write, .width = description->width, .count = 1};
    uint64_t value = 0;

    if (read_register(region, &status, 0, &value) < 0)
        return;
    taken->has_value = true;
    taken->value = region_order(region->description, description->width, value);
    if (description->constant)
        value = region_order(region->description, description->width, description->value);
    if (description->writes && taken->value & description->mask)
        write_register(region, &back, 0, value);
}

void sim_raise(struct sim_line *line, unsigned vector)
{
    if (line->count == RAISED)
        return;
    line->raised[line->count].vector = vector;
    line->raised[line->count++].time_ns = clock_now_ns();
}

static void take(struct sim_device *device, unsigned source, uint64_t time_ns)
{
    const struct interrupt_description *description = &device->description->interrupts[source];
    struct interrupt_record taken = {.source = source, .time_ns = time_ns};

    if (description->acknowledged)
        acknowledge(device->region, &description->acknowledge, &taken);
    sim_interrupts_add(device->taker->interrupts, &taken);
}

/* To be called after each of the board's functions. Acknowledging may raise the next. */
static void take_raised(struct sim_device *device)
{
    struct sim_line *line = &device->line;

    while (line->count > 0) {
        unsigned vector = line->raised[0].vector;
        uint64_t time_ns = line->raised[0].time_ns;
        int source = device->taker ? sim_interrupts_find(device->taker->interrupts, vector) : -1;

        memmove(&line->raised[0], &line->raised[1], --line->count * sizeof(line->raised[0]));
        if (source >= 0 && sim_interrupts_may_come(device->taker->interrupts, (unsigned)source))
            take(device, (unsigned)source, time_ns);
    }
}

/* Without anybody who could notice, a board does nothing by itself but what is due at its next access. */
static bool is_watched(const struct sim_device *device)
{
    return device->taker || (device->memory && sim_memory_is_used(device->memory));
}

static uint64_t due_ns(const struct sim_device *device)
{
    if (!device->region || !device->board->due_ns || !is_watched(device))
        return UINT64_MAX;
    return device->board->due_ns(device->region->state);
}

static void end_access(struct sim_device *device)
{
    take_raised(device);
    free_retained(device);
    if (device->thread && due_ns(device) < device->sleeps_till)
        sim_thread_wake(device->thread);
    pthread_mutex_unlock(&device->lock);
}

static int sim_read(struct backend_region *base, const struct access *access, void *values, size_t *ret_done)
{
    struct sim_region *region = container_of(base, struct sim_region, base);
    struct sim_device *device = region->device;

    if (device->board->read_vector && device->trace < 0)
        return device->board->read_vector(region->state, access, values, ret_done);
    for (*ret_done = 0; *ret_done < access->count; (*ret_done)++) {
        uint64_t value = 0;
        int r;

        pthread_mutex_lock(&device->lock);
        r = read_register(region, access, *ret_done, &value);
        end_access(device);
        if (r < 0)
            return r;
        store_value(values, *ret_done, access->width, value);
    }
    return 0;
}

static int sim_write(
        struct backend_region *base, const struct access *access, const void *values, size_t *ret_done)
{
    struct sim_region *region = container_of(base, struct sim_region, base);
    struct sim_device *device = region->device;

    if (device->board->write_vector && device->trace < 0)
        return device->board->write_vector(region->state, access, values, ret_done);
    for (*ret_done = 0; *ret_done < access->count; (*ret_done)++) {
        int r;

        pthread_mutex_lock(&device->lock);
        r = write_register(region, access, *ret_done, load_value(values, *ret_done, access->width));
        end_access(device);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whatever came of it, no interrupt of before is left. */
static int reset_board(struct sim_device *device)
{
    int r = device->region ? device->board->reset(device->region->state) : 0;

    device->line.count = 0;
    if (device->taker)
        sim_interrupts_forget_pending(device->taker->interrupts);
    return r;
}

static int sim_device_reset(struct backend_device *base, struct error *error)
{
    struct sim_device *device = container_of(base, struct sim_device, base);
    int r;

    pthread_mutex_lock(&device->lock);
    r = reset_board(device);
    end_access(device);
    if (r < 0)
        return error_set(error, -EIO, "the simulated board %s keeps what is in its memory: %s",
                device->board->name, strerror(-r));
    return 0;
}

/* Does what there is to do now, a part of it at least. Returns whether there may be more. */
static bool act(struct sim_device *device)
{
    for (unsigned i = 0; i < TAKEN; i++) {
        int pending = -1;

        if (!device->region)
            return false;
        if (device->taker)
            pending = sim_interrupts_take_pending(device->taker->interrupts);
        if (pending >= 0)
            take(device, (unsigned)pending, clock_now_ns());
        else if (due_ns(device) <= clock_now_ns())
            device->board->act(device->region->state);
        else
            return false;
        take_raised(device);
        free_retained(device);
    }
    return true;
}

static uint64_t run_board(void *context)
{
    struct sim_device *device = context;
    uint64_t till_ns;

    pthread_mutex_lock(&device->lock);
    till_ns = act(device) ? 0 : due_ns(device);
    device->sleeps_till = till_ns;
    pthread_mutex_unlock(&device->lock);
    return till_ns;
}

/* The thread goes on until the device is closed; it sleeps when there is nothing to do. */
static int start_thread(struct sim_device *device, struct error *error)
{
    int r = device->thread ? 0 : sim_thread_new(run_board, device, &device->thread);

    return r < 0 ? error_set(error, r, "no thread for the simulated board: %s", strerror(-r)) : 0;
}

static void set_taker(struct sim_device *device, struct sim_handle *handle)
{
    pthread_mutex_lock(&device->lock);
    device->taker = handle;
    end_access(device);
}

static int sim_interrupts_open(
        struct backend_device *base, struct backend_interrupts **ret_interrupts, struct error *error)
{
    struct sim_device *device = container_of(base, struct sim_device, base);
    _cleanup_free_ struct sim_handle *handle = calloc(1, sizeof(*handle));
    int r = start_thread(device, error);

    if (r < 0)
        return r;
    if (!handle)
        return error_set(error, -ENOMEM, "out of memory");
    handle->device = device;
    r = sim_interrupts_new(device->description, &handle->interrupts);
    if (r < 0)
        return error_set(error, r, "interrupts of the simulated board: %s", strerror(-r));
    handle->base.fd = sim_interrupts_fd(handle->interrupts);
    handle->base.type = "sim";
    handle->base.acknowledges = true;
    set_taker(device, handle);
    *ret_interrupts = &take_ptr(handle)->base;
    return 0;
}

static void sim_interrupts_close(struct backend_interrupts *base)
{
    struct sim_handle *handle = container_of(base, struct sim_handle, base);

    set_taker(handle->device, NULL);
    sim_interrupts_free(handle->interrupts);
    free(handle);
}

static int sim_take_records(
        struct backend_interrupts *base, struct interrupt_record *records, size_t count, size_t *ret_count)
{
    struct sim_handle *handle = container_of(base, struct sim_handle, base);

    *ret_count = sim_interrupts_read(handle->interrupts, records, count);
    return 0;
}

static int sim_mask(struct backend_interrupts *base, unsigned source, bool masked)
{
    struct sim_handle *handle = container_of(base, struct sim_handle, base);

    if (sim_interrupts_mask(handle->interrupts, source, masked))
        sim_thread_wake(handle->device->thread);
    return 0;
}

static int check_dma(const struct sim_device *device, struct error *error)
{
    if (device->memory)
        return 0;
    return error_set(error, -EOPNOTSUPP, "the simulated board %s has no DMA: edu has", device->board->name);
}

static int sim_dma_describe(struct backend_device *base, struct dma_state *ret_state, struct error *error)
{
    struct sim_device *device = container_of(base, struct sim_device, base);
    int r = check_dma(device, error);

    if (r < 0)
        return r;
    pthread_mutex_lock(&device->lock);
    sim_memory_describe(device->memory, ret_state);
    pthread_mutex_unlock(&device->lock);
    return 0;
}

static int sim_buffer_open(struct backend_device *base, const struct buffer_wish *wish,
        struct backend_buffer **ret_buffer, struct error *error)
{
    struct sim_device *device = container_of(base, struct sim_device, base);
    struct backend_buffer *buffer = NULL;
    int r = check_dma(device, error);

    if (r == 0)
        r = start_thread(device, error);
    if (r < 0)
        return r;
    pthread_mutex_lock(&device->lock);
    r = sim_memory_allocate(device->memory, wish, &buffer, error);
    end_access(device);
    if (r < 0)
        return r;
    *ret_buffer = buffer;
    return 0;
}

static void sim_buffer_close(struct backend_buffer *buffer, bool let_go)
{
    struct sim_device *device = sim_memory_owner(buffer);

    pthread_mutex_lock(&device->lock);
    sim_memory_release(device->memory, buffer, !let_go);
    end_access(device);
}

static int sim_buffer_segments(struct backend_buffer *buffer, uint64_t first,
        struct buffer_segment *segments, size_t count, size_t *ret_count)
{
    sim_memory_segments(buffer, first, segments, count, ret_count);
    return 0;
}

/* The board sees what we see. */
static int sim_buffer_sync(struct backend_buffer *buffer, uint64_t offset, uint64_t size, bool for_device)
{
    (void)buffer;
    (void)offset;
    (void)size;
    (void)for_device;
    return 0;
}

static const struct backend_form form = {
        .device_needs = KEY_MODEL,
        .device_takes = KEY_TRACE | KEY_PATH,
        .region_takes = KEY_SIZE,
};

extern const struct backend backend_sim;
const struct backend backend_sim = {
        .name = "sim",
        .summary = "simulated boards, for trying and testing without hardware",
        .forms = &form,
        .form_count = 1,
        .usable = sim_usable,
        .check = sim_check,
        .device_open = sim_device_open,
        .device_close = sim_device_close,
        .device_reset = sim_device_reset,
        .region_open = sim_region_open,
        .region_close = sim_region_close,
        .read = sim_read,
        .write = sim_write,
        .interrupts_open = sim_interrupts_open,
        .interrupts_close = sim_interrupts_close,
        .interrupts_read = sim_take_records,
        .interrupts_mask = sim_mask,
        .dma_describe = sim_dma_describe,
        .buffer_open = sim_buffer_open,
        .buffer_close = sim_buffer_close,
        .buffer_segments = sim_buffer_segments,
        .buffer_sync = sim_buffer_sync,
};
