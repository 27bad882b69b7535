/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/inventory.c: every name is found, no other is. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/inventory.h"

enum { DEVICES = 37 };

static void test_find(void **state)
{
    struct region_description regions[DEVICES][2] = {0};
    struct device_description descriptions[DEVICES] = {0};
    char names[DEVICES][3][16];
    struct inventory *inventory = NULL;
    struct error error = {0};

    (void)state;
    for (size_t i = 0; i < DEVICES; i++) {
        snprintf(names[i][0], 16, "device%zu", i * 7 % DEVICES);
        snprintf(names[i][1], 16, "b%zu", i * 11 % DEVICES);
        snprintf(names[i][2], 16, "a%zu", i * 13 % DEVICES);
        descriptions[i] = (struct device_description){.name = names[i][0],
                .backend = (char *)"sim",
                .regions = regions[i],
                .region_count = 1 + i % 2};
        regions[i][0].name = names[i][1];
        regions[i][1].name = names[i][2];
    }
    assert_int_equal(inventory_new(descriptions, DEVICES, &inventory, &error), 0);
    assert_int_equal(inventory->device_count, DEVICES);
    assert_int_equal(inventory->region_count, DEVICES + DEVICES / 2);
    for (size_t i = 0; i < DEVICES; i++) {
        struct device *device = inventory_find_device(inventory, names[i][0]);

        test_that(device == &inventory->devices[i], "%s was not found", names[i][0]);
        assert_null(device->handle); /* opens nothing */
        for (size_t k = 0; k < descriptions[i].region_count; k++) {
            struct region *region = inventory_find_region(inventory, regions[i][k].name);

            test_that(region == &device->regions[k], "%s was not found", regions[i][k].name);
            assert_ptr_equal(region->device, device);
        }
    }
    for (size_t i = 1; i < inventory->region_count; i++)
        assert_true(strcmp(region_name(inventory->regions[i - 1]), region_name(inventory->regions[i])) < 0);
    assert_null(inventory_find_device(inventory, ""));
    assert_null(inventory_find_device(inventory, "device"));
    assert_null(inventory_find_device(inventory, "device370"));
    assert_null(inventory_find_region(inventory, ""));
    assert_null(inventory_find_region(inventory, "b"));
    assert_null(inventory_find_region(inventory, "b00"));
    assert_null(inventory_find_region(inventory, "zz"));
    assert_null(inventory_find_region(inventory, "device0"));
    inventory_free(inventory);
}

static void test_empty(void **state)
{
    struct inventory *inventory = NULL;
    struct error error = {0};

    (void)state;
    assert_int_equal(inventory_new(NULL, 0, &inventory, &error), 0);
    assert_null(inventory_find_region(inventory, "a"));
    assert_null(inventory_find_device(inventory, "a"));
    inventory_free(inventory);
    inventory_free(NULL);
}

static void test_impossible(void **state)
{
    struct region_description region = {.name = (char *)"r"};
    struct device_description descriptions[] = {
            {.name = (char *)"first", .backend = (char *)"sim", .regions = &region, .region_count = 1},
            {.name = (char *)"second", .backend = (char *)"nothing", .regions = &region, .region_count = 1},
            {.name = (char *)"third", .backend = (char *)"sim", .regions = &region, .region_count = 1},
    };
    struct inventory *inventory = NULL;
    struct error error = {0};

    (void)state;
    check_error(inventory_new(descriptions, 3, &inventory, &error), -EINVAL, &error, "device second: ");
    assert_null(inventory);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_find),
            cmocka_unit_test(test_empty),
            cmocka_unit_test(test_impossible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
