/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A module that the test is itself: it stands in for open(), ioctl(), poll() and access() of /dev/devreg
 * (the link option --wrap) and holds to kmod/uapi/devreg.h. What it gives to map is real memory, which it
 * can take back. */
#pragma once

#include "backends/backend.h"
#include "backends/kmod_ioctl.h"
#include "test.h"

enum { FILES = 64, REGION_OCTETS = 0x2000 };

struct file {
    int fd;
    enum { MODULE, DEVICE, REGION, BUFFER } kind;
    bool gone;
    struct devreg_region_info region;
    struct devreg_allocate_buffer buffer;
};

struct fake_module {
    bool loaded;
    int open_result, info_result; /* negative errnos */
    uint32_t abi;
    uint64_t capabilities;
    int device_result, claim_result, access_result;
    char owner[DEVREG_OWNER_SIZE]; /* told with any of these */
    uint32_t fails_at;             /* accesses made before access_result */
    int dma_result, allocate_result, safe_state_result, reset_result;
    uint32_t device_flags; /* of DEVREG_DEVICE_INFO */
    struct devreg_dma_info dma;
    uint32_t buffer_flags; /* what each buffer is told to be */
    bool unmappable;       /* they have nothing to map */

    struct file files[FILES];
    size_t file_count;
    char log[16][160]; /* what was asked for */
    size_t logged;
    uint8_t memory[REGION_OCTETS]; /* of what is not mapped */
};

extern struct fake_module module;

/* The module of this release, loaded. */
void module_set_up(void);

/* Whatever was opened is closed: a descriptor that is left is a claim that is left. */
void module_check_closed(void);

/* The last file of that descriptor: earlier ones are closed. */
struct file *module_find_file(int fd);

void module_expect_log(size_t index, const char *expected);

/* A device and one region of it, opened as the core does it. */
struct opened {
    struct device_description description;
    struct region_description region_description;
    struct backend_device *device;
    struct backend_region *region;
};

struct opened describe_edu(unsigned bar);
int open_both(struct opened *opened, struct error *error);
void close_both(struct opened *opened);
