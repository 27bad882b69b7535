// SPDX-License-Identifier: LGPL-2.1-or-later
// I/O ports by DEVREG_ACCESS: QEMU's fw_cfg with its data port that is a FIFO, and pci-testdev's BAR 1.
#include "kmodtest.h"

#include <sys/mman.h>
#include <unistd.h>

#define WRITE        DEVREG_ACCESS_WRITE
#define REPEAT       DEVREG_ACCESS_REPEAT

#define FW_CFG_PORTS 0x510
#define FW_CFG_COUNT 12

static int claim_fw_cfg(uint32_t flags)
{
    return fine(
            claim(open_control(), DEVREG_REGION_PORTS | flags, FW_CFG_PORTS, FW_CFG_COUNT, "fwcfg", NULL));
}

// The signature, an octet at a time from one port.
static void fifo(void)
{
    int region = claim_fw_cfg(0);
    check_equal(count_claims(IOPORTS, FW_CFG_PORTS, FW_CFG_COUNT, "fwcfg"), 1);
    for (int round = 0; round < 3; round++) {
        char signature[5] = "";
        uint32_t done;
        write_value(region, 0, 2, 0x0000);
        fine(access_region(region, REPEAT, 1, 1, 4, signature, &done));
        check_equal(done, 4);
        check_text(signature, "QEMU");
    }
    // Another key, so that the value of the selector matters; then one by one.
    uint8_t id[4];
    write_value(region, 0, 2, 0x0001);
    fine(access_region(region, REPEAT, 1, 1, 4, id, NULL));
    check_equal(id[0] & 1, 1);
    check_equal(id[1] | id[2] | id[3], 0);
    write_value(region, 0, 2, 0x0000);
    check_equal(read_value(region, 1, 1), 'Q');
    check_equal(read_value(region, 1, 1), 'E');
}

// pci-testdev's protocol: choose a test, then it says where to write what, and counts the writes that were
// so. The first test counts; the other two are for eventfds.
static void testdev_counts(void)
{
    int control = open_control();
    struct bar bar = bar_of(TESTDEV, 1);
    int region = fine(claim(control, DEVREG_REGION_PORTS, bar.start, bar.size, "testdev", NULL));
    write_value(region, 0, 1, 0);
    uint32_t width = (uint32_t)read_value(region, 1, 1), offset = (uint32_t)read_value(region, 4, 4);
    context("width %u at %#x", width, offset);
    check(width == 1 || width == 2 || width == 4);
    uint64_t data = read_value(region, 8, 1), before = read_value(region, 0xc, 4);
    uint8_t values[40];
    for (unsigned i = 0; i < 10; i++) {
        memset(values + i * width, 0, width);
        values[i * width] = (uint8_t)data;
    }
    fine(access_region(region, WRITE | REPEAT, offset, width, 10, values, NULL));
    check_equal(read_value(region, 0xc, 4), before + 10);
    values[0] = (uint8_t)~data;
    fine(access_region(region, WRITE, offset, width, 1, values, NULL));
    check_equal(read_value(region, 0xc, 4), before + 10);
    // Its name, by each width.
    char by_octets[9] = "", by_halves[9] = "", by_words[9] = "";
    fine(access_region(region, 0, 0x10, 1, 8, by_octets, NULL));
    fine(access_region(region, 0, 0x10, 2, 4, by_halves, NULL));
    fine(access_region(region, 0, 0x10, 4, 2, by_words, NULL));
    check(*by_octets >= ' ' && *by_octets < 0x7f);
    check_text(by_halves, by_octets);
    check_text(by_words, by_octets);
}

static void bad_arguments(void)
{
    int region = claim_fw_cfg(0);
    uint64_t data[2] = {0};
    static const struct {
        uint64_t offset;
        uint32_t width, count;
        int error;
    } rows[] = {
            {0, 8, 1, EINVAL},
            {0, 3, 1, EINVAL},
            {0, 0, 1, EINVAL},
            {0, 16, 1, EINVAL},
            {1, 2, 1, EINVAL},
            {2, 4, 1, EINVAL},
            {0, 1, 0, EINVAL},
            {0, 1, DEVREG_ACCESS_COUNT_MAX + 1, EINVAL},
            {12, 1, 1, ERANGE},
            {10, 2, 2, ERANGE},
            {0, 1, 13, ERANGE},
            {0x10000, 1, 1, ERANGE},
            {0x100000000, 1, 1, ERANGE},
            {UINT64_MAX, 1, 1, ERANGE},
            {UINT64_MAX - 3, 4, 2, ERANGE},
    };
    for (size_t i = 0; i < array_size(rows); i++)
        for (uint32_t flags = 0; flags < 2; flags++) {
            uint32_t done = 9;
            context("row %zu flags %u", i, flags);
            check_error(
                    access_region(region, flags, rows[i].offset, rows[i].width, rows[i].count, data, &done),
                    rows[i].error);
            check_equal(done, 0);
        }
    check_equal(region_info(region).widths, 1 | 2 | 4);
}

static void unaligned_start(void)
{
    int control = open_control();
    uint64_t start = bar_of(TESTDEV, 1).start;
    static const struct {
        uint64_t offset;
        uint32_t widths;
    } rows[] = {{1, 1}, {2, 3}, {4, 7}, {6, 3}};
    for (size_t i = 0; i < array_size(rows); i++) {
        int region = fine(claim(control, DEVREG_REGION_PORTS, start + rows[i].offset, 8, "odd", NULL));
        context("a start at %#llx", (unsigned long long)rows[i].offset);
        check_equal(region_info(region).widths, rows[i].widths);
        for (uint32_t width = 1; width <= 4; width *= 2) {
            uint32_t value;
            int result = access_region(region, 0, 0, width, 1, &value, NULL);
            if (rows[i].widths & width)
                fine(result);
            else
                check_error(result, EINVAL);
        }
        close(region);
    }
}

static void read_only(void)
{
    int region = claim_fw_cfg(DEVREG_REGION_READ_ONLY);
    uint16_t value = 0;
    check_error(access_region(region, WRITE, 0, 2, 1, &value, NULL), EACCES);
    read_value(region, 1, 1);
}

static void not_mapped(void)
{
    struct bar bar = bar_of(TESTDEV, 1);
    int region = fine(claim(open_control(), DEVREG_REGION_PORTS, bar.start, bar.size, "ports", NULL));
    for (int protection = 0; protection < 4; protection++)
        check(mmap(NULL, page_size(), protection, MAP_SHARED, region, 0) == MAP_FAILED);
    // Nor a whole page of ports.
    int page = fine(claim(open_control(), DEVREG_REGION_PORTS, 0xf000, 0x1000, "page", NULL));
    check_equal(region_info(page).flags, DEVREG_REGION_PORTS);
    check(mmap(NULL, page_size(), PROT_READ, MAP_SHARED, page, 0) == MAP_FAILED);
}

// Octets of a FIFO that were taken out are counted, even when the memory for the rest is missing.
static void fifo_into_memory_that_ends(void)
{
    int region = claim_fw_cfg(0);
    size_t page = page_size();
    char *pages = mapped(mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fine(munmap(pages + page, page));
    uint32_t done = 9;
    write_value(region, 0, 2, 0x0000);
    check_error(access_region(region, REPEAT, 1, 1, 4, pages + page - 2, &done), EFAULT);
    check_equal(done, 2);
    check_equal(memcmp(pages + page - 2, "QE", 2), 0);
}

const struct test_case port_cases[] = {
        {"ports_fifo", fifo, CASE_PC},
        {"ports_testdev_counts", testdev_counts, 0},
        {"ports_bad_arguments", bad_arguments, CASE_PC},
        {"ports_unaligned_start", unaligned_start, CASE_PC},
        {"ports_read_only", read_only, CASE_PC},
        {"ports_not_mapped", not_mapped, CASE_PC},
        {"ports_fifo_into_memory_that_ends", fifo_into_memory_that_ends, CASE_PC},
        {0},
};
