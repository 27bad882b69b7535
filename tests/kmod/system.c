// SPDX-License-Identifier: LGPL-2.1-or-later
// What the kernel says about claims and devices, in /proc and sysfs.
#include "kmodtest.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CLAIM_PREFIX "devreg:"

char *read_file(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        fail("%s cannot be opened: %s", path, strerrorname_np(errno));
    size_t size = 0, room = 16384;
    char *text = malloc(room);
    check(text != NULL);
    ssize_t length;
    while ((length = read(file, text + size, room - size - 1)) > 0) {
        size += (size_t)length;
        if (room - size < 4096) {
            text = realloc(text, room *= 2);
            check(text != NULL);
        }
    }
    fine(length);
    text[size] = 0;
    close(file);
    return text;
}

int write_file(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t length = write(file, text, strlen(text));
    int error = errno;
    close(file);
    errno = error;
    return length < 0 ? -1 : 0;
}

struct range *read_ranges(const char *path, size_t *ret_count)
{
    char *text = read_file(path);
    size_t count = 0, room = 64;
    struct range *ranges = malloc(room * sizeof(*ranges));
    check(ranges != NULL);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        if (count == room) {
            ranges = realloc(ranges, (room *= 2) * sizeof(*ranges));
            check(ranges != NULL);
        }
        struct range *range = &ranges[count++];
        *range = (struct range){0};
        if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %95[^\n]", &range->start, &range->end, range->name) < 2)
            fail("%s has the line \"%s\"", path, line);
    }
    free(text);
    *ret_count = count;
    return ranges;
}

int count_claims(const char *path, uint64_t start, uint64_t size, const char *name)
{
    char wanted[96];
    snprintf(wanted, sizeof(wanted), CLAIM_PREFIX "%s", name);
    size_t count;
    int found = 0;
    struct range *ranges = read_ranges(path, &count);
    for (size_t i = 0; i < count; i++)
        found += ranges[i].start == start && ranges[i].end == start + size - 1 &&
                 strcmp(ranges[i].name, wanted) == 0;
    free(ranges);
    return found;
}

int count_all_claims(const char *path)
{
    size_t count;
    int found = 0;
    struct range *ranges = read_ranges(path, &count);
    for (size_t i = 0; i < count; i++)
        found += strncmp(ranges[i].name, CLAIM_PREFIX, strlen(CLAIM_PREFIX)) == 0;
    free(ranges);
    return found;
}

bool range_has_name(const char *path, uint64_t start, uint64_t size, const char *name)
{
    size_t count;
    bool found = false;
    struct range *ranges = read_ranges(path, &count);
    for (size_t i = 0; i < count; i++)
        found |= ranges[i].start <= start + size - 1 && ranges[i].end >= start &&
                 strcmp(ranges[i].name, name) == 0;
    free(ranges);
    return found;
}

struct range find_range(const char *path, const char *name)
{
    size_t count;
    struct range *ranges = read_ranges(path, &count);
    for (size_t i = 0; i < count; i++) {
        struct range range = ranges[i];
        if (strcmp(range.name, name) == 0) {
            free(ranges);
            return range;
        }
    }
    fail("%s has no \"%s\"", path, name);
}

struct bar bar_of(const char *pci, unsigned index)
{
    char path[96];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", pci);
    char *text = read_file(path), *rest = text;
    for (unsigned i = 0; i < index; i++)
        strsep(&rest, "\n");
    uint64_t start, end, flags;
    if (!rest || sscanf(rest, "%" SCNx64 " %" SCNx64 " %" SCNx64, &start, &end, &flags) != 3)
        fail("%s has no line %u", path, index);
    free(text);
    return (struct bar){.start = start, .size = flags ? end - start + 1 : 0, .flags = flags};
}

void driver_of(const char *bus, const char *device, char ret_driver[64])
{
    char path[128], target[256];
    snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/driver", bus, device);
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    target[length < 0 ? 0 : length] = 0;
    const char *slash = strrchr(target, '/');
    snprintf(ret_driver, 64, "%s", slash ? slash + 1 : target);
}

static int override(const char *bus, const char *device, const char *driver)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/driver_override", bus, device);
    return write_file(path, driver);
}

int try_bind(const char *bus, const char *device)
{
    char path[128];
    if (override(bus, device, DEVREG_DRIVER) != 0)
        return -1;
    snprintf(path, sizeof(path), "/sys/bus/%s/drivers/" DEVREG_DRIVER "/bind", bus);
    return write_file(path, device);
}

void bind_device(const char *bus, const char *device)
{
    context("binding %s", device);
    fine(try_bind(bus, device));
    char driver[64];
    driver_of(bus, device, driver);
    check_text(driver, DEVREG_DRIVER);
    context("%s", "");
}

void unbind_device(const char *bus, const char *device)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/%s/drivers/" DEVREG_DRIVER "/unbind", bus);
    context("unbinding %s", device);
    fine(write_file(path, device));
    context("%s", "");
}

void remove_device(const char *pci)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", pci);
    context("removing %s", pci);
    fine(write_file(path, "1"));
    context("%s", "");
}

void rescan_bus(void)
{
    fine(write_file("/sys/bus/pci/rescan", "1"));
}

static int set_driver(const char *bus, const char *device, bool devreg)
{
    char driver[64], path[128];
    driver_of(bus, device, driver);
    bool bound = strcmp(driver, DEVREG_DRIVER) == 0;
    if (bound && !devreg) {
        snprintf(path, sizeof(path), "/sys/bus/%s/drivers/" DEVREG_DRIVER "/unbind", bus);
        if (write_file(path, device) != 0)
            return -1;
    }
    if (!devreg)
        return override(bus, device, "\n");
    return bound ? 0 : try_bind(bus, device);
}

// What programs have left of buffers that nobody stopped the device from writing to goes when it is unbound.
static bool retains_memory(void)
{
    struct devreg_dma_info info = {.argsz = sizeof(info)};
    int control = open(DEVREG_PATH, O_RDWR | O_CLOEXEC);
    int device = control < 0 ? -1 : open_device(control, DEVREG_DEVICE_PCI, EDU, NULL);
    bool retains = device >= 0 && ioctl(device, DEVREG_DMA_INFO, &info) == 0 && info.retained > 0;
    close(device);
    close(control);
    return retains;
}

int settle(void)
{
    static const struct {
        const char *bus, *device;
        bool devreg;
    } devices[] = {
            {"pci", FREE_EDU, false},
            {"pci", TESTDEV, false},
            {"pci", IVSHMEM, false},
            {"pci", NIC, false},
            {"pci", EDU, true},
            {"platform", FW_CFG, false},
            {"platform", SOUND, false},
    };
    for (size_t i = 0; i < array_size(devices); i++) {
        char path[128];
        snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s", devices[i].bus, devices[i].device);
        if (access(path, F_OK) != 0 && strcmp(devices[i].bus, "pci") == 0)
            rescan_bus();
        else if (access(path, F_OK) != 0)
            continue; // this machine never had it
        if (set_driver(devices[i].bus, devices[i].device, devices[i].devreg) != 0) {
            printf("# %s cannot be %s %s: %s\n", devices[i].device,
                    devices[i].devreg ? "bound to" : "unbound from", DEVREG_DRIVER, strerrorname_np(errno));
            return -1;
        }
    }
    if (retains_memory())
        return set_driver("pci", EDU, false) || set_driver("pci", EDU, true);
    return 0;
}

static int open_config(const char *pci)
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", pci);
    return fine(open(path, O_RDWR | O_CLOEXEC));
}

uint16_t config_word(const char *pci, unsigned offset)
{
    int file = open_config(pci);
    uint16_t value;
    check_equal(pread(file, &value, sizeof(value), (off_t)offset), sizeof(value));
    close(file);
    return value;
}

void set_config_word(const char *pci, unsigned offset, uint16_t value)
{
    int file = open_config(pci);
    check_equal(pwrite(file, &value, sizeof(value), (off_t)offset), sizeof(value));
    close(file);
}

int descriptor_count(void)
{
    DIR *folder = opendir("/proc/self/fd");
    check(folder != NULL);
    int count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

void name_behind(const char *bridge, char ret_name[64])
{
    char path[128];
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/secondary_bus_number", bridge);
    char *bus = read_file(path);
    unsigned long number = strtoul(bus, NULL, 10);
    snprintf(ret_name, 64, "0000:%02lx:01.0", number);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", ret_name);
    if (access(path, F_OK) != 0)
        snprintf(ret_name, 64, "0000:%02lx:00.0", number); // what a PCI Express port leads to
    free(bus);
}

void give_up_device(const char *pci)
{
    char path[128];
    unbind_device("pci", pci);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", pci);
    fine(write_file(path, "\n"));
}
