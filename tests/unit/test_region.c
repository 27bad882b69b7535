/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/region.c: widths, the default among them, and which octets two regions share. */
#include "test.h"

#include "core/region.h"
#include "util/cleanup.h"

static void test_widths(void **state)
{
    static const struct {
        width_set described, possible; /* possible 0: absent */
        width_set widths;
        unsigned default_width;
    } rows[] = {
            {0, 1 | 2 | 4 | 8, 1 | 2 | 4 | 8, 4},
            {4 | 8, 1 | 2 | 4 | 8, 4 | 8, 4},
            {8, 1 | 2 | 4 | 8, 8, 8},
            {1 | 2, 1 | 2 | 4 | 8, 1 | 2, 2},
            {1, 1 | 2 | 4, 1, 1},
            {1 | 8, 1 | 2 | 4 | 8, 1 | 8, 1},
            {8, 1 | 2 | 4, 0, 0},
            {4 | 8, 4, 4, 4},
            {0, 0, 0, 0},
            {4 | 8, 0, 4 | 8, 4},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct region_description description = {.widths = rows[i].described};
        struct backend_region handle = {.widths = rows[i].possible};
        struct region region = {.description = &description, .handle = rows[i].possible ? &handle : NULL};

        test_that(
                region_widths(&region) == rows[i].widths, "row %zu: widths 0x%x", i, region_widths(&region));
        test_that(region_default_width(&region) == rows[i].default_width, "row %zu: default %u", i,
                region_default_width(&region));
    }
}

static void test_overlaps(void **state)
{
    static const struct {
        uint64_t a, a_size, b, b_size;
        bool overlap;
    } rows[] = {
            {0x1000, 0x100, 0x1100, 0x100, false},
            {0x1000, 0x101, 0x1100, 0x100, true},
            {0x1000, 0x1000, 0x1100, 0x10, true},
            {0x1000, 0x100, 0x1000, 0x100, true},
            {0, 1, 1, 1, false},
            {UINT64_MAX - 16, 16, UINT64_MAX - 8, 8, true},
            {UINT64_MAX - 16, 16, 0, 16, false},
            {ADDRESS_UNKNOWN, 0x100, 0x1000, 0x100, false},
            {ADDRESS_UNKNOWN, 0x100, ADDRESS_UNKNOWN, 0x100, false},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct backend_region a = {.address = rows[i].a, .size = rows[i].a_size};
        struct backend_region b = {.address = rows[i].b, .size = rows[i].b_size};
        struct region first = {.handle = &a}, second = {.handle = &b}, absent = {0};

        test_that(region_overlaps(&first, &second) == rows[i].overlap, "row %zu", i);
        test_that(region_overlaps(&second, &first) == rows[i].overlap, "row %zu the other way round", i);
        assert_false(region_overlaps(&first, &absent));
        assert_false(region_overlaps(&absent, &first));
        b.type = REGION_IOPORT; /* ports are another space */
        assert_false(region_overlaps(&first, &second));
    }
}

static void test_shares(void **state)
{
    static const struct {
        uint64_t a, a_size, first, last, b, b_size;
        bool shared;
        uint64_t shared_first, shared_last;
    } rows[] = {
            {0x1000, 0x100, 0x10, 0x13, 0x1000, 0x100, true, 0x10, 0x13},
            {0x1000, 0x100, 0x10, 0x13, 0x1008, 0x100, true, 0x8, 0xb},
            {0x1000, 0x100, 0x6, 0x9, 0x1008, 0x100, true, 0x0, 0x1},
            {0x1008, 0x100, 0x10, 0x13, 0x1000, 0x1a, true, 0x18, 0x19},
            {0x1000, 0x100, 0x0, 0x7, 0x1008, 0x100, false, 0, 0},
            {0x1000, 0x100, 0x0, UINT64_MAX, 0x1080, 0x1000, true, 0x0, 0x7f},
            {0x1080, 0x1000, 0x0, UINT64_MAX, 0x1000, 0x100, true, 0x80, 0xff},
            {0x1000, 0x100, 0x100, UINT64_MAX, 0x1000, 0x1000, false, 0, 0}, /* beyond its end */
            {0x1000, 0x100, UINT64_MAX, UINT64_MAX, 0x0, UINT64_MAX, false, 0, 0},
            {0x0, UINT64_MAX, UINT64_MAX - 3, UINT64_MAX - 1, UINT64_MAX - 2, 2, true, 0, 1},
            {UINT64_MAX - 15, 16, 8, 15, UINT64_MAX - 3, 4, true, 0, 3},
            {UINT64_MAX - 15, UINT64_MAX, 0, UINT64_MAX, 0, 16, false, 0, 0}, /* nothing wraps */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct backend_region a = {.address = rows[i].a, .size = rows[i].a_size};
        struct backend_region b = {.address = rows[i].b, .size = rows[i].b_size};
        struct region region = {.handle = &a}, other = {.handle = &b};
        uint64_t first = 42, last = 42;
        bool shared = region_shares(&region, rows[i].first, rows[i].last, &other, &first, &last);

        test_that(shared == rows[i].shared, "row %zu", i);
        if (shared)
            test_that(first == rows[i].shared_first && last == rows[i].shared_last,
                    "row %zu: 0x%llx to 0x%llx", i, (unsigned long long)first, (unsigned long long)last);
        else
            assert_true(first == 42 && last == 42);
    }
}

static void test_shares_itself(void **state)
{
    struct region unknown = {0};
    uint64_t first, last;

    (void)state;
    assert_true(region_shares(&unknown, 5, 9, &unknown, &first, &last));
    assert_true(first == 5 && last == 9);
}

/* Where a region is stays known when it is closed. */
static void test_place(void **state)
{
    struct region_description described = {.keys = KEY_BASE | KEY_SIZE, .base = 0x1000, .size = 0x10};
    struct region_description plain = {0};
    struct backend_region window = {.address = 0x1008, .size = 0x10};
    struct backend_region nowhere = {.address = ADDRESS_UNKNOWN, .size = 0x10};
    struct region absent = {.description = &described}, region = {.description = &plain};
    uint64_t first, last;

    (void)state;
    region_note_place(&absent);
    region_note_place(&region);
    assert_false(region_overlaps(&absent, &region));
    region.handle = &window;
    region_note_place(&region);
    region.handle = NULL;
    assert_true(region_shares(&region, 0, 3, &absent, &first, &last));
    assert_true(first == 8 && last == 11);
    assert_true(region_overlaps(&absent, &region));
    region.handle = &nowhere;
    region_note_place(&region);
    assert_int_equal(region.known_address, 0x1008);
    window.type = REGION_IOPORT;
    region.handle = &window;
    region_note_place(&region);
    region.handle = NULL;
    assert_false(region_overlaps(&absent, &region));
    described.type = REGION_IOPORT; /* the configuration knows ports from memory */
    region_note_place(&absent);
    assert_true(region_overlaps(&absent, &region));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_widths),
            cmocka_unit_test(test_overlaps),
            cmocka_unit_test(test_shares),
            cmocka_unit_test(test_shares_itself),
            cmocka_unit_test(test_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
