/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/kmod.c and backends/kmod_ioctl.c, with a module that the test is itself. */
#include "kmod_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

static const struct backend *kmod;

static int set_up(void **state)
{
    (void)state;
    module_set_up();
    kmod = backend_find("kmod");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    module_check_closed();
    return 0;
}

static void test_usable(void **state)
{
    static const struct {
        bool unloaded;
        int open_result, info_result;
        uint32_t abi;
        int result;
        const char *message;
    } rows[] = {
            {true, 0, 0, 1, -ENOENT, "the module devreg is not loaded: modprobe devreg"},
            {false, -ENXIO, 0, 1, -ENXIO, "the module devreg is not loaded"},
            {false, -EPERM, 0, 1, -EPERM, "CAP_SYS_RAWIO"},
            {false, -EACCES, 0, 1, -EACCES, "run devregd as root"},
            {false, -EMFILE, 0, 1, -EMFILE, "/dev/devreg: Too many open files"},
            {false, 0, -ENOTTY, 1, -EPROTO, "does not tell its ABI"},
            {false, 0, -EINVAL, 1, -EPROTO, "load the devreg.ko of this release"},
            {false, 0, 0, DEVREG_ABI + 1, -EPROTO, "speaks ABI 2, this devregd speaks 1"},
            {false, 0, 0, 0, -EPROTO, "speaks ABI 0, this devregd speaks 1: load the devreg.ko of this"},
    };

    (void)state;
    assert_int_equal(kmod->usable(NULL), 0);
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct device_description description = {.name = (char *)"raw"};
        struct backend_device *device;
        struct error error = {0};

        module.loaded = !rows[i].unloaded;
        module.open_result = rows[i].open_result;
        module.info_result = rows[i].info_result;
        module.abi = rows[i].abi;
        check_error(kmod->usable(&error), rows[i].result, &error, rows[i].message);
        check_error(
                kmod->device_open(&description, &device, &error), rows[i].result, &error, rows[i].message);
    }
}

static uint64_t read_one(struct opened *opened, uint64_t offset, unsigned width, int expected)
{
    struct access access = {.offset = offset, .width = width, .count = 1};
    uint64_t value = 0;
    size_t done = 7;
    int r = kmod->read(opened->region, &access, &value, &done);

    test_that(r == expected && done == (r == 0), "reading 0x%llx gave %d, %zu", (unsigned long long)offset,
            r, done);
    return value;
}

static void test_mapped(void **state)
{
    struct opened edu = describe_edu(0);
    struct access access = {.offset = 4, .width = 4, .count = 2};
    uint32_t values[] = {0x11223344, 0x55667788}, stored[2];
    struct error error = {0};
    char driver[16];
    size_t done;

    (void)state;
    test_that(open_both(&edu, &error) == 0, "%s", error.message);
    module_expect_log(0, "open 1 0000:00:07.0");
    module_expect_log(1, "resource 0 0x0 + 0x2000 0 edu");
    assert_string_equal(edu.device->address, "0000:00:07.0");
    assert_string_equal(edu.device->id, "1234:11e8");
    assert_true(kmod->device_driver(edu.device, driver, sizeof(driver)));
    assert_string_equal(driver, "devreg");
    assert_int_equal(edu.region->type, REGION_MMIO);
    assert_int_equal(edu.region->address, 0xfea00000);
    assert_int_equal(edu.region->size, 0x2000);
    assert_int_equal(edu.region->widths, sizeof(void *) >= 8 ? 15 : 7);
    assert_false(edu.region->write_combining);
    assert_int_equal(kmod->write(edu.region, &access, values, &done), 0);
    assert_int_equal(done, 2);
    assert_int_equal(
            pread(module.files[module.file_count - 1].fd, stored, sizeof(stored), 4), sizeof(stored));
    assert_memory_equal(stored, values, sizeof(stored));
    assert_int_equal(read_one(&edu, 8, 4, 0), 0x55667788);
    assert_int_equal(module.logged, 2); /* no call for an access */
    assert_false(kmod->revocable);
    close_both(&edu);
}

/* When the device goes, its memory does: that access is a fault, and the device says that it is gone. */
static void test_gone_while_mapped(void **state)
{
    struct opened edu = describe_edu(0);
    struct error error = {0};

    (void)state;
    test_that(open_both(&edu, &error) == 0, "%s", error.message);
    read_one(&edu, 0x1000, 4, 0);
    assert_true(kmod->device_present(edu.device));
    assert_int_equal(ftruncate(module.files[module.file_count - 1].fd, 0), 0);
    for (size_t i = 0; i < module.file_count; i++)
        module.files[i].gone = true;
    read_one(&edu, 0x1000, 4, -EFAULT);
    assert_false(kmod->device_present(edu.device));
    kmod->region_close(edu.region);
    check_error(kmod->region_open(edu.device, &edu.region_description, &edu.region, &error), -ENODEV, &error,
            "0000:00:07.0 went away");
    kmod->device_close(edu.device);
}

/* One call a vector, of accesses of just that width. */
static void test_ports(void **state)
{
    struct opened io = describe_edu(1);
    struct access halves = {.offset = 0x10, .width = 2, .count = 3};
    struct access fifo = {.offset = 0x21, .width = 1, .count = 4, .fixed = true};
    struct error error = {0};
    uint16_t values[3];
    uint8_t octets[4];
    size_t done;

    (void)state;
    io.region_description.offset = 0x40;
    io.region_description.size = 0x40;
    io.region_description.name = (char *)"a-name-that-is-longer-than-the-module-takes-for-a-claim";
    test_that(open_both(&io, &error) == 0, "%s", error.message);
    module_expect_log(1, "resource 1 0x40 + 0x40 0 a-name-that-is-longer-than-the-");
    assert_int_equal(io.region->type, REGION_IOPORT);
    assert_int_equal(io.region->address, 0xc040);
    assert_int_equal(io.region->size, 0x40);
    assert_int_equal(io.region->widths, 7);
    assert_int_equal(kmod->read(io.region, &halves, values, &done), 0);
    assert_int_equal(done, 3);
    assert_memory_equal(values, &module.memory[0x10], 6);
    module_expect_log(2, "access 0x10 2 * 3 0");
    assert_int_equal(kmod->write(io.region, &fifo, "abcd", &done), 0);
    assert_int_equal(done, 4);
    assert_int_equal(module.memory[0x21], 'd');
    module_expect_log(3, "access 0x21 1 * 4 3");
    assert_int_equal(kmod->read(io.region, &fifo, octets, &done), 0);
    assert_memory_equal(octets, "dddd", 4);
    module_expect_log(4, "access 0x21 1 * 4 2");

    module.access_result = -EINTR;
    module.fails_at = 2;
    assert_int_equal(kmod->read(io.region, &fifo, octets, &done), -EIO);
    assert_int_equal(done, 2);
    module.access_result = -EFAULT; /* an address of ours: no bus fault */
    module.fails_at = 0;
    assert_int_equal(kmod->write(io.region, &halves, values, &done), -EIO);
    assert_int_equal(done, 0);
    module.files[module.file_count - 1].gone = true;
    assert_int_equal(kmod->read(io.region, &fifo, octets, &done), -ENODEV);
    close_both(&io);
}

/* More accesses than one call takes are several. */
static void test_long_vector(void **state)
{
    struct opened io = describe_edu(1);
    size_t count = DEVREG_ACCESS_COUNT_MAX + 5;
    _cleanup_free_ uint8_t *octets = malloc(count);
    struct access fifo = {.offset = 3, .width = 1, .count = count, .fixed = true};
    struct error error = {0};
    size_t done;

    (void)state;
    test_that(open_both(&io, &error) == 0, "%s", error.message);
    assert_int_equal(kmod->read(io.region, &fifo, octets, &done), 0);
    assert_int_equal(done, count);
    assert_int_equal(octets[count - 1], module.memory[3]);
    module_expect_log(2, "access 0x3 1 * 1048576 2");
    module_expect_log(3, "access 0x3 1 * 5 2");
    close_both(&io);
}

/* Memory that is not made of whole pages goes the same way. */
static void test_unmappable(void **state)
{
    struct opened small = describe_edu(4);
    struct error error = {0};
    uint64_t expected;

    (void)state;
    test_that(open_both(&small, &error) == 0, "%s", error.message);
    assert_int_equal(small.region->type, REGION_MMIO);
    assert_int_equal(small.region->address, 0xfeb00080);
    assert_int_equal(small.region->widths, 15);
    memcpy(&expected, &module.memory[8], 8);
    assert_true(read_one(&small, 8, 8, 0) == expected);
    module_expect_log(2, "access 0x8 8 * 1 0");
    close_both(&small);
}

static void test_write_combining(void **state)
{
    struct opened plain = describe_edu(0), prefetchable = describe_edu(2);
    struct error error = {0};

    (void)state;
    plain.region_description.write_combining = prefetchable.region_description.write_combining = true;
    plain.region_description.read_only = true;
    test_that(open_both(&plain, &error) == 0, "%s", error.message);
    assert_false(plain.region->write_combining);
    module_expect_log(1, "resource 0 0x0 + 0x2000 6 edu");
    module_expect_log(2, "resource 0 0x0 + 0x2000 2 edu"); /* without, but still read-only */
    close_both(&plain);
    test_that(open_both(&prefetchable, &error) == 0, "%s", error.message);
    assert_true(prefetchable.region->write_combining);
    module_expect_log(4, "resource 2 0x0 + 0x2000 4 edu");
    close_both(&prefetchable);
}

/* "r--s" or "rw-s": how the module's memory is mapped. */
static void find_protection(char protection[8])
{
    _cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
    char line[400];

    assert_non_null(maps);
    strcpy(protection, "none");
    while (fgets(line, sizeof(line), maps)) {
        if (strstr(line, "devreg-test"))
            assert_int_equal(sscanf(line, "%*s %7s", protection), 1);
    }
}

static void test_read_only(void **state)
{
    struct opened edu = describe_edu(0);
    struct error error = {0};
    char protection[8];

    (void)state;
    test_that(open_both(&edu, &error) == 0, "%s", error.message);
    find_protection(protection);
    assert_string_equal(protection, "rw-s");
    close_both(&edu);
    find_protection(protection);
    assert_string_equal(protection, "none");
    edu.region_description.read_only = true;
    test_that(open_both(&edu, &error) == 0, "%s", error.message);
    module_expect_log(3, "resource 0 0x0 + 0x2000 2 edu");
    find_protection(protection);
    assert_string_equal(protection, "r--s");
    read_one(&edu, 0, 4, 0);
    close_both(&edu);
}

static void test_windows(void **state)
{
    static const struct {
        unsigned bar;
        uint64_t offset, size;
        const char *message;
    } rows[] = {
            {0, 0x2000, 0, "the window 0x2000 + 0x0 is outside BAR 0 (8 KiB)"},
            {0, 0x1000, 0x1001, "is outside BAR 0"},
            {3, 0, 0, "0000:00:07.0 has no BAR 3"},
            {5, 0, 0, "0000:00:07.0 has no BAR 5"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct opened edu = describe_edu(rows[i].bar);
        struct error error = {0};

        edu.region_description.offset = rows[i].offset;
        edu.region_description.size = rows[i].size;
        check_error(open_both(&edu, &error), -ENODEV, &error, rows[i].message);
    }
}

static void test_device_errors(void **state)
{
    static const struct {
        int result;
        const char *owner;
        int code;
        const char *message;
    } rows[] = {
            {-ENODEV, "", -ENODEV, "no PCI function 0000:00:07.0 is there"},
            {-ENXIO, "e1000e", -EBUSY,
                    "0000:00:07.0 is not bound to devreg, but to e1000e: devregctl bind edu"},
            {-ENXIO, "", -ENODEV, "0000:00:07.0 is not bound to devreg: devregctl bind edu"},
            {-EBUSY, "devregd[1234]", -EBUSY, "0000:00:07.0 is open already, by devregd[1234]"},
            {-EBUSY, "", -EBUSY, "by another program"},
            {-ENOMEM, "", -ENOMEM, "opening 0000:00:07.0: "},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct opened edu = describe_edu(0);
        struct error error = {0};

        module.device_result = rows[i].result;
        strcpy(module.owner, rows[i].owner);
        check_error(open_both(&edu, &error), rows[i].code, &error, rows[i].message);
    }
}

static void test_reset(void **state)
{
    static const struct {
        int result, code;
        const char *message;
    } rows[] = {
            {-EOPNOTSUPP, -EOPNOTSUPP, "0000:00:07.0 can't be reset: the kernel knows no way"},
            {-EOPNOTSUPP, -EOPNOTSUPP, "devregctl unbind, bind"},
            {-ENOTTY, -EIO, "the reset of 0000:00:07.0 failed: it did not come back"},
            {-EAGAIN, -EAGAIN, "the kernel is doing something else with it, try again"},
            {-ENODEV, -ENODEV, "0000:00:07.0 went away"},
            {-ETIMEDOUT, -EIO, "the reset of 0000:00:07.0 failed: Connection timed out"},
    };
    struct opened edu = describe_edu(0);
    struct error error = {0};

    (void)state;
    test_that(open_both(&edu, &error) == 0, "%s", error.message);
    assert_false(edu.device->can_reset);
    close_both(&edu);
    module.device_flags = DEVREG_DEVICE_PCI | DEVREG_DEVICE_RESET;
    module.logged = 0;
    test_that(open_both(&edu, &error) == 0, "%s", error.message);
    assert_true(edu.device->can_reset);
    test_that(kmod->device_reset(edu.device, &error) == 0, "%s", error.message);
    module_expect_log(2, "reset");
    read_one(&edu, 0, 4, 0); /* it stays open */
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        module.reset_result = rows[i].result;
        check_error(kmod->device_reset(edu.device, &error), rows[i].code, &error, rows[i].message);
    }
    close_both(&edu);
}

/* Unbinding it alone would lose for good what is retained. */
static void test_reset_of_a_platform_device(void **state)
{
    struct opened sound = {.description = {.name = (char *)"sound", .platform = (char *)"DVRG0001:00"},
            .region_description = {.name = (char *)"sound", .resource = 1}};
    struct error error = {0};

    (void)state;
    module.device_flags = DEVREG_DEVICE_PLATFORM;
    module.reset_result = -EOPNOTSUPP;
    test_that(open_both(&sound, &error) == 0, "%s", error.message);
    check_error(kmod->device_reset(sound.device, &error), -EOPNOTSUPP, &error,
            "Unbinding it loses retained memory, unless that is under a reservation whose --safe stops it. What");
    close_both(&sound);
}

/* A window of addresses is no device. */
static void test_reset_of_a_window(void **state)
{
    struct opened raw = {.description = {.name = (char *)"raw"},
            .region_description = {.name = (char *)"raw", .base = 0xfed00000, .size = 0x1000}};
    struct error error = {0};

    (void)state;
    test_that(open_both(&raw, &error) == 0, "%s", error.message);
    assert_false(raw.device->can_reset);
    check_error(kmod->device_reset(raw.device, &error), -EOPNOTSUPP, &error,
            "a window of addresses has no reset: describe the device itself");
    close_both(&raw);
}

static void test_claim_errors(void **state)
{
    static const struct {
        bool raw;
        int result;
        const char *owner;
        const char *message;
    } rows[] = {
            {true, -EBUSY, "rtc0",
                    "0xfed00000 + 0x1000 is claimed by rtc0: unbind or unload its driver first"},
            {true, -EBUSY, "rtc0", "beside that driver by another backend"},
            {true, -EBUSY, "", "is claimed by somebody else"},
            {true, -EBUSY, "devreg:edu",
                    "is claimed by devreg:edu: another region, or another program, has it"},
            {true, -EPERM, "System RAM", "has the kernel's own memory in it (System RAM)"},
            {true, -EPERM, "", "kernel lockdown forbids claiming 0xfed00000"},
            {true, -ERANGE, "", "0xfed00000 + 0x1000 is beyond what this machine has"},
            {true, -ENOMEM, "", "claiming 0xfed00000 + 0x1000: Cannot allocate memory"},
            {false, -EBUSY, "edu",
                    "0xfea00000 + 0x2000 is claimed by edu: unbind or unload its driver first"},
            {false, -ENODEV, "", "the device went away"},
            {false, -EINVAL, "", "claiming 0xfea00000 + 0x2000: Invalid argument"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct opened one = describe_edu(0);
        struct error error = {0};

        if (rows[i].raw)
            one = (struct opened){.description = {.name = (char *)"raw"},
                    .region_description = {.name = (char *)"raw", .base = 0xfed00000, .size = 0x1000}};
        module.claim_result = rows[i].result;
        strcpy(module.owner, rows[i].owner);
        check_error(open_both(&one, &error), rows[i].result, &error, rows[i].message);
    }
}

static void test_platform(void **state)
{
    struct opened fwcfg = {.description = {.name = (char *)"fwcfg", .platform = (char *)"QEMU0002:00"},
            .region_description = {.name = (char *)"fwcfg", .resource = 1}};
    struct error error = {0};

    (void)state;
    test_that(open_both(&fwcfg, &error) == 0, "%s", error.message);
    module_expect_log(0, "open 2 QEMU0002:00");
    module_expect_log(1, "resource 1 0x0 + 0x100 0 fwcfg");
    assert_string_equal(fwcfg.device->address, "QEMU0002:00");
    assert_string_equal(fwcfg.device->id, "");
    close_both(&fwcfg);
    fwcfg.region_description.resource = 3;
    check_error(open_both(&fwcfg, &error), -ENODEV, &error, "QEMU0002:00 has no resource 3");
    fwcfg.description.platform = (char *)"a/b";
    check_error(kmod->check(&fwcfg.description, &error), -EINVAL, &error, "'a/b' is not the name");
    module.device_result = -ENODEV;
    fwcfg.description.platform = (char *)"nothing.0";
    check_error(open_both(&fwcfg, &error), -ENODEV, &error, "no platform device nothing.0 is there");
}

static void test_raw(void **state)
{
    struct region_description regions[] = {{.name = (char *)"memory", .base = 0xfed00000, .size = 0x1000},
            {.name = (char *)"ports", .type = REGION_IOPORT, .base = 0x510, .size = 12, .read_only = true}};
    struct device_description description = {.name = (char *)"raw", .regions = regions, .region_count = 2};
    struct backend_device *device;
    struct backend_region *opened[2];
    struct error error = {0};
    char driver[8];
    int ports;

    (void)state;
    assert_int_equal(kmod->suits(&description, &error), 0);
    assert_int_equal(kmod->device_open(&description, &device, &error), 0);
    assert_false(kmod->device_driver(device, driver, sizeof(driver)));
    assert_true(kmod->device_present(device));
    module.loaded = false; /* nothing of it is open: the module may go */
    assert_false(kmod->device_present(device));
    check_error(kmod->region_open(device, &regions[0], &opened[0], &error), -ENOENT, &error, "not loaded");
    module.loaded = true;
    for (size_t i = 0; i < 2; i++)
        test_that(kmod->region_open(device, &regions[i], &opened[i], &error) == 0, "%s", error.message);
    ports = module.files[module.file_count - 1].fd;
    module_expect_log(0, "claim 0xfed00000 + 0x1000 0 memory");
    module_expect_log(1, "claim 0x510 + 0xc 3 ports");
    assert_int_equal(opened[1]->type, REGION_IOPORT);
    assert_int_equal(opened[1]->address, 0x510);
    assert_true(kmod->device_present(device));
    module_find_file(ports)->gone = true; /* one is enough */
    assert_false(kmod->device_present(device));
    kmod->region_close(opened[1]);
    assert_true(kmod->device_present(device));
    kmod->region_close(opened[0]);
    kmod->device_close(device);

    module.capabilities &= ~DEVREG_CAPABILITY_PORTS;
    check_error(kmod->suits(&description, &error), -EOPNOTSUPP, &error, "can't claim I/O ports");
    assert_int_equal(kmod->device_open(&description, &device, &error), 0);
    check_error(kmod->region_open(device, &regions[1], &opened[1], &error), -EOPNOTSUPP, &error,
            "can't claim I/O ports");
    kmod->device_close(device);
    module.capabilities = DEVREG_CAPABILITY_PORTS;
    check_error(kmod->suits(&description, &error), -EOPNOTSUPP, &error, "can't claim memory");
    module.abi++;
    check_error(kmod->suits(&description, &error), -EPROTO, &error, "ABI");
}

/* No machine has these. */
static void test_suits_absent(void **state)
{
    struct device_description function = {.name = (char *)"edu", .address = (char *)"ffff:ff:1f.7"};
    struct device_description platform = {.name = (char *)"p", .platform = (char *)"nothing.devreg"};
    struct error error = {0};

    (void)state;
    check_error(kmod->suits(&function, &error), -ENODEV, &error, "no device ffff:ff:1f.7 is there");
    check_error(kmod->suits(&platform, &error), -ENODEV, &error, "no device nothing.devreg is there");
    assert_int_equal(module.file_count, 0); /* it only looks */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_usable, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_mapped, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_gone_while_mapped, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_long_vector, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_unmappable, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_write_combining, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_windows, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_device_errors, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_reset_of_a_platform_device, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_reset_of_a_window, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_claim_errors, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_platform, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_raw, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_suits_absent, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
