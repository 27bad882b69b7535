// SPDX-License-Identifier: LGPL-2.1-or-later
// Interrupts, as functions.
#include "kmodtest.h"

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
