/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/pci_reset.c, on a function's folder of the test's own. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/pci_reset.h"
#include "util/cleanup.h"

static int set_up(void **state)
{
    char *function = test_directory_new();

    test_write_text(test_path(function, "reset"), "");
    test_write_text(test_path(function, "uevent"), "");
    *state = function;
    return 0;
}

static int tear_down(void **state)
{
    test_directory_remove(*state);
    return 0;
}

static int reset(const char *function, struct error *error)
{
    _cleanup_close_ int directory = open(function, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(directory >= 0);
    return pci_reset(directory, "0000:00:07.0", error);
}

static void bind_to(const char *function, const char *driver)
{
    char target[64];

    snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
    unlink(test_path(function, "driver"));
    assert_int_equal(symlink(target, test_path(function, "driver")), 0);
}

/* What was written to the file, which is then empty again. */
static void expect_written(const char *function, const char *wanted)
{
    _cleanup_free_ char *written = test_read_text(test_path(function, "reset"));

    assert_string_equal(written, wanted);
    test_write_text(test_path(function, "reset"), "");
}

static void test_without_driver(void **state)
{
    struct error error = {0};

    test_that(reset(*state, &error) == 0, "%s", error.message);
    expect_written(*state, "1");
}

/* Those that leave the device to programs may have it. */
static void test_drivers(void **state)
{
    static const char *const idle[] = {"devreg", "vfio-pci", "pci-stub"};
    static const char *const folders[] = {"uio", "vfio-dev"};
    struct error error = {0};

    for (size_t i = 0; i < ELEMENTS(idle); i++) {
        bind_to(*state, idle[i]);
        test_that(reset(*state, &error) == 0, "%s: %s", idle[i], error.message);
        expect_written(*state, "1");
    }
    bind_to(*state, "e1000e");
    check_error(reset(*state, &error), -EBUSY, &error, "the kernel driver e1000e has 0000:00:07.0");
    expect_written(*state, "");
    for (size_t i = 0; i < ELEMENTS(folders); i++) {
        assert_int_equal(mkdir(test_path(*state, folders[i]), 0755), 0);
        test_that(reset(*state, &error) == 0, "%s: %s", folders[i], error.message);
        expect_written(*state, "1");
        assert_int_equal(rmdir(test_path(*state, folders[i])), 0);
    }
}

static void test_no_way(void **state)
{
    _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error error = {0};

    assert_true(pci_can_reset(directory));
    assert_int_equal(unlink(test_path(*state, "reset")), 0);
    assert_false(pci_can_reset(directory));
    check_error(reset(*state, &error), -EOPNOTSUPP, &error,
            "0000:00:07.0 can't be reset: neither it nor its bus has a way that the kernel knows");
    assert_false(pci_can_reset(directory)); /* it was not made */
}

/* The file is still there when an administrator has switched off all ways. */
static void test_ways_switched_off(void **state)
{
    _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error error = {0};

    test_write_text(test_path(*state, "reset_method"), "flr bus\n");
    assert_true(pci_can_reset(directory));
    test_that(reset(*state, &error) == 0, "%s", error.message);
    expect_written(*state, "1");
    test_write_text(test_path(*state, "reset_method"), "");
    assert_false(pci_can_reset(directory));
    check_error(reset(*state, &error), -EOPNOTSUPP, &error, "0000:00:07.0 can't be reset");
    expect_written(*state, "");
}

/* As of an unplugged one, whose folder is still open. */
static void test_gone(void **state)
{
    _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error error = {0};

    assert_int_equal(unlink(test_path(*state, "reset")), 0);
    assert_int_equal(unlink(test_path(*state, "uevent")), 0);
    check_error(pci_reset(directory, "0000:00:07.0", &error), -ENODEV, &error, "0000:00:07.0 went away");
}

static void test_failures(void **state)
{
    static const struct {
        int code, wanted;
        const char *text;
    } rows[] = {
            {-ENOTTY, -EIO, "the reset of card failed: it did not come back"},
            {-EOPNOTSUPP, -EOPNOTSUPP, "to switch it off and on"},
            {-ENODEV, -ENODEV, "card went away"},
            {-EAGAIN, -EAGAIN, "card was not reset: the kernel is doing something else with it"},
            {-EINTR, -EAGAIN, "try again"},
            {-EIO, -EIO, "the reset of card failed: Input/output error"},
            {-EINVAL, -EIO, "It may not answer any more"},
    };
    struct error error = {0};

    for (size_t i = 0; i < ELEMENTS(rows); i++)
        check_error(pci_reset_explain("card", rows[i].code, &error), rows[i].wanted, &error, rows[i].text);
    assert_int_equal(unlink(test_path(*state, "reset")), 0);
    assert_int_equal(symlink("/dev/full", test_path(*state, "reset")), 0);
    check_error(reset(*state, &error), -EIO, &error, "the reset of 0000:00:07.0 failed: No space left");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_without_driver),
            TEST(test_drivers),
            TEST(test_no_way),
            TEST(test_ways_switched_off),
            TEST(test_gone),
            TEST(test_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
