/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regions, principals and subjects for the tests of access rules. */
#pragma once

#include "core/access.h"
#include "test.h"

enum {
    REGIONS = 5,
    SIZE = 0x20, /* octets of most of them */
    PRINCIPALS = 5,
    SUBJECTS = 7,
};

/* a0, a1 and b0 are windows of one memory; b0 is absent, and where c is is not known. p is of ports. */
struct board {
    struct region_description descriptions[REGIONS];
    struct backend_region handles[REGIONS];
    struct region regions[REGIONS];
    struct region *index[REGIONS];
    struct inventory inventory;
};

extern struct board board;

/* Makes the board; for a group of tests. */
int set_up(void **state);

extern const struct principal principals[PRINCIPALS]; /* alice, anonymous, ci, narrow, rig1 */
extern struct access_subject subjects[SUBJECTS];
extern struct access_subject everybody;

/* A rule for everybody. */
#define RULE(...)                                                                                           \
    {                                                                                                       \
        .name = (char *)"rule", .subjects = &everybody, .subject_count = 1, __VA_ARGS__                     \
    }

/* A number below the limit; the same ones in every run. */
uint64_t any(uint64_t limit);
