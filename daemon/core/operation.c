/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run() may be on the device's worker: it touches the operation, the open region and nothing else. */
#include "core/operation.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/number.h"

enum { FIRST_SLICE = 16 }; /* accesses */

static const char *const verbs[] = {"read", "write", "modify"};

static int check_width(const struct region *region, struct access *access, struct error *error)
{
    width_set widths = region_widths(region);
    char list[32] = "";

    if (access->width == 0)
        access->width = region_default_width(region);
    if (widths & access->width)
        return 0;
    for (unsigned width = 1; width <= 8; width *= 2) {
        if (widths & width)
            snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%u", list[0] ? ", " : "",
                    width * 8);
    }
    return error_set(error, -EOPNOTSUPP, "%s takes accesses of %s bits, not of %u", region_name(region),
            list, access->width * 8);
}

static int check_range(const struct region *region, const struct access *access, struct error *error)
{
    uint64_t size = region->handle->size;
    size_t span = access->fixed ? 1 : access->count;
    char text[NUMBER_SIZE_TEXT];

    if (access->offset < size && span <= (size - access->offset) / access->width)
        return 0;
    number_format_size(size, text);
    if (access->offset >= size)
        return error_set(error, -ERANGE, "0x%" PRIx64 " is outside %s (%s)", access->offset,
                region_name(region), text);
    return error_set(error, -ERANGE, "%zu accesses of %u bits from 0x%" PRIx64 " on end outside %s (%s)",
            span, access->width * 8, access->offset, region_name(region), text);
}

int operation_open_region(struct dispatch *dispatch, struct region *region, struct error *error)
{
    struct device *device = region->device;
    const struct error *absent;
    int r = dispatch_check_closed(device, error);

    if (r < 0)
        return r;
    if (!region->handle || device->lost || device->faulted)
        dispatch_settle(dispatch, device);
    if (region->handle)
        return 0;
    absent = device->handle ? &region->absent : &device->absent;
    return error_set(error, absent->code == -EBUSY ? -EBUSY : -ENODEV, "%s is absent: %s",
            region_name(region), absent->message);
}

int operation_prepare(struct dispatch *dispatch, struct region *region, enum operation_kind kind,
        struct access *access, struct error *error)
{
    int r = operation_open_region(dispatch, region, error);

    if (r < 0)
        return r;
    if (kind != OPERATION_READ && region->description->read_only)
        return error_set(error, -EOPNOTSUPP, "%s is read-only: its configuration has \"access\": \"read\"",
                region_name(region));
    r = check_width(region, access, error);
    if (r < 0)
        return r;
    if (access->offset % access->width)
        return error_set(error, -EOPNOTSUPP,
                "0x%" PRIx64 " is not aligned to %u bits: use a multiple of %u, or another width",
                access->offset, access->width * 8, access->width);
    return check_range(region, access, error);
}

uint64_t operation_get_value(const struct operation *operation, size_t index)
{
    unsigned width = operation->access.width;
    const char *octets = (const char *)operation->values + index * width;
    uint64_t value = 0;

    if (operation->region->description->endianness == ENDIANNESS_LITTLE) {
        memcpy(&value, octets, width);
        return le64toh(value);
    }
    memcpy((char *)&value + sizeof(value) - width, octets, width);
    return be64toh(value);
}

void operation_set_value(struct operation *operation, size_t index, uint64_t value)
{
    unsigned width = operation->access.width;
    char *octets = (char *)operation->values + index * width;

    if (operation->region->description->endianness == ENDIANNESS_LITTLE) {
        value = htole64(value);
        memcpy(octets, &value, width);
    } else {
        value = htobe64(value);
        memcpy(octets, (char *)&value + sizeof(value) - width, width);
    }
}

/* Whether a long operation may go on after a slice of so many accesses, and how many the next may have:
 * about a millisecond's, so that its time limit and the end of the daemon are noticed. */
static int go_on(const struct operation *operation, uint64_t started_us, size_t *slice)
{
    uint64_t now_us = clock_now_us();

    if (atomic_load(&operation->region->device->stopping))
        return -ECANCELED;
    if (atomic_load(&operation->revoked))
        return -EUSERS;
    if (now_us > operation->work.deadline_us)
        return -ETIMEDOUT;
    if (now_us - started_us < 500)
        *slice *= 2;
    else if (now_us - started_us > 2000 && *slice > 1)
        *slice /= 2;
    return 0;
}

/* Makes all accesses, in order. */
static int transfer(struct operation *operation, enum operation_kind kind)
{
    struct backend_region *handle = operation->region->handle;
    const struct access *whole = &operation->access;
    size_t slice = handle->slow ? 1 : FIRST_SLICE;
    int r = 0;

    operation->done = 0;
    while (r == 0 && operation->done < whole->count) {
        char *values = (char *)operation->values + operation->done * whole->width;
        size_t left = whole->count - operation->done;
        uint64_t started_us = left > slice ? clock_now_us() : 0;
        struct access part = *whole;
        size_t done = 0;

        part.offset = access_offset(whole, operation->done);
        part.count = left < slice ? left : slice;
        r = kind == OPERATION_READ ? handle->backend->read(handle, &part, values, &done)
                                   : handle->backend->write(handle, &part, values, &done);
        operation->done += done;
        if (r == 0 && operation->done < whole->count)
            r = go_on(operation, started_us, &slice);
    }
    return r;
}

/* All ones is what a bus reads where nothing answers. It may also be true. */
static bool has_all_ones(const struct operation *operation)
{
    unsigned width = operation->access.width;
    const char *octets = operation->values;

    for (size_t i = 0; i < operation->done; i++) {
        if (memcmp(octets + i * width, "\xff\xff\xff\xff\xff\xff\xff\xff", width) == 0)
            return true;
    }
    return false;
}

static bool is_gone(const struct device *device)
{
    return device->backend->device_present && !device->backend->device_present(device->handle);
}

/* Reads, and judges what was read: a device that is gone gives all ones, or a bus fault. */
static int read_values(struct operation *operation)
{
    int r = transfer(operation, OPERATION_READ);

    operation->suspect = has_all_ones(operation);
    if ((r == -EFAULT || operation->suspect) && is_gone(operation->region->device)) {
        operation->done = 0; /* none of them can be trusted */
        return -ENODEV;
    }
    return r;
}

static int write_values(struct operation *operation)
{
    int r = transfer(operation, OPERATION_WRITE);

    return r == -EFAULT && is_gone(operation->region->device) ? -ENODEV : r;
}

static int modify(struct operation *operation)
{
    int r = read_values(operation);

    if (r < 0)
        return r;
    operation->before = operation_get_value(operation, 0);
    operation_set_value(operation, 0, (operation->before & ~operation->mask) | operation->value);
    if (atomic_load(&operation->revoked)) {
        operation->done = 0; /* it was read, not modified */
        return -EUSERS;
    }
    return write_values(operation);
}

static void describe_failure(struct operation *operation)
{
    const struct access *access = &operation->access;
    const char *name = region_name(operation->region);
    const char *verb = verbs[operation->kind];
    uint64_t offset = access_offset(access, operation->done);

    switch (operation->result) {
    case -ENODEV:
        error_set(&operation->error, -ENODEV, "%s is gone: the device was removed, or its driver", name);
        return;
    case -EFAULT:
        error_set(&operation->error, -EFAULT,
                "bus fault at %s:0x%" PRIx64 " (%u-bit %s, %zu of %zu accesses were completed)", name,
                offset, access->width * 8, verb, operation->done, access->count);
        return;
    case -ECANCELED:
        operation->result = -EAGAIN;
        error_set(&operation->error, -EAGAIN, "devregd is stopping: %zu of %zu accesses were completed",
                operation->done, access->count);
        return;
    case -EUSERS:
        if (operation->done == 0)
            error_set(&operation->error, -EUSERS,
                    "what allowed the access to %s ended before it was made: a reservation, or a token",
                    name);
        else
            error_set(&operation->error, -EUSERS,
                    "what allowed the access to %s ended in the middle, a reservation "
                    "or a token: %zu of %zu accesses were completed",
                    name, operation->done, access->count);
        return;
    case -ETIMEDOUT:
        error_set(&operation->error, -ETIMEDOUT,
                "%s at %s:0x%" PRIx64 " took too long: %zu of %zu accesses were completed", verb, name,
                offset, operation->done, access->count);
        return;
    default:
        error_set(&operation->error, operation->result,
                "%s at %s:0x%" PRIx64 " failed: %s (%zu of %zu accesses were completed)", verb, name, offset,
                strerror(-operation->result), operation->done, access->count);
    }
}

static int (*const runs[])(struct operation *operation) = {read_values, write_values, modify};

static void run(struct work *work)
{
    struct operation *operation = container_of(work, struct operation, work);

    operation->result = atomic_load(&operation->revoked) ? -EUSERS : runs[operation->kind](operation);
    if (operation->result < 0) {
        work->accesses = operation->done + 1; /* what the time that it took was for */
        describe_failure(operation);
    }
}

static void done(struct work *work)
{
    struct operation *operation = container_of(work, struct operation, work);
    struct device *device = operation->region->device;

    if (work->end == WORK_STOPPED)
        operation->result =
                error_set(&operation->error, -EAGAIN, "devregd is stopping: nothing was accessed");
    if (work->end == WORK_EXPIRED)
        operation->result = error_set(&operation->error, -ETIMEDOUT,
                "%s was busy for too long with requests before this one: nothing was accessed",
                device_name(device));
    if (operation->result == -ENODEV)
        device->lost = true;
    if (operation->result == -EFAULT && device->backend->revocable)
        device->faulted = true;
    operation->completed(operation);
}

int operation_start(struct dispatch *dispatch, struct operation *operation, struct error *error)
{
    operation->work.run = run;
    operation->work.done = done;
    return dispatch_submit(
            dispatch, operation->region->device, &operation->work, operation->access.count, error);
}
