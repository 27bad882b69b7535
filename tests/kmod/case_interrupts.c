// SPDX-License-Identifier: LGPL-2.1-or-later
// Interrupts: edu's as messages and as a line; what acknowledges them in the module; masking.
#include "kmodtest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;
    fine(clock_gettime(CLOCK_MONOTONIC, &now));
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void infos(void)
{
    struct opened edu = open_edu();
    struct devreg_interrupt_info info = interrupt_info(edu.device);
    check_equal(info.flags, DEVREG_INTERRUPT_LINE | DEVREG_INTERRUPT_MSI);
    check_equal(info.lines, 1);
    check_equal(info.msi, 1);
    check_equal(info.msix, 0);
    bind_device("pci", NIC);
    info = interrupt_info(fine(open_device(edu.control, DEVREG_DEVICE_PCI, NIC, NULL)));
    check_equal(info.flags, DEVREG_INTERRUPT_LINE | DEVREG_INTERRUPT_MSI | DEVREG_INTERRUPT_MSIX);
    check_equal(info.msix, 5);
}

// Somebody has enabled the function through sysfs, and drivers come and go.
static void enabled_by_others(void)
{
    static const char enable[] = "/sys/bus/pci/devices/" EDU "/enable";
    unbind_device("pci", EDU);
    fine(write_file(enable, "1"));
    for (unsigned round = 0; round < 3; round++) {
        context("round %u", round);
        bind_device("pci", EDU);
        struct opened edu = open_edu();
        close(fine(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, 1, 0)));
        close(edu.device);
        close(edu.control);
        unbind_device("pci", EDU);
    }
    fine(write_file(enable, "0"));
}

static void device_without(void)
{
    bind_device("platform", FW_CFG);
    int device = fine(open_device(open_control(), DEVREG_DEVICE_PLATFORM, FW_CFG, NULL));
    struct devreg_interrupt_info info = interrupt_info(device);
    check_equal(info.flags | info.lines | info.msi | info.msix, 0);
}

static void opening(void)
{
    struct opened edu = open_edu();
    static const uint32_t wrong[] = {
            0, DEVREG_INTERRUPT_LINE | DEVREG_INTERRUPT_MSI, 8, DEVREG_INTERRUPT_MSI | 8};
    for (size_t i = 0; i < array_size(wrong); i++) {
        context("kind %#x", wrong[i]);
        check_error(open_interrupts(edu.device, wrong[i], 1, 0), EINVAL);
    }
    context("numbers");
    check_error(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, 0, 0), EINVAL);
    check_error(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, DEVREG_VECTORS_MAX + 1, 0), EINVAL);
    check_error(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, UINT32_MAX, 0), EINVAL);
    check_error(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, 1, DEVREG_RECORDS_MAX + 1), EINVAL);
    check_error(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, 2, 0), ENOSPC);
    check_error(open_interrupts(edu.device, DEVREG_INTERRUPT_LINE, 2, 0), ENOSPC);
    check_error(open_interrupts(edu.device, DEVREG_INTERRUPT_MSIX, 1, 0), EOPNOTSUPP);
    context("a second time");
    static const uint32_t kinds[] = {DEVREG_INTERRUPT_MSI, DEVREG_INTERRUPT_LINE};
    for (size_t i = 0; i < array_size(kinds); i++) {
        int interrupts = fine(open_interrupts(edu.device, kinds[i], 1, DEVREG_RECORDS_MAX));
        check_equal(fcntl(interrupts, F_GETFD), FD_CLOEXEC);
        for (size_t j = 0; j < array_size(kinds); j++)
            check_error(open_interrupts(edu.device, kinds[j], 1, 0), EBUSY);
        close(interrupts);
    }
    context("the device is in use while its interrupts are");
    int interrupts = fine(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, 1, 1));
    close(edu.device);
    check_error(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, NULL), EBUSY);
    close(interrupts);
    fine(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, NULL));
}

// It masters the bus for messages, and only while they are open.
static void bus_mastering(void)
{
    struct opened edu = open_edu();
    int interrupts = fine(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, 1, 0));
    check(config_word(EDU, PCI_COMMAND) & BUS_MASTER);
    close(interrupts);
    check(!(config_word(EDU, PCI_COMMAND) & BUS_MASTER));
    check(config_word(EDU, PCI_COMMAND) & LINE_DISABLED);
    interrupts = fine(open_interrupts(edu.device, DEVREG_INTERRUPT_LINE, 1, 0));
    check(!(config_word(EDU, PCI_COMMAND) & BUS_MASTER));
    check(config_word(EDU, PCI_COMMAND) & LINE_DISABLED);
    unmask(interrupts);
    check(!(config_word(EDU, PCI_COMMAND) & LINE_DISABLED));
    close(interrupts);
    check(config_word(EDU, PCI_COMMAND) & LINE_DISABLED);
}

static void message(void)
{
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_MSI, 0);
    unmask(edu.interrupts);
    check_no_interrupt(edu.interrupts);
    for (uint64_t number = 1; number <= 3; number++) {
        uint64_t before = now_ns();
        raise_it(&edu, 1);
        struct devreg_interrupt record = take_interrupt(edu.interrupts);
        context("number %llu", (unsigned long long)number);
        check_equal(record.sequence, number);
        check_equal(record.number, number);
        check(record.time >= before && record.time <= now_ns());
        check_equal(record.value, 0);
        check_equal(record.vector, 0);
        check_equal(record.flags, 0);
        check_equal(record.dropped, 0);
        check_equal(status_of(&edu), 1); // nobody has acknowledged it
        check_no_interrupt(edu.interrupts);
    }
}

static void comes_when_unmasked(uint32_t kind)
{
    struct source edu = open_source(EDU, kind, 0);
    context("masked when it is opened");
    raise_it(&edu, 1);
    check_no_interrupt(edu.interrupts);
    unmask(edu.interrupts);
    check_equal(take_interrupt(edu.interrupts).number, 1);
    write_value(edu.region, EDU_ACKNOWLEDGE, 4, 1);
    unmask(edu.interrupts); // a line has masked itself
    check_no_interrupt(edu.interrupts);
    context("masked later, twice");
    mask(edu.interrupts);
    mask(edu.interrupts);
    raise_it(&edu, 1);
    check_no_interrupt(edu.interrupts);
    unmask(edu.interrupts);
    check_equal(take_interrupt(edu.interrupts).number, 2);
    write_value(edu.region, EDU_ACKNOWLEDGE, 4, 1);
    unmask(edu.interrupts);
    unmask(edu.interrupts);
    raise_it(&edu, 1);
    check_equal(take_interrupt(edu.interrupts).number, 3);
    close_source(&edu);
}

static void masking(void)
{
    comes_when_unmasked(DEVREG_INTERRUPT_LINE);
    comes_when_unmasked(DEVREG_INTERRUPT_MSI);
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_MSI, 0);
    context("wrong");
    check_error(mask_interrupts(edu.interrupts, 0, 0, 0), EINVAL);
    check_error(mask_interrupts(edu.interrupts, 0, 0, 2), EINVAL);
    check_error(mask_interrupts(edu.interrupts, 0, 1, 1), EINVAL);
    check_error(mask_interrupts(edu.interrupts, 0, 1, UINT32_MAX), EINVAL);
    check_error(mask_interrupts(edu.interrupts, 0, UINT32_MAX, 1), EINVAL);
}

static void acknowledged(uint32_t kind)
{
    struct source edu = open_source(EDU, kind, 0);
    context("what was read is written, kind %u", kind);
    fine(set_acknowledge(edu.interrupts, edu_acknowledge()));
    unmask(edu.interrupts);
    for (uint32_t status = 1; status < 200; status++) {
        raise_it(&edu, status);
        struct devreg_interrupt record = take_interrupt(edu.interrupts);
        check_equal(record.number, status);
        check_equal(record.value, status);
        check_equal(record.flags, DEVREG_INTERRUPT_VALUE);
        check_equal(status_of(&edu), 0);
    }
    check_no_interrupt(edu.interrupts);
    close_source(&edu);
}

static void acknowledges(void)
{
    acknowledged(DEVREG_INTERRUPT_MSI);
    acknowledged(DEVREG_INTERRUPT_LINE);
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_MSI, 0);
    struct devreg_acknowledge wanted = edu_acknowledge();
    context("a constant is written");
    wanted.flags |= DEVREG_ACKNOWLEDGE_CONSTANT;
    wanted.value = 0x3;
    fine(set_acknowledge(edu.interrupts, wanted));
    unmask(edu.interrupts);
    raise_it(&edu, 0x7);
    check_equal(take_interrupt(edu.interrupts).value, 0x7);
    check_equal(status_of(&edu), 0x4);
    context("not with these bits");
    wanted.mask = 0x10;
    fine(set_acknowledge(edu.interrupts, wanted));
    raise_it(&edu, 0x1);
    check_equal(take_interrupt(edu.interrupts).value, 0x5);
    check_equal(status_of(&edu), 0x5);
    context("only read");
    wanted = edu_acknowledge();
    wanted.flags = DEVREG_ACKNOWLEDGE_READ;
    fine(set_acknowledge(edu.interrupts, wanted));
    raise_it(&edu, 0x2);
    check_equal(take_interrupt(edu.interrupts).value, 0x7);
    check_equal(status_of(&edu), 0x7);
    context("no more");
    wanted.flags = 0;
    fine(set_acknowledge(edu.interrupts, wanted));
    raise_it(&edu, 0x8);
    struct devreg_interrupt record = take_interrupt(edu.interrupts);
    check_equal(record.flags, 0);
    check_equal(record.value, 0);
    context("its registers stay when the region is closed");
    fine(set_acknowledge(edu.interrupts, edu_acknowledge()));
    mask(edu.interrupts);
    raise_it(&edu, 0x10);
    close(edu.region);
    unmask(edu.interrupts);
    check_equal(take_interrupt(edu.interrupts).value, 0x1f);
}

static void wrong_acknowledges(void)
{
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_MSI, 0);
    uint64_t size = bar_of(EDU, 0).size;
    const struct {
        const char *what;
        uint32_t flags, vector, index, width;
        uint64_t status, acknowledge;
        int error;
    } rows[] = {
            {"vector", 3, 1, 0, 4, EDU_STATUS, EDU_ACKNOWLEDGE, EINVAL},
            {"vector", 3, UINT32_MAX, 0, 4, EDU_STATUS, EDU_ACKNOWLEDGE, EINVAL},
            {"empty resource", 3, 0, 1, 4, EDU_STATUS, EDU_ACKNOWLEDGE, EINVAL},
            {"no resource", 3, 0, 6, 4, EDU_STATUS, EDU_ACKNOWLEDGE, EINVAL},
            {"width", 3, 0, 0, 0, EDU_STATUS, EDU_ACKNOWLEDGE, EINVAL},
            {"width", 3, 0, 0, 3, EDU_STATUS, EDU_ACKNOWLEDGE, EINVAL},
            {"width", 3, 0, 0, 16, EDU_STATUS, EDU_ACKNOWLEDGE, EINVAL},
            {"unaligned", 3, 0, 0, 4, EDU_STATUS + 2, EDU_ACKNOWLEDGE, EINVAL},
            {"unaligned", 3, 0, 0, 4, EDU_STATUS, EDU_ACKNOWLEDGE + 1, EINVAL},
            {"beyond", 3, 0, 0, 4, size, EDU_ACKNOWLEDGE, ERANGE},
            {"beyond", 3, 0, 0, 4, EDU_STATUS, size, ERANGE},
            {"beyond", 3, 0, 0, 4, UINT64_MAX - 3, EDU_ACKNOWLEDGE, ERANGE},
            {"writes without reading", DEVREG_ACKNOWLEDGE_WRITE, 0, 0, 4, EDU_STATUS, EDU_ACKNOWLEDGE,
                    EINVAL},
            {"a constant for nothing", DEVREG_ACKNOWLEDGE_READ | DEVREG_ACKNOWLEDGE_CONSTANT, 0, 0, 4,
                    EDU_STATUS, EDU_ACKNOWLEDGE, EINVAL},
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        struct devreg_acknowledge wanted = edu_acknowledge();
        context("row %zu: %s", i, rows[i].what);
        wanted.flags = rows[i].flags;
        wanted.vector = rows[i].vector;
        wanted.index = rows[i].index;
        wanted.width = rows[i].width;
        wanted.status = rows[i].status;
        wanted.acknowledge = rows[i].acknowledge;
        check_error(set_acknowledge(edu.interrupts, wanted), rows[i].error);
    }
    context("not claimed");
    close(edu.region);
    check_error(set_acknowledge(edu.interrupts, edu_acknowledge()), EACCES);
    edu.region = fine(claim_resource(edu.device, 0, 0, EDU_STATUS, 4, "status", NULL));
    check_error(set_acknowledge(edu.interrupts, edu_acknowledge()), EACCES);
    context("claimed to be read");
    fine(claim_resource(edu.device, DEVREG_REGION_READ_ONLY, 0, EDU_RAISE, 0x20, "others", NULL));
    check_error(set_acknowledge(edu.interrupts, edu_acknowledge()), EACCES);
}

static void line_without_acknowledge(void)
{
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_LINE, 0);
    unmask(edu.interrupts);
    raise_it(&edu, 1);
    struct devreg_interrupt record = take_interrupt(edu.interrupts);
    check_equal(record.flags, DEVREG_INTERRUPT_MASKED);
    check(config_word(EDU, PCI_COMMAND) & LINE_DISABLED);
    check_no_interrupt(edu.interrupts);
    context("unmasked while it is still up");
    for (uint64_t number = 2; number < 10; number++) {
        unmask(edu.interrupts);
        record = take_interrupt(edu.interrupts);
        check_equal(record.number, number);
        check_equal(record.flags, DEVREG_INTERRUPT_MASKED);
        check_no_interrupt(edu.interrupts);
    }
    context("unmasked when it is quiet");
    write_value(edu.region, EDU_ACKNOWLEDGE, 4, 1);
    unmask(edu.interrupts);
    check_no_interrupt(edu.interrupts);
    raise_it(&edu, 1);
    check_equal(take_interrupt(edu.interrupts).number, 10);
}

// The acknowledgement does not quieten the device: it is masked, not taken again and again.
static void line_that_stays_up(void)
{
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_LINE, 0);
    struct devreg_acknowledge wanted = edu_acknowledge();
    wanted.flags |= DEVREG_ACKNOWLEDGE_CONSTANT;
    wanted.value = 1;
    fine(set_acknowledge(edu.interrupts, wanted));
    unmask(edu.interrupts);
    raise_it(&edu, 3);
    struct devreg_interrupt record = take_interrupt(edu.interrupts);
    check_equal(record.value, 3);
    check_equal(record.flags, DEVREG_INTERRUPT_VALUE | DEVREG_INTERRUPT_MASKED);
    check_no_interrupt(edu.interrupts);
    check_equal(status_of(&edu), 2);
}

// Two functions on one line, and each has its own interrupts.
static void shared_line(void)
{
    bind_device("pci", FREE_EDU);
    char *irq = read_file("/sys/bus/pci/devices/" EDU "/irq");
    char *other_irq = read_file("/sys/bus/pci/devices/" FREE_EDU "/irq");
    check_text(other_irq, irq);
    free(irq);
    free(other_irq);
    struct source sources[] = {
            open_source(EDU, DEVREG_INTERRUPT_LINE, 0), open_source(FREE_EDU, DEVREG_INTERRUPT_LINE, 0)};
    for (size_t i = 0; i < array_size(sources); i++) {
        fine(set_acknowledge(sources[i].interrupts, edu_acknowledge()));
        unmask(sources[i].interrupts);
    }
    for (uint32_t round = 1; round <= 100; round++)
        for (size_t i = 0; i < array_size(sources); i++) {
            context("round %u, device %zu", round, i);
            raise_it(&sources[i], round);
            check_equal(take_interrupt(sources[i].interrupts).value, round);
        }
    context("one is masked and up, the other goes on");
    mask(sources[0].interrupts);
    raise_it(&sources[0], 1);
    raise_it(&sources[1], 1);
    check_equal(take_interrupt(sources[1].interrupts).number, 101);
    check_no_interrupt(sources[0].interrupts);
    context("one ends while it is up");
    close_source(&sources[0]);
    raise_it(&sources[1], 1);
    check_equal(take_interrupt(sources[1].interrupts).number, 102);
    check_no_interrupt(sources[1].interrupts);
}

static void not_under_lockdown(void)
{
    struct opened edu = open_edu();
    check_error(open_interrupts(edu.device, DEVREG_INTERRUPT_MSI, 1, 0), EPERM);
    check(!(config_word(EDU, PCI_COMMAND) & BUS_MASTER));
    struct devreg_interrupt record;
    int interrupts = fine(open_interrupts(edu.device, DEVREG_INTERRUPT_LINE, 1, 0));
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0, "locked", NULL));
    unmask(interrupts);
    write_value(region, EDU_RAISE, 4, 1);
    check_equal(fine(read(interrupts, &record, sizeof(record))), sizeof(record));
    write_value(region, EDU_ACKNOWLEDGE, 4, 1);
}

const struct test_case interrupt_cases[] = {
        {"interrupts_infos", infos, 0},
        {"interrupts_enabled_by_others", enabled_by_others, 0},
        {"interrupts_device_without", device_without, CASE_PC},
        {"interrupts_opening", opening, 0},
        {"interrupts_bus_mastering", bus_mastering, 0},
        {"interrupts_message", message, 0},
        {"interrupts_masking", masking, 0},
        {"interrupts_acknowledges", acknowledges, 0},
        {"interrupts_wrong_acknowledges", wrong_acknowledges, 0},
        {"interrupts_line_without_acknowledge", line_without_acknowledge, 0},
        {"interrupts_line_that_stays_up", line_that_stays_up, 0},
        {"interrupts_shared_line", shared_line, 0},
        {"interrupts_not_under_lockdown", not_under_lockdown, CASE_LOCKDOWN},
        {0},
};
