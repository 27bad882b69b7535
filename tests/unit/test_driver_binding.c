/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/driver_binding.c: what is written to sysfs, in which order, and what is taken back. */
#include "machine_fixture.h"

#include <errno.h>
#include <string.h>

#include "backends/driver_binding.h"

static const struct machine *machine;
static struct driver_change change;
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

static int try_on(const char *bus, const char *name, const char *wanted, bool force)
{
    memset(&change, 0, sizeof(change));
    error = (struct error){0};
    change.machine = machine;
    change.place.bus = bus;
    strcpy(change.place.name, name);
    strcpy(change.wanted, wanted);
    change.force = force;
    return driver_binding_change(&change, &error);
}

static int try(const char *name, const char *wanted)
{
    return try_on("pci", name, wanted, false);
}

static void expect_state(const char *name, const char *driver, const char *override)
{
    assert_string_equal(machine_driver("pci", name), driver);
    assert_string_equal(machine_override("pci", name), override);
}

static void test_names(void **state)
{
    static const char *const good[] = {
            "devreg", "uio_pci_generic", "vfio-pci", "e1000e", "a", "a.b", "8250"};
    static const char *const bad[] = {
            "", ".", "..", "../x", "a/b", "/", "a b", "a\nb", "\x7f", "\xc3\xa9", ".x"};
    char text[301];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        test_that(driver_name_check(good[i], &error) == 0, "%s is refused: %s", good[i], error.message);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        test_that(driver_name_check(bad[i], &error) == -EINVAL, "'%s' is a name", bad[i]);
    memset(text, 'x', 300);
    text[300] = 0;
    check_error(driver_name_check(text, &error), -EINVAL, &error, "300 octets");
    text[63] = 0;
    assert_int_equal(driver_name_check(text, &error), 0);
}

static int find(struct device_description description, struct bus_place *place)
{
    description.name = (char *)"it";
    return driver_binding_find(machine, &description, place, &error);
}

static void test_places(void **state)
{
    struct bus_place place, same;

    (void)state;
    assert_int_equal(find((struct device_description){.address = (char *)"00:07.0"}, &place), 0);
    assert_string_equal(place.bus, "pci");
    assert_string_equal(place.name, MACHINE_EDU);
    assert_int_equal(find((struct device_description){.id = (char *)"1234:11e8:3"}, &same), 0);
    assert_true(bus_place_equal(&place, &same)); /* in the order of addresses */
    assert_int_equal(find((struct device_description){.id = (char *)"1234:11e8"}, &same), 0);
    assert_false(bus_place_equal(&place, &same));
    check_error(find((struct device_description){.id = (char *)"1234:11e8:4"}, &place), -ENODEV, &error,
            "no PCI function is 1234:11e8:4");
    check_error(find((struct device_description){.id = (char *)"nonsense"}, &place), -ENODEV, &error,
            "nonsense");
    check_error(find((struct device_description){.model = (char *)"edu"}, &place), -EOPNOTSUPP, &error,
            "it is simulated: there is no driver to bind");
    check_error(find((struct device_description){.keys = KEY_BASE}, &place), -EOPNOTSUPP, &error,
            "where its registers are");
}

static void test_bind_what_has_no_driver(void **state)
{
    (void)state;
    assert_int_equal(try(MACHINE_EDU, "devreg"), 0);
    assert_string_equal(change.before, "");
    assert_string_equal(change.now, "devreg");
    assert_true(change.touched);
    assert_string_equal(machine_log(), "driver_override devreg; drivers_probe " MACHINE_EDU "; ");
    expect_state(MACHINE_EDU, "devreg", "devreg");
}

static void test_bind_what_another_has(void **state)
{
    (void)state;
    machine_set_driver("pci", MACHINE_DISK, "virtio-pci");
    assert_int_equal(try(MACHINE_DISK, "uio_pci_generic"), 0);
    assert_string_equal(change.before, "virtio-pci");
    assert_string_equal(change.now, "uio_pci_generic");
    assert_string_equal(machine_log(),
            "driver_override uio_pci_generic; unbind " MACHINE_DISK "; drivers_probe " MACHINE_DISK "; ");
    expect_state(MACHINE_DISK, "uio_pci_generic", "uio_pci_generic");
}

static void test_bound_already(void **state)
{
    (void)state;
    machine_set_driver("pci", MACHINE_BRIDGE, "devreg"); /* nothing is asked when nothing is done */
    assert_int_equal(try(MACHINE_BRIDGE, "devreg"), 0);
    assert_string_equal(change.before, "devreg");
    assert_string_equal(change.now, "devreg");
    assert_false(change.touched);
    assert_string_equal(machine_log(), "");
    assert_int_equal(driver_binding_look(&change, &error), 1);
}

static void test_on_another_bus(void **state)
{
    struct bus_place place;
    (void)state;
    machine_add_driver("platform", "devreg");
    machine_add("platform", "fifo.0", 0, NULL);
    assert_int_equal(find((struct device_description){.platform = (char *)"fifo.0"}, &place), 0);
    assert_string_equal(place.bus, "platform");
    assert_string_equal(place.name, "fifo.0");
    check_error(find((struct device_description){.name = (char *)"x", .platform = (char *)"fifo.1"}, &place),
            -ENODEV, &error, "no platform device is called fifo.1");
    assert_int_equal(try_on("platform", "fifo.0", "devreg", false), 0);
    assert_string_equal(machine_driver("platform", "fifo.0"), "devreg");
    check_error(try_on("platform", "fifo.0", "virtio-pci", false), -EBUSY, &error,
            "no driver virtio-pci on the platform bus");
}

static void test_missing_driver(void **state)
{
    (void)state;
    check_error(try(MACHINE_EDU, "vfio-pci"), -EBUSY, &error,
            "no driver vfio-pci on the pci bus: load the module first (modprobe vfio-pci)");
    assert_false(change.touched);
    check_error(try(MACHINE_EDU, "../../pci"), -EINVAL, &error, "no name of a driver");
    assert_string_equal(machine_log(), "");
}

static void test_unbind(void **state)
{
    (void)state;
    machine_set_driver("pci", MACHINE_DISK, "virtio-pci");
    assert_int_equal(try(MACHINE_DISK, "devreg"), 0);
    assert_int_equal(try(MACHINE_DISK, ""), 0);
    assert_string_equal(change.before, "devreg");
    assert_string_equal(change.now, "virtio-pci"); /* the kernel's choice */
    expect_state(MACHINE_DISK, "virtio-pci", "(null)");
    assert_non_null(strstr(
            machine_log(), "unbind " MACHINE_DISK "; driver_override nothing; drivers_probe " MACHINE_DISK));

    assert_int_equal(try(MACHINE_EDU, "devreg"), 0);
    assert_int_equal(try(MACHINE_EDU, ""), 0);
    assert_string_equal(change.now, "");
    expect_state(MACHINE_EDU, "", "(null)");
}

/* It had an override that no driver took: that goes too. */
static void test_unbind_what_has_no_driver(void **state)
{
    (void)state;
    machine_write("vfio-pci\n", MACHINE_HOME MACHINE_DISK "/driver_override");
    assert_int_equal(try(MACHINE_DISK, ""), 0);
    assert_string_equal(change.before, "");
    expect_state(MACHINE_DISK, "virtio-pci", "(null)");
}

/* Each write that fails, and how it is afterwards. */
static void test_failures_are_taken_back(void **state)
{
    static const struct {
        const char *fail_on;
        int failure, code;
        const char *text;
    } rows[] = {
            {"driver_override", -EIO, -EIO, "writing driver_override failed: Input/output error"},
            {"driver_override", -EROFS, -ENODATA, "as root, with /sys writable"},
            {"driver_override", -EACCES, -ENODATA, "Permission denied"},
            {"/unbind", -EIO, -EIO,
                    "unbinding from virtio-pci failed: Input/output error; taken back: it has virtio-pci"},
            {"/unbind", -ENODEV, -ENODEV, "taken back: it has virtio-pci"},
            {"drivers_probe", -EINVAL, -EBUSY,
                    "binding to devreg failed: that driver did not take it, drivers_probe failed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        machine_close();
        machine = machine_open();
        machine_set_driver("pci", MACHINE_DISK, "virtio-pci");
        machine_orders.fail_on = rows[i].fail_on;
        machine_orders.failure = rows[i].failure;
        check_error(try(MACHINE_DISK, "devreg"), rows[i].code, &error, rows[i].text);
        assert_string_equal(change.before, "virtio-pci");
        assert_string_equal(change.now, "virtio-pci");
        assert_string_equal(machine_driver("pci", MACHINE_DISK), "virtio-pci");
        if (strcmp(rows[i].fail_on, "driver_override") != 0)
            assert_string_equal(machine_override("pci", MACHINE_DISK), "(null)");
    }
}

/* An override that was there before is there again. */
static void test_override_is_restored(void **state)
{
    (void)state;
    assert_int_equal(try(MACHINE_EDU, "uio_pci_generic"), 0);
    machine_orders.refuses = "devreg";
    check_error(try(MACHINE_EDU, "devreg"), -EBUSY, &error,
            "that driver did not take it (the kernel's log may "
            "say why); taken back: it has uio_pci_generic");
    expect_state(MACHINE_EDU, "uio_pci_generic", "uio_pci_generic");
    machine_set_driver("pci", MACHINE_EDU, NULL);
    check_error(try(MACHINE_EDU, "devreg"), -EBUSY, &error, "taken back: it has no driver");
    expect_state(MACHINE_EDU, "", "uio_pci_generic");
}

static void test_another_driver_takes_it(void **state)
{
    (void)state;
    machine_set_driver("pci", MACHINE_DISK, "virtio-pci");
    machine_orders.greedy = "uio_pci_generic";
    check_error(try(MACHINE_DISK, "devreg"), -EBUSY, &error,
            "binding to devreg failed: the kernel chose uio_pci_generic (the "
            "kernel's log may say why); taken back: it has virtio-pci");
    expect_state(MACHINE_DISK, "virtio-pci", "(null)");
}

/* Unbinding that has no effect must not be taken for one that has. */
static void test_driver_that_stays(void **state)
{
    (void)state;
    machine_set_driver("pci", MACHINE_DISK, "virtio-pci");
    machine_orders.keeps_driver = true;
    check_error(try(MACHINE_DISK, "devreg"), -EIO, &error, "it has virtio-pci still");
    expect_state(MACHINE_DISK, "virtio-pci", "(null)");
    check_error(try(MACHINE_DISK, ""), -EIO, &error, "it has virtio-pci still");
}

static void test_what_can_not_be_taken_back_is_said(void **state)
{
    (void)state;
    machine_add_driver("pci", "once");
    machine_set_driver("pci", MACHINE_EDU, "once");
    machine_orders.refuses = "devreg";
    machine_orders.fail_on = "drivers/once/bind"; /* and it is not the device's own driver */
    machine_orders.failure = -ENODEV;
    check_error(try(MACHINE_EDU, "devreg"), -EBUSY, &error, "it could not be taken back: it has no driver");
    assert_string_equal(change.before, "once");
    assert_string_equal(change.now, "");

    machine_orders.refuses = "devreg";
    machine_orders.fail_on = "driver_override";
    machine_orders.fail_after = 2; /* one was used up above */
    check_error(try(MACHINE_EDU, "devreg"), -EBUSY, &error, "its driver_override could not be restored");
}

static void test_unbind_that_fails(void **state)
{
    (void)state;
    machine_set_driver("pci", MACHINE_DISK, "uio_pci_generic");
    machine_write("uio_pci_generic\n", MACHINE_HOME MACHINE_DISK "/driver_override");
    machine_orders.fail_on = "driver_override";
    machine_orders.failure = -EIO;
    check_error(try(MACHINE_DISK, ""), -EIO, &error, "clearing driver_override failed");
    expect_state(MACHINE_DISK, "uio_pci_generic", "uio_pci_generic");
}

static void test_device_that_is_not_there(void **state)
{
    (void)state;
    check_error(try("0000:00:1f.0", "devreg"), -ENODEV, &error, "not there any more");
    check_error(try("0000:00:1f.0", ""), -ENODEV, &error, "not there any more");
    assert_string_equal(machine_log(), "");
}

static void test_bridges_are_never_touched(void **state)
{
    (void)state;
    check_error(try_on("pci", MACHINE_BRIDGE, "devreg", true), -EBUSY, &error, "it is a PCI bridge");
    check_error(try_on("pci", MACHINE_BRIDGE, "", true), -EBUSY, &error, "it is a PCI bridge");
    machine_write("", MACHINE_HOME MACHINE_EDU "/0000:01:00.0/vendor");
    check_error(try_on("pci", MACHINE_EDU, "devreg", true), -EBUSY, &error, "0000:01:00.0 is behind it");
    machine_write("", MACHINE_HOME MACHINE_DISK "/config"); /* what can't be told is not risked */
    check_error(try_on("pci", MACHINE_DISK, "devreg", true), -EBUSY, &error, "can't be read");
    machine_add_driver("platform", "devreg");
    machine_add("platform", "host", 0, NULL);
    machine_write("", "sys/devices/platform/host/pci0000:00/uevent");
    check_error(try_on("platform", "host", "devreg", true), -EBUSY, &error, "pci0000:00 is behind it");
    assert_string_equal(machine_log(), "");
}

static void test_what_is_needed_takes_force(void **state)
{
    (void)state;
    machine_set_driver("pci", MACHINE_DISK, "virtio-pci");
    machine_add_disk(MACHINE_HOME MACHINE_DISK "/virtio0/block", "vda", "254:0\n", false);
    machine_mount("254:0", "/", "/dev/root");
    check_error(try(MACHINE_DISK, "devreg"), -ETXTBSY, &error, "vda is mounted at /");
    check_error(try(MACHINE_DISK, ""), -ETXTBSY, &error, "force it");
    assert_string_equal(machine_log(), "");
    assert_int_equal(try_on("pci", MACHINE_DISK, "devreg", true), 0);
    assert_string_equal(change.despite, "vda is mounted at /");
    expect_state(MACHINE_DISK, "devreg", "devreg");
}

static void test_what_was_revoked_does_not_begin(void **state)
{
    (void)state;
    memset(&change, 0, sizeof(change));
    change = (struct driver_change){.machine = machine, .place = {"pci", MACHINE_EDU}, .wanted = "devreg"};
    atomic_store(&change.revoked, true);
    check_error(driver_binding_change(&change, &error), -EUSERS, &error, "has ended");
    assert_string_equal(machine_log(), "");
}

/* The real thing, where nothing of it is there. */
static void test_plain_files(void **state)
{
    struct machine plain = *machine;

    (void)state;
    plain.store = NULL;
    plain.claim = NULL;
    machine = &plain;
    check_error(try(MACHINE_EDU, "devreg"), -EBUSY, &error, "did not take it, drivers_probe failed");
    machine_write("", "sys/bus/pci/drivers_probe");
    machine_write("(null)\n", MACHINE_HOME MACHINE_EDU "/driver_override");
    check_error(try(MACHINE_EDU, "devreg"), -EBUSY, &error, "did not take it (");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_bind_what_has_no_driver, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_bind_what_another_has, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_bound_already, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_on_another_bus, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_missing_driver, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_unbind, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_unbind_what_has_no_driver, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_failures_are_taken_back, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_override_is_restored, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_another_driver_takes_it, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_driver_that_stays, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_what_can_not_be_taken_back_is_said, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_unbind_that_fails, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_device_that_is_not_there, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_bridges_are_never_touched, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_what_is_needed_takes_force, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_what_was_revoked_does_not_begin, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_plain_files, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
