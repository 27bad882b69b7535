/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/region.c: widths, the default among them, and overlaps. */
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

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_widths),
            cmocka_unit_test(test_overlaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
