/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/acknowledgement.c: who acknowledges interrupts, and what comes meanwhile. */
#include "interrupts_fixture.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static void test_backend_acknowledges(void **state)
{
    (void)state;
    fake.base.acknowledges = true;
    come((struct interrupt_record){.source = 1, .has_value = true, .value = 7, .masked = true});
    assert_false(next_interrupt(fixture.first)->masked);
    expect_mask(1, false);
    expect_state(fixture.first, "on");
    assert_int_equal(atomic_load(&fixture.fault.reads), 0);
    come((struct interrupt_record){.source = 0, .masked = true}); /* that one has no acknowledgement */
    assert_true(next_interrupt(fixture.second)->masked);
    expect_state(fixture.second, "waiting");
    fake.mask_result = -EIO;
    come((struct interrupt_record){.source = 1, .masked = true});
    assert_true(next_interrupt(fixture.first)->masked);
    expect_state(fixture.first, "waiting");
}

static void set_status(uint32_t status)
{
    memcpy(fixture.fault.memory + STATUS, &(uint32_t){htole32(status)}, 4);
}

static uint32_t take_cleared(void)
{
    uint32_t cleared;

    memcpy(&cleared, fixture.fault.memory + CLEAR, 4);
    memset(fixture.fault.memory + CLEAR, 0, 4);
    return le32toh(cleared);
}

static void test_acknowledged_here(void **state)
{
    const struct event *event;

    (void)state;
    set_status(0x1305);
    come((struct interrupt_record){.source = 1, .time_ns = 5 * SECOND_NS, .masked = true});
    event = next_interrupt(fixture.first);
    assert_int_equal(event->value, 0x1305);
    assert_true(event->has_value);
    assert_false(event->masked);
    assert_int_equal(event->monotonic_ns, 5 * SECOND_NS);
    assert_int_equal(take_cleared(), 0x1305);
    expect_mask(1, false);
    expect_state(fixture.first, "on");
    come((struct interrupt_record){.source = 1}); /* it was not masked */
    next_interrupt(fixture.first);
    assert_int_equal(take_cleared(), 0x1305);
    assert_int_equal(fake.mask_count, 0);
    fixture.descriptions[1].acknowledge.constant = true;
    fixture.descriptions[1].acknowledge.value = 0x80;
    fixture.fault.regions[1].endianness = ENDIANNESS_BIG;
    set_status(0x01000000);
    come((struct interrupt_record){.source = 1});
    assert_int_equal(next_interrupt(fixture.first)->value, 1);
    assert_int_equal(take_cleared(), 0x80000000);
    fixture.descriptions[1].acknowledge.writes = false;
    come((struct interrupt_record){.source = 1});
    next_interrupt(fixture.first);
    assert_int_equal(take_cleared(), 0);
}

/* Nothing is written when the status has none of the bits; it is an interrupt all the same. */
static void test_nothing_to_acknowledge(void **state)
{
    const struct event *event;

    (void)state;
    set_status(0x100);
    come((struct interrupt_record){.source = 1, .masked = true, .missed = 2});
    event = next_interrupt(fixture.first);
    assert_int_equal(event->value, 0x100);
    assert_int_equal(event->number, 3);
    assert_int_equal(event->missed, 2);
    expect_mask(1, false);
    assert_int_equal(atomic_load(&fixture.fault.writes), 0);
}

/* Nobody knows whether the device is quiet. */
static void test_acknowledgement_fails(void **state)
{
    const struct event *event;

    (void)state;
    set_status(1);
    fixture.fault.fault_offset = 0;
    atomic_store(&fixture.fault.read_result, -EFAULT);
    come((struct interrupt_record){.source = 1, .masked = true});
    event = next_interrupt(fixture.first);
    assert_false(event->has_value);
    assert_true(event->masked);
    expect_state(fixture.first, "waiting");
    atomic_store(&fixture.fault.read_result, 0);
    atomic_store(&fixture.fault.write_result, -EFAULT);
    assert_int_equal(interrupts_mask(fixture.daemon.interrupts, fixture.first, false, "user:me", NULL), 0);
    fake.mask_count = 0;
    expect_change(EVENT_MASK, false, "user:me");
    come((struct interrupt_record){.source = 1, .masked = true});
    event = next_interrupt(fixture.first);
    assert_true(event->has_value);
    assert_true(event->masked);
    assert_int_equal(fake.mask_count, 0);
    atomic_store(&fixture.fault.write_result, 0);
}

/* Never two at once; what comes meanwhile waits its turn, and is accounted for when it is too much. */
static void test_queue(void **state)
{
    uint64_t last = 0, missed = 0;

    (void)state;
    set_status(1);
    fixture.daemon.limits.interrupts_per_second = 1000000;
    atomic_store(&fixture.fault.blocking, true);
    come((struct interrupt_record){.source = 1});
    settle();
    sem_wait(&fixture.fault.entered);
    for (unsigned i = 0; i < 200; i++)
        come((struct interrupt_record){.source = 1});
    come((struct interrupt_record){.source = 0}); /* another one's goes on */
    next_interrupt(fixture.second);
    assert_int_equal(atomic_load(&fixture.fault.reads), 0);
    atomic_store(&fixture.fault.blocking, false);
    sem_post(&fixture.fault.gate);
    while (last < 201) {
        const struct event *event = next_interrupt(fixture.first);

        assert_int_equal(event->number, last + 1 + event->missed);
        last = event->number;
        missed += event->missed;
    }
    assert_int_equal(last, 201);
    assert_int_equal(missed, 201 - 64);
    assert_int_equal(atomic_load(&fixture.fault.reads), 64);
    assert_int_equal(atomic_load(&fixture.fault.writes), 64);
    expect_no_event();
}

/* What waits is of a device that is no more. */
static void test_gone_while_acknowledged(void **state)
{
    (void)state;
    set_status(UINT32_MAX);
    atomic_store(&fixture.fault.blocking, true);
    come((struct interrupt_record){.source = 1});
    come((struct interrupt_record){.source = 1, .masked = true});
    come((struct interrupt_record){.source = 1});
    settle();
    sem_wait(&fixture.fault.entered);
    atomic_store(&fixture.fault.present, false);
    atomic_store(&fixture.fault.open_result, -ENODEV);
    atomic_store(&fixture.fault.blocking, false);
    sem_post(&fixture.fault.gate);
    assert_false(next_interrupt(fixture.first)->has_value);
    expect_no_event();
    expect_state(fixture.first, "absent");
    assert_int_equal(fake.closed, 1);
    atomic_store(&fixture.fault.present, true);
    atomic_store(&fixture.fault.open_result, 0);
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
    expect_state(fixture.first, "on");
    set_status(1);
    come((struct interrupt_record){.source = 1});
    assert_int_equal(next_interrupt(fixture.first)->number, 2);
}

/* What comes back then is of interrupts that are no more. */
static void test_read_fails_while_acknowledged(void **state)
{
    (void)state;
    set_status(1);
    fixture.fault.regions[1].slow = true; /* so that it never blocks the loop */
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&fixture.fault.blocking, true);
        come((struct interrupt_record){.source = 1, .masked = true});
        come((struct interrupt_record){.source = 1, .masked = true});
        settle();
        sem_wait(&fixture.fault.entered);
        fake.read_result = -EIO;
        wake();
        settle();
        expect_state(fixture.first, "absent");
        atomic_store(&fixture.fault.blocking, false);
        sem_post(&fixture.fault.gate);
        while (fixture.device.pending > 0)
            assert_true(sd_event_run(fixture.daemon.event, 60000000) > 0);
        expect_no_event();
        assert_int_equal(take_cleared(), 0);
        fake.read_result = 0;
        dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
    }
    come((struct interrupt_record){.source = 1});
    assert_int_equal(next_interrupt(fixture.first)->number, 1);
    assert_int_equal(fake.mask_count, 0);
    assert_int_equal(take_cleared(), 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_backend_acknowledges, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_acknowledged_here, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_nothing_to_acknowledge, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_acknowledgement_fails, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_queue, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_gone_while_acknowledged, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(
                    test_read_fails_while_acknowledged, set_up_acknowledged, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
