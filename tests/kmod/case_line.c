// SPDX-License-Identifier: LGPL-2.1-or-later
// The interrupt line of a platform device, which the device can't be told to hold: it is ours alone, and
// only the processor can keep it from coming. The device is a table of ACPI's that has the ports and the
// line of QEMU's sb16, as its processor raises the line on command.
#include "kmodtest.h"

#include <fcntl.h>
#include <unistd.h>

#define SAMPLE         0xa // the sb16's ports: a read takes an octet of its answer,
#define COMMAND        0xc // a write gives it a command,
#define STATUS         0xe // a read says whether there is an answer (0x80), and acknowledges

#define COMMAND_RAISE  0xf2 // and answers with an octet
#define ANSWER_IS_HERE 0x80

struct sound {
    int device, region, interrupts;
};

static void drain(const struct sound *sound)
{
    while (read_value(sound->region, STATUS, 1) & ANSWER_IS_HERE)
        read_value(sound->region, SAMPLE, 1);
}

static struct sound open_sound(uint32_t records)
{
    struct sound sound;
    bind_device("platform", SOUND);
    sound.device = fine(open_device(open_control(), DEVREG_DEVICE_PLATFORM, SOUND, NULL));
    sound.region = fine(claim_resource(sound.device, 0, 0, 0, 0, "sound", NULL));
    drain(&sound);
    sound.interrupts = fine(open_interrupts(sound.device, DEVREG_INTERRUPT_LINE, 1, records));
    fine(fcntl(sound.interrupts, F_SETFL, O_NONBLOCK));
    return sound;
}

static void raise_line(const struct sound *sound)
{
    write_value(sound->region, COMMAND, 1, COMMAND_RAISE);
}

static void acknowledge_by_reading(const struct sound *sound, uint64_t bits)
{
    fine(set_acknowledge(
            sound->interrupts, (struct devreg_acknowledge){.argsz = sizeof(struct devreg_acknowledge),
                                       .flags = DEVREG_ACKNOWLEDGE_READ,
                                       .width = 1,
                                       .status = STATUS,
                                       .mask = bits}));
}

static void infos(void)
{
    bind_device("platform", SOUND);
    int device = fine(open_device(open_control(), DEVREG_DEVICE_PLATFORM, SOUND, NULL));
    struct devreg_interrupt_info info = interrupt_info(device);
    check_equal(info.flags, DEVREG_INTERRUPT_LINE);
    check_equal(info.lines, 1);
    check_error(open_interrupts(device, DEVREG_INTERRUPT_MSI, 1, 0), EOPNOTSUPP);
    check_error(open_interrupts(device, DEVREG_INTERRUPT_LINE, 2, 0), ENOSPC);
}

static void masks_itself(void)
{
    struct sound sound = open_sound(0);
    context("masked when it is opened");
    raise_line(&sound);
    check_no_interrupt(sound.interrupts);
    for (uint64_t number = 1; number < 20; number++) {
        context("number %llu, still up", (unsigned long long)number);
        unmask(sound.interrupts);
        struct devreg_interrupt record = take_interrupt(sound.interrupts);
        check_equal(record.number, number);
        check_equal(record.flags, DEVREG_INTERRUPT_MASKED);
        check_no_interrupt(sound.interrupts);
    }
    context("quiet");
    read_value(sound.region, STATUS, 1);
    unmask(sound.interrupts);
    check_no_interrupt(sound.interrupts);
    raise_line(&sound);
    check_equal(take_interrupt(sound.interrupts).number, 20);
    read_value(sound.region, STATUS, 1);
}

static void acknowledged(void)
{
    struct sound sound = open_sound(0);
    acknowledge_by_reading(&sound, ANSWER_IS_HERE);
    unmask(sound.interrupts);
    for (uint64_t number = 1; number < 100; number++) {
        context("number %llu", (unsigned long long)number);
        raise_line(&sound);
        struct devreg_interrupt record = take_interrupt(sound.interrupts);
        check_equal(record.number, number);
        check_equal(record.value, ANSWER_IS_HERE);
        check_equal(record.flags, DEVREG_INTERRUPT_VALUE);
    }
    check_no_interrupt(sound.interrupts);
    context("the status asks for nothing: whether the line is up is not known");
    acknowledge_by_reading(&sound, 0x01);
    raise_line(&sound);
    struct devreg_interrupt record = take_interrupt(sound.interrupts);
    check_equal(record.value, ANSWER_IS_HERE);
    check_equal(record.flags, DEVREG_INTERRUPT_VALUE | DEVREG_INTERRUPT_MASKED);
    unmask(sound.interrupts);
    check_no_interrupt(sound.interrupts);
    raise_line(&sound);
    check_equal(take_interrupt(sound.interrupts).number, 101);
}

static void flooded(void)
{
    struct sound sound = open_sound(4);
    acknowledge_by_reading(&sound, ANSWER_IS_HERE);
    unmask(sound.interrupts);
    for (uint64_t i = 1; i <= 5; i++) {
        raise_line(&sound);
        uint64_t deadline = now_ms() + INTERRUPT_WAIT_MS;
        while (interrupt_sequence(sound.interrupts) != i)
            check(now_ms() < deadline);
    }
    raise_line(&sound);
    sleep_ms(100);
    check_equal(interrupt_sequence(sound.interrupts), 5);
    for (uint64_t i = 2; i <= 5; i++) {
        struct devreg_interrupt record = take_interrupt(sound.interrupts);
        check_equal(record.sequence, i);
        check_equal(record.dropped, i == 2);
        check_equal(record.flags & DEVREG_INTERRUPT_MASKED, i == 5 ? DEVREG_INTERRUPT_MASKED : 0);
    }
    unmask(sound.interrupts);
    check_equal(take_interrupt(sound.interrupts).sequence, 6);
}

static void goes_while_up(void)
{
    for (int round = 0; round < 5; round++) {
        context("round %d", round);
        struct sound sound = open_sound(0);
        unmask(sound.interrupts);
        raise_line(&sound);
        take_interrupt(sound.interrupts);
        if (round % 2)
            unmask(sound.interrupts);
        unbind_device("platform", SOUND);
        struct devreg_interrupt record;
        while (read(sound.interrupts, &record, sizeof(record)) > 0)
            ;
        check_error(read(sound.interrupts, &record, sizeof(record)), ENODEV);
        close(sound.interrupts);
        close(sound.region);
        close(sound.device);
    }
}

const struct test_case line_cases[] = {
        {"line_infos", infos, CASE_PC},
        {"line_masks_itself", masks_itself, CASE_ROUTES | CASE_PC},
        {"line_acknowledged", acknowledged, CASE_ROUTES | CASE_PC},
        {"line_flooded", flooded, CASE_ROUTES | CASE_PC},
        {"line_goes_while_up", goes_while_up, CASE_ROUTES | CASE_PC},
        {0},
};
