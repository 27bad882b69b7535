/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/device_reset.c with core/interrupt_source.c: only while a device is reset nobody masks anything with
 * it, nor looks whether it is there; that is done afterwards. */
#include "interrupts_fixture.h"

#include <errno.h>
#include <string.h>

#include "core/device_reset.h"
#include "core/reservations.h"
#include "util/cleanup.h"
#include "util/clock.h"

static struct access_subject users[] = {{SUBJECT_USER, (char *)"me", false, 0}};
static struct access_rule rules[] = {{.name = (char *)"users",
        .subjects = users,
        .subject_count = 1,
        .permissions = 1 << PERMISSION_WRITE}};
static const struct access_rules access_of_test = {rules, ELEMENTS(rules)};

static struct principal *me;
static struct device_reset resets[2];
static struct work before;
static unsigned completions;

static int set_up_resets(void **state)
{
    static const struct reservation_limits reservation_limits = {8, 4, RESERVATION_UNCLAIMED_US};
    static const struct reservation_callbacks callbacks = {0};
    struct daemon *daemon = &fixture.daemon;

    set_up(state);
    fixture.fault.can_reset = true;
    daemon->access = &access_of_test;
    assert_int_equal(reservations_new(daemon->event, &daemon->accounts, &reservation_limits, &callbacks,
                             &daemon->reservations),
            0);
    me = principal_new(&daemon->accounts, PRINCIPAL_USER, "me");
    completions = 0;
    return 0;
}

static int tear_down_resets(void **state)
{
    assert_null(fixture.daemon.resets);
    reservations_free(fixture.daemon.reservations);
    principal_unref(&fixture.daemon.accounts, me);
    return tear_down(state);
}

static void completed(struct device_reset *reset)
{
    (void)reset;
    completions++;
}

static void start(struct device_reset *reset)
{
    const struct reservation *blocking;
    struct error error = {0};

    memset(reset, 0, sizeof(*reset));
    reset->device = &fixture.device;
    reset->principal = me;
    reset->completed = completed;
    test_that(device_reset_start(&fixture.daemon, reset, &blocking, &error) == 0, "%s", error.message);
}

/* It is in the backend when this returns, and stays there until the gate is opened. */
static void start_and_stay(void)
{
    atomic_store(&fixture.fault.reset_blocks, true);
    start(&resets[0]);
    sem_wait(&fixture.fault.entered);
}

static void end(unsigned count)
{
    sem_post(&fixture.fault.gate);
    while (completions < count || fixture.device.pending > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
    settle();
}

static void wait_at_gate(struct work *work)
{
    (void)work;
    sem_post(&fixture.fault.entered);
    while (sem_wait(&fixture.fault.gate) < 0 && errno == EINTR)
        continue;
}

static void forget(struct work *work)
{
    (void)work;
}

static void mask(struct interrupt_source *source, bool masked)
{
    struct error error = {0};

    test_that(interrupts_mask(fixture.daemon.interrupts, source, masked, "user:me", &error) == 0, "%s",
            error.message);
}

static void storm(void)
{
    for (unsigned i = 0; i < 150; i++)
        come((struct interrupt_record){.source = 1, .time_ns = 50 * SECOND_NS + i});
    settle();
    expect_state(fixture.first, "storm");
}

static void skip_events(void)
{
    settle();
    fixture.seen = events_next(fixture.daemon.events) - 1;
}

/* It waits behind slow work: all is as ever. */
static void test_before_its_turn(void **state)
{
    unsigned asked;

    (void)state;
    before = (struct work){.run = wait_at_gate, .done = forget, .apart = true};
    assert_int_equal(dispatch_submit(fixture.daemon.dispatch, &fixture.device, &before, 0, NULL), 0);
    sem_wait(&fixture.fault.entered);
    start(&resets[0]);
    mask(fixture.second, true);
    expect_mask(0, true);
    storm();
    expect_mask(1, true);
    mask(fixture.first, false);
    expect_mask(1, false);
    asked = atomic_load(&fixture.fault.presence_asked);
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
    assert_int_equal(atomic_load(&fixture.fault.presence_asked), asked + 1);
    end(1);
    assert_int_equal(resets[0].result, 0);
    assert_int_equal(fake.mask_count, 0);
}

/* Only what holds when it is over is done then. */
static void test_meanwhile(void **state)
{
    unsigned asked = atomic_load(&fixture.fault.presence_asked);

    (void)state;
    start_and_stay();
    mask(fixture.first, true);
    expect_change(EVENT_MASK, true, "user:me");
    expect_state(fixture.first, "masked");
    mask(fixture.second, true);
    mask(fixture.second, false);
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
    assert_int_equal(fake.mask_count, 0);
    assert_int_equal(atomic_load(&fixture.fault.presence_asked), asked);
    end(1);
    assert_int_equal(fake.mask_count, 2);
    assert_true(fake.masks[0].source == 0 && !fake.masks[0].masked);
    assert_true(fake.masks[1].source == 1 && fake.masks[1].masked);
    assert_true(atomic_load(&fixture.fault.presence_asked) > asked);
    fake.mask_count = 0;
    mask(fixture.first, false);
    expect_mask(1, false); /* at once again */
}

/* One reset after the other does not put it off. */
static void test_between_two(void **state)
{
    (void)state;
    start_and_stay();
    start(&resets[1]);
    mask(fixture.first, true);
    sem_post(&fixture.fault.gate);
    sem_wait(&fixture.fault.entered); /* the loop has not heard of the first one's end */
    expect_mask(1, true);
    mask(fixture.first, false);
    assert_int_equal(fake.mask_count, 0);
    end(2);
    expect_mask(1, false);
}

/* What comes when its backend's descriptor was not read for a while. */
static void test_storm_ends_meanwhile(void **state)
{
    (void)state;
    start_and_stay();
    storm();
    for (uint64_t until_us = clock_now_us() + 60000000;
            fixture.first->state == INTERRUPT_STORM && clock_now_us() < until_us;)
        sd_event_run(fixture.daemon.event, 100000);
    expect_state(fixture.first, "on");
    assert_int_equal(fake.mask_count, 0);
    end(1);
    expect_mask(1, false);
    expect_state(fixture.first, "on");
    start_and_stay();
    storm();
    end(2);
    expect_mask(1, true);
    expect_state(fixture.first, "storm");
}

static void come_masked(void)
{
    come((struct interrupt_record){.source = 1, .masked = true});
    settle();
    expect_state(fixture.first, "waiting");
    assert_int_equal(fake.mask_count, 0);
}

/* The device is quiet then, which is what it waited for. */
static void test_waiting_is_over(void **state)
{
    (void)state;
    come_masked();
    start(&resets[0]);
    end(1);
    expect_mask(1, false);
    expect_state(fixture.first, "on");
    mask(fixture.first, true); /* but a principal's stays */
    expect_mask(1, true);
    come((struct interrupt_record){.source = 1, .masked = true});
    start(&resets[0]);
    end(2);
    assert_int_equal(fake.mask_count, 0);
    expect_state(fixture.first, "masked");
}

/* One that came before, and is read after: it waits for nothing. */
static void test_read_late(void **state)
{
    (void)state;
    start_and_stay();
    come((struct interrupt_record){.source = 1, .masked = true});
    end(1);
    expect_mask(1, false);
    expect_state(fixture.first, "on");
}

static void test_waiting_after_a_failure(void **state)
{
    (void)state;
    come_masked();
    atomic_store(&fixture.fault.reset_result, -EIO);
    start(&resets[0]);
    end(1);
    expect_state(fixture.first, "waiting");
    assert_int_equal(fake.mask_count, 0);
}

static void test_unmasking_fails(void **state)
{
    (void)state;
    mask(fixture.first, true);
    expect_mask(1, true);
    start_and_stay();
    mask(fixture.first, false);
    fake.mask_result = -EIO;
    end(1);
    expect_state(fixture.first, "waiting");
    fake.mask_result = 0;
    atomic_store(&fixture.fault.reset_blocks, false);
    start(&resets[0]);
    end(2);
    expect_mask(1, false);
    expect_state(fixture.first, "on");
}

/* They can't be read any more, and nobody knows yet whether the device is gone. */
static void test_lost_meanwhile(void **state)
{
    (void)state;
    start_and_stay();
    mask(fixture.first, true);
    fake.read_result = -ENODEV;
    wake();
    settle();
    expect_state(fixture.first, "absent");
    assert_int_equal(fake.closed, 0);
    fake.read_result = 0;
    end(1);
    assert_int_equal(fake.closed, 1);
    expect_mask(1, true); /* as they were opened anew */
    expect_state(fixture.first, "masked");
    skip_events();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_resets, tear_down_resets)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_before_its_turn),
            TEST(test_meanwhile),
            TEST(test_between_two),
            TEST(test_storm_ends_meanwhile),
            TEST(test_waiting_is_over),
            TEST(test_read_late),
            TEST(test_waiting_after_a_failure),
            TEST(test_unmasking_fails),
            TEST(test_lost_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
