/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/interrupt_rates.c: many at once: what storms is masked, and nobody else waits. */
#include "interrupts_fixture.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"

static void storm(void)
{
    for (unsigned i = 0; i < 150; i++)
        come((struct interrupt_record){.source = 1, .time_ns = 50 * SECOND_NS + i});
    settle();
}

static void skip_interrupts(void)
{
    const struct event *event;

    while ((event = events_get(fixture.daemon.events, fixture.seen + 1)) && event->kind == EVENT_INTERRUPT)
        fixture.seen++;
}

static void test_storm(void **state)
{
    uint64_t before;

    (void)state;
    storm();
    expect_mask(1, true);
    expect_state(fixture.first, "storm");
    expect_state(fixture.second, "on");
    skip_interrupts();
    before = clock_now_us();
    expect_change(EVENT_STORM, true, "a second, more than the limit of 1000: masked for 1 s");
    skip_interrupts();
    assert_int_equal(fixture.first->count, 150); /* what had come is counted */
    assert_int_equal(fixture.first->storms, 1);
    assert_true(fixture.first->unmask_us > before);
    expect_change(EVENT_STORM, false, "unmasked again");
    test_that(clock_now_us() - before > 500000, "it took only %llu us",
            (unsigned long long)(clock_now_us() - before));
    expect_mask(1, false);
    expect_state(fixture.first, "on");
    assert_true(fixture.first->rate > 0);
    storm();
    skip_interrupts();
    expect_change(EVENT_STORM, true, "masked for 2 s");
    fake.mask_count = 0;
    skip_interrupts();
    assert_int_equal(interrupts_mask(fixture.daemon.interrupts, fixture.first, false, "user:me", NULL), 0);
    expect_mask(1, false);
    expect_change(EVENT_STORM, false, "unmasked by user:me");
    expect_change(EVENT_MASK, false, "user:me");
    expect_state(fixture.first, "on");
}

/* A principal's mask outlasts the storm, and the device. */
static void test_masked_in_a_storm(void **state)
{
    (void)state;
    storm();
    skip_interrupts();
    expect_change(EVENT_STORM, true, "masked for 1 s");
    skip_interrupts();
    assert_int_equal(interrupts_mask(fixture.daemon.interrupts, fixture.first, true, "user:me", NULL), 0);
    expect_change(EVENT_STORM, false, "masked by user:me");
    expect_change(EVENT_MASK, true, "user:me");
    expect_state(fixture.first, "masked");
    sd_event_run(fixture.daemon.event, 1200000);
    settle();
    expect_state(fixture.first, "masked");
    device_detach(&fixture.device, "test");
    expect_state(fixture.first, "absent");
    fake.mask_count = 0;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    expect_state(fixture.first, "masked");
    expect_mask(1, true);
    expect_no_event();
}

static void test_closed_in_a_storm(void **state)
{
    (void)state;
    storm();
    skip_interrupts();
    expect_change(EVENT_STORM, true, "masked for 1 s");
    skip_interrupts();
    device_detach(&fixture.device, "test");
    expect_change(EVENT_STORM, false, "the device is closed");
    expect_state(fixture.first, "absent");
    fake.mask_count = 0;
    sd_event_run(fixture.daemon.event, 1200000);
    settle();
    assert_int_equal(fake.mask_count, 0);
}

static unsigned turns;

static int handle_other(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)fd;
    (void)revents;
    (void)userdata;
    turns++;
    return 0;
}

/* A source that always has more leaves the others their turn. */
static void test_fairness(void **state)
{
    sd_event_source *source;
    int other = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

    (void)state;
    assert_true(sd_event_add_io(fixture.daemon.event, &source, other, EPOLLIN, handle_other, NULL) >= 0);
    turns = 0;
    fake.endless = true;
    fake.queue[0] = (struct interrupt_record){.source = 0, .time_ns = 1};
    fixture.daemon.limits.interrupts_per_second = 10000000;
    wake();
    for (unsigned i = 0; i < 40; i++)
        assert_true(sd_event_run(fixture.daemon.event, 1000000) > 0);
    test_that(
            turns >= 10 && fake.reads >= 10, "the other one had %u turns, the source %u", turns, fake.reads);
    test_that(fixture.second->count <= 256ULL * fake.reads, "%llu were taken in %u turns",
            (unsigned long long)fixture.second->count, fake.reads);
    fake.endless = false;
    sd_event_source_disable_unref(source);
    close(other);
}

static void test_rate(void **state)
{
    (void)state;
    assert_true(fixture.first->rate == 0);
    for (unsigned i = 0; i < 100; i++)
        come((struct interrupt_record){.source = 1, .time_ns = (i + 1) * SECOND_NS});
    settle();
    for (uint64_t until_us = clock_now_us() + 60000000;
            fixture.first->rate == 0 && clock_now_us() < until_us;)
        sd_event_run(fixture.daemon.event, 100000);
    test_that(fixture.first->rate > 5 && fixture.first->rate <= 50.5, "the rate is %f", fixture.first->rate);
    assert_true(fixture.second->rate == 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_storm, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_masked_in_a_storm, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_in_a_storm, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fairness, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_rate, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
