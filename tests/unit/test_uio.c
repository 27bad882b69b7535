/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/uio_sysfs.c and backends/uio_place.c, on a sysfs of the test's own, and mapping_open_after(). */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/mapping.h"
#include "backends/pci_sysfs.h"
#include "backends/uio_place.h"
#include "backends/uio_sysfs.h"
#include "util/cleanup.h"

struct tree {
    char *root, *pci;
    int directory; /* of uio2 */
    int function;
};

static void make_folder(const char *root, const char *name)
{
    assert_int_equal(mkdir(test_path(root, name), 0755), 0);
}

static void write_attribute(const char *root, const char *folder, const char *name, const char *text)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    test_write_text(test_path(root, path), text);
}

static void make_node(const char *root, const char *node, const char *name)
{
    make_folder(root, node);
    write_attribute(root, node, "name", name);
}

static void make_map(
        const char *root, unsigned index, const char *address, const char *size, const char *offset)
{
    char folder[64];

    snprintf(folder, sizeof(folder), "uio2/maps/map%u", index);
    make_folder(root, folder);
    write_attribute(root, folder, "addr", address);
    write_attribute(root, folder, "size", size);
    write_attribute(root, folder, "offset", offset);
}

static void make_ports(
        const char *root, unsigned index, const char *start, const char *size, const char *type)
{
    char folder[64];

    snprintf(folder, sizeof(folder), "uio2/portio/port%u", index);
    make_folder(root, folder);
    write_attribute(root, folder, "start", start);
    write_attribute(root, folder, "size", size);
    write_attribute(root, folder, "porttype", type);
}

/* BARs as a PCI function may have them; the UIO driver gave those that uio_pci_generic does. */
static void make_function(const char *pci)
{
    make_folder(pci, "0000:00:07.0");
    make_folder(pci, "0000:00:07.0/uio");
    make_folder(pci, "0000:00:07.0/uio/uio2");
    write_attribute(pci, "0000:00:07.0", "resource",
            "0x00000000febf1000 0x00000000febf2fff 0x0000000000040200\n"
            "0x000000000000c000 0x000000000000c0ff 0x0000000000040101\n"
            "0x00000000fe000000 0x00000000fe7fffff 0x000000000014220c\n"
            "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
            "0x00000000feb00080 0x00000000feb000ff 0x0000000000040200\n"
            "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
    make_folder(pci, "0000:00:08.0");
    make_folder(pci, "0000:00:09.0");
    make_folder(pci, "0000:00:09.0/uio"); /* about to be bound or unbound */
}

static int set_up(void **state)
{
    struct tree *tree = calloc(1, sizeof(*tree));

    assert_non_null(tree);
    tree->root = test_directory_new();
    tree->pci = test_directory_new();
    make_node(tree->root, "uio0", "axi-dma\n");
    make_node(tree->root, "uio2", "uio_pci_generic\n");
    make_node(tree->root, "uio10", "axi-dma\n");
    make_node(tree->root, "uio9", "axi-dma\n");
    make_node(tree->root, "uio3", "a:1\n");
    make_node(tree->root, "uio4", "a\n");
    make_folder(tree->root, "uio5"); /* without a name */
    make_node(tree->root, "uiox", "other\n");
    make_folder(tree->root, "uio2/maps");
    make_map(tree->root, 0, "0x00000000febf1000\n", "0x0000000000002000\n", "0x0\n");
    make_map(tree->root, 1, "0x00000000feb00000\n", "0x0000000000001000\n", "0x80\n");
    make_map(tree->root, 2, "0x00000000feb00000\n", "0x0000000000000010\n", "0x10\n");
    make_map(tree->root, 3, "nonsense\n", "0x0000000000000010\n", "0x10\n");
    make_folder(tree->root, "uio2/portio");
    make_ports(tree->root, 0, "0xc180\n", "0x20\n", "port_x86\n");
    make_ports(tree->root, 1, "0x0\n", "0x20\n", "port_gpio\n");
    make_function(tree->pci);
    tree->directory = uio_open_directory(tree->root, "uio2");
    tree->function = pci_open(tree->pci, "0000:00:07.0");
    assert_true(tree->directory >= 0 && tree->function >= 0);
    *state = tree;
    return 0;
}

static int tear_down(void **state)
{
    struct tree *tree = *state;

    close(tree->directory);
    close(tree->function);
    test_directory_remove(tree->root);
    test_directory_remove(tree->pci);
    free(tree);
    return 0;
}

static void test_find_named(void **state)
{
    static const struct {
        const char *text, *node; /* NULL: there is none */
    } rows[] = {
            {"uio_pci_generic", "uio2"},
            {"uio_pci_generic:0", "uio2"},
            {"uio_pci_generic:1", NULL},
            {"axi-dma", "uio0"},
            {"axi-dma:1", "uio9"},
            {"axi-dma:2", "uio10"}, /* by number, not by letters */
            {"axi-dma:3", NULL},
            {"axi-dma:99999999999999999999999", NULL},
            {"axi", NULL},
            {"axi-dma ", NULL},
            {"a", "uio4"},
            {"a:1", "uio3"}, /* a name as it stands goes first */
            {"a:1:0", "uio3"},
            {"a:0", "uio4"},
            {"a:", NULL},
            {"a:x", NULL},
            {"a:0x0", NULL},
            {"other", NULL}, /* of what is no UIO device */
            {"", NULL},
            {":0", NULL},
    };
    struct tree *tree = *state;

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char node[UIO_NODE_SIZE] = "kept";
        int r = uio_find_named(tree->root, rows[i].text, node);

        test_that(r == (rows[i].node ? 0 : -ENODEV), "'%s' gave %d", rows[i].text, r);
        test_that(strcmp(node, rows[i].node ? rows[i].node : "kept") == 0, "'%s' is %s", rows[i].text, node);
    }
    assert_int_equal(uio_find_named("/nonexistent/devreg", "a", (char[UIO_NODE_SIZE]){0}), -ENODEV);
    assert_int_equal(
            uio_find_named(test_path(tree->root, "uio0/name"), "a", (char[UIO_NODE_SIZE]){0}), -ENOTDIR);
}

static void test_find_function(void **state)
{
    struct tree *tree = *state;
    char node[UIO_NODE_SIZE] = "kept";

    assert_int_equal(uio_find_function(tree->pci, "0000:00:08.0", node), -ENOENT);
    assert_int_equal(uio_find_function(tree->pci, "0000:00:09.0", node), -ENOENT);
    assert_int_equal(uio_find_function(tree->pci, "0000:00:0a.0", node), -ENODEV);
    assert_string_equal(node, "kept");
    assert_int_equal(uio_find_function(tree->pci, "0000:00:07.0", node), 0);
    assert_string_equal(node, "uio2");
    assert_int_equal(uio_open_directory(tree->root, "uio77"), -ENODEV);
}

static void test_read(void **state)
{
    struct tree *tree = *state;
    struct uio_map map = {0};
    struct uio_ports ports = {0};

    assert_int_equal(uio_read_map(tree->directory, 1, &map), 0);
    assert_true(map.address == 0xfeb00000 && map.size == 0x1000 && map.offset == 0x80);
    assert_int_equal(uio_read_map(tree->directory, 3, &map), -EIO);
    assert_int_equal(uio_read_map(tree->directory, 4, &map), -ENOENT);
    assert_int_equal(map.size, 0x1000); /* as it was */
    assert_int_equal(uio_read_ports(tree->directory, 0, &ports), 0);
    assert_true(ports.start == 0xc180 && ports.size == 0x20);
    assert_string_equal(ports.type, "port_x86");
    assert_int_equal(uio_read_ports(tree->directory, 2, &ports), -ENOENT);
}

static void test_places(void **state)
{
    static const struct {
        struct region_description region;
        const char *message; /* NULL: it is found */
        struct uio_place place;
    } rows[] = {
            {{.keys = KEY_UIO_MAP}, NULL, {false, 0, 0, 0xfebf1000, 0x2000}},
            {{.keys = KEY_UIO_MAP, .offset = 0x1004, .size = 8}, NULL, {false, 0, 0x1004, 0xfebf2004, 8}},
            {{.keys = KEY_UIO_MAP, .uio_map = 1}, NULL, {false, 1, 0x80, 0xfeb00080, 0xf80}},
            {{.keys = KEY_UIO_MAP, .uio_map = 1, .offset = 0xf80}, "outside UIO map 1", {0}},
            {{.keys = KEY_UIO_MAP, .uio_map = 2}, "has no UIO map 2", {0}}, /* all of it is before */
            {{.keys = KEY_UIO_MAP, .uio_map = 3}, "has no UIO map 3", {0}},
            {{.keys = KEY_UIO_MAP, .uio_map = 9}, "edu has no UIO map 9", {0}},
            {{.keys = KEY_UIO_PORT}, NULL, {true, 0, 0, 0xc180, 0x20}},
            {{.keys = KEY_UIO_PORT, .offset = 0x10, .size = 4}, NULL, {true, 0, 0, 0xc190, 4}},
            {{.keys = KEY_UIO_PORT, .offset = 0x10, .size = 17}, "outside UIO port range 0", {0}},
            {{.keys = KEY_UIO_PORT, .uio_port = 1}, "of the type port_gpio", {0}},
            {{.keys = KEY_UIO_PORT, .uio_port = 2}, "has no UIO port range 2", {0}},
            {{.keys = KEY_BAR}, NULL, {false, 0, 0, 0xfebf1000, 0x2000}},
            {{.keys = KEY_BAR, .offset = 0x1000}, NULL, {false, 0, 0x1000, 0xfebf2000, 0x1000}},
            {{.keys = KEY_BAR, .bar = 4}, NULL,
                    {false, 1, 0x80, 0xfeb00080, 0x80}}, /* not all of the page */
            {{.keys = KEY_BAR, .bar = 4, .offset = 0x80}, "outside BAR 4", {0}},
            {{.keys = KEY_BAR, .bar = 1}, "BAR 1 of edu has ports", {0}},
            {{.keys = KEY_BAR, .bar = 2}, "leaves out BAR 2", {0}},
            {{.keys = KEY_BAR, .bar = 3}, "edu has no BAR 3", {0}},
    };
    struct tree *tree = *state;
    struct error gone = {0};

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        const struct uio_place *expected = &rows[i].place;
        struct error error = {0};
        struct uio_place place = {0};
        int r = uio_find_place(tree->directory, tree->function, "edu", &rows[i].region, &place, &error);

        if (rows[i].message) {
            check_error(r, -ENODEV, &error, rows[i].message);
            continue;
        }
        test_that(r == 0, "row %zu: %s", i, error.message);
        test_that(place.ports == expected->ports && place.map == expected->map &&
                          place.skip == expected->skip && place.address == expected->address &&
                          place.size == expected->size,
                "row %zu: map %u, skip 0x%llx, 0x%llx + 0x%llx", i, place.map, (long long)place.skip,
                (long long)place.address, (long long)place.size);
    }
    check_error(uio_find_place(tree->directory, -1, "edu", &rows[12].region, &(struct uio_place){0}, &gone),
            -ENODEV, &gone, "went away");
}

/* The offset in the file says which map: it is mapped from its start, whatever the window is. */
static void test_mapping(void **state)
{
    long page = sysconf(_SC_PAGESIZE);
    _cleanup_close_ int fd = memfd_create("uio", MFD_CLOEXEC);
    struct access access = {.offset = 4, .width = 4, .count = 1};
    struct mapping mapping;
    uint32_t value = 0x12345678, found = 0;
    size_t done;

    (void)state;
    assert_int_equal(ftruncate(fd, 4 * page), 0);
    assert_int_equal(pwrite(fd, &value, 4, 2 * page + 0x84), 4);
    assert_int_equal(mapping_open_after(fd, (uint64_t)(2 * page), 0x80, 0x80, false, &mapping), 0);
    assert_int_equal(mapping.length, page);
    assert_int_equal(mapping_read(&mapping, &access, &found, &done), 0);
    assert_int_equal(found, value);
    mapping_close(&mapping);
    assert_int_equal(mapping_open_after(fd, (uint64_t)page, (uint64_t)page + 0x80, 0x80, true, &mapping), 0);
    assert_int_equal(mapping.length, 2 * page);
    found = 0;
    assert_int_equal(mapping_read(&mapping, &access, &found, &done), 0);
    assert_int_equal(found, value);
    mapping_close(&mapping);
    assert_int_equal(mapping_open_after(fd, 0, UINT64_MAX, 2, false, &mapping), -EOVERFLOW);
    assert_int_equal(mapping_open_after(fd, 0, 0, 0, false, &mapping), -EOVERFLOW);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_find_named, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_find_function, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_read, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
            cmocka_unit_test(test_mapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
