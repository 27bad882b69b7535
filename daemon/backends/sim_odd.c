/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A board whose registers are as awkward as hardware gets:
 *
 *   0x00 ro   identification, 0x0dd00001
 *   0x04 ro   all ones, though the device is well
 *   0x08 rc   events: reading returns and clears them
 *   0x0c w1c  flags: bit 0 the FIFO overflowed, bit 1 it was read while empty, others from the trigger
 *   0x10 wo   trigger: the value is ORed into events and flags; reads as all ones
 *   0x14 ro   the last value written to the trigger
 *   0x18 rw   slow: each access takes 200 ms; reads as the number of accesses before
 *   0x20 rw   FIFO of octets at one address: an access of N octets pushes or pops N
 *   0x24 ro   FIFO level in octets (4096 at most)
 *   0x28 rw   burst: raises as many interrupts as are written (2^20 at most); reads as how many are to come
 *   0x2c rw   pace of bursts: microseconds from one interrupt to the next (10^6 at most), 0 as fast as it
 * can 0x100 to 0x1ff   scratch memory, in all widths from 0x10000 on  bus fault at every access
 *
 * The registers answer 32-bit accesses only, FIFO and scratch every width; all else reads as all ones. The
 * bus fault is a real SIGBUS: the second half of the window is mapped beyond the end of its file. Both
 * halves are 64 KiB, the largest usual page.
 *
 * A reset takes 200 ms, too. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "backends/mapping.h"
#include "backends/sim.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    ODD_IDENTIFICATION = 0x00,
    ODD_ALL_ONES = 0x04,
    ODD_EVENTS = 0x08,
    ODD_FLAGS = 0x0c,
    ODD_TRIGGER = 0x10,
    ODD_TRIGGERED = 0x14,
    ODD_SLOW = 0x18,
    ODD_FIFO = 0x20,
    ODD_FIFO_LEVEL = 0x24,
    ODD_BURST = 0x28,
    ODD_PACE = 0x2c,
    ODD_SCRATCH = 0x100,
    ODD_SCRATCH_SIZE = 0x100,
    ODD_FAULT = 0x10000,
    ODD_SIZE = 0x20000,

    ODD_FIFO_SIZE = 4096,
    ODD_FLAG_OVERFLOW = 1,
    ODD_FLAG_UNDERFLOW = 2,
    ODD_SLOW_NS = 200000000,
    ODD_BURST_MOST = 1 << 20,
    ODD_PACE_MOST = 1000000,
};

struct odd {
    struct sim_line *line;
    uint32_t burst;    /* interrupts to come */
    uint32_t pace;     /* microseconds */
    uint64_t burst_ns; /* when the next one comes, monotonic */
    uint32_t events;
    uint32_t flags;
    uint32_t triggered;
    uint32_t slow_accesses;
    uint8_t fifo[ODD_FIFO_SIZE];
    unsigned fifo_first;
    unsigned fifo_level;
    uint8_t scratch[ODD_SCRATCH_SIZE];
    struct mapping mapping; /* of a file that is ODD_FAULT octets long */
};

static int odd_open(const struct device_description *description, const struct region_description *region,
        struct sim_line *line, struct sim_memory *memory, void **ret_state, struct error *error)
{
    _cleanup_free_ struct odd *odd = calloc(1, sizeof(*odd));
    _cleanup_close_ int fd = memfd_create("devreg-odd", MFD_CLOEXEC);
    int r;

    (void)description;
    (void)memory;
    (void)region;
    if (!odd)
        return error_set(error, -ENOMEM, "out of memory");
    if (fd < 0 || ftruncate(fd, ODD_FAULT) < 0)
        return error_set(error, -errno, "memory for the simulated board: %s", strerror(errno));
    r = mapping_open(fd, 0, ODD_SIZE, true, &odd->mapping);
    if (r < 0)
        return error_set(error, r, "mapping the simulated board: %s", strerror(-r));
    odd->line = line;
    *ret_state = take_ptr(odd);
    return 0;
}

static void odd_close(void *state)
{
    struct odd *odd = state;

    mapping_close(&odd->mapping);
    free(odd);
}

static void be_slow(void)
{
    struct timespec left = {.tv_nsec = ODD_SLOW_NS};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        continue;
}

static int odd_reset(void *state)
{
    struct odd *odd = state;

    be_slow();
    *odd = (struct odd){.line = odd->line, .mapping = odd->mapping};
    return 0;
}

static void fifo_push(struct odd *odd, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++, value >>= 8) {
        if (odd->fifo_level == ODD_FIFO_SIZE) {
            odd->flags |= ODD_FLAG_OVERFLOW;
            return;
        }
        odd->fifo[(odd->fifo_first + odd->fifo_level++) % ODD_FIFO_SIZE] = (uint8_t)value;
    }
}

static uint64_t fifo_pop(struct odd *odd, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++) {
        if (odd->fifo_level == 0) {
            odd->flags |= ODD_FLAG_UNDERFLOW;
            return value;
        }
        value |= (uint64_t)odd->fifo[odd->fifo_first] << i * 8;
        odd->fifo_first = (odd->fifo_first + 1) % ODD_FIFO_SIZE;
        odd->fifo_level--;
    }
    return value;
}

static bool is_scratch(uint64_t offset)
{
    return offset >= ODD_SCRATCH && offset < ODD_SCRATCH + ODD_SCRATCH_SIZE;
}

static int fault(const struct odd *odd, uint64_t offset, unsigned width, bool write)
{
    struct access access = {.offset = offset, .width = width, .count = 1};
    uint64_t value = 0;
    size_t done;

    return write ? mapping_write(&odd->mapping, &access, &value, &done)
                 : mapping_read(&odd->mapping, &access, &value, &done);
}

static uint64_t read_register(struct odd *odd, uint64_t offset)
{
    uint32_t value;

    switch (offset) {
    case ODD_IDENTIFICATION:
        return 0x0dd00001;
    case ODD_EVENTS:
        value = odd->events;
        odd->events = 0;
        return value;
    case ODD_FLAGS:
        return odd->flags;
    case ODD_TRIGGERED:
        return odd->triggered;
    case ODD_SLOW:
        be_slow();
        return odd->slow_accesses++;
    case ODD_FIFO_LEVEL:
        return odd->fifo_level;
    case ODD_BURST:
        return odd->burst;
    case ODD_PACE:
        return odd->pace;
    default:
        return UINT32_MAX;
    }
}

static void write_register(struct odd *odd, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case ODD_FLAGS:
        odd->flags &= ~value;
        break;
    case ODD_TRIGGER:
        odd->triggered = value;
        odd->events |= value;
        odd->flags |= value;
        break;
    case ODD_SLOW:
        be_slow();
        odd->slow_accesses++;
        break;
    case ODD_BURST:
        odd->burst = value < ODD_BURST_MOST ? value : ODD_BURST_MOST;
        odd->burst_ns = clock_now_ns();
        break;
    case ODD_PACE:
        odd->pace = value < ODD_PACE_MOST ? value : ODD_PACE_MOST;
        break;
    }
}

static int odd_read(void *state, uint64_t offset, unsigned width, uint64_t *ret_value)
{
    struct odd *odd = state;
    uint64_t value = 0;

    if (offset >= ODD_FAULT)
        return fault(odd, offset, width, false);
    if (offset == ODD_FIFO) {
        value = fifo_pop(odd, width);
    } else if (is_scratch(offset)) {
        for (unsigned i = 0; i < width; i++)
            value |= (uint64_t)odd->scratch[offset - ODD_SCRATCH + i] << i * 8;
    } else {
        value = width == 4 ? read_register(odd, offset) : sim_all_ones(width);
    }
    *ret_value = value;
    return 0;
}

static int odd_write(void *state, uint64_t offset, unsigned width, uint64_t value)
{
    struct odd *odd = state;

    if (offset >= ODD_FAULT)
        return fault(odd, offset, width, true);
    if (offset == ODD_FIFO) {
        fifo_push(odd, width, value);
    } else if (is_scratch(offset)) {
        for (unsigned i = 0; i < width; i++)
            odd->scratch[offset - ODD_SCRATCH + i] = (uint8_t)(value >> i * 8);
    } else if (width == 4) {
        write_register(odd, offset, (uint32_t)value);
    }
    return 0;
}

static uint64_t burst_ns(const void *state)
{
    const struct odd *odd = state;

    return odd->burst > 0 ? odd->burst_ns : UINT64_MAX;
}

/* One of a burst. */
static void raise_one(void *state)
{
    struct odd *odd = state;

    if (odd->burst == 0 || clock_now_ns() < odd->burst_ns)
        return;
    odd->burst--;
    odd->burst_ns += (uint64_t)odd->pace * 1000;
    sim_raise(odd->line, 0);
}

extern const struct sim_board sim_odd;
const struct sim_board sim_odd = {
        .name = "odd",
        .summary = "registers that misbehave: bus faults, all ones, side effects, a FIFO, slowness",
        .size = ODD_SIZE,
        .widths = 1 | 2 | 4 | 8,
        .slow = true,
        .vectors = 1,
        .open = odd_open,
        .close = odd_close,
        .read = odd_read,
        .write = odd_write,
        .reset = odd_reset,
        .due_ns = burst_ns,
        .act = raise_one,
};
