// SPDX-License-Identifier: LGPL-2.1-or-later
// Several vectors of one device.
#include "kmodtest.h"

#include <fcntl.h>

// QEMU's e1000e: writing to its cause register raises an interrupt for each bit that is enabled, and a table
// says which vector a cause has. The fifth is left out where it matters how many come, as changes of its
// link raise it.
#define NIC_CAUSES    0x00c0
#define NIC_CAUSE_SET 0x00c8
#define NIC_ENABLE    0x00d0
#define NIC_DISABLE   0x00d8
#define NIC_VECTORS   0x00e4
#define NIC_CAUSE(i)  (1U << (20 + (i)))

// The next record of this vector. The card raises some again by itself when they were set faster than it
// thinks good.
static struct devreg_interrupt take_of(int interrupts, uint32_t vector, uint64_t *sequence)
{
    for (;;) {
        struct devreg_interrupt record = take_interrupt(interrupts);
        check_equal(record.sequence, ++*sequence);
        check(record.vector < 5);
        if (record.vector == vector)
            return record;
    }
}

static void several_vectors(void)
{
    bind_device("pci", NIC);
    int device = fine(open_device(open_control(), DEVREG_DEVICE_PCI, NIC, NULL));
    int region = fine(claim_resource(device, 0, 0, 0, 0, "nic", NULL));
    check_error(open_interrupts(device, DEVREG_INTERRUPT_MSIX, 6, 0), ENOSPC);
    int interrupts = fine(open_interrupts(device, DEVREG_INTERRUPT_MSIX, 5, 0));
    fine(fcntl(interrupts, F_SETFL, O_NONBLOCK));
    fine(mask_interrupts(interrupts, 0, 0, 4));
    write_value(region, NIC_VECTORS, 4, 0x000cba98); // cause i has vector i
    write_value(region, NIC_ENABLE, 4, 0x01f00000);
    write_value(region, NIC_CAUSES, 4, UINT32_MAX); // what an earlier run has left
    uint64_t sequence = 0, numbers[5] = {0};
    for (uint64_t round = 1; round <= 20; round++)
        for (unsigned vector = 0; vector < 4; vector++) {
            context("round %llu, vector %u", (unsigned long long)round, vector);
            write_value(region, NIC_CAUSE_SET, 4, NIC_CAUSE(vector));
            struct devreg_interrupt record = take_of(interrupts, vector, &sequence);
            check(record.number > numbers[vector]);
            numbers[vector] = record.number;
            write_value(region, NIC_CAUSES, 4, NIC_CAUSE(vector)); // which clears it
        }
    context("one is masked, the others are not");
    fine(mask_interrupts(interrupts, DEVREG_MASK_SET, 2, 1));
    while (is_readable(interrupts, 100)) // what the card has raised again before
        check_equal(take_interrupt(interrupts).sequence, ++sequence);
    write_value(region, NIC_CAUSE_SET, 4, NIC_CAUSE(2));
    sleep_ms(100);
    write_value(region, NIC_CAUSE_SET, 4, NIC_CAUSE(3));
    struct devreg_interrupt record;
    do {
        record = take_interrupt(interrupts);
        check_equal(record.sequence, ++sequence);
        check(record.vector != 2);
    } while (record.vector != 3);
    fine(mask_interrupts(interrupts, 0, 2, 1));
    take_of(interrupts, 2, &sequence);
    context("the fifth");
    fine(mask_interrupts(interrupts, 0, 4, 1));
    write_value(region, NIC_CAUSES, 4, UINT32_MAX);
    write_value(region, NIC_CAUSE_SET, 4, NIC_CAUSE(4));
    take_of(interrupts, 4, &sequence);
    // QEMU aborts when MSI-X is switched off while it still means to raise one again.
    write_value(region, NIC_DISABLE, 4, UINT32_MAX);
    write_value(region, NIC_CAUSES, 4, UINT32_MAX);
    sleep_ms(1000);
}

const struct test_case vector_cases[] = {
        {"interrupts_several_vectors", several_vectors, 0},
        {0},
};
