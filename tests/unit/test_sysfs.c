/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/sysfs.c, backends/pci_function.c and backends/window.c, on a sysfs of the test's own. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/pci_function.h"
#include "backends/sysfs.h"
#include "backends/window.h"
#include "util/cleanup.h"

static void make_device(const char *root, const char *name, const char *driver)
{
    _cleanup_free_ char *directory = strdup(test_path(root, name));

    assert_int_equal(mkdir(directory, 0755), 0);
    test_write_text(test_path(directory, "vendor"), "0x1234\n");
    test_write_text(test_path(directory, "device"), "0x11e8\n");
    if (driver)
        assert_int_equal(symlink(driver, test_path(directory, "driver")), 0);
}

static int set_up(void **state)
{
    char *root = test_directory_new();

    make_device(root, "0000:00:07.0", "../../../bus/pci/drivers/devreg");
    make_device(root, "0000:00:08.0", "../../../bus/pci/drivers/e1000e");
    make_device(root, "0000:00:09.0", NULL);
    *state = root;
    return 0;
}

static int tear_down(void **state)
{
    test_directory_remove(*state);
    return 0;
}

static void test_driver(void **state)
{
    char driver[64] = "kept";

    assert_int_equal(sysfs_read_driver(*state, "0000:00:09.0", driver, sizeof(driver)), -ENOENT);
    assert_int_equal(sysfs_read_driver(*state, "0000:00:0a.0", driver, sizeof(driver)), -ENODEV);
    assert_string_equal(driver, "kept");
    assert_int_equal(sysfs_read_driver(*state, "0000:00:08.0", driver, sizeof(driver)), 0);
    assert_string_equal(driver, "e1000e");
    assert_int_equal(sysfs_read_driver(*state, "0000:00:08.0", driver, 4), 0);
    assert_string_equal(driver, "e10");
}

static void test_bound(void **state)
{
    struct error error = {0};

    assert_int_equal(sysfs_check_bound(*state, "0000:00:07.0", "edu", &error), 0);
    check_error(sysfs_check_bound(*state, "0000:00:08.0", "edu", &error), -EBUSY, &error,
            "0000:00:08.0 is not bound to devreg, but to e1000e: devregctl bind edu");
    check_error(sysfs_check_bound(*state, "0000:00:09.0", "edu", &error), -ENODEV, &error,
            "0000:00:09.0 is not bound to devreg: devregctl bind edu");
    check_error(sysfs_check_bound(*state, "0000:00:0a.0", "edu", &error), -ENODEV, &error,
            "no device 0000:00:0a.0 is there");
    check_error(sysfs_check_bound(*state, "0000:00:07.0/vendor", "edu", &error), -ENOTDIR, &error, "vendor");
}

static void test_function(void **state)
{
    struct device_description by_address = {.address = (char *)"00:1f.0"};
    struct device_description by_id = {.id = (char *)"1234:11e8:1"};
    struct device_description absent = {.id = (char *)"1234:11e8:3"};
    struct device_description malformed = {.id = (char *)"1234"};
    struct error error = {0};
    char address[PCI_ADDRESS_SIZE];

    assert_int_equal(pci_function_find(*state, &by_address, address, &error), 0);
    assert_string_equal(address, "0000:00:1f.0");
    assert_int_equal(pci_function_find(*state, &by_id, address, &error), 0);
    assert_string_equal(address, "0000:00:08.0");
    check_error(pci_function_find(*state, &absent, address, &error), -ENODEV, &error,
            "no PCI function 1234:11e8 with index 3 is there");
    check_error(pci_function_find(*state, &malformed, address, &error), -EINVAL, &error, "identification");
    check_error(pci_function_check(&malformed, &error), -EINVAL, &error, "'1234'");
    check_error(pci_function_find(test_path(*state, "0000:00:07.0/vendor"), &by_id, address, &error),
            -ENOTDIR, &error, "vendor");
}

static void test_window(void **state)
{
    static const struct {
        uint64_t offset, size, whole;
        uint64_t expected; /* 0: it is outside */
    } rows[] = {
            {0, 0, 0x1000, 0x1000},
            {0x10, 0, 0x1000, 0xff0},
            {0x10, 0x20, 0x1000, 0x20},
            {0x10, 0xff0, 0x1000, 0xff0},
            {0x10, 0xff1, 0x1000, 0},
            {0x1000, 0, 0x1000, 0},
            {0x1000, 1, 0x1000, 0},
            {UINT64_MAX, 2, 0x1000, 0},
            {2, UINT64_MAX, 0x1000, 0},
            {0, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct region_description region = {.offset = rows[i].offset, .size = rows[i].size};
        struct error error = {0};
        uint64_t size = 7;
        int r = region_find_window(&region, rows[i].whole, "BAR 2", &size, &error);

        if (rows[i].expected)
            test_that(r == 0 && size == rows[i].expected, "row %zu: %d, %llu", i, r, (long long)size);
        else
            check_error(r, -ENODEV, &error, "is outside BAR 2");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_driver, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_function, set_up, tear_down),
            cmocka_unit_test(test_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
