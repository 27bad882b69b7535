/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registers of QEMU's educational PCI device, from its documentation (docs/specs/edu.rst):
 *
 *   0x00 ro  identification, 0xRRrr00ed (major and minor version)
 *   0x04 rw  liveness: reads as the inverse of what was written
 *   0x08 rw  factorial: write n, wait until bit 0 of the status is clear, read n!
 *   0x20 rw  status: bit 0 computing (ro), bit 7 raise an interrupt when a factorial is ready
 *   0x24 ro  interrupt status
 *   0x60 wo  interrupt raise: the value is ORed into the interrupt status
 *   0x64 wo  interrupt acknowledge: the value's bits are cleared in the interrupt status
 *   0x80 rw  DMA source, 0x88 destination, 0x90 count, 0x98 command
 *
 * Below 0x80 only 32-bit accesses are answered, from there on also 64-bit ones; everything else reads as
 * all ones. The DMA registers hold what is written; starting a transfer does nothing yet.
 *
 * Its interrupt, vector 0, comes once for each write to the interrupt raise register, and each factorial
 * that is to raise one, after which the interrupt status is not 0. */
#include <errno.h>
#include <stdlib.h>

#include "backends/sim.h"
#include "util/clock.h"

enum {
    EDU_IDENTIFICATION = 0x00,
    EDU_LIVENESS = 0x04,
    EDU_FACTORIAL = 0x08,
    EDU_STATUS = 0x20,
    EDU_INTERRUPT_STATUS = 0x24,
    EDU_INTERRUPT_RAISE = 0x60,
    EDU_INTERRUPT_ACKNOWLEDGE = 0x64,
    EDU_DMA_SOURCE = 0x80,
    EDU_DMA_DESTINATION = 0x88,
    EDU_DMA_COUNT = 0x90,
    EDU_DMA_COMMAND = 0x98,

    EDU_STATUS_COMPUTING = 0x01,
    EDU_STATUS_INTERRUPT = 0x80,
    EDU_INTERRUPT_FACTORIAL = 0x01,
    EDU_DMA_START = 0x01,

    EDU_COMPUTING_NS = 5000000,
};

struct edu {
    struct sim_line *line;
    uint32_t liveness;
    uint32_t factorial; /* the operand while computing, then the result */
    bool computing;
    uint64_t ready_ns; /* monotonic time at which the result is there */
    uint32_t status;
    uint32_t interrupt_status;
    uint64_t dma[4];
};

static int edu_open(const struct device_description *description, const struct region_description *region,
        struct sim_line *line, void **ret_state, struct error *error)
{
    struct edu *edu = calloc(1, sizeof(*edu));

    (void)description;
    (void)region;
    if (!edu)
        return error_set(error, -ENOMEM, "out of memory");
    edu->line = line;
    *ret_state = edu;
    return 0;
}

/* Modulo 2^32 as the device computes it; 34! and all after it are multiples of 2^32. */
static uint32_t factorial_of(uint32_t operand)
{
    uint32_t product = 1;

    if (operand >= 34)
        return 0;
    for (; operand > 1; operand--)
        product *= operand;
    return product;
}

static void raise_interrupt(struct edu *edu, uint32_t reasons)
{
    edu->interrupt_status |= reasons;
    if (edu->interrupt_status)
        sim_raise(edu->line, 0);
}

/* The device computes beside everything else, so its result appears when its time has come, not when
 * somebody asks. */
static void finish_computing(void *state)
{
    struct edu *edu = state;

    if (!edu->computing || clock_now_ns() < edu->ready_ns)
        return;
    edu->computing = false;
    edu->factorial = factorial_of(edu->factorial);
    if (edu->status & EDU_STATUS_INTERRUPT)
        raise_interrupt(edu, EDU_INTERRUPT_FACTORIAL);
}

static uint64_t computed_ns(const void *state)
{
    const struct edu *edu = state;

    return edu->computing ? edu->ready_ns : UINT64_MAX;
}

static void start_computing(struct edu *edu, uint32_t operand)
{
    if (edu->computing)
        return;
    edu->factorial = operand;
    edu->computing = true;
    edu->ready_ns = clock_now_ns() + EDU_COMPUTING_NS;
}

static bool is_answered(uint64_t offset, unsigned width)
{
    return width == 4 || (width == 8 && offset >= EDU_DMA_SOURCE);
}

static int edu_read(void *state, uint64_t offset, unsigned width, uint64_t *ret_value)
{
    struct edu *edu = state;

    finish_computing(edu);
    *ret_value = sim_all_ones(width);
    if (!is_answered(offset, width))
        return 0;
    switch (offset) {
    case EDU_IDENTIFICATION:
        *ret_value = 0x010000ed;
        break;
    case EDU_LIVENESS:
        *ret_value = edu->liveness;
        break;
    case EDU_FACTORIAL:
        *ret_value = edu->factorial;
        break;
    case EDU_STATUS:
        *ret_value = edu->status | (edu->computing ? EDU_STATUS_COMPUTING : 0);
        break;
    case EDU_INTERRUPT_STATUS:
        *ret_value = edu->interrupt_status;
        break;
    case EDU_DMA_SOURCE:
    case EDU_DMA_DESTINATION:
    case EDU_DMA_COUNT:
    case EDU_DMA_COMMAND:
        *ret_value = edu->dma[(offset - EDU_DMA_SOURCE) / 8] & sim_all_ones(width);
        break;
    }
    return 0;
}

static int edu_write(void *state, uint64_t offset, unsigned width, uint64_t value)
{
    struct edu *edu = state;

    finish_computing(edu);
    if (!is_answered(offset, width))
        return 0;
    switch (offset) {
    case EDU_LIVENESS:
        edu->liveness = ~(uint32_t)value;
        break;
    case EDU_FACTORIAL:
        start_computing(edu, (uint32_t)value);
        break;
    case EDU_STATUS:
        edu->status = (uint32_t)value & EDU_STATUS_INTERRUPT;
        break;
    case EDU_INTERRUPT_RAISE:
        raise_interrupt(edu, (uint32_t)value);
        break;
    case EDU_INTERRUPT_ACKNOWLEDGE:
        edu->interrupt_status &= ~(uint32_t)value;
        break;
    case EDU_DMA_SOURCE:
    case EDU_DMA_DESTINATION:
    case EDU_DMA_COUNT:
        edu->dma[(offset - EDU_DMA_SOURCE) / 8] = value;
        break;
    case EDU_DMA_COMMAND:
        if (value & EDU_DMA_START) /* without it the device ignores the command */
            edu->dma[3] = value & ~(uint64_t)EDU_DMA_START;
        break;
    }
    return 0;
}

extern const struct sim_board sim_edu;
const struct sim_board sim_edu = {
        .name = "edu",
        .summary = "the registers of QEMU's educational PCI device",
        .size = 0x100000,
        .widths = 4 | 8,
        .vectors = 1,
        .open = edu_open,
        .close = free,
        .read = edu_read,
        .write = edu_write,
        .due_ns = computed_ns,
        .act = finish_computing,
};
