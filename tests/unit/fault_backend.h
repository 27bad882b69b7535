/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that does what a test says: opens or not, answers, faults or vanishes, takes its time. It stands
 * behind a backend of its own, so what is tested above it is the same as for real ones. */
#pragma once

#include <semaphore.h>
#include <stdatomic.h>

#include "backends/backend.h"
#include "core/device.h"
#include "test.h"

enum {
    FAULT_REGIONS = 2,
    FAULT_SIZE = 256, /* octets of each region */
    FAULT_SAFE = 16,
    FAULT_REFUSED = 0x40,          /* no safe-state write is taken there */
    FAULT_BUS_ADDRESS = 0x1000000, /* of every buffer */
};

struct fault {
    /* What it is; both regions are windows of one memory. */
    struct device_description description;
    struct region_description regions[FAULT_REGIONS];
    uint8_t memory[FAULT_SIZE];
    width_set widths;
    uint64_t address;
    bool slow, can_reset;

    /* What happens: 0 or a negative errno. */
    atomic_int open_result;
    atomic_int region_result[FAULT_REGIONS];
    atomic_int read_result, write_result; /* of accesses from fault_offset on */
    uint64_t fault_offset;                /* changed only while nothing is under way */
    atomic_int buffer_result, sync_result, safe_result, reset_result;
    atomic_uint waste;     /* octets that a buffer takes besides those that were wished for */
    atomic_bool retaining; /* what is closed without having been let go */
    atomic_bool unstopped; /* what it retains stays when it is closed, too */
    atomic_bool present;
    atomic_bool blocking;       /* each vector, and opening of a buffer, waits for a post of `gate` */
    atomic_bool closing_blocks; /* so does closing of one */
    atomic_bool ending_blocks;  /* and closing of the device */
    atomic_bool reset_blocks;   /* and a reset */
    sem_t entered, gate;

    /* What happened. */
    atomic_uint opened, closed, regions_opened, regions_closed, reads, writes, presence_asked;
    atomic_uint looks;    /* at its DMA */
    atomic_uint retained; /* octets; given back by a test, or when it is closed but for unstopped */
    atomic_uint buffers_opened, buffers_closed, buffers_let_go, syncs, resets;
    atomic_uint writes_at_close;           /* `writes` when the last buffer was closed */
    struct safe_register safe[FAULT_SAFE]; /* what was set last; looked at only while nothing is under way */
    atomic_uint safe_count, safe_sets;
    atomic_int inside, most_inside; /* calls at one time */
};

/* The first has buffers, can be reset, which frees what is retained, and takes safe-state writes; it blocks
 * in opening buffers, too. */
extern const struct backend fault_backend;
extern const struct backend fault_backend_revocable; /* as one whose mappings the kernel takes back */
extern const struct backend fault_backend_better;

/* In programs with fault_choice.c: what is chosen for a device whose description names no backend. NULL: it
 * is as ever. fault_backend_better is preferred to the others. */
extern const struct backend *fault_choice;

/* A device that is well, with one region of the name "fault"; `regions` can be raised to two, "fault" and
 * "other". */
void fault_init(struct fault *fault, size_t regions);
void fault_done(struct fault *fault);

/* A core device of it. Release with device_done(). */
void fault_device(struct fault *fault, const struct backend *backend, struct device *device);
