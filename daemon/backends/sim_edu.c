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
 *   0x80 rw  DMA source, 0x88 destination, 0x90 count
 *   0x98 rw  DMA command: bit 0 start, and it reads 1 until the transfer has ended; bit 1 from the device to
 *            memory, otherwise from memory to the device; bit 2 raise an interrupt when it has ended
 *
 * Below 0x80 only 32-bit accesses are answered, from there on also 64-bit ones; everything else reads as
 * all ones.
 *
 * A transfer takes 100 ms, and its octets move when that is over; until then writes to the DMA registers are
 * ignored. One side of it is the device's own memory, 4096 octets at 0x40000; a transfer that is not all in
 * there moves nothing. The other is a bus address, of which the lowest 28 bits alone are used: where there
 * is no buffer nothing is written, and what is read leaves the device's octets as they are.
 *
 * Its interrupt, vector 0, comes once for each write to the interrupt raise register, and each factorial or
 * transfer that is to raise one, after which the interrupt status is not 0. */
#include <errno.h>
#include <stdlib.h>

#include "backends/sim.h"
#include "backends/sim_memory.h"
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
    EDU_INTERRUPT_DMA = 0x100,
    EDU_DMA_START = 0x01,
    EDU_DMA_TO_MEMORY = 0x02,
    EDU_DMA_INTERRUPT = 0x04,

    EDU_RAM = 0x40000,
    EDU_RAM_SIZE = 4096,
    EDU_BUS_MASK = (1 << 28) - 1,

    EDU_COMPUTING_NS = 5000000,
    EDU_TRANSFERRING_NS = 100000000,
};

enum { SOURCE, DESTINATION, COUNT, COMMAND, DMA_REGISTERS };

struct edu {
    struct sim_line *line;
    uint32_t liveness;
    uint32_t factorial; /* the operand while computing, then the result */
    bool computing;
    uint64_t ready_ns; /* monotonic time at which the result is there */
    uint32_t status;
    uint32_t interrupt_status;
    uint64_t dma[DMA_REGISTERS];
    uint64_t transferred_ns; /* monotonic time at which a transfer ends */
    uint8_t ram[EDU_RAM_SIZE];
    struct sim_memory *memory;
};

static int edu_open(const struct device_description *description, const struct region_description *region,
        struct sim_line *line, struct sim_memory *memory, void **ret_state, struct error *error)
{
    struct edu *edu = calloc(1, sizeof(*edu));

    (void)description;
    (void)region;
    if (!edu)
        return error_set(error, -ENOMEM, "out of memory");
    edu->line = line;
    edu->memory = memory;
    *ret_state = edu;
    return 0;
}

/* A transfer that has not moved its octets never does. */
static int edu_reset(void *state)
{
    struct edu *edu = state;

    *edu = (struct edu){.line = edu->line, .memory = edu->memory};
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

static void finish_computing(struct edu *edu)
{
    edu->computing = false;
    edu->factorial = factorial_of(edu->factorial);
    if (edu->status & EDU_STATUS_INTERRUPT)
        raise_interrupt(edu, EDU_INTERRUPT_FACTORIAL);
}

static bool is_transferring(const void *state)
{
    const struct edu *edu = state;

    return edu->dma[COMMAND] & EDU_DMA_START;
}

static void move_octets(struct edu *edu)
{
    bool to_memory = edu->dma[COMMAND] & EDU_DMA_TO_MEMORY;
    uint64_t own = edu->dma[to_memory ? SOURCE : DESTINATION] - EDU_RAM;
    uint64_t bus_address = edu->dma[to_memory ? DESTINATION : SOURCE] & EDU_BUS_MASK;
    uint64_t count = edu->dma[COUNT];

    if (own > EDU_RAM_SIZE || count > EDU_RAM_SIZE - own)
        return;
    if (to_memory)
        sim_memory_write(edu->memory, bus_address, edu->ram + own, count);
    else
        sim_memory_read(edu->memory, bus_address, edu->ram + own, count);
}

static void finish_transfer(struct edu *edu)
{
    move_octets(edu);
    edu->dma[COMMAND] &= ~(uint64_t)EDU_DMA_START;
    if (edu->dma[COMMAND] & EDU_DMA_INTERRUPT)
        raise_interrupt(edu, EDU_INTERRUPT_DMA);
}

/* The device works beside everything else, so its results appear when their time has come, not when somebody
 * asks. */
static void finish(void *state)
{
    struct edu *edu = state;
    uint64_t now_ns;

    if (!edu->computing && !is_transferring(edu))
        return;
    now_ns = clock_now_ns();
    if (edu->computing && now_ns >= edu->ready_ns)
        finish_computing(edu);
    if (is_transferring(edu) && now_ns >= edu->transferred_ns)
        finish_transfer(edu);
}

static uint64_t finished_ns(const void *state)
{
    const struct edu *edu = state;
    uint64_t computed_ns = edu->computing ? edu->ready_ns : UINT64_MAX;
    uint64_t transferred_ns = is_transferring(edu) ? edu->transferred_ns : UINT64_MAX;

    return computed_ns < transferred_ns ? computed_ns : transferred_ns;
}

static void start_computing(struct edu *edu, uint32_t operand)
{
    if (edu->computing)
        return;
    edu->factorial = operand;
    edu->computing = true;
    edu->ready_ns = clock_now_ns() + EDU_COMPUTING_NS;
}

/* Without the start bit the device ignores a command. */
static void write_dma(struct edu *edu, unsigned index, uint64_t value)
{
    if (is_transferring(edu) || (index == COMMAND && !(value & EDU_DMA_START)))
        return;
    edu->dma[index] = value;
    if (index == COMMAND)
        edu->transferred_ns = clock_now_ns() + EDU_TRANSFERRING_NS;
}

static bool is_answered(uint64_t offset, unsigned width)
{
    return width == 4 || (width == 8 && offset >= EDU_DMA_SOURCE);
}

static int edu_read(void *state, uint64_t offset, unsigned width, uint64_t *ret_value)
{
    struct edu *edu = state;

    finish(edu);
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

    finish(edu);
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
    case EDU_DMA_COMMAND:
        write_dma(edu, (unsigned)(offset - EDU_DMA_SOURCE) / 8, value);
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
        .reset = edu_reset,
        .due_ns = finished_ns,
        .act = finish,
        .transfers = is_transferring,
};
