/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/pci_sysfs.c, on a sysfs of the test's own. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/pci_sysfs.h"
#include "util/cleanup.h"

static const struct {
    const char *address;
    unsigned vendor, device;
} functions[] = {
        {"0000:00:00.0", 0x8086, 0x1237},
        {"0000:00:05.0", 0x1b36, 0x0005},
        {"0000:00:07.0", 0x1234, 0x11e8},
        {"0000:03:00.1", 0x1234, 0x11e8},
        {"0001:00:00.0", 0x1234, 0x11e8},
};

static void write_id(const char *directory, const char *name, unsigned value)
{
    char text[32];

    snprintf(text, sizeof(text), "0x%04x\n", value);
    test_write_text(test_path(directory, name), text);
}

static int set_up(void **state)
{
    char *root = test_directory_new();

    for (size_t i = 0; i < ELEMENTS(functions); i++) {
        _cleanup_free_ char *directory = strdup(test_path(root, functions[i].address));

        assert_int_equal(mkdir(directory, 0755), 0);
        write_id(directory, "vendor", functions[i].vendor);
        write_id(directory, "device", functions[i].device);
    }
    /* What does not belong there must not disturb. */
    assert_int_equal(mkdir(test_path(root, "0000:00:01.0"), 0755), 0);
    assert_int_equal(mkdir(test_path(root, "a-name-that-is-too-long-for-an-address"), 0755), 0);
    test_write_text(test_path(root, "0000:00:02.0"), "not a directory");
    *state = root;
    return 0;
}

static int tear_down(void **state)
{
    test_directory_remove(*state);
    return 0;
}

static void test_addresses(void **state)
{
    static const struct {
        const char *text, *address; /* NULL: it is none */
    } rows[] = {
            {"0000:00:07.0", "0000:00:07.0"},
            {"00:07.0", "0000:00:07.0"},
            {"0001:FF:1F.7", "0001:ff:1f.7"},
            {"ab:1c.3", "0000:ab:1c.3"},
            {"", NULL},
            {":", NULL},
            {"::", NULL},
            {"00:20.0", NULL}, /* a bus has 32 devices */
            {"00:07.8", NULL}, /* a device has 8 functions */
            {"00:07", NULL},
            {"00:07.", NULL},
            {"00:07.00", NULL},
            {"0:07.0", NULL},
            {"00:7.0", NULL},
            {"000:00:07.0", NULL},
            {"0000:00:07.0 ", NULL},
            {" 00:07.0", NULL},
            {"0000:00:07.0/..", NULL},
            {"0000:00:07:0", NULL},
            {"0000.00.07.0", NULL},
            {"0x00:07.0", NULL},
            {"00:0g.0", NULL},
            {"0000:00:00:07.0", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char address[PCI_ADDRESS_SIZE] = "kept";
        int r = pci_address_parse(rows[i].text, address);

        test_that(r == (rows[i].address ? 0 : -EINVAL), "'%s' gave %d", rows[i].text, r);
        test_that(strcmp(address, rows[i].address ? rows[i].address : "kept") == 0, "'%s' became '%s'",
                rows[i].text, address);
    }
}

static void test_ids(void **state)
{
    static const struct {
        const char *text;
        int result;
        unsigned vendor, device, index;
    } rows[] = {
            {"1234:11e8", 0, 0x1234, 0x11e8, 0},
            {"1234:11E8:0", 0, 0x1234, 0x11e8, 0},
            {"FFFF:0000:255", 0, 0xffff, 0, 255},
            {"1234:11e8:07", 0, 0x1234, 0x11e8, 7},
            {"1234:11e8:256", -EINVAL, 0, 0, 0},
            {"1234:11e8:99999999999999999999999", -EINVAL, 0, 0, 0},
            {"1234:11e8:", -EINVAL, 0, 0, 0},
            {"1234:11e8:a", -EINVAL, 0, 0, 0},
            {"1234:11e8:-1", -EINVAL, 0, 0, 0},
            {"1234:11e8: 1", -EINVAL, 0, 0, 0},
            {"1234:11e8:1:2", -EINVAL, 0, 0, 0},
            {"1234:11e8 ", -EINVAL, 0, 0, 0},
            {"1234:11e80", -EINVAL, 0, 0, 0},
            {"1234", -EINVAL, 0, 0, 0},
            {"1234:", -EINVAL, 0, 0, 0},
            {"123:11e8", -EINVAL, 0, 0, 0},
            {"12345:11e8", -EINVAL, 0, 0, 0},
            {"0x1234:0x11e8", -EINVAL, 0, 0, 0},
            {"1234.11e8", -EINVAL, 0, 0, 0},
            {"", -EINVAL, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        unsigned vendor = 0, device = 0, index = 0;
        int r = pci_id_parse(rows[i].text, &vendor, &device, &index);

        test_that(r == rows[i].result, "'%s' gave %d", rows[i].text, r);
        test_that(vendor == rows[i].vendor && device == rows[i].device && index == rows[i].index,
                "'%s' became %04x:%04x:%u", rows[i].text, vendor, device, index);
    }
}

static void test_find(void **state)
{
    char address[PCI_ADDRESS_SIZE] = "kept";

    assert_int_equal(pci_find(*state, 0x1234, 0x11e8, 0, address), 0);
    assert_string_equal(address, "0000:00:07.0");
    assert_int_equal(pci_find(*state, 0x1234, 0x11e8, 1, address), 0);
    assert_string_equal(address, "0000:03:00.1");
    assert_int_equal(pci_find(*state, 0x1234, 0x11e8, 2, address), 0);
    assert_string_equal(address, "0001:00:00.0");
    strcpy(address, "kept");
    assert_int_equal(pci_find(*state, 0x1234, 0x11e8, 3, address), -ENODEV);
    assert_int_equal(pci_find(*state, 0x1234, 0x11e9, 0, address), -ENODEV);
    assert_int_equal(pci_find(*state, 0x1235, 0x11e8, 0, address), -ENODEV);
    assert_int_equal(pci_find("/nonexistent/devreg", 0x1234, 0x11e8, 0, address), -ENODEV);
    assert_int_equal(pci_find(test_path(*state, "0000:00:02.0"), 0x1234, 0x11e8, 0, address), -ENOTDIR);
    assert_string_equal(address, "kept");
}

static void test_open(void **state)
{
    _cleanup_close_ int directory = pci_open(*state, "0000:00:05.0");
    unsigned id = 0;

    assert_true(directory >= 0);
    assert_int_equal(pci_read_id(directory, "vendor", &id), 0);
    assert_int_equal(id, 0x1b36);
    assert_int_equal(pci_read_id(directory, "device", &id), 0);
    assert_int_equal(id, 0x0005);
    assert_int_equal(pci_read_id(directory, "class", &id), -ENOENT);
    test_write_text(test_path(test_path(*state, "0000:00:05.0"), "class"), "nonsense\n");
    assert_int_equal(pci_read_id(directory, "class", &id), -EIO);
    assert_int_equal(pci_open(*state, "0000:00:1f.0"), -ENODEV);
    assert_int_equal(pci_open(*state, "0000:00:02.0"), -ENOTDIR);
}

static void test_resources(void **state)
{
    static const char text[] = "0x00000000febf1000 0x00000000febf1fff 0x0000000000040200\n"
                               "0x000000000000c000 0x000000000000c0ff 0x0000000000040101\n"
                               "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
                               "0x0000008000000000 0x00000080ffffffff 0x000000000014220c\n"
                               "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
                               "0x00000000feb00010 0x00000000feb00013 0x0000000000040200\n";
    static const struct pci_resource expected[PCI_BARS] = {
            {0xfebf1000, 0x1000, 0x40200},
            {0xc000, 0x100, 0x40101},
            {0, 0, 0},
            {0x8000000000, 0x100000000, 0x14220c},
            {0, 0, 0},
            {0xfeb00010, 4, 0x40200},
    };
    _cleanup_free_ char *path = strdup(test_path(*state, "0000:00:07.0"));
    _cleanup_close_ int directory = pci_open(*state, "0000:00:07.0");
    struct pci_resource resource;

    assert_int_equal(pci_read_resource(directory, 0, &resource), -ENOENT);
    test_write_text(test_path(path, "resource"), text);
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        assert_int_equal(pci_read_resource(directory, bar, &resource), 0);
        test_that(resource.start == expected[bar].start && resource.size == expected[bar].size &&
                          resource.flags == expected[bar].flags,
                "BAR %u is 0x%" PRIx64 " + 0x%" PRIx64 " flags 0x%" PRIx64, bar, resource.start,
                resource.size, resource.flags);
    }
    assert_true(expected[3].flags & PCI_RESOURCE_PREFETCHABLE && expected[3].flags & PCI_RESOURCE_MEMORY);
    assert_true(expected[1].flags & PCI_RESOURCE_IO);
    test_write_text(test_path(path, "resource"), "0x1 0x2 0x3\n0x1 nonsense\n");
    assert_int_equal(pci_read_resource(directory, 0, &resource), 0);
    assert_int_equal(pci_read_resource(directory, 1, &resource), -EIO);
    assert_int_equal(pci_read_resource(directory, 5, &resource), -EIO);
}

static void test_decoding(void **state)
{
    _cleanup_free_ char *path = strdup(test_path(*state, "0000:00:07.0"));
    _cleanup_close_ int directory = pci_open(*state, "0000:00:07.0");
    _cleanup_close_ int config = -1, unwritable = -1, empty = -1;
    uint8_t space[64] = {0x34, 0x12, 0xe8, 0x11, 0x04, 0x01}; /* bus mastering and SERR, no decoding */
    uint8_t command[2];
    struct error error = {0};
    char *enable;

    test_write_file(test_path(path, "config"), space, sizeof(space));
    test_write_text(test_path(path, "enable"), "");
    config = openat(directory, "config", O_RDWR | O_CLOEXEC);
    assert_int_equal(pci_enable_decoding(directory, config, false, &error), 0);
    assert_int_equal(pread(config, command, 2, 4), 2);
    test_that(command[0] == 0x06 && command[1] == 0x01, "the command register is %02x%02x, expected 0106",
            command[1], command[0]);
    enable = test_read_text(test_path(path, "enable"));
    assert_string_equal(enable, "1"); /* the kernel was asked first */
    free(enable);

    assert_int_equal(pci_enable_decoding(directory, config, true, &error), 0);
    assert_int_equal(pread(config, command, 2, 4), 2);
    assert_int_equal(command[0], 0x07);

    /* What is on is not touched. */
    test_write_text(test_path(path, "enable"), "");
    assert_int_equal(pci_enable_decoding(directory, config, true, &error), 0);
    enable = test_read_text(test_path(path, "enable"));
    assert_string_equal(enable, "");
    free(enable);

    test_write_file(test_path(path, "config"), space, sizeof(space));
    unwritable = openat(directory, "config", O_RDONLY | O_CLOEXEC);
    check_error(pci_enable_decoding(directory, unwritable, false, &error), -EIO, &error,
            "memory decoding is off");
    check_error(
            pci_enable_decoding(directory, unwritable, true, &error), -EIO, &error, "port decoding is off");
    empty = openat(directory, "enable", O_RDONLY | O_CLOEXEC);
    check_error(pci_enable_decoding(directory, empty, false, &error), -EIO, &error, "can't be read");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_addresses),
            cmocka_unit_test(test_ids),
            cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_resources, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_decoding, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
