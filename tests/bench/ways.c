/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one 32-bit read costs through each backend, as devregd makes it, of the same kind of device: runs as
 * root beside the devices of the rig, while no devregd holds them. bench-ways EDU EDU-UIO EDU-KMOD TESTDEV
 * PCI addresses Prints a line for each way: its kind, its name, the median of its time over that of the
 * first of its kind, and its nanoseconds: "memory kmod 1.02 2210". The ways of a kind are taken in turn. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/bus_guard.h"
#include "util/clock.h"

enum { ROUNDS = 41, READS = 200 };

struct way {
    const char *kind, *name;
    const char *backend;
    struct device_description device;
    struct region_description region;
    uint64_t offset;
    struct backend_device *open_device;
    struct backend_region *open_region;
    double ns[ROUNDS], ratios[ROUNDS];
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(values[0]), compare);
    return values[ROUNDS / 2];
}

static void open_way(struct way *way)
{
    const struct backend *backend = backend_find(way->backend);
    struct error error = {0};

    way->device.name = (char *)way->name;
    way->device.regions = &way->region;
    way->device.region_count = 1;
    way->region.name = (char *)"bench";
    if (backend->device_open(&way->device, &way->open_device, &error) < 0 ||
            backend->region_open(way->open_device, &way->region, &way->open_region, &error) < 0) {
        fprintf(stderr, "bench-ways: %s: %s\n", way->name, error.message);
        exit(EXIT_FAILURE);
    }
}

static void close_way(struct way *way)
{
    const struct backend *backend = backend_find(way->backend);

    backend->region_close(way->open_region);
    backend->device_close(way->open_device);
}

static double time_reads(struct way *way)
{
    const struct backend *backend = backend_find(way->backend);
    const struct access access = {.offset = way->offset, .width = 4, .count = 1};
    uint64_t start = clock_now_ns();
    uint32_t value;
    size_t done;

    for (int i = 0; i < READS; i++) {
        if (backend->read(way->open_region, &access, &value, &done) < 0) {
            fprintf(stderr, "bench-ways: %s: a read failed\n", way->name);
            exit(EXIT_FAILURE);
        }
    }
    return (double)(clock_now_ns() - start) / READS;
}

static void measure(struct way *ways, size_t count)
{
    for (size_t i = 0; i < count; i++)
        open_way(&ways[i]);
    for (int round = -1; round < ROUNDS; round++) {
        double first = 0;

        for (size_t i = 0; i < count; i++) {
            double ns = time_reads(&ways[i]);

            if (i == 0)
                first = ns;
            if (round >= 0) { /* the one before warms up */
                ways[i].ns[round] = ns;
                ways[i].ratios[round] = ns / first;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        printf("%s %s %.3f %.0f\n", ways[i].kind, ways[i].name, median(ways[i].ratios), median(ways[i].ns));
        close_way(&ways[i]);
    }
}

/* Where a BAR is, for the ways that name addresses. */
static uint64_t find_bar(const char *address, unsigned bar)
{
    char path[96], line[64];
    uint64_t start = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", address);
    file = fopen(path, "re");
    for (unsigned i = 0; file && i <= bar && fgets(line, sizeof(line), file); i++)
        start = strtoull(line, NULL, 16);
    if (file)
        fclose(file);
    if (start == 0) {
        fprintf(stderr, "bench-ways: %s has no BAR %u\n", address, bar);
        exit(EXIT_FAILURE);
    }
    return start;
}

static struct device_description pci(char *address)
{
    return (struct device_description){.keys = KEY_ADDRESS, .address = address};
}

static struct region_description bar(unsigned index)
{
    return (struct region_description){.keys = KEY_BAR, .bar = index};
}

static struct region_description raw(uint64_t base, uint64_t size, enum region_type type)
{
    return (struct region_description){
            .keys = KEY_BASE | KEY_SIZE | KEY_TYPE, .base = base, .size = size, .type = type};
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench-ways EDU EDU-UIO EDU-KMOD TESTDEV\n");
        return 2;
    }
    bus_guard_install();
    const uint64_t edu = find_bar(argv[1], 0), ports = find_bar(argv[4], 1);
    struct way memory[] = {
            {.kind = "memory",
                    .name = "/dev/mem",
                    .backend = "devmem",
                    .region = raw(edu, 0x1000, REGION_MMIO)},
            {.kind = "memory", .name = "sysfs", .backend = "pci", .device = pci(argv[1]), .region = bar(0)},
            {.kind = "memory", .name = "uio", .backend = "uio", .device = pci(argv[2]), .region = bar(0)},
            {.kind = "memory",
                    .name = "kmod-mapping",
                    .backend = "kmod",
                    .device = pci(argv[3]),
                    .region = bar(0)},
    };
    /* A window that does not fill its page can't be mapped; a device is open once. */
    struct way small[] = {
            {.kind = "memory-ioctl",
                    .name = "/dev/mem",
                    .backend = "devmem",
                    .region = raw(edu, 0x1000, REGION_MMIO)},
            {.kind = "memory-ioctl",
                    .name = "kmod-ioctl",
                    .backend = "kmod",
                    .device = pci(argv[3]),
                    .region = {.keys = KEY_BAR | KEY_SIZE, .size = 0x80}},
    };
    /* pci-testdev's count of accesses, which is 0. */
    struct way port[] = {
            {.kind = "ports",
                    .name = "ioperm",
                    .backend = "ioport",
                    .region = raw(ports, 256, REGION_IOPORT),
                    .offset = 0xc},
            {.kind = "ports",
                    .name = "sysfs",
                    .backend = "pci",
                    .device = pci(argv[4]),
                    .region = bar(1),
                    .offset = 0xc},
            {.kind = "ports",
                    .name = "kmod-ioctl",
                    .backend = "kmod",
                    .region = raw(ports, 256, REGION_IOPORT),
                    .offset = 0xc},
    };
    measure(memory, sizeof(memory) / sizeof(memory[0]));
    measure(small, sizeof(small) / sizeof(small[0]));
    measure(port, sizeof(port) / sizeof(port[0]));
    return 0;
}
