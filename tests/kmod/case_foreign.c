// SPDX-License-Identifier: LGPL-2.1-or-later
// Ranges that are somebody else's: the kernel's memory, what drivers hold, and what /dev/mem and sysfs have
// mapped.
#include "kmodtest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void system_memory(void)
{
    int control = open_control();
    size_t count;
    struct range *ranges = read_ranges(IOMEM, &count);
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ranges[i].name, "System RAM") != 0)
            continue;
        found++;
        uint64_t start = ranges[i].start, size = ranges[i].end - start + 1;
        const struct {
            uint64_t start, size;
        } rows[] = {
                {start, size},
                {start, 1},
                {start + size - 1, 1},
                {start + size / 2, 0x1000},
                {start - 1, 2},
                {start + size - 1, 2},
                {start - 0x1000, size + 0x2000},
        };
        for (size_t j = 0; j < array_size(rows); j++)
            for (uint32_t flags = 0; flags <= DEVREG_REGION_WRITE_COMBINING;
                    flags += DEVREG_REGION_READ_ONLY) {
                char owner[DEVREG_OWNER_SIZE];
                context("%#" PRIx64 " + %#" PRIx64 " flags %#x", rows[j].start, rows[j].size, flags);
                check_error(claim(control, flags, rows[j].start, rows[j].size, "memory", owner), EPERM);
                check_text(owner, "System RAM");
            }
    }
    free(ranges);
    check(found > 0);
    context("the kernel itself");
    struct range code = find_range(IOMEM, "Kernel code");
    char owner[DEVREG_OWNER_SIZE];
    check_error(claim(control, 0, code.start, code.end - code.start + 1, "memory", owner), EPERM);
    check_text(owner, "System RAM");
    context("everything, which has other owners too");
    check_equal(claim(control, 0, 0, kernel_has_64_bits() ? 1ULL << 32 : UINT32_MAX, "memory", owner), -1);
    check((errno == EPERM && strcmp(owner, "System RAM") == 0) || (errno == EBUSY && *owner));
}

static const char *path_of(uint32_t flags)
{
    return flags & DEVREG_REGION_PORTS ? IOPORTS : IOMEM;
}

// The range must be refused, and the owner be what the kernel's list has there.
static void check_owned(int control, uint32_t flags, uint64_t start, uint64_t size)
{
    char owner[DEVREG_OWNER_SIZE];
    context("%s %#" PRIx64 " + %#" PRIx64, path_of(flags), start, size);
    check_error(claim(control, flags, start, size, "foreign", owner), EBUSY);
    if (!*owner || !range_has_name(path_of(flags), start, size, owner))
        fail("the owner is said to be \"%s\"", owner);
}

// The kernel lists the HPET's registers and uses them, but does not hold them as its own: so they can be
// claimed, as /dev/mem can map them.
static void hpet(void)
{
    int control = open_control();
    find_range(IOMEM, "HPET 0");
    int region = fine(claim(control, DEVREG_REGION_READ_ONLY, 0xfed00000, 0x400, "hpet", NULL));
    check_equal(count_claims(IOMEM, 0xfed00000, 0x400, "hpet"), 1);
    check_equal(read_value(region, 0, 4), 0x8086a201);
}

static void interrupt_controllers(void)
{
    int control = open_control();
    char owner[DEVREG_OWNER_SIZE];
    /* Not the local one: a kernel that drives it through x2APIC registers does not list its addresses. */
    struct range io = find_range(IOMEM, "IOAPIC 0");
    check_error(claim(control, 0, io.start, io.end - io.start + 1, "apic", owner), EBUSY);
    check_text(owner, "IOAPIC 0");
    struct range pic = find_range(IOPORTS, "pic1");
    check_error(claim(control, DEVREG_REGION_PORTS, pic.start, 2, "pic", owner), EBUSY);
    check_text(owner, "pic1");
}

static void clock_ports(void)
{
    int control = open_control();
    check_owned(control, DEVREG_REGION_PORTS, 0x70, 2);
    check_owned(control, DEVREG_REGION_PORTS, 0x71, 1);
    check_owned(control, DEVREG_REGION_PORTS, 0x6f, 2);
}

// Nothing of a device that another driver has, whether that driver has claimed this BAR or not.
static void bound_device(void)
{
    int control = open_control();
    char driver[64];
    driver_of("pci", NETWORK, driver);
    check_text(driver, "virtio-pci");
    int bars = 0;
    for (unsigned i = 0; i < 6; i++) {
        struct bar bar = bar_of(NETWORK, i);
        if (!bar.size)
            continue;
        bars++;
        uint32_t flags = bar.flags & BAR_PORTS ? DEVREG_REGION_PORTS : 0;
        char owner[DEVREG_OWNER_SIZE];
        context("BAR %u at %#" PRIx64, i, bar.start);
        check_error(claim(control, flags, bar.start, bar.size, "net", owner), EBUSY);
        check(*owner);
        check_error(claim(control, flags, bar.start + bar.size - 1, 1, "net", owner), EBUSY);
        check(*owner);
    }
    check(bars >= 2);
}

// A device that is bound to devreg is for DEVREG_OPEN_DEVICE.
static void bound_to_devreg(void)
{
    int control = open_control();
    struct bar bar = bar_of(EDU, 0);
    char owner[DEVREG_OWNER_SIZE];
    check_error(claim(control, 0, bar.start, bar.size, "raw", owner), EBUSY);
    check(*owner);
    unbind_device("pci", EDU);
    close(fine(claim(control, 0, bar.start, bar.size, "raw", owner)));
}

// A raw claim in a device's BAR does not keep a driver from the device, but its ranges are taken.
static void bound_after_the_claim(void)
{
    int control = open_control();
    struct bar bar = bar_of(FREE_EDU, 0);
    int raw = fine(claim(control, 0, bar.start + 0x1000, 0x1000, "raw", NULL));
    if (try_bind("pci", FREE_EDU) == 0) {
        int device = fine(open_device(control, DEVREG_DEVICE_PCI, FREE_EDU, NULL));
        char owner[DEVREG_OWNER_SIZE];
        check_error(claim_resource(device, 0, 0, 0, 0, "window", owner), EBUSY);
        check_text(owner, "devreg:raw");
        fine(claim_resource(device, 0, 0, 0, 0x1000, "window", NULL));
        check_equal(region_info(raw).flags & DEVREG_REGION_GONE, 0);
        check_equal(read_value(raw, 0, 4), 0xffffffff); // what edu says where it has no register
    }
}

// Every line of the kernel's lists, claimed as it is there: refused with an owner, or granted and released.
// Nothing of it is touched. Huge ones are left out: to map them costs the kernel more memory than this
// machine has.
static void every_line(void)
{
    int control = open_control();
    int granted = 0, refused = 0;
    for (int ports = 0; ports < 2; ports++) {
        uint32_t flags = ports ? DEVREG_REGION_PORTS : 0;
        size_t count;
        struct range *ranges = read_ranges(path_of(flags), &count);
        for (size_t i = 0; i < count; i++) {
            uint64_t size = ranges[i].end - ranges[i].start + 1;
            char owner[DEVREG_OWNER_SIZE];
            if (size > 16 << 20)
                continue;
            context("%#" PRIx64 " + %#" PRIx64 " (%s)", ranges[i].start, size, ranges[i].name);
            int region = claim(control, flags, ranges[i].start, size, "line", owner);
            if (region >= 0) {
                granted++;
                check_equal(count_claims(path_of(flags), ranges[i].start, size, "line"), 1);
                close(region);
                continue;
            }
            refused++;
            check(errno == EBUSY || errno == EPERM);
            check(*owner);
        }
        free(ranges);
    }
    context("all lines");
    check(granted > 0 && refused > 10);
}

static void *map_memory(int memory, uint64_t start)
{
    return mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, memory, (off_t)start);
}

static void revokes_foreign_mappings(void)
{
    int memory = fine(open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC));
    int resource = fine(open("/sys/bus/pci/devices/" FREE_EDU "/resource0", O_RDWR | O_CLOEXEC));
    struct bar bar = bar_of(FREE_EDU, 0);
    for (int round = 0; round < 3; round++) {
        context("round %d", round);
        uint8_t *by_memory = mapped(map_memory(memory, bar.start));
        uint8_t *by_resource = mapped(map_memory(resource, 0));
        uint32_t value;
        check_equal(touch_read(by_memory, &value), TOUCH_FINE);
        check_equal(value, 0x010000ed);
        check_equal(touch_read(by_resource, &value), TOUCH_FINE);
        int control = open_control();
        int region = fine(claim(control, 0, bar.start, bar.size, "strict", NULL));
        check_equal(touch_read(by_memory, &value), TOUCH_BUS);
        check_equal(touch_read(by_resource, &value), TOUCH_BUS);
        check(map_memory(memory, bar.start) == MAP_FAILED && errno == EPERM);
        check(map_memory(resource, 0) == MAP_FAILED && errno == EINVAL);
        check_equal(read_value(region, 0, 4), 0x010000ed);
        close(region);
        munmap(by_memory, page_size());
        munmap(by_resource, page_size());
        close(control);
    }
}

static void revokes_mappings_of_a_window(void)
{
    int memory = fine(open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC));
    struct bar bar = bar_of(EDU, 0);
    uint8_t *inside = mapped(map_memory(memory, bar.start + 0x1000));
    check_equal(touch_read(inside, NULL), TOUCH_FINE);
    struct opened edu = open_edu();
    fine(claim_resource(edu.device, 0, 0, 0x1000, 0x1000, "strict", NULL));
    check_equal(touch_read(inside, NULL), TOUCH_BUS);
    check(map_memory(memory, bar.start + 0x1000) == MAP_FAILED && errno == EPERM);
}

const struct test_case foreign_cases[] = {
        {"foreign_system_memory", system_memory, 0},
        {"foreign_hpet", hpet, CASE_PC},
        {"foreign_interrupt_controllers", interrupt_controllers, CASE_PC},
        {"foreign_clock_ports", clock_ports, CASE_PC},
        {"foreign_bound_device", bound_device, 0},
        {"foreign_bound_to_devreg", bound_to_devreg, 0},
        {"foreign_bound_after_the_claim", bound_after_the_claim, 0},
        {"foreign_every_line", every_line, 0},
        {"foreign_mappings_are_revoked", revokes_foreign_mappings, 0},
        {"foreign_mappings_of_a_window_are_revoked", revokes_mappings_of_a_window, 0},
        {0},
};
