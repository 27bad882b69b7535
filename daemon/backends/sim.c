/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Simulated boards: devices in the daemon's own memory, so that everything above the backends can be tried
 * and tested without privileges. A device is one board with one region. With a trace file each access is
 * recorded as it reached the board, one line each: "R 32 0x0 0x010000ed" (R or W, width in bits, offset,
 * value), "R 32 0x10000 fault" for one that faulted. */
#include "backends/sim.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

extern const struct sim_board sim_edu, sim_odd, sim_ram;

static const struct sim_board *const boards[] = {&sim_edu, &sim_odd, &sim_ram};

struct sim_device {
    struct backend_device base;
    const struct device_description *description;
    const struct sim_board *board;
    int trace; /* file, or -1 */
};

struct sim_region {
    struct backend_region base;
    const struct sim_board *board;
    void *state;
    int trace;
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
    return 0;
}

static int sim_device_open(const struct device_description *description, struct backend_device **ret_device,
        struct error *error)
{
    const struct sim_board *board = find_board(description->model);
    _cleanup_free_ struct sim_device *device = calloc(1, sizeof(*device));
    int r = sim_check(description, error);

    if (r < 0)
        return r;
    if (!device)
        return error_set(error, -ENOMEM, "out of memory");
    device->description = description;
    device->board = board;
    device->trace = -1;
    if (description->trace) {
        device->trace = open(description->trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (device->trace < 0)
            return error_set(error, -errno, "trace file %s: %s", description->trace, strerror(errno));
    }
    *ret_device = &take_ptr(device)->base;
    return 0;
}

static void sim_device_close(struct backend_device *base)
{
    struct sim_device *device = container_of(base, struct sim_device, base);

    closep(&device->trace);
    free(device);
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
    r = board->open(device->description, description, &region->state, error);
    if (r < 0)
        return r;
    region->board = board;
    region->trace = device->trace;
    region->base.type = REGION_MMIO;
    region->base.size = board->size ? board->size : description->size;
    region->base.address = ADDRESS_UNKNOWN;
    region->base.widths = board->widths;
    region->base.slow = board->slow;
    *ret_region = &take_ptr(region)->base;
    return 0;
}

static void sim_region_close(struct backend_region *base)
{
    struct sim_region *region = container_of(base, struct sim_region, base);

    region->board->close(region->state);
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

static int sim_read(struct backend_region *base, const struct access *access, void *values, size_t *ret_done)
{
    struct sim_region *region = container_of(base, struct sim_region, base);

    if (region->board->read_vector && region->trace < 0)
        return region->board->read_vector(region->state, access, values, ret_done);
    for (*ret_done = 0; *ret_done < access->count; (*ret_done)++) {
        uint64_t value = 0;
        int r = region->board->read(region->state, access_offset(access, *ret_done), access->width, &value);

        r = record(region->trace, 'R', access, *ret_done, value, r);
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

    if (region->board->write_vector && region->trace < 0)
        return region->board->write_vector(region->state, access, values, ret_done);
    for (*ret_done = 0; *ret_done < access->count; (*ret_done)++) {
        uint64_t value = load_value(values, *ret_done, access->width);
        int r = region->board->write(region->state, access_offset(access, *ret_done), access->width, value);

        r = record(region->trace, 'W', access, *ret_done, value, r);
        if (r < 0)
            return r;
    }
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
        .region_open = sim_region_open,
        .region_close = sim_region_close,
        .read = sim_read,
        .write = sim_write,
};
