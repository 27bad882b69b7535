/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an administrator asked for, as plain data: the configuration fills it, inventory and backends read
 * it. A key that was not given has its zero value and its bit missing in `keys`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The keys whose meaning depends on the backend. Each backend says which it needs and which it takes. */
enum description_key {
    KEY_ADDRESS = 1 << 0, /* device: PCI address */
    KEY_ID = 1 << 1,      /* device: PCI vendor:device[:index] */
    KEY_MODEL = 1 << 2,   /* device: simulated board */
    KEY_TRACE = 1 << 3,   /* device: file that records each access */
    KEY_PATH = 1 << 4,    /* device: file that holds a simulated memory */
    KEY_BAR = 1 << 5,     /* region */
    KEY_OFFSET = 1 << 6,  /* region: window inside a BAR, resource or map */
    KEY_BASE = 1 << 7,    /* region: physical address, or first port */
    KEY_SIZE = 1 << 8,    /* region */
    KEY_WRITE_COMBINING = 1 << 9,
    KEY_PLATFORM = 1 << 10, /* device: name of a platform device */
    KEY_UIO = 1 << 11,      /* device: name of a UIO device[:index] */
    KEY_RESOURCE = 1 << 12, /* region: of a platform device */
    KEY_UIO_MAP = 1 << 13,  /* region: memory of a UIO device */
    KEY_UIO_PORT = 1 << 14, /* region: ports of a UIO device */
    KEY_TYPE = 1 << 15,     /* region: memory or ports */
};

enum region_type {
    REGION_MMIO,
    REGION_IOPORT,
};

enum endianness {
    ENDIANNESS_LITTLE,
    ENDIANNESS_BIG,
};

/* Access widths as a set: the width in octets, 1 2 4 8, is its own bit. */
typedef uint8_t width_set;

struct region_description {
    char *name;
    char *description;
    uint32_t keys;
    unsigned bar;
    unsigned resource;
    unsigned uio_map;
    unsigned uio_port;
    enum region_type type; /* what base is in */
    uint64_t offset;       /* octets from the start of what it is a window of */
    uint64_t base;         /* physical address, or number of the first port */
    uint64_t size;         /* octets, or ports; 0: all there is */
    width_set widths;
    enum endianness endianness;
    bool read_only;
    bool write_combining;
    bool slow;        /* never touched on the event loop */
    bool audit_reads; /* reads are recorded too */
};

/* What quietens an interrupt as soon as it comes, and tells its status: one register is read, another may be
 * written. Numbers are in the region's order of octets. */
struct acknowledge_description {
    size_t region;  /* index among the device's regions */
    unsigned width; /* octets, of both accesses */
    uint64_t read;  /* offset of the status register */
    bool writes;
    uint64_t write; /* offset of the register that is written then */
    bool constant;  /* `value` is written, otherwise what was read */
    uint64_t value;
    uint64_t mask; /* bits of the status that ask for the write: with all of them 0 nothing is written */
};

/* A source of interrupts. */
struct interrupt_description {
    char *name;
    char *description;
    unsigned vector; /* of those that the device has */
    bool acknowledged;
    struct acknowledge_description acknowledge; /* when it is */
};

/* How a device tells of its interrupts. */
enum interrupt_type {
    INTERRUPT_BEST, /* the first of the following that it has */
    INTERRUPT_MSIX,
    INTERRUPT_MSI,
    INTERRUPT_LINE, /* INTx of PCI, or a platform device's */
};

/* A number of this width as the region's order of octets has it, from what the order of the other would make
 * of it; for little-endian regions the same. */
static inline uint64_t region_order(const struct region_description *region, unsigned width, uint64_t value)
{
    return region->endianness == ENDIANNESS_BIG ? __builtin_bswap64(value) >> (64 - 8 * width) : value;
}

struct device_description {
    char *name;
    char *description;
    char *backend; /* NULL: the best usable one */
    uint32_t keys;
    char *address;
    char *id;
    char *model;
    char *trace;
    char *path;
    char *platform;
    char *uio;
    struct region_description *regions;
    size_t region_count;
    enum interrupt_type interrupt_type;
    struct interrupt_description *interrupts; /* names are unique among all devices' */
    size_t interrupt_count;
};

void device_description_done(struct device_description *description);
