// SPDX-License-Identifier: LGPL-2.1-or-later
// Claims of memory and ports by address: where they show, what they exclude, when they end.
#include "kmodtest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void memory_shows(void)
{
    struct bar bar = bar_of(FREE_EDU, 0);
    int control = open_control();
    int region = fine(claim(control, 0, bar.start, bar.size, "shown", NULL));
    check_equal(count_claims(IOMEM, bar.start, bar.size, "shown"), 1);
    check_equal(count_all_claims(IOPORTS), 0);
    struct devreg_region_info info = region_info(region);
    check_equal(info.start, bar.start);
    check_equal(info.size, bar.size);
    check_equal(info.flags, DEVREG_REGION_MAPPABLE);
    check_text(info.name, "shown");
    check_equal(close(region), 0);
    check_equal(count_all_claims(IOMEM), 0);
}

static void ports_show(void)
{
    struct bar bar = bar_of(TESTDEV, 1);
    check(bar.flags & BAR_PORTS);
    int control = open_control();
    int region = fine(claim(control, DEVREG_REGION_PORTS, bar.start, bar.size, "shown", NULL));
    check_equal(count_claims(IOPORTS, bar.start, bar.size, "shown"), 1);
    check_equal(count_all_claims(IOMEM), 0);
    struct devreg_region_info info = region_info(region);
    check_equal(info.start, bar.start);
    check_equal(info.size, bar.size);
    check_equal(info.flags, DEVREG_REGION_PORTS);
    check_equal(info.widths, 1 | 2 | 4);
    check_equal(close(region), 0);
    check_equal(count_all_claims(IOPORTS), 0);
}

static void flags_are_told(void)
{
    struct bar ram = bar_of(IVSHMEM, 2);
    int control = open_control();
    static const struct {
        uint32_t flags;
        uint64_t offset, size;
        uint32_t told;
    } rows[] = {
            {0, 0, 0x1000, DEVREG_REGION_MAPPABLE},
            {DEVREG_REGION_READ_ONLY, 0, 0x2000, DEVREG_REGION_READ_ONLY | DEVREG_REGION_MAPPABLE},
            {DEVREG_REGION_WRITE_COMBINING, 0, 0x1000,
                    DEVREG_REGION_WRITE_COMBINING | DEVREG_REGION_MAPPABLE},
            {DEVREG_REGION_WRITE_COMBINING | DEVREG_REGION_READ_ONLY, 0, 0x1000,
                    DEVREG_REGION_WRITE_COMBINING | DEVREG_REGION_READ_ONLY | DEVREG_REGION_MAPPABLE},
            {0, 8, 0x1000, 0},
            {0, 0, 0x1001, 0},
            {0, 0, 8, 0},
            {0, 0xff8, 16, 0},
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        context("row %zu", i);
        int region =
                fine(claim(control, rows[i].flags, ram.start + rows[i].offset, rows[i].size, "flags", NULL));
        check_equal(region_info(region).flags, rows[i].told);
        close(region);
    }
    context("ports");
    check_error(claim(control, DEVREG_REGION_PORTS | DEVREG_REGION_WRITE_COMBINING, bar_of(TESTDEV, 1).start,
                        8, "flags", NULL),
            EINVAL);
    int ports = fine(claim(control, DEVREG_REGION_PORTS | DEVREG_REGION_READ_ONLY, bar_of(TESTDEV, 1).start,
            8, "flags", NULL));
    check_equal(region_info(ports).flags, DEVREG_REGION_PORTS | DEVREG_REGION_READ_ONLY);
}

// A middle of 0x1000 is claimed; what overlaps by even one octet is refused, what is adjacent is not.
static void overlaps(uint32_t flags, uint64_t base, uint64_t size)
{
    int control = open_control();
    int middle = fine(claim(control, flags, base + size, size, "middle", NULL));
    const struct {
        uint64_t start, size;
        bool overlaps;
    } rows[] = {
            {base + size, size, true},
            {base + size, 1, true},
            {base + 2 * size - 1, 1, true},
            {base + size + 2, 2, true},
            {base, size + 1, true},
            {base + 2 * size - 1, size, true},
            {base, 3 * size, true},
            {base, size, false},
            {base + size - 1, 1, false},
            {base + 2 * size, 1, false},
            {base + 2 * size, size, false},
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        char owner[DEVREG_OWNER_SIZE];
        memset(owner, 'x', sizeof(owner));
        context("row %zu: %#" PRIx64 " + %#" PRIx64 " beside %#" PRIx64 " + %#" PRIx64, i, rows[i].start,
                rows[i].size, base + size, size);
        int region = claim(control, flags, rows[i].start, rows[i].size, "other", owner);
        if (rows[i].overlaps) {
            check_error(region, EBUSY);
            check_text(owner, "devreg:middle");
        } else {
            fine(region);
            check_text(owner, "");
            close(region);
        }
    }
    context("what was refused did no harm");
    check_equal(count_claims(flags & DEVREG_REGION_PORTS ? IOPORTS : IOMEM, base + size, size, "middle"), 1);
    close(middle);
    close(fine(claim(control, flags, base, 3 * size, "other", NULL)));
}

static void overlapping_memory(void)
{
    overlaps(0, bar_of(FREE_EDU, 0).start, 0x1000);
    overlaps(0, bar_of(FREE_EDU, 0).start + 0x10, 0x10);
}

static void overlapping_ports(void)
{
    overlaps(DEVREG_REGION_PORTS, bar_of(TESTDEV, 1).start, 0x10);
}

// One that begins before two others: the owner is one of them.
static void overlapping_two(void)
{
    struct bar bar = bar_of(FREE_EDU, 0);
    int control = open_control();
    fine(claim(control, 0, bar.start + 0x1000, 0x1000, "one", NULL));
    fine(claim(control, 0, bar.start + 0x3000, 0x1000, "two", NULL));
    char owner[DEVREG_OWNER_SIZE];
    check_error(claim(control, 0, bar.start, bar.size, "all", owner), EBUSY);
    check(strcmp(owner, "devreg:one") == 0 || strcmp(owner, "devreg:two") == 0);
}

static unsigned physical_bits(void)
{
    char *text = read_file("/proc/cpuinfo");
    char *line = strstr(text, "address sizes");
    unsigned bits;
    check(line && sscanf(line, "address sizes : %u bits physical", &bits) == 1);
    free(text);
    return bits;
}

static void impossible_memory(void)
{
    int control = open_control();
    uint64_t beyond = 1ULL << physical_bits(), start = bar_of(FREE_EDU, 0).start;
    const struct {
        uint64_t start, size;
    } rows[] = {
            {start, 0},
            {0, 0},
            {UINT64_MAX, 0},
            {UINT64_MAX, 1},
            {UINT64_MAX, 2},
            {UINT64_MAX - 0xfff, 0x1000},
            {UINT64_MAX - 0xfff, 0x2000},
            {start, UINT64_MAX},
            {start, UINT64_MAX - start},
            {start, UINT64_MAX - start + 1},
            {start, UINT64_MAX - start + 2},
            {0, UINT64_MAX},
            {1, UINT64_MAX},
            {1ULL << 63, 0x1000},
            {(1ULL << 63) - 0x1000, 0x2000},
            {1ULL << 52, 0x1000},
            {beyond, 0x1000},
            {beyond, 1},
            {beyond - 0x1000, 0x1001},
            {beyond - 1, 2},
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        context("%#" PRIx64 " + %#" PRIx64, rows[i].start, rows[i].size);
        check_error(claim(control, 0, rows[i].start, rows[i].size, "impossible", NULL), ERANGE);
    }
    context("the last page that can be addressed");
    close(fine(claim(control, 0, beyond - 0x1000, 0x1000, "last", NULL)));
}

static void impossible_ports(void)
{
    int control = open_control();
    uint64_t start = bar_of(TESTDEV, 1).start;
    const struct {
        uint64_t start, size;
    } rows[] = {
            {start, 0},
            {0xffff, 2},
            {0xffff, 0},
            {0x10000, 1},
            {0xff00, 0x101},
            {start, 0x10000},
            {start, 1ULL << 32},
            {start, (1ULL << 32) + 8},
            {(1ULL << 32) + start, 8},
            {(1ULL << 63) + start, 8},
            {start, UINT64_MAX},
            {start, UINT64_MAX - start + 1},
            {start, UINT64_MAX - start + 2},
            {UINT64_MAX, 1},
            {UINT64_MAX, 2},
            {0, 1ULL << 32},
            {0, UINT64_MAX},
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        context("%#" PRIx64 " + %#" PRIx64, rows[i].start, rows[i].size);
        check_error(claim(control, DEVREG_REGION_PORTS, rows[i].start, rows[i].size, "impossible", NULL),
                ERANGE);
    }
    context("the last port");
    close(fine(claim(control, DEVREG_REGION_PORTS, 0xffff, 1, "last", NULL)));
}

// A claim ends with the last descriptor and the last mapping of it.
static void ends_with_the_last_copy(void)
{
    struct area area = ram_area(4, 0);
    int copy = fine(dup(area.region));
    close(area.region);
    check_equal(count_claims(IOMEM, area.start, area.size, "ram"), 1);
    close(copy);
    check_equal(count_claims(IOMEM, area.start, area.size, "ram"), 1);
    check_equal(touch_write(area.map, 0x12345678), TOUCH_FINE);
    uint32_t value;
    check_equal(touch_read(area.map, &value), TOUCH_FINE);
    check_equal(value, 0x12345678);
    check_error(claim(area.control, 0, area.start, area.size, "second", NULL), EBUSY);
    fine(munmap(area.map, area.size));
    check_equal(count_all_claims(IOMEM), 0);
    check_equal(touch_read(area.map, &value), TOUCH_SEGV);
    close(fine(claim(area.control, 0, area.start, area.size, "second", NULL)));
}

static void outlives_the_control_descriptor(void)
{
    int control = open_control();
    struct bar bar = bar_of(FREE_EDU, 0);
    int region = fine(claim(control, 0, bar.start, bar.size, "alone", NULL));
    close(control);
    check_equal(count_claims(IOMEM, bar.start, bar.size, "alone"), 1);
    check_equal(read_value(region, 0, 4), 0x010000ed);
}

// Born close-on-exec: another program does not hold the claim.
static void closed_by_exec(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0, "exec", NULL));
    int raw = fine(claim(edu.control, 0, bar_of(FREE_EDU, 0).start, 0x1000, "exec", NULL));
    int descriptors[] = {edu.device, region, raw};
    for (size_t i = 0; i < array_size(descriptors); i++) {
        check_equal(fcntl(descriptors[i], F_GETFD), FD_CLOEXEC);
        pid_t child = fine(fork());
        if (child == 0) {
            char number[16];
            snprintf(number, sizeof(number), "%d", descriptors[i]);
            execl("/proc/self/exe", "kmodtest", "--is-closed", number, NULL);
            _exit(CHILD_FAILED);
        }
        int status = wait_child(child);
        check_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    }
}

// Descriptors have no name in the file system by which another process could open them.
static void not_opened_through_proc(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0, "reopen", NULL));
    int descriptors[] = {edu.device, region};
    for (size_t i = 0; i < array_size(descriptors); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptors[i]);
        check_equal(open(path, O_RDWR), -1);
        check_equal(open(path, O_RDONLY), -1);
    }
}

static void many_at_once(void)
{
    struct bar bar = bar_of(IVSHMEM, 2);
    int control = open_control();
    int regions[500];
    for (size_t i = 0; i < array_size(regions); i++) {
        char name[16];
        snprintf(name, sizeof(name), "many-%zu", i);
        regions[i] = fine(claim(control, 0, bar.start + i * 0x1000, 0x1000, name, NULL));
    }
    check_equal(count_all_claims(IOMEM), array_size(regions));
    for (size_t i = 0; i < array_size(regions); i += 2)
        close(regions[i]);
    check_equal(count_all_claims(IOMEM), array_size(regions) / 2);
    check_equal(count_claims(IOMEM, bar.start + 0x1000, 0x1000, "many-1"), 1);
    check_equal(count_claims(IOMEM, bar.start + 0x2000, 0x1000, "many-2"), 0);
}

// When no descriptor is left for it, a claim is none.
static void no_descriptor_left(void)
{
    struct opened edu = open_edu();
    bind_device("pci", TESTDEV);
    uint64_t start = bar_of(FREE_EDU, 0).start;
    int next = fine(dup(edu.control)), descriptors = 0;
    close(next);
    while (dup(edu.control) >= 0)
        descriptors++;
    check_equal(errno, EMFILE);
    check(descriptors > 100);
    check_error(claim(edu.control, 0, start, 0x1000, "none", NULL), EMFILE);
    check_error(claim_resource(edu.device, 0, 0, 0, 0x1000, "none", NULL), EMFILE);
    check_error(open_device(edu.control, DEVREG_DEVICE_PCI, TESTDEV, NULL), EMFILE);
    for (int i = 0; i < 4; i++)
        close(next + i);
    check_equal(count_all_claims(IOMEM), 0);
    close(fine(claim(edu.control, 0, start, 0x1000, "one", NULL)));
    close(fine(open_device(edu.control, DEVREG_DEVICE_PCI, TESTDEV, NULL)));
}

const struct test_case claim_cases[] = {
        {"claims_memory_shows", memory_shows, 0},
        {"claims_ports_show", ports_show, 0},
        {"claims_flags_are_told", flags_are_told, 0},
        {"claims_overlapping_memory", overlapping_memory, 0},
        {"claims_overlapping_ports", overlapping_ports, 0},
        {"claims_overlapping_two", overlapping_two, 0},
        {"claims_impossible_memory", impossible_memory, CASE_PC},
        {"claims_impossible_ports", impossible_ports, CASE_PC},
        {"claims_end_with_the_last_copy", ends_with_the_last_copy, 0},
        {"claims_outlive_the_control_descriptor", outlives_the_control_descriptor, 0},
        {"claims_closed_by_exec", closed_by_exec, 0},
        {"claims_not_opened_through_proc", not_opened_through_proc, 0},
        {"claims_many_at_once", many_at_once, 0},
        {"claims_no_descriptor_left", no_descriptor_left, 0},
        {0},
};
