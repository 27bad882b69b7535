/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See kmod_ioctl.h. */
#include "backends/kmod_ioctl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

static int explain_open(int code, struct error *error)
{
    switch (code) {
    case -ENOENT:
    case -ENODEV:
    case -ENXIO:
        return error_set(error, code, "the module devreg is not loaded: modprobe devreg");
    case -EPERM:
    case -EACCES:
        return error_set(error, code, "%s: %s: run devregd as root or with CAP_SYS_RAWIO", DEVREG_PATH,
                strerror(-code));
    default:
        return error_set(error, code, "%s: %s", DEVREG_PATH, strerror(-code));
    }
}

int kmod_open(uint64_t *ret_capabilities, struct error *error)
{
    struct devreg_info info = {.argsz = sizeof(info)};
    _cleanup_close_ int module = open(DEVREG_PATH, O_RDWR | O_CLOEXEC);
    int r;

    if (module < 0)
        return explain_open(-errno, error);
    r = kmod_call(module, DEVREG_GET_INFO, &info);
    if (r < 0)
        return error_set(error, -EPROTO,
                "the loaded module does not tell its ABI, and this devregd "
                "speaks %u: load the devreg.ko of this release",
                DEVREG_ABI);
    if (info.abi != DEVREG_ABI)
        return error_set(error, -EPROTO,
                "the loaded module speaks ABI %u, this devregd "
                "speaks %u: load the devreg.ko of this release",
                info.abi, DEVREG_ABI);
    if (ret_capabilities)
        *ret_capabilities = info.capabilities;
    return take_fd(&module);
}

int kmod_open_device(
        int module, uint32_t kind, const char *device, const char *description_name, struct error *error)
{
    struct devreg_open_device request = {.argsz = sizeof(request), .flags = kind};
    int r;

    snprintf(request.name, sizeof(request.name), "%s", device);
    r = kmod_call(module, DEVREG_OPEN_DEVICE, &request);
    request.owner[sizeof(request.owner) - 1] = '\0';
    switch (r) {
    case -ENODEV:
        return error_set(error, r, "no %s %s is there",
                kind == DEVREG_DEVICE_PCI ? "PCI function" : "platform device", device);
    case -ENXIO:
        if (request.owner[0])
            return error_set(error, -EBUSY, "%s is not bound to devreg, but to %s: devregctl bind %s",
                    device, request.owner, description_name);
        return error_set(
                error, -ENODEV, "%s is not bound to devreg: devregctl bind %s", device, description_name);
    case -EBUSY:
        return error_set(error, r, "%s is open already, by %s: one opener at a time", device,
                request.owner[0] ? request.owner : "another program");
    default:
        return r < 0 ? error_set(error, r, "opening %s: %s", device, strerror(-r)) : r;
    }
}

int kmod_get_device_info(int device, struct devreg_device_info *ret_info)
{
    *ret_info = (struct devreg_device_info){.argsz = sizeof(*ret_info)};
    return kmod_call(device, DEVREG_DEVICE_INFO, ret_info);
}

int kmod_get_resource_info(int device, unsigned index, struct devreg_resource_info *ret_info)
{
    *ret_info = (struct devreg_resource_info){.argsz = sizeof(*ret_info), .index = index};
    return kmod_call(device, DEVREG_RESOURCE_INFO, ret_info);
}

/* What is claimed, for messages: a range, and whether it is a device's. */
struct subject {
    uint64_t start, size;
    bool of_device;
};

static int explain_holder(const struct subject *subject, const char *owner, struct error *error)
{
    const char *advice = subject->of_device ? "unbind or unload its driver first"
                                            : "unbind or unload its driver first, or reach it beside that "
                                              "driver by another backend";

    if (strncmp(owner, DEVREG_DRIVER ":", strlen(DEVREG_DRIVER) + 1) == 0)
        advice = "another region, or another program, has it";
    return error_set(error, -EBUSY, "0x%" PRIx64 " + 0x%" PRIx64 " is claimed by %s: %s", subject->start,
            subject->size, owner[0] ? owner : "somebody else", advice);
}

static int explain_refusal(const struct subject *subject, int code, const char *owner, struct error *error)
{
    switch (code) {
    case -EBUSY:
        return explain_holder(subject, owner, error);
    case -EPERM:
        if (owner[0])
            return error_set(error, code,
                    "0x%" PRIx64 " + 0x%" PRIx64
                    " has the kernel's own memory in it (%s): give the addresses of a device",
                    subject->start, subject->size, owner);
        return error_set(error, code,
                "kernel lockdown forbids claiming 0x%" PRIx64
                ": describe the device itself (address, id or platform) "
                "and bind it to devreg, or boot without lockdown",
                subject->start);
    case -ERANGE:
        return error_set(error, code, "0x%" PRIx64 " + 0x%" PRIx64 " is beyond what this machine has",
                subject->start, subject->size);
    case -ENODEV:
        return error_set(error, code, "the device went away");
    case -EAGAIN:
        return error_set(error, -EBUSY,
                "a device that has part of 0x%" PRIx64 " + 0x%" PRIx64
                " is being bound to a driver or taken from one: try again soon",
                subject->start, subject->size);
    case -ENOSPC:
        return error_set(error, -EBUSY,
                "0x%" PRIx64 " + 0x%" PRIx64
                " would be one region too many: the module gives %d to a device, and %d in all",
                subject->start, subject->size, DEVREG_DEVICE_REGIONS_MAX, DEVREG_REGIONS_MAX);
    default:
        return error_set(error, code, "claiming 0x%" PRIx64 " + 0x%" PRIx64 ": %s", subject->start,
                subject->size, strerror(-code));
    }
}

static uint32_t claim_flags(const struct region_description *description)
{
    return (description->read_only ? DEVREG_REGION_READ_ONLY : 0) |
           (description->write_combining ? DEVREG_REGION_WRITE_COMBINING : 0);
}

/* Write-combining is asked for and, where it is refused, done without: the region says what it is. */
static int claim(int file, unsigned long request, void *argument, uint32_t *flags)
{
    int r = kmod_call(file, request, argument);

    if (r == -EINVAL && *flags & DEVREG_REGION_WRITE_COMBINING) {
        *flags &= ~DEVREG_REGION_WRITE_COMBINING;
        r = kmod_call(file, request, argument);
    }
    return r;
}

static int finish_claim(int claimed, const struct subject *subject, char owner[DEVREG_OWNER_SIZE],
        struct devreg_region_info *ret_info, struct error *error)
{
    _cleanup_close_ int region = claimed;
    int r;

    owner[DEVREG_OWNER_SIZE - 1] = '\0';
    if (claimed < 0)
        return explain_refusal(subject, claimed, owner, error);
    *ret_info = (struct devreg_region_info){.argsz = sizeof(*ret_info)};
    r = kmod_call(region, DEVREG_REGION_INFO, ret_info);
    if (r < 0)
        return explain_refusal(subject, r, "", error);
    return take_fd(&region);
}

int kmod_claim_region(int module, const struct region_description *description,
        struct devreg_region_info *ret_info, struct error *error)
{
    const struct subject subject = {.start = description->base, .size = description->size};
    struct devreg_claim request = {.argsz = sizeof(request),
            .flags = claim_flags(description),
            .start = description->base,
            .size = description->size};
    int r;

    if (description->type == REGION_IOPORT)
        request.flags |= DEVREG_REGION_PORTS;
    snprintf(request.name, sizeof(request.name), "%s", description->name);
    r = claim(module, DEVREG_CLAIM_REGION, &request, &request.flags);
    return finish_claim(r, &subject, request.owner, ret_info, error);
}

int kmod_claim_resource(int device, const struct devreg_resource_info *resource,
        const struct region_description *description, uint64_t size, struct devreg_region_info *ret_info,
        struct error *error)
{
    const struct subject subject = {
            .start = resource->start + description->offset, .size = size, .of_device = true};
    struct devreg_claim_resource request = {.argsz = sizeof(request),
            .flags = claim_flags(description),
            .index = resource->index,
            .offset = description->offset,
            .size = size};
    int r;

    snprintf(request.name, sizeof(request.name), "%s", description->name);
    r = claim(device, DEVREG_CLAIM_RESOURCE, &request, &request.flags);
    return finish_claim(r, &subject, request.owner, ret_info, error);
}

bool kmod_is_gone(int file)
{
    struct pollfd state = {.fd = file};

    return poll(&state, 1, 0) > 0 && state.revents & (POLLHUP | POLLERR);
}

int kmod_access(int region, const struct access *access, bool write, void *values, size_t *ret_done)
{
    for (*ret_done = 0; *ret_done < access->count;) {
        size_t left = access->count - *ret_done;
        struct devreg_access request = {.argsz = sizeof(request),
                .flags = (write ? DEVREG_ACCESS_WRITE : 0) | (access->fixed ? DEVREG_ACCESS_REPEAT : 0),
                .offset = access_offset(access, *ret_done),
                .width = access->width,
                .count = left < DEVREG_ACCESS_COUNT_MAX ? (uint32_t)left : DEVREG_ACCESS_COUNT_MAX,
                .data = (uintptr_t)values + *ret_done * access->width};
        int r = kmod_call(region, DEVREG_ACCESS, &request);

        *ret_done += request.done < left ? request.done : left;
        if (r < 0)
            return r == -ENODEV ? r : -EIO;
        if (request.done == 0)
            return -EIO; /* never, by the ABI; but it must not go on for ever */
    }
    return 0;
}
