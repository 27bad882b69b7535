// SPDX-License-Identifier: LGPL-2.1-or-later
// Devices that are bound to devreg: opening them, what is told of them, windows of their resources, reset.
#include "kmodtest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static void info_of_edu(void)
{
    struct opened edu = open_edu();
    struct devreg_device_info info = device_info(edu.device);
    check_equal(info.argsz, sizeof(info));
    check_equal(info.flags, DEVREG_DEVICE_PCI);
    check_equal(info.resource_count, 6);
    check_equal(info.vendor, 0x1234);
    check_equal(info.device, 0x11e8);
    char *class_code = read_file("/sys/bus/pci/devices/" EDU "/class");
    check_equal(info.class_code, strtoul(class_code, NULL, 16));
    free(class_code);
}

static void compare_resources(const char *pci)
{
    int control = open_control();
    int device = fine(open_device(control, DEVREG_DEVICE_PCI, pci, NULL));
    for (uint32_t index = 0; index < 6; index++) {
        struct devreg_resource_info info;
        context("BAR %u of %s", index, pci);
        fine(try_resource_info(device, index, &info));
        struct bar bar = bar_of(pci, index);
        check_equal(info.size, bar.size);
        check_equal(info.index, index);
        check_equal(info.reserved, 0);
        check(memchr(info.name, 0, sizeof(info.name)) != NULL);
        if (!bar.size) {
            check_equal(info.flags, 0);
            check_error(claim_resource(device, 0, index, 0, 0, "empty", NULL), EINVAL);
            continue;
        }
        uint32_t flags = (bar.flags & BAR_PORTS ? DEVREG_RESOURCE_PORTS : 0) |
                         (bar.flags & BAR_PREFETCH ? DEVREG_RESOURCE_PREFETCHABLE : 0) |
                         (bar.flags & BAR_READONLY ? DEVREG_RESOURCE_READ_ONLY : 0) |
                         (bar.flags & BAR_64 ? DEVREG_RESOURCE_64 : 0);
        check_equal(info.flags, flags);
        check_equal(info.start, bar.start);
        check_text(info.name, pci);
    }
    static const uint32_t beyond[] = {6, 7, 10, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < array_size(beyond); i++) {
        struct devreg_resource_info info;
        context("index %#x of %s", beyond[i], pci);
        check_error(try_resource_info(device, beyond[i], &info), EINVAL);
        check_error(claim_resource(device, 0, beyond[i], 0, 0, "beyond", NULL), EINVAL);
    }
}

static void resources_as_in_sysfs(void)
{
    bind_device("pci", TESTDEV);
    bind_device("pci", IVSHMEM);
    compare_resources(EDU);
    compare_resources(TESTDEV);
    compare_resources(IVSHMEM);
}

static void not_bound(void)
{
    int control = open_control();
    char owner[DEVREG_OWNER_SIZE];
    memset(owner, 'x', sizeof(owner));
    check_error(open_device(control, DEVREG_DEVICE_PCI, FREE_EDU, owner), ENXIO);
    check_text(owner, "");
    check_error(open_device(control, DEVREG_DEVICE_PCI, NETWORK, owner), ENXIO);
    check_text(owner, "virtio-pci");
    unbind_device("pci", EDU);
    check_error(open_device(control, DEVREG_DEVICE_PCI, EDU, owner), ENXIO);
    check_text(owner, "");
}

// Nothing is bound but through driver_override: the driver matches no device by itself.
static void bound_only_by_override(void)
{
    check_equal(write_file("/sys/bus/pci/drivers/" DEVREG_DRIVER "/bind", FREE_EDU), -1);
    check_equal(write_file("/sys/bus/platform/drivers/" DEVREG_DRIVER "/bind", FW_CFG), -1);
    char driver[64];
    driver_of("pci", FREE_EDU, driver);
    check_text(driver, "");
}

static void kinds(void)
{
    int control = open_control();
    check_error(open_device(control, 0, EDU, NULL), EINVAL);
    check_error(open_device(control, DEVREG_DEVICE_PCI | DEVREG_DEVICE_PLATFORM, EDU, NULL), EINVAL);
    check_error(open_device(control, DEVREG_DEVICE_PCI | DEVREG_DEVICE_RESET, EDU, NULL), EINVAL);
    check_error(open_device(control, DEVREG_DEVICE_PCI | DEVREG_DEVICE_GONE, EDU, NULL), EINVAL);
    check_error(open_device(control, DEVREG_DEVICE_PLATFORM, EDU, NULL), ENODEV);
}

static void expected_owner(char ret_owner[DEVREG_OWNER_SIZE], pid_t process)
{
    char name[16];
    prctl(PR_GET_NAME, name);
    snprintf(ret_owner, DEVREG_OWNER_SIZE, "%s[%d]", name, process);
}

static void open_it(void *argument)
{
    char owner[DEVREG_OWNER_SIZE], expected[DEVREG_OWNER_SIZE];
    expected_owner(expected, *(pid_t *)argument);
    check_error(open_device(open_control(), DEVREG_DEVICE_PCI, EDU, owner), EBUSY);
    check_text(owner, expected);
}

static void opened_twice(void)
{
    struct opened edu = open_edu();
    char owner[DEVREG_OWNER_SIZE], expected[DEVREG_OWNER_SIZE];
    pid_t self = getpid();
    expected_owner(expected, self);
    check_error(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, owner), EBUSY);
    check_text(owner, expected);
    in_child(open_it, &self);
    close(edu.device);
    edu.device = fine(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, NULL));
    close(edu.control);
    check_equal(device_info(edu.device).vendor, 0x1234);
}

static void busy_until_regions_are_closed(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0x1000, 0x1000, "window", NULL));
    void *map = mapped(mmap(NULL, page_size(), PROT_READ, MAP_SHARED, region, 0));
    char owner[DEVREG_OWNER_SIZE], expected[DEVREG_OWNER_SIZE];
    expected_owner(expected, getpid());
    close(edu.device);
    context("the region is open");
    check_error(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, owner), EBUSY);
    check_text(owner, expected);
    check_equal(read_value(region, 0, 4), 0xffffffff);
    check_equal(touch_read(map, NULL), TOUCH_FINE);
    close(region);
    context("the region is mapped");
    check_error(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, owner), EBUSY);
    check_equal(touch_read(map, NULL), TOUCH_FINE);
    fine(munmap(map, page_size()));
    context("nothing is left");
    close(fine(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, owner)));
}

static void windows(void)
{
    struct opened edu = open_edu();
    struct bar bar = bar_of(EDU, 0);
    const struct {
        uint64_t offset, size;
        int error;
        uint64_t got;
    } rows[] = {
            {0, 0, 0, bar.size},
            {0, bar.size, 0, bar.size},
            {0x1000, 0x1000, 0, 0x1000},
            {0x1000, 0, 0, bar.size - 0x1000},
            {bar.size - 1, 0, 0, 1},
            {bar.size - 1, 1, 0, 1},
            {4, 4, 0, 4},
            {bar.size, 0, ERANGE, 0},
            {bar.size, 1, ERANGE, 0},
            {bar.size + 1, 0, ERANGE, 0},
            {0, bar.size + 1, ERANGE, 0},
            {1, bar.size, ERANGE, 0},
            {bar.size - 1, 2, ERANGE, 0},
            {UINT64_MAX, 0, ERANGE, 0},
            {UINT64_MAX, 1, ERANGE, 0},
            {UINT64_MAX, 2, ERANGE, 0},
            {0, UINT64_MAX, ERANGE, 0},
            {1, UINT64_MAX, ERANGE, 0},
            {0x1000, UINT64_MAX - 0xfff, ERANGE, 0},
            {1ULL << 32, 0x1000, ERANGE, 0},
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        context("window %#" PRIx64 " + %#" PRIx64, rows[i].offset, rows[i].size);
        int region = claim_resource(edu.device, 0, 0, rows[i].offset, rows[i].size, "window", NULL);
        if (rows[i].error) {
            check_error(region, rows[i].error);
            continue;
        }
        fine(region);
        struct devreg_region_info info = region_info(region);
        check_equal(info.start, bar.start + rows[i].offset);
        check_equal(info.size, rows[i].got);
        check_text(info.name, "window");
        check_equal(count_claims(IOMEM, bar.start + rows[i].offset, rows[i].got, "window"), 1);
        close(region);
        check_equal(count_all_claims(IOMEM), 0);
    }
}

static void windows_overlap(void)
{
    struct opened edu = open_edu();
    struct bar bar = bar_of(EDU, 0);
    char owner[DEVREG_OWNER_SIZE];
    int middle = fine(claim_resource(edu.device, 0, 0, 0x1000, 0x1000, "middle", NULL));
    static const struct {
        uint64_t offset, size;
    } rows[] = {{0, 0}, {0, 0x1001}, {0x1000, 0x1000}, {0x1fff, 1}, {0x1fff, 0}, {0x1800, 8}};
    for (size_t i = 0; i < array_size(rows); i++) {
        context("row %zu", i);
        check_error(claim_resource(edu.device, 0, 0, rows[i].offset, rows[i].size, "other", owner), EBUSY);
        check_text(owner, "devreg:middle");
    }
    context("beside it");
    fine(claim_resource(edu.device, 0, 0, 0, 0x1000, "before", owner));
    check_text(owner, "");
    fine(claim_resource(edu.device, 0, 0, 0x2000, 0, "after", NULL));
    check_equal(count_all_claims(IOMEM), 3);
    context("by address");
    check_error(claim(edu.control, 0, bar.start + 0x1000, 0x10, "raw", owner), EBUSY);
    check(*owner);
    close(middle);
    context("again");
    fine(claim_resource(edu.device, 0, 0, 0x1000, 0x1000, "again", NULL));
}

static void claim_flags(void)
{
    struct opened edu = open_edu();
    context("edu's BAR is not prefetchable");
    check_error(claim_resource(edu.device, DEVREG_REGION_WRITE_COMBINING, 0, 0, 0, "flags", NULL), EINVAL);
    context("ports are not asked for");
    check_error(claim_resource(edu.device, DEVREG_REGION_PORTS, 0, 0, 0, "flags", NULL), EINVAL);
    int region = fine(claim_resource(edu.device, DEVREG_REGION_READ_ONLY, 0, 0, 0, "flags", NULL));
    check_equal(region_info(region).flags, DEVREG_REGION_READ_ONLY | DEVREG_REGION_MAPPABLE);
    check(mmap(NULL, page_size(), PROT_WRITE, MAP_SHARED, region, 0) == MAP_FAILED);
    uint32_t value = 0;
    check_error(access_region(region, DEVREG_ACCESS_WRITE, 4, 4, 1, &value, NULL), EACCES);
    bind_device("pci", IVSHMEM);
    int ivshmem = fine(open_device(edu.control, DEVREG_DEVICE_PCI, IVSHMEM, NULL));
    context("ivshmem's BAR 2 is");
    region = fine(claim_resource(ivshmem, DEVREG_REGION_WRITE_COMBINING, 2, 0, 0, "flags", NULL));
    check_equal(region_info(region).flags, DEVREG_REGION_WRITE_COMBINING | DEVREG_REGION_MAPPABLE);
    volatile uint32_t *words =
            mapped(mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, region, 0));
    words[5] = 0x5a5a1234;
    check_equal(read_value(region, 20, 4), 0x5a5a1234);
}

static void port_bar(void)
{
    bind_device("pci", TESTDEV);
    int device = fine(open_device(open_control(), DEVREG_DEVICE_PCI, TESTDEV, NULL));
    struct bar bar = bar_of(TESTDEV, 1);
    check_error(claim_resource(device, DEVREG_REGION_PORTS, 1, 0, 0, "ports", NULL), EINVAL);
    check_error(claim_resource(device, DEVREG_REGION_WRITE_COMBINING, 1, 0, 0, "ports", NULL), EINVAL);
    int region = fine(claim_resource(device, 0, 1, 0, 0, "ports", NULL));
    struct devreg_region_info info = region_info(region);
    check_equal(info.flags, DEVREG_REGION_PORTS);
    check_equal(info.start, bar.start);
    check_equal(info.size, bar.size);
    check_equal(info.widths, 7);
    check_equal(count_claims(IOPORTS, bar.start, bar.size, "ports"), 1);
    write_value(region, 0, 1, 0);
    uint64_t width = read_value(region, 1, 1);
    check(width == 1 || width == 2 || width == 4);
}

static void platform_device(void)
{
    int control = open_control();
    char owner[DEVREG_OWNER_SIZE] = "not bound", expected[DEVREG_OWNER_SIZE];
    check_error(open_device(control, DEVREG_DEVICE_PLATFORM, FW_CFG, owner), ENXIO);
    check_text(owner, "");
    bind_device("platform", FW_CFG);
    check_error(open_device(control, DEVREG_DEVICE_PCI, FW_CFG, NULL), ENODEV);
    int device = fine(open_device(control, DEVREG_DEVICE_PLATFORM, FW_CFG, NULL));
    expected_owner(expected, getpid());
    check_error(open_device(control, DEVREG_DEVICE_PLATFORM, FW_CFG, owner), EBUSY);
    check_text(owner, expected);
    struct devreg_device_info info = device_info(device);
    check_equal(info.flags, DEVREG_DEVICE_PLATFORM);
    check_equal(info.resource_count, 1);
    check_equal(info.vendor | info.device | info.class_code, 0);
    struct devreg_resource_info resource;
    fine(try_resource_info(device, 0, &resource));
    check_equal(resource.flags, DEVREG_RESOURCE_PORTS);
    check_equal(resource.start, 0x510);
    check_equal(resource.size, 12);
    check_error(try_resource_info(device, 1, &resource), EINVAL);
    check_error(reset_device(device), EOPNOTSUPP);
    int region = fine(claim_resource(device, 0, 0, 0, 0, "fwcfg", NULL));
    check_equal(count_claims(IOPORTS, 0x510, 12, "fwcfg"), 1);
    char signature[5] = "";
    write_value(region, 0, 2, 0);
    fine(access_region(region, DEVREG_ACCESS_REPEAT, 1, 1, 4, signature, NULL));
    check_text(signature, "QEMU");
    unbind_device("platform", FW_CFG);
    uint32_t done;
    check_error(access_region(region, 0, 1, 1, 1, signature, &done), ENODEV);
    check(region_info(region).flags & DEVREG_REGION_GONE);
    check(device_info(device).flags & DEVREG_DEVICE_GONE);
    check_equal(count_all_claims(IOPORTS), 0);
}

static bool may_write_to_memory(void)
{
    return config_word(EDU, PCI_COMMAND) & BUS_MASTER;
}

static void no_bus_mastering(void)
{
    context("on when it is bound");
    unbind_device("pci", EDU);
    set_config_word(EDU, PCI_COMMAND, config_word(EDU, PCI_COMMAND) | BUS_MASTER);
    check(may_write_to_memory());
    bind_device("pci", EDU);
    check(!may_write_to_memory());
    context("on while it is open, and closed");
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0, "window", NULL));
    set_config_word(EDU, PCI_COMMAND, config_word(EDU, PCI_COMMAND) | BUS_MASTER);
    close(edu.device);
    check(may_write_to_memory()); // still in use
    close(region);
    check(!may_write_to_memory());
    context("on when it is unbound");
    edu.device = fine(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, NULL));
    set_config_word(EDU, PCI_COMMAND, config_word(EDU, PCI_COMMAND) | BUS_MASTER);
    unbind_device("pci", EDU);
    check(!may_write_to_memory());
}

// Opened, its memory is decoded, whoever had switched that off.
static void decoding_is_on(void)
{
    unbind_device("pci", EDU);
    set_config_word(EDU, PCI_COMMAND, 0);
    bind_device("pci", EDU);
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0x1000, "decoded", NULL));
    check_equal(read_value(region, 0, 4), 0x010000ed);
}

static void reset_of_edu(void)
{
    struct opened edu = open_edu();
    check_error(reset_device(edu.device), EOPNOTSUPP);
    check_equal(device_info(edu.device).flags & DEVREG_DEVICE_RESET, 0);
}

// A secondary bus reset: pci-testdev forgets which test was chosen; its BARs, mappings and claims stay.
static void reset_behind_a_bridge(void)
{
    char name[64];
    name_behind(BRIDGE_TO_TESTDEV, name);
    bind_device("pci", name);
    int device = fine(open_device(open_control(), DEVREG_DEVICE_PCI, name, NULL));
    check(device_info(device).flags & DEVREG_DEVICE_RESET);
    int region = fine(claim_resource(device, 0, 0, 0, 0, "testdev", NULL));
    volatile uint8_t *map = mapped(mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, region, 0));
    uint16_t command = config_word(name, PCI_COMMAND);
    uint64_t start = bar_of(name, 0).start;
    for (int round = 0; round < 2; round++) {
        context("round %d", round);
        map[0] = 0;
        check(map[1] == 1 || map[1] == 2 || map[1] == 4);
        check(map[0x10] != 0);
        fine(reset_device(device));
        check_equal(map[0x10], 0);
        check_equal(read_value(region, 0x10, 1), 0);
        check_equal(config_word(name, PCI_COMMAND), command);
        check_equal(config_word(name, 0x10) & 0xf000, start & 0xf000);
    }
    check_equal(count_claims(IOMEM, start, page_size(), "testdev"), 1);
    give_up_device(name);
    check_error(reset_device(device), ENODEV);
}

const struct test_case device_cases[] = {
        {"device_info_of_edu", info_of_edu, 0},
        {"device_resources_as_in_sysfs", resources_as_in_sysfs, 0},
        {"device_not_bound", not_bound, 0},
        {"device_bound_only_by_override", bound_only_by_override, 0},
        {"device_kinds", kinds, 0},
        {"device_opened_twice", opened_twice, 0},
        {"device_busy_until_regions_are_closed", busy_until_regions_are_closed, 0},
        {"device_windows", windows, 0},
        {"device_windows_overlap", windows_overlap, 0},
        {"device_claim_flags", claim_flags, 0},
        {"device_port_bar", port_bar, 0},
        {"device_platform", platform_device, CASE_PC},
        {"device_no_bus_mastering", no_bus_mastering, 0},
        {"device_decoding_is_on", decoding_is_on, 0},
        {"device_reset_of_edu", reset_of_edu, 0},
        {"device_reset_behind_a_bridge", reset_behind_a_bridge, 0},
        {0},
};
