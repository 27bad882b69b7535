/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plain memory behind a mapping, through the same accesses as real device memory: for block transfers, and
 * with a path for a file that another program fills, or truncates under the daemon. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/mapping.h"
#include "backends/sim.h"
#include "util/cleanup.h"

struct ram {
    struct mapping mapping;
    bool is_file;
};

/* Returns a descriptor of at least `size` octets. */
static int open_memory(const char *path, uint64_t size, struct error *error)
{
    _cleanup_close_ int fd = path ? open(path, O_RDWR | O_CLOEXEC) : memfd_create("devreg-ram", MFD_CLOEXEC);
    struct stat information;

    if (fd < 0)
        return error_set(error, -errno, "%s: %s", path ? path : "simulated memory", strerror(errno));
    if (!path && ftruncate(fd, (off_t)size) < 0)
        return error_set(error, -errno, "simulated memory: %s", strerror(errno));
    if (fstat(fd, &information) < 0)
        return error_set(error, -errno, "%s: %s", path ? path : "simulated memory", strerror(errno));
    if ((uint64_t)information.st_size < size)
        return error_set(error, -EINVAL, "%s has %" PRIu64 " octets, the region needs %" PRIu64, path,
                (uint64_t)information.st_size, size);
    return take_fd(&fd);
}

static int ram_open(const struct device_description *description, const struct region_description *region,
        struct sim_line *line, struct sim_memory *memory, void **ret_state, struct error *error)
{
    _cleanup_free_ struct ram *ram = calloc(1, sizeof(*ram));
    _cleanup_close_ int fd = -1;
    int r;

    (void)line;
    (void)memory;
    if (!ram)
        return error_set(error, -ENOMEM, "out of memory");
    fd = open_memory(description->path, region->size, error);
    if (fd < 0)
        return fd;
    r = mapping_open(fd, 0, region->size, true, &ram->mapping);
    if (r < 0)
        return error_set(error, r, "mapping the simulated memory: %s", mapping_strerror(r));
    ram->is_file = description->path;
    *ret_state = take_ptr(ram);
    return 0;
}

static void ram_close(void *state)
{
    struct ram *ram = state;

    mapping_close(&ram->mapping);
    free(ram);
}

/* What a file has is whoever's fills it, and is there at the start as well. */
static int ram_reset(void *state)
{
    const struct ram *ram = state;

    if (ram->is_file)
        return 0;
    return madvise(ram->mapping.start, ram->mapping.length, MADV_REMOVE) < 0 ? -errno : 0;
}

static int ram_read_vector(void *state, const struct access *access, void *values, size_t *ret_done)
{
    return mapping_read(&((struct ram *)state)->mapping, access, values, ret_done);
}

static int ram_write_vector(void *state, const struct access *access, const void *values, size_t *ret_done)
{
    return mapping_write(&((struct ram *)state)->mapping, access, values, ret_done);
}

static int ram_read(void *state, uint64_t offset, unsigned width, uint64_t *ret_value)
{
    struct access access = {.offset = offset, .width = width, .count = 1};
    uint64_t value = 0;
    size_t done;
    int r = mapping_read(&((struct ram *)state)->mapping, &access, &value, &done);

    *ret_value = le64toh(value);
    return r;
}

static int ram_write(void *state, uint64_t offset, unsigned width, uint64_t value)
{
    struct access access = {.offset = offset, .width = width, .count = 1};
    size_t done;

    value = htole64(value);
    return mapping_write(&((struct ram *)state)->mapping, &access, &value, &done);
}

extern const struct sim_board sim_ram;
const struct sim_board sim_ram = {
        .name = "ram",
        .summary = "plain memory, of its own or of a file",
        .widths = 1 | 2 | 4 | 8,
        .open = ram_open,
        .close = ram_close,
        .read = ram_read,
        .write = ram_write,
        .reset = ram_reset,
        .read_vector = ram_read_vector,
        .write_vector = ram_write_vector,
};
