// SPDX-License-Identifier: LGPL-2.1-or-later
// Interrupts, as functions.
#include "kmodtest.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SILENCE_MS 100

struct devreg_interrupt_info interrupt_info(int device)
{
    struct devreg_interrupt_info info = {.argsz = sizeof(info)};
    check_equal(ioctl(device, DEVREG_INTERRUPT_INFO, &info), 0);
    check_equal(info.argsz, sizeof(info));
    check_equal(info.reserved, 0);
    return info;
}

int open_interrupts(int device, uint32_t kind, uint32_t count, uint32_t records)
{
    struct devreg_open_interrupts open = {
            .argsz = sizeof(open), .flags = kind, .count = count, .records = records};
    return ioctl(device, DEVREG_OPEN_INTERRUPTS, &open);
}

int mask_interrupts(int interrupts, uint32_t flags, uint32_t vector, uint32_t count)
{
    struct devreg_mask_interrupts mask = {
            .argsz = sizeof(mask), .flags = flags, .vector = vector, .count = count};
    return ioctl(interrupts, DEVREG_MASK_INTERRUPTS, &mask);
}

int set_acknowledge(int interrupts, struct devreg_acknowledge acknowledge)
{
    return ioctl(interrupts, DEVREG_SET_ACKNOWLEDGE, &acknowledge);
}

void mask(int interrupts)
{
    fine(mask_interrupts(interrupts, DEVREG_MASK_SET, 0, 1));
}

void unmask(int interrupts)
{
    fine(mask_interrupts(interrupts, 0, 0, 1));
}

bool is_readable(int interrupts, int wait_ms)
{
    struct pollfd entry = {.fd = interrupts, .events = POLLIN};
    return fine(poll(&entry, 1, wait_ms)) > 0 && entry.revents & POLLIN;
}

struct devreg_interrupt take_interrupt(int interrupts)
{
    struct devreg_interrupt record;
    check(is_readable(interrupts, INTERRUPT_WAIT_MS));
    check_equal(fine(read(interrupts, &record, sizeof(record))), sizeof(record));
    check_equal(record.reserved, 0);
    return record;
}

void check_no_interrupt(int interrupts)
{
    struct devreg_interrupt record;
    check(!is_readable(interrupts, SILENCE_MS));
    check_error(read(interrupts, &record, sizeof(record)), EAGAIN);
}

uint64_t interrupt_sequence(int interrupts)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", interrupts);
    char *text = read_file(path);
    const char *line = strstr(text, "devreg-sequence:");
    check(line != NULL);
    uint64_t sequence = strtoull(line + strlen("devreg-sequence:"), NULL, 10);
    free(text);
    return sequence;
}

struct source open_source(const char *pci, uint32_t kind, uint32_t records)
{
    struct source source = {.control = open_control()};
    source.device = fine(open_device(source.control, DEVREG_DEVICE_PCI, pci, NULL));
    source.region = fine(claim_resource(source.device, 0, 0, 0, 0, "source", NULL));
    // What an earlier case has left.
    write_value(source.region, EDU_ACKNOWLEDGE, 4, UINT32_MAX);
    source.interrupts = fine(open_interrupts(source.device, kind, 1, records));
    fine(fcntl(source.interrupts, F_SETFL, O_NONBLOCK));
    return source;
}

void close_source(struct source *source)
{
    close(source->interrupts);
    close(source->region);
    close(source->device);
    close(source->control);
}

void raise_it(const struct source *source, uint32_t status)
{
    write_value(source->region, EDU_RAISE, 4, status);
}

uint64_t status_of(const struct source *source)
{
    return read_value(source->region, EDU_STATUS, 4);
}

struct devreg_acknowledge edu_acknowledge(void)
{
    return (struct devreg_acknowledge){.argsz = sizeof(struct devreg_acknowledge),
            .flags = DEVREG_ACKNOWLEDGE_READ | DEVREG_ACKNOWLEDGE_WRITE,
            .width = 4,
            .status = EDU_STATUS,
            .acknowledge = EDU_ACKNOWLEDGE,
            .mask = UINT64_MAX};
}
