/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a region is reached. A backend knows no clients, no names and no rules: it opens a device, opens its
 * regions, and makes register accesses that were already checked. Adding one is one file with a `const
 * struct backend` and one line in the table of backend.c.
 *
 * Calls for one device are never made from two threads at once (core/dispatch.c sees to it), so a backend
 * needs no locks; calls for different devices may be. Only usable, suits, device_present and device_driver
 * can come at any time, the last two while the device is open: they look, and change nothing. And
 * interrupts_read and interrupts_mask are called on the loop while the device's regions are accessed on
 * another thread. While a device is reset, which may hold up whoever looks at it, there are still fewer: see
 * device_reset. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/description.h"
#include "util/error.h"

/* One vector of register accesses of one width. Whoever makes it has checked that it lies inside the
 * region, is naturally aligned, and that the region takes the width. */
struct access {
    uint64_t offset; /* octets from the region's start */
    unsigned width;  /* octets: 1 2 4 8 */
    size_t count;
    bool fixed; /* every access goes to `offset` (a FIFO); otherwise each to the next register */
};

static inline uint64_t access_offset(const struct access *access, size_t index)
{
    return access->fixed ? access->offset : access->offset + (uint64_t)index * access->width;
}

#define ADDRESS_UNKNOWN UINT64_MAX

/* Both are embedded at the start of a backend's own struct. */
struct backend_device {
    const struct backend *backend;
    char address[64]; /* where it was found, empty when that means nothing */
    char id[16];      /* vendor:device, likewise */
    bool can_reset;   /* device_reset() knows a way, as it was when the device was opened */
};

struct backend_region {
    const struct backend *backend;
    enum region_type type;
    uint64_t size;    /* octets, or ports */
    uint64_t address; /* physical or port address, ADDRESS_UNKNOWN without one */
    width_set widths; /* what the backend and the hardware can do at most */
    bool write_combining;
    bool slow; /* an access may take longer than a millisecond */
};

/* The open interrupts of a device; likewise. */
struct backend_interrupts {
    const struct backend *backend;
    int fd;            /* readable when there are records, or they are gone */
    const char *type;  /* "msi-x", "msi", "intx", "line", "uio", "sim" */
    bool acknowledges; /* it runs the acknowledgements itself, before a record is made */
};

/* An occurrence of an interrupt. */
struct interrupt_record {
    unsigned source; /* index among the description's interrupts */
    bool has_value;
    bool masked;      /* no further one comes before interrupts_mask(..., false) */
    bool overrun;     /* masked only because too many were not read in time */
    uint64_t value;   /* of the status register, in the region's order of octets */
    uint64_t time_ns; /* CLOCK_MONOTONIC, taken as near to the device as the backend can */
    uint64_t missed;  /* occurrences of this source right before it of which no more is known */
};

/* Memory that a device reaches by DMA. */
enum buffer_kind {
    BUFFER_COHERENT,  /* in one piece, and each side sees at once what the other writes */
    BUFFER_STREAMING, /* in one piece, for one side at a time: buffer_sync() hands it over */
    BUFFER_SCATTERED, /* likewise, but in one piece only for us: for the device it is segments */
    BUFFER_POOL,      /* coherent objects of one size, each with a bus address of its own */
};

/* Powers of two are checked by whoever makes it; a backend checks what only it knows. */
struct buffer_wish {
    enum buffer_kind kind;
    uint64_t size;               /* octets; of a pool: of one object */
    uint64_t count;              /* of a pool's objects, otherwise 1 */
    unsigned address_bits;       /* the device reaches bus addresses below 2^this: 24 to 64 */
    uint64_t alignment;          /* of bus addresses, octets, a power of two */
    uint64_t boundary;           /* no segment or object crosses a multiple of it, a power of two; 0: none */
    bool to_device, from_device; /* which way streaming and scattered ones are used: at least one */
};

/* What the device sees as one piece; of a pool: an object. */
struct buffer_segment {
    uint64_t bus_address;
    uint64_t offset; /* in the buffer's data */
    uint64_t size;   /* octets */
};

/* Embedded at the start of a backend's own struct. All but the descriptor's own state is fixed. */
struct backend_buffer {
    const struct backend *backend;
    unsigned char *data;    /* mapped, zero at first; touched through backends/buffer_memory.h alone */
    uint64_t size;          /* octets of data: at least what was wished for */
    uint64_t bus_address;   /* of the first segment */
    uint64_t segment_count; /* of a pool: its objects */
    bool needs_sync;        /* what one side writes the other sees after buffer_sync() alone */
    bool translated;        /* an IOMMU is in between: it can reach nothing else */
    bool reserved;          /* from memory that was set aside when the module was loaded */
};

/* What DMA of a device there is. Octets. */
struct dma_state {
    bool translated;
    uint64_t size_max;      /* of one buffer */
    uint64_t total_max;     /* of the buffers of all devices */
    uint64_t total;         /* in use by them now */
    uint64_t retained;      /* of this device: closed, but kept, as the device may still write to it */
    uint64_t reserved;      /* set aside when the module was loaded */
    uint64_t reserved_free; /* and not in use */
};

/* A register write that makes a device safe. */
struct safe_register {
    size_t region; /* index among the device's regions */
    uint64_t offset;
    unsigned width; /* octets */
    uint64_t value; /* its first octets, `width` of them, as they are to be in the device's memory */
};

#define REGION_TYPE_SET(type) (1U << (type))

/* One way to describe a device to a backend, by keys (enum description_key): all of device_needs (or, where
 * device_needs_one is set, exactly one of those) must be given, device_takes may be, no other; likewise for
 * each region. */
struct backend_form {
    uint32_t device_needs, device_needs_one, device_takes;
    uint32_t region_needs, region_needs_one, region_takes;
    uint32_t region_types; /* set of enum region_type: what `base` may be in; 0: there is no `base` */
};

/* Values travel as an array of `count` values of `width` octets, each as one load gave it or as one store
 * takes it: in the order of octets in the device's memory. Byte order is the core's business. */
struct backend {
    const char *name;
    const char *summary;

    const struct backend_form *forms;
    size_t form_count;

    /* The kernel may take a mapping back while the device stays: after a bus fault regions are opened anew,
     * which either works again or tells why not. */
    bool revocable;

    /* Whether it can work on this machine, for this process. Returns 0, or a negative errno with the reason
     * and what to do about it. */
    int (*usable)(struct error *error);

    /* Whether a description that gives the right keys also gives sensible values, without touching the
     * machine. NULL: the keys say it all. */
    int (*check)(const struct device_description *description, struct error *error);

    /* Whether it could open a device described like this, as the machine is now: whether the device is bound
     * to the right driver, say. It only looks: nothing is opened and no register touched, and what it says
     * may be over at once. Called when it is usable, also while the device is open, through this or another
     * backend. Returns 0, or a negative errno with the reason and what to do about it. NULL: it would try
     * any device. */
    int (*suits)(const struct device_description *description, struct error *error);

    /* Finds the device. -ENODEV: it is not there (now). The caller closes it. */
    int (*device_open)(const struct device_description *description, struct backend_device **ret_device,
            struct error *error);
    void (*device_close)(struct backend_device *device);

    /* Whether the device still answers; false after it was removed. NULL: there is no way to tell. */
    bool (*device_present)(struct backend_device *device);

    /* The name of the kernel driver that is bound to it; false when none. NULL: never one. */
    bool (*device_driver)(struct backend_device *device, char *name, size_t size);

    /* Sets the device back to what it is after power-on, which may take seconds. Regions, interrupts and
     * buffers stay open; what is retained of it is freed, as it forgets where it was to write to. Comes as
     * calls for regions do; meanwhile no other call does but device_driver, buffer_segments and
     * interrupts_read. NULL: this backend has no way. Returns 0 or a negative errno, with the reason and
     * what to do about it. Nothing was done to the device with -EOPNOTSUPP it has none, -EBUSY somebody else
     * has it, -EAGAIN not now, -ENODATA not for this process; -ENODEV it went away, -EIO it failed, and
     * nobody knows how it is. */
    int (*device_reset)(struct backend_device *device, struct error *error);

    int (*region_open)(struct backend_device *device, const struct region_description *description,
            struct backend_region **ret_region, struct error *error);
    void (*region_close)(struct backend_region *region);

    /* Returns 0 or a negative errno: -EFAULT is a bus fault, -EIO another failure. *ret_done is always set:
     * how many accesses were completed; the failing one is the next. */
    int (*read)(struct backend_region *region, const struct access *access, void *values, size_t *ret_done);
    int (*write)(struct backend_region *region, const struct access *access, const void *values,
            size_t *ret_done);

    /* Opens all interrupts that the description has, unmasked. NULL: this backend has none. Of a device that
     * is open; its regions may be open or not, and are opened and closed meanwhile. Returns 0 or a negative
     * errno with the reason and what to do about it. */
    int (*interrupts_open)(
            struct backend_device *device, struct backend_interrupts **ret_interrupts, struct error *error);
    void (*interrupts_close)(struct backend_interrupts *interrupts);

    /* Takes up to `count` records without waiting. Returns 0, also with none, or -ENODEV when they are gone
     * for good, another negative errno for another failure. */
    int (*interrupts_read)(struct backend_interrupts *interrupts, struct interrupt_record *records,
            size_t count, size_t *ret_count);

    /* Keeps a source from coming, or lets it come again; one that is still pending then comes at once. */
    int (*interrupts_mask)(struct backend_interrupts *interrupts, unsigned source, bool masked);

    /* Whether the device, which is open, can have buffers, and what there is of them. Returns 0, or a
     * negative errno with the reason and what to do about it. NULL, as the four that follow: this backend
     * has none. */
    int (*dma_describe)(struct backend_device *device, struct dma_state *ret_state, struct error *error);

    /* Allocates a buffer, zeroed. Calls for buffers come as those for regions do, never two at once for one
     * device; only buffer_segments can come at any time. All of a device's are closed before it is. Returns
     * 0; -ENOMEM when there is no such memory, -E2BIG when it is more than there may be, another negative
     * errno; with the reason and what to do about it. */
    int (*buffer_open)(struct backend_device *device, const struct buffer_wish *wish,
            struct backend_buffer **ret_buffer, struct error *error);

    /* let_go: somebody says that the device does not use it any more, so it is freed at once. Otherwise it
     * is retained until the backend is sure of that, which closing the device may not suffice for:
     * dma_describe() says how much is. */
    void (*buffer_close)(struct backend_buffer *buffer, bool let_go);

    /* Up to `count` segments from the one of index `first` on. Returns 0 or -ENODEV. */
    int (*buffer_segments)(struct backend_buffer *buffer, uint64_t first, struct buffer_segment *segments,
            size_t count, size_t *ret_count);

    /* Hands octets over, to the device or to us. Returns 0 or -ENODEV. */
    int (*buffer_sync)(struct backend_buffer *buffer, uint64_t offset, uint64_t size, bool for_device);

    /* Which writes are to be made when this process ends without having closed the device, in this order;
     * they replace those that were set before. Comes as those for regions do, with the regions open. NULL:
     * nobody would make them. */
    int (*safe_state_set)(struct backend_device *device, const struct safe_register *writes, size_t count,
            struct error *error);
};

/* All backends in order of preference, ended by NULL. */
extern const struct backend *const backends[];

/* NULL when there is none of that name. */
const struct backend *backend_find(const char *name);

/* How far the description is from this form: each key that is missing or too many counts, those of the
 * device, which say what it is, twice. 0: it fits. */
unsigned backend_form_mistakes(
        const struct backend_form *form, const struct device_description *description);

/* The form with the fewest mistakes, the first of those. */
const struct backend_form *backend_nearest_form(
        const struct backend *backend, const struct device_description *description);

/* Whether the description gives just the keys that this backend works from. */
bool backend_fits(const struct backend *backend, const struct device_description *description);

/* Whether the backend, which the description fits, would do for the device now. Returns 0, or a negative
 * errno with the reason. */
int backend_judge(
        const struct backend *backend, const struct device_description *description, struct error *error);

/* Chooses the backend for a device: the one that is named, or the first that fits and will do, as things are
 * now. Writes the reason of the choice, for people, into why. When none will do, the last that fits is
 * chosen, which asks for the least, and its device will be absent with its reason. Returns -EINVAL when no
 * backend fits. */
int backend_choose(const struct device_description *description, const struct backend **ret_backend,
        char *why, size_t why_size, struct error *error);

/* Whether the first stands before the second in the order of preference. */
bool backend_is_preferred(const struct backend *backend, const struct backend *other);
