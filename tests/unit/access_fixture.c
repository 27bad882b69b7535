/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See access_fixture.h. */
#include "access_fixture.h"

#include <string.h>

struct board board;

static void make_board(void)
{
    static const struct {
        const char *name;
        uint64_t address, size;
        enum endianness endianness;
        enum region_type type;
    } rows[REGIONS] = {
            {"a0", 0x1000, SIZE, ENDIANNESS_LITTLE, REGION_MMIO},
            {"a1", 0x1008, SIZE, ENDIANNESS_BIG, REGION_MMIO},
            {"b0", 0x1006, 9, ENDIANNESS_BIG, REGION_MMIO},
            {"c", ADDRESS_UNKNOWN, SIZE, ENDIANNESS_LITTLE, REGION_MMIO},
            {"p", 0x1000, SIZE, ENDIANNESS_LITTLE, REGION_IOPORT},
    };

    memset(&board, 0, sizeof(board));
    for (size_t i = 0; i < REGIONS; i++) {
        board.descriptions[i].name = (char *)rows[i].name;
        board.descriptions[i].endianness = rows[i].endianness;
        board.handles[i] = (struct backend_region){
                .type = rows[i].type, .address = rows[i].address, .size = rows[i].size};
        board.regions[i].description = &board.descriptions[i];
        board.regions[i].handle = &board.handles[i];
        region_note_place(&board.regions[i]);
        board.index[i] = &board.regions[i];
    }
    board.regions[2].handle = NULL;
    board.inventory.regions = board.index;
    board.inventory.region_count = REGIONS;
}

int set_up(void **state)
{
    (void)state;
    make_board();
    return 0;
}

static gid_t groups[] = {100, 200};
static char *scope_regions[] = {(char *)"a*", NULL};

const struct principal principals[PRINCIPALS] = {
        {.kind = PRINCIPAL_USER,
                .name = "user:alice",
                .short_name = "alice",
                .uid = 1000,
                .groups = groups,
                .group_count = 2},
        {.kind = PRINCIPAL_ANONYMOUS, .name = "anonymous", .short_name = ""},
        {.kind = PRINCIPAL_TOKEN, .name = "token:ci", .short_name = "ci", .scope = PERMISSIONS_ALL},
        {.kind = PRINCIPAL_TOKEN,
                .name = "token:narrow",
                .short_name = "narrow",
                .scope = 1 << PERMISSION_LIST | 1 << PERMISSION_READ,
                .scope_regions = scope_regions},
        {.kind = PRINCIPAL_CERTIFICATE, .name = "certificate:rig1", .short_name = "rig1"},
};

struct access_subject subjects[SUBJECTS] = {
        {SUBJECT_EVERYBODY, (char *)"*", false, 0},
        {SUBJECT_ANONYMOUS, (char *)"", false, 0},
        {SUBJECT_USER, (char *)"al*", false, 0},
        {SUBJECT_USER, (char *)"1000", true, 1000},
        {SUBJECT_GROUP, (char *)"lab", true, 200},
        {SUBJECT_TOKEN, (char *)"*", false, 0},
        {SUBJECT_CERTIFICATE, (char *)"rig?", false, 0},
};

struct access_subject everybody = {SUBJECT_EVERYBODY, NULL, false, 0};

uint64_t any(uint64_t limit)
{
    static uint32_t seed = 2463534242;
    uint64_t number = (uint64_t)test_random(&seed) << 32;

    number |= test_random(&seed);
    return number % limit;
}
