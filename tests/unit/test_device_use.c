/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/device_use.c and block_use.c: what the system needs a device for. */
#include "machine_fixture.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/device_use.h"

#define DISK_HOME MACHINE_HOME MACHINE_DISK "/virtio0/block"
#define NET_HOME  MACHINE_HOME MACHINE_NET "/virtio1"
#define VIRTUAL   "sys/devices/virtual/block"

static const struct machine *machine;
static struct error error;

static int set_up(void **state)
{
    (void)state;
    machine = machine_open();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    machine_close();
    return 0;
}

static int check(const char *name)
{
    char path[PATH_MAX], directory[PATH_MAX];

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", machine->sysfs, name);
    assert_non_null(realpath(path, directory));
    error = (struct error){0};
    return device_use_check(machine, directory, &error);
}

static void expect_needed(const char *text)
{
    check_error(check(MACHINE_DISK), -ETXTBSY, &error, text);
    test_that(check(MACHINE_EDU) == 0, "another device is taken for it: %s", error.message);
}

static void expect_free(void)
{
    test_that(check(MACHINE_DISK) == 0, "%s", error.message);
}

static void add_disk(void)
{
    machine_add_disk(DISK_HOME, "vda", "254:0\n", false);
    machine_add_disk(DISK_HOME "/vda", "vda1", "254:1\n", true);
    machine_add_disk(DISK_HOME "/vda", "vda2", "254:2\n", true);
}

static void test_nothing_on_it(void **state)
{
    (void)state;
    expect_free();
    add_disk();
    machine_mount("254:10", "/other", "/dev/vda10");
    machine_mount("25:1", "/other", "/dev/vd");
    machine_swap("/dev/vda22");
    expect_free();
}

static void test_mounted_disk(void **state)
{
    (void)state;
    add_disk();
    machine_mount("254:0", "/srv", "/dev/vda");
    expect_needed("vda is mounted at /srv");
}

static void test_mounted_partition(void **state)
{
    (void)state;
    add_disk();
    machine_mount("254:1", "/with\\040a\\040blank", "/dev/root");
    expect_needed("vda1 is mounted at /with a blank");
}

/* btrfs and its like: the number is not that of a block device. */
static void test_mounted_with_another_number(void **state)
{
    (void)state;
    add_disk();
    machine_mount("0:31", "/data", "/dev/vda2");
    expect_needed("vda2 is mounted at /data");
}

static void test_member_of_a_btrfs(void **state)
{
    (void)state;
    add_disk();
    machine_link(DISK_HOME "/vda/vda2", "sys/fs/btrfs/0b9d/devices/vda2");
    expect_needed("vda2 is part of a mounted btrfs");
}

static void test_mounted_for_the_first_process_only(void **state)
{
    (void)state;
    add_disk();
    machine_write("26 1 254:1 / /home rw - ext4 /dev/vda1 rw\n", "proc/1/mountinfo");
    expect_needed("vda1 is mounted at /home");
}

static void test_swap(void **state)
{
    (void)state;
    add_disk();
    machine_swap("/dev/vda2");
    expect_needed("vda2 is swapped to");
}

static void test_name_with_a_slash(void **state)
{
    (void)state;
    machine_add_disk(DISK_HOME, "cciss!c0d0", "104:0\n", false);
    machine_swap("/dev/cciss/c0d0");
    expect_needed("cciss!c0d0 is swapped to");
}

static void test_stacked(void **state)
{
    (void)state;
    add_disk();
    machine_add_disk(VIRTUAL, "dm-0", "253:0\n", false);
    machine_add_disk(VIRTUAL, "dm-1", "253:1\n", false);
    machine_add_holder("vda2", "dm-0");
    expect_needed("vda2 carries dm-0"); /* held, and nobody knows for whom */
    machine_add_holder("dm-0", "dm-1");
    machine_mount("253:1", "/", "/dev/mapper/vg-root");
    expect_needed("vda2 carries dm-0: dm-0 carries dm-1: dm-1 is mounted at /");
}

static void test_swap_on_an_array(void **state)
{
    (void)state;
    add_disk();
    machine_add_disk(VIRTUAL, "md0", "9:0\n", false);
    machine_add_disk(VIRTUAL "/md0", "md0p1", "259:0\n", true);
    machine_add_holder("vda1", "md0");
    machine_swap("/dev/md0p1");
    expect_needed("vda1 carries md0: md0p1 is swapped to");
}

static void test_loop_device_on_it(void **state)
{
    (void)state;
    add_disk();
    machine_add_disk(VIRTUAL, "loop0", "7:0\n", false);
    machine_write("/srv/image\n", VIRTUAL "/loop0/loop/backing_file");
    machine_mount("7:0", "/mnt", "/dev/loop0");
    expect_free();
    machine_write("/dev/vda2\n", VIRTUAL "/loop0/loop/backing_file");
    expect_needed("vda2 carries loop0: loop0 is mounted at /mnt");
}

static void test_endless_stack(void **state)
{
    (void)state;
    add_disk();
    machine_add_disk(VIRTUAL, "dm-0", "253:0\n", false);
    machine_add_holder("vda2", "dm-0");
    machine_add_holder("dm-0", "dm-0");
    expect_needed("dm-0 carries dm-0: dm-0 carries dm-0");
}

/* A mount in another namespace, a ZFS: only the kernel knows. */
static void test_claimed(void **state)
{
    (void)state;
    add_disk();
    machine_orders.claim_result = -EPERM; /* tells nothing */
    expect_free();
    machine_orders.claim_result = -EBUSY;
    expect_needed("for himself");
}

static void test_what_can_not_be_found_out(void **state)
{
    char path[PATH_MAX];

    (void)state;
    add_disk();
    snprintf(path, sizeof(path), "%s/self/mountinfo", machine->proc);
    assert_int_equal(remove(path), 0);
    check_error(check(MACHINE_DISK), -ETXTBSY, &error, "what is mounted can't be read");
    machine_mount("1:1", "/x", "x");
    snprintf(path, sizeof(path), "%s/swaps", machine->proc);
    assert_int_equal(remove(path), 0);
    expect_free(); /* a kernel without swap */
    machine_link("sys", "proc/swaps");
    check_error(check(MACHINE_DISK), -ETXTBSY, &error, "what is swapped to can't be read");
}

static void expect_link_needed(const char *text)
{
    check_error(check(MACHINE_NET), -ETXTBSY, &error, text);
    test_that(check(MACHINE_EDU) == 0, "another device is taken for it: %s", error.message);
}

static void test_only_link(void **state)
{
    (void)state;
    machine_add_interface("sys/devices/virtual", "lo", true, true);
    machine_add_interface(NET_HOME, "eth0", true, true);
    expect_link_needed("its interface eth0 is the only network link that is up");
    machine_add_interface("sys/devices/virtual", "br0", true, true);
    machine_add_interface("sys/devices/virtual", "tun0", true, true);
    expect_link_needed("eth0"); /* they go through it */
    machine_add_interface(MACHINE_HOME MACHINE_DISK, "eth1", true, false);
    machine_add_interface(MACHINE_HOME MACHINE_DISK, "eth2", false, true);
    expect_link_needed("eth0");
    machine_add_interface(MACHINE_HOME MACHINE_DISK, "eth3", true, true);
    test_that(check(MACHINE_NET) == 0, "%s", error.message);
    test_that(check(MACHINE_DISK) == 0, "%s", error.message);
}

static void test_two_links_of_one_device(void **state)
{
    (void)state;
    machine_add_interface(NET_HOME, "eth0", true, true);
    machine_add_interface(NET_HOME, "eth1", true, true);
    expect_link_needed("the only network link");
}

static void test_link_that_is_down(void **state)
{
    (void)state;
    machine_add_interface(NET_HOME, "eth0", true, false);
    machine_add_interface(NET_HOME, "eth1", false, true);
    test_that(check(MACHINE_NET) == 0, "%s", error.message);
}

static void test_console(void **state)
{
    (void)state;
    machine_write("tty0 ttyS4\n", "sys/class/tty/console/active");
    machine_write("", "sys/devices/virtual/tty/tty0/dev");
    machine_link("sys/devices/virtual/tty/tty0", "sys/class/tty/tty0");
    expect_free();
    machine_write("", MACHINE_HOME MACHINE_DISK "/tty/ttyS4/dev");
    machine_link(MACHINE_HOME MACHINE_DISK "/tty/ttyS4", "sys/class/tty/ttyS4");
    expect_needed("the console is on its ttyS4");
}

static void test_boot_display(void **state)
{
    (void)state;
    machine_write("0\n", MACHINE_HOME MACHINE_DISK "/boot_vga");
    expect_free();
    machine_write("1\n", MACHINE_HOME MACHINE_DISK "/boot_vga");
    expect_needed("display");
}

static void test_virtual_functions(void **state)
{
    (void)state;
    machine_write("0\n", MACHINE_HOME MACHINE_DISK "/sriov_numvfs");
    expect_free();
    machine_write("4\n", MACHINE_HOME MACHINE_DISK "/sriov_numvfs");
    expect_needed("4 virtual functions");
}

/* "0000:00:03.0" begins like this, and is another. */
static void test_names_that_begin_alike(void **state)
{
    (void)state;
    machine_add_disk(MACHINE_HOME MACHINE_DISK "1/block", "sda", "8:0\n", false);
    machine_mount("8:0", "/", "/dev/sda");
    expect_free();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_nothing_on_it),
            TEST(test_mounted_disk),
            TEST(test_mounted_partition),
            TEST(test_mounted_with_another_number),
            TEST(test_member_of_a_btrfs),
            TEST(test_mounted_for_the_first_process_only),
            TEST(test_swap),
            TEST(test_name_with_a_slash),
            TEST(test_stacked),
            TEST(test_swap_on_an_array),
            TEST(test_loop_device_on_it),
            TEST(test_endless_stack),
            TEST(test_claimed),
            TEST(test_what_can_not_be_found_out),
            TEST(test_only_link),
            TEST(test_two_links_of_one_device),
            TEST(test_link_that_is_down),
            TEST(test_console),
            TEST(test_boot_display),
            TEST(test_virtual_functions),
            TEST(test_names_that_begin_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
