// SPDX-License-Identifier: LGPL-2.1-or-later
// The ioctls of the module as functions.
#include "kmodtest.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

// The name may fill the array, without a zero octet: cases ask for that.
static void put_text(char *array, size_t size, const char *text)
{
    size_t length = strnlen(text, size);
    memcpy(array, text, length);
}

static void give_owner(char *ret_owner, const char *owner)
{
    if (!ret_owner)
        return;
    int error = errno;
    check(memchr(owner, 0, DEVREG_OWNER_SIZE) != NULL);
    memcpy(ret_owner, owner, DEVREG_OWNER_SIZE);
    errno = error;
}

int open_control(void)
{
    return fine(open(DEVREG_PATH, O_RDWR | O_CLOEXEC));
}

int claim(int control, uint32_t flags, uint64_t start, uint64_t size, const char *name,
        char ret_owner[DEVREG_OWNER_SIZE])
{
    struct devreg_claim claim = {.argsz = sizeof(claim), .flags = flags, .start = start, .size = size};
    put_text(claim.name, sizeof(claim.name), name);
    int result = ioctl(control, DEVREG_CLAIM_REGION, &claim);
    give_owner(ret_owner, claim.owner);
    return result;
}

int open_device(int control, uint32_t flags, const char *name, char ret_owner[DEVREG_OWNER_SIZE])
{
    struct devreg_open_device device = {.argsz = sizeof(device), .flags = flags};
    put_text(device.name, sizeof(device.name), name);
    int result = ioctl(control, DEVREG_OPEN_DEVICE, &device);
    give_owner(ret_owner, device.owner);
    return result;
}

int claim_resource(int device, uint32_t flags, uint32_t index, uint64_t offset, uint64_t size,
        const char *name, char ret_owner[DEVREG_OWNER_SIZE])
{
    struct devreg_claim_resource claim = {
            .argsz = sizeof(claim), .flags = flags, .index = index, .offset = offset, .size = size};
    put_text(claim.name, sizeof(claim.name), name);
    int result = ioctl(device, DEVREG_CLAIM_RESOURCE, &claim);
    give_owner(ret_owner, claim.owner);
    return result;
}

int access_region(int region, uint32_t flags, uint64_t offset, uint32_t width, uint32_t count, void *data,
        uint32_t *ret_done)
{
    struct devreg_access access = {.argsz = sizeof(access),
            .flags = flags,
            .offset = offset,
            .width = width,
            .count = count,
            .data = (uintptr_t)data,
            .done = 0xdddddddd};
    int result = ioctl(region, DEVREG_ACCESS, &access);
    if (ret_done)
        *ret_done = access.done;
    return result;
}

int reset_device(int device)
{
    struct devreg_reset reset = {.argsz = sizeof(reset)};
    return ioctl(device, DEVREG_RESET, &reset);
}

int try_region_info(int region, struct devreg_region_info *ret_info)
{
    *ret_info = (struct devreg_region_info){.argsz = sizeof(*ret_info)};
    return ioctl(region, DEVREG_REGION_INFO, ret_info);
}

struct devreg_region_info region_info(int region)
{
    struct devreg_region_info info;
    fine(try_region_info(region, &info));
    check(memchr(info.name, 0, sizeof(info.name)) != NULL);
    return info;
}

int try_device_info(int device, struct devreg_device_info *ret_info)
{
    *ret_info = (struct devreg_device_info){.argsz = sizeof(*ret_info)};
    return ioctl(device, DEVREG_DEVICE_INFO, ret_info);
}

struct devreg_device_info device_info(int device)
{
    struct devreg_device_info info;
    fine(try_device_info(device, &info));
    return info;
}

int try_resource_info(int device, uint32_t index, struct devreg_resource_info *ret_info)
{
    *ret_info = (struct devreg_resource_info){.argsz = sizeof(*ret_info), .index = index};
    return ioctl(device, DEVREG_RESOURCE_INFO, ret_info);
}

uint64_t read_value(int region, uint64_t offset, uint32_t width)
{
    uint64_t value = 0; // little-endian, as everything here
    uint32_t done;
    fine(access_region(region, 0, offset, width, 1, &value, &done));
    check_equal(done, 1);
    return value;
}

void write_value(int region, uint64_t offset, uint32_t width, uint64_t value)
{
    uint32_t done;
    fine(access_region(region, DEVREG_ACCESS_WRITE, offset, width, 1, &value, &done));
    check_equal(done, 1);
}

struct opened open_edu(void)
{
    struct opened opened = {.control = open_control()};
    opened.device = fine(open_device(opened.control, DEVREG_DEVICE_PCI, EDU, NULL));
    return opened;
}

struct area ram_area(size_t pages, uint32_t flags)
{
    struct area area = {
            .control = open_control(), .start = bar_of(IVSHMEM, 2).start, .size = pages * page_size()};
    area.region = fine(claim(area.control, flags, area.start, area.size, "ram", NULL));
    int protection = flags & DEVREG_REGION_READ_ONLY ? PROT_READ : PROT_READ | PROT_WRITE;
    area.map = mapped(mmap(NULL, area.size, protection, MAP_SHARED, area.region, 0));
    return area;
}
