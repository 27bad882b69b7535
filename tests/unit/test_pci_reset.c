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

/* Those that do nothing with it may have it. Through the others somebody may use it unawares. */
static void test_drivers(void **state)
{
    static const struct {
        const char *driver, *folder, *text; /* no text: it may */
    } rows[] = {
            {"pci-stub", NULL, NULL},
            {"uio_pci_generic", "uio", NULL},
            {"devreg", NULL, "the driver devreg has 0000:00:07.0, and maybe a program through it"},
            {"vfio-pci", NULL, "the driver vfio-pci has 0000:00:07.0, which may be a running guest's"},
            {"mlx5_vfio_pci", "vfio-dev", "the driver mlx5_vfio_pci has 0000:00:07.0, which may be"},
            {"e1000e", NULL, "the kernel driver e1000e has 0000:00:07.0"},
    };

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct error error = {0};
        int r;

        bind_to(*state, rows[i].driver);
        if (rows[i].folder)
            assert_int_equal(mkdir(test_path(*state, rows[i].folder), 0755), 0);
        r = reset(*state, &error);
        if (rows[i].text)
            check_error(r, -EBUSY, &error, rows[i].text);
        else
            test_that(r == 0, "%s: %s", rows[i].driver, error.message);
        expect_written(*state, rows[i].text ? "" : "1");
        if (rows[i].folder)
            assert_int_equal(rmdir(test_path(*state, rows[i].folder)), 0);
    }
}

/* They would be reset with it. */
static void test_virtual_functions(void **state)
{
    struct error error = {0};

    test_write_text(test_path(*state, "sriov_numvfs"), "4\n");
    check_error(reset(*state, &error), -EBUSY, &error,
            "0000:00:07.0 has 4 virtual functions, whose users would lose them: write 0 to");
    expect_written(*state, "");
    test_write_text(test_path(*state, "sriov_numvfs"), "0\n");
    test_that(reset(*state, &error) == 0, "%s", error.message);
    expect_written(*state, "1");
}

static void test_no_way(void **state)
{
    _cleanup_close_ int directory = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error error = {0};

    assert_true(pci_can_reset(directory));
    assert_int_equal(unlink(test_path(*state, "reset")), 0);
    assert_false(pci_can_reset(directory));
    check_error(reset(*state, &error), -EOPNOTSUPP, &error,
            "0000:00:07.0 can't be reset: the kernel knows no way, neither of its own nor of its bus. What");
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
            {-EOPNOTSUPP, -EOPNOTSUPP, "of its bus. Memory. What sets it back is to switch it off and on"},
            {-ENODEV, -ENODEV, "card went away"},
            {-EAGAIN, -EAGAIN, "card was not reset: the kernel is doing something else with it"},
            {-EINTR, -EAGAIN, "try again"},
            {-EIO, -EIO, "the reset of card failed: Input/output error"},
            {-EINVAL, -EIO, "It may not answer any more"},
    };
    struct error error = {0};

    for (size_t i = 0; i < ELEMENTS(rows); i++)
        check_error(pci_reset_explain("card", "Memory. ", rows[i].code, &error), rows[i].wanted, &error,
                rows[i].text);
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
            TEST(test_virtual_functions),
            TEST(test_no_way),
            TEST(test_ways_switched_off),
            TEST(test_gone),
            TEST(test_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
