// SPDX-License-Identifier: LGPL-2.1-or-later
// The end of interrupts: their device goes, is reset, or their holder is killed.
#include "kmodtest.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static void device_goes(uint32_t kind)
{
    struct source edu = open_source(EDU, kind, 0);
    fine(set_acknowledge(edu.interrupts, edu_acknowledge()));
    unmask(edu.interrupts);
    raise_it(&edu, 1);
    check(is_readable(edu.interrupts, INTERRUPT_WAIT_MS));
    unbind_device("pci", EDU);
    struct pollfd entry = {.fd = edu.interrupts, .events = POLLIN};
    check_equal(fine(poll(&entry, 1, 0)), 1);
    check_equal(entry.revents, POLLIN | POLLHUP | POLLERR);
    check_equal(take_interrupt(edu.interrupts).number, 1);
    check_equal(fine(poll(&entry, 1, 0)), 1);
    check_equal(entry.revents, POLLHUP | POLLERR);
    struct devreg_interrupt record;
    check_error(read(edu.interrupts, &record, sizeof(record)), ENODEV);
    check_error(mask_interrupts(edu.interrupts, 0, 0, 1), ENODEV);
    check_error(mask_interrupts(edu.interrupts, DEVREG_MASK_SET, 0, 1), ENODEV);
    check_error(set_acknowledge(edu.interrupts, edu_acknowledge()), ENODEV);
    check_error(open_interrupts(edu.device, kind, 1, 0), ENODEV);
    bind_device("pci", EDU);
    context("a new one has nothing to do with the old one");
    struct source again = open_source(EDU, kind, 0);
    unmask(again.interrupts);
    raise_it(&again, 1);
    check_equal(take_interrupt(again.interrupts).number, 1);
    check_error(read(edu.interrupts, &record, sizeof(record)), ENODEV);
    close_source(&again);
    close_source(&edu);
}

static void going(void)
{
    device_goes(DEVREG_INTERRUPT_MSI);
    device_goes(DEVREG_INTERRUPT_LINE);
}

static void hold_open(void *argument)
{
    struct source edu = open_source(EDU, *(uint32_t *)argument, 0);
    fine(set_acknowledge(edu.interrupts, edu_acknowledge()));
    unmask(edu.interrupts);
    raise_it(&edu, 1);
    raise(SIGKILL);
}

static void killed(void)
{
    static uint32_t kinds[] = {DEVREG_INTERRUPT_MSI, DEVREG_INTERRUPT_LINE};
    for (unsigned round = 0; round < 20; round++) {
        context("round %u", round);
        wait_child(spawn(hold_open, &kinds[round % 2]));
        check(config_word(EDU, PCI_COMMAND) & LINE_DISABLED);
        check(!(config_word(EDU, PCI_COMMAND) & BUS_MASTER));
    }
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_LINE, 0);
    unmask(edu.interrupts);
    raise_it(&edu, 1);
    check_equal(take_interrupt(edu.interrupts).number, 1);
}

// Interrupts come while their device is unbound, masked, asked and closed by others. On a PC alone: where
// messages go through a GIC, Linux warns of one that was on its way to a processor when its vector was
// freed.
static atomic_bool stop_raising;

static void *keep_raising(void *argument)
{
    const struct source *edu = argument;
    uint32_t value = 1;
    while (!stop_raising)
        access_region(edu->region, DEVREG_ACCESS_WRITE, EDU_RAISE, 4, 1, &value, NULL);
    return NULL;
}

static void *keep_masking(void *argument)
{
    const struct source *edu = argument;
    struct devreg_interrupt records[16];
    while (!stop_raising) {
        mask_interrupts(edu->interrupts, DEVREG_MASK_SET, 0, 1);
        mask_interrupts(edu->interrupts, 0, 0, 1);
        set_acknowledge(edu->interrupts, edu_acknowledge());
        if (read(edu->interrupts, records, sizeof(records)) < 0 && errno == ENODEV)
            break;
    }
    return NULL;
}

static void all_at_once(void)
{
    for (unsigned round = 0; round < 6; round++) {
        struct source edu = open_source(EDU, round % 2 ? DEVREG_INTERRUPT_MSI : DEVREG_INTERRUPT_LINE, 8);
        pthread_t threads[3];
        context("round %u", round);
        stop_raising = false;
        check_equal(pthread_create(&threads[0], NULL, keep_raising, &edu), 0);
        check_equal(pthread_create(&threads[1], NULL, keep_masking, &edu), 0);
        check_equal(pthread_create(&threads[2], NULL, keep_masking, &edu), 0);
        sleep_ms(200);
        unbind_device("pci", EDU);
        stop_raising = true;
        for (size_t i = 0; i < array_size(threads); i++)
            check_equal(pthread_join(threads[i], NULL), 0);
        close_source(&edu);
        bind_device("pci", EDU);
    }
}

static void reset_by_sysfs(const char *pci)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", pci);
    fine(write_file(path, "1"));
}

static void reset_while_open(const char *pci, uint32_t kind)
{
    struct source edu = open_source(pci, kind, 0);
    fine(set_acknowledge(edu.interrupts, edu_acknowledge()));
    unmask(edu.interrupts);
    for (uint32_t number = 1; number <= 6; number++) {
        context("kind %u, number %u", kind, number);
        raise_it(&edu, number);
        struct devreg_interrupt record = take_interrupt(edu.interrupts);
        check_equal(record.number, number);
        check_equal(record.value, number);
        if (number % 2)
            fine(reset_device(edu.device));
        else
            reset_by_sysfs(pci);
    }
    context("kind %u, masked", kind);
    mask(edu.interrupts);
    fine(reset_device(edu.device));
    reset_by_sysfs(pci);
    raise_it(&edu, 0x7);
    check_no_interrupt(edu.interrupts);
    unmask(edu.interrupts);
    check_equal(take_interrupt(edu.interrupts).value, 0x7);
    close_source(&edu);
}

static void resets(void)
{
    char name[64];
    name_behind(BRIDGE_TO_EDU, name);
    bind_device("pci", name);
    reset_while_open(name, DEVREG_INTERRUPT_MSI);
    reset_while_open(name, DEVREG_INTERRUPT_LINE);
    give_up_device(name);
}

const struct test_case interrupt_end_cases[] = {
        {"interrupts_going", going, 0},
        {"interrupts_killed", killed, 0},
        {"interrupts_all_at_once", all_at_once, CASE_PC},
        {"interrupts_resets", resets, 0},
        {0},
};
