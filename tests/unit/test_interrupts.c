/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/interrupts.c and core/interrupt_watch.c: from a backend's records to events, and when there are none
 * to be had. */
#include "interrupts_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_sources(void **state)
{
    struct interrupts *interrupts = fixture.daemon.interrupts;

    (void)state;
    assert_int_equal(interrupts_count(interrupts), 2);
    assert_ptr_equal(interrupts_at(interrupts, 0), fixture.first);
    assert_ptr_equal(interrupts_at(interrupts, 1), fixture.second);
    assert_null(interrupts_find(interrupts, "third"));
    assert_null(interrupts_find(interrupts, ""));
    assert_int_equal(fixture.first->index, 1);
    assert_string_equal(interrupt_name(fixture.first), "first");
    assert_ptr_equal(fixture.first->region, &fixture.device.regions[1]);
    assert_ptr_equal(fixture.second->region, &fixture.device.regions[0]);
    expect_state(fixture.first, "on");
    assert_int_equal(fake.opened, 1);
    assert_true(device_is_complete(&fixture.device));
}

/* Nobody reads them before. */
static void test_opened_for_somebody(void **state)
{
    (void)state;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    assert_non_null(fixture.device.handle);
    assert_true(device_is_complete(&fixture.device));
    assert_int_equal(fake.opened, 0);
    begin();
    assert_int_equal(fake.opened, 1);
    expect_state(fixture.first, "on");
}

static void test_absent_device(void **state)
{
    struct error error = {0};

    (void)state;
    begin();
    expect_state(fixture.first, "absent");
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    assert_string_equal(fixture.first->absent.message, "it was told not to open");
    check_error(interrupts_mask(fixture.daemon.interrupts, fixture.first, true, "user:me", &error), -ENODEV,
            &error, "first is absent: it was told not to open");
    atomic_store(&fixture.fault.open_result, 0);
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    expect_state(fixture.first, "on");
    assert_string_equal(fixture.first->absent.message, "");
    expect_no_event();
}

static void expect_reason(const char *text)
{
    expect_state(fixture.first, "absent");
    test_that(strstr(fixture.first->absent.message, text), "'%s' has no '%s'", fixture.first->absent.message,
            text);
}

static void test_backend_without(void **state)
{
    (void)state;
    fixture.backend.interrupts_open = NULL;
    fixture.backend.name = "pci";
    begin();
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    assert_true(device_is_complete(&fixture.device));
    expect_reason("the backend pci has no interrupts: configure the device by its \"address\"");
    device_detach(&fixture.device, "test");
    expect_reason("test");
    fixture.fault.description.address = (char *)"00:07.0";
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    expect_reason("the backend pci has no interrupts: bind the device to the driver devreg (devregctl bind "
                  "fault), or to a UIO driver");
    device_detach(&fixture.device, "test");
    fixture.fault.description.address = NULL;
    fixture.fault.description.platform = (char *)"p";
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    expect_reason("(devregctl bind fault)");
}

/* The device is served without them, and they are tried again. */
static void test_refused(void **state)
{
    (void)state;
    begin();
    fake.open_result = -EBUSY;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    expect_reason("they were told not to open");
    assert_non_null(fixture.device.regions[1].handle);
    assert_false(device_is_complete(&fixture.device));
    fake.open_result = 0;
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
    expect_state(fixture.first, "on");
}

static void test_numbers(void **state)
{
    const struct event *event;

    (void)state;
    come((struct interrupt_record){.source = 1, .time_ns = SECOND_NS});
    come((struct interrupt_record){.source = 0, .time_ns = SECOND_NS + 1});
    come((struct interrupt_record){
            .source = 1, .time_ns = 2 * SECOND_NS, .missed = 3, .has_value = true, .value = 0x55});
    event = next_interrupt(fixture.first);
    assert_int_equal(event->number, 1);
    assert_int_equal(event->missed, 0);
    assert_false(event->has_value);
    assert_int_equal(event->monotonic_ns, SECOND_NS);
    event = next_interrupt(fixture.second);
    assert_int_equal(event->number, 1);
    event = next_interrupt(fixture.first);
    assert_int_equal(event->number, 5);
    assert_int_equal(event->missed, 3);
    assert_true(event->has_value);
    assert_int_equal(event->value, 0x55);
    assert_false(event->masked);
    assert_int_equal(fixture.first->count, 5);
    assert_int_equal(fixture.first->missed, 3);
    assert_int_equal(fixture.first->last_sequence, 3);
    assert_int_equal(fixture.first->last_monotonic_ns, 2 * SECOND_NS);
    assert_int_equal(fixture.first->last_value, 0x55);
    assert_int_equal(fixture.second->last_sequence, 2);
    assert_false(fixture.second->has_last_value);
    come((struct interrupt_record){.source = 99}); /* there is none: nothing */
    expect_no_event();
    assert_int_equal(fake.mask_count, 0);
}

static void test_waiting(void **state)
{
    (void)state;
    come((struct interrupt_record){.source = 1, .masked = true});
    assert_true(next_interrupt(fixture.first)->masked);
    expect_state(fixture.first, "waiting");
    assert_int_equal(fake.mask_count, 0);
    assert_int_equal(interrupts_mask(fixture.daemon.interrupts, fixture.first, false, "user:me", NULL), 0);
    expect_mask(1, false);
    expect_change(EVENT_MASK, false, "user:me");
    expect_state(fixture.first, "on");
    /* By hand it stays so, whatever comes of it still. */
    assert_int_equal(interrupts_mask(fixture.daemon.interrupts, fixture.first, true, "user:me", NULL), 0);
    expect_mask(1, true);
    expect_change(EVENT_MASK, true, "user:me");
    come((struct interrupt_record){.source = 1, .masked = true});
    next_interrupt(fixture.first);
    expect_state(fixture.first, "masked");
    assert_string_equal(fixture.first->masked_by, "user:me");
    assert_int_equal(interrupts_mask(fixture.daemon.interrupts, fixture.first, true, "user:you", NULL), 0);
    assert_string_equal(fixture.first->masked_by, "user:me");
    expect_no_event();
    assert_int_equal(fake.mask_count, 0);
}

/* Nothing is up: it may go on at once, unless it is to be masked. */
static void test_overrun(void **state)
{
    const struct event *event;

    (void)state;
    come((struct interrupt_record){.source = 1, .masked = true, .overrun = true, .missed = 3});
    event = next_interrupt(fixture.first);
    assert_false(event->masked);
    assert_int_equal(event->number, 4);
    expect_mask(1, false);
    expect_state(fixture.first, "on");
    assert_int_equal(interrupts_mask(fixture.daemon.interrupts, fixture.first, true, "user:me", NULL), 0);
    expect_mask(1, true);
    expect_change(EVENT_MASK, true, "user:me");
    come((struct interrupt_record){.source = 1, .masked = true, .overrun = true});
    next_interrupt(fixture.first);
    expect_state(fixture.first, "masked");
    assert_int_equal(fake.mask_count, 0);
}

static void test_mask_fails(void **state)
{
    struct error error = {0};

    (void)state;
    fake.mask_result = -EIO;
    check_error(interrupts_mask(fixture.daemon.interrupts, fixture.first, true, "user:me", &error), -EIO,
            &error, "masking first: ");
    expect_state(fixture.first, "on");
    assert_string_equal(fixture.first->masked_by, "");
    expect_no_event();
}

static void test_read_fails(void **state)
{
    (void)state;
    fake.read_result = -EIO;
    come((struct interrupt_record){.source = 1}); /* read before it */
    next_interrupt(fixture.first);
    expect_no_event();
    expect_state(fixture.first, "absent");
    test_that(strstr(fixture.first->absent.message, "can't be read any more"), "%s",
            fixture.first->absent.message);
    assert_int_equal(fake.reads, 1);
    assert_int_equal(fake.closed, 0);
    fake.read_result = 0;
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
    assert_int_equal(fake.closed, 1);
    expect_state(fixture.first, "on");
    come((struct interrupt_record){.source = 1});
    assert_int_equal(next_interrupt(fixture.first)->number, 2);
}

static void test_read_fails_as_the_device_is_gone(void **state)
{
    (void)state;
    fake.read_result = -ENODEV;
    atomic_store(&fixture.fault.present, false);
    atomic_store(&fixture.fault.open_result, -ENODEV);
    wake();
    settle();
    assert_null(fixture.device.handle);
    assert_int_equal(fake.closed, 1);
    assert_string_equal(fixture.first->absent.message, "it was told not to open");
}

/* A descriptor that is readable for ever, with nothing to read. */
static void test_hung_up(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(dup2(pair[0], fake.base.fd) >= 0);
    device_close_interrupts(&fixture.device); /* the old one */
    device_attach(&fixture.device);
    /* The loop waits for what the number is now. */
    assert_true(dup2(pair[0], fake.base.fd) >= 0);
    fixture.device.watch->closing(fixture.device.watch);
    fixture.device.watch->changed(fixture.device.watch);
    close(pair[0]);
    expect_state(fixture.first, "on");
    close(pair[1]);
    settle();
    expect_state(fixture.first, "absent");
    assert_int_equal(fake.reads, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_sources, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_opened_for_somebody, set_up_closed, tear_down),
            cmocka_unit_test_setup_teardown(test_absent_device, set_up_closed, tear_down),
            cmocka_unit_test_setup_teardown(test_backend_without, set_up_closed, tear_down),
            cmocka_unit_test_setup_teardown(test_refused, set_up_closed, tear_down),
            cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_waiting, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_overrun, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_mask_fails, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_read_fails, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_read_fails_as_the_device_is_gone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_hung_up, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
