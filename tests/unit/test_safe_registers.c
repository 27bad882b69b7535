/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/safe_registers.c: what backends are told to write when the daemon is killed. */
#include "fault_backend.h"

#include <errno.h>
#include <string.h>

#include "core/safe_registers.h"
#include "util/cleanup.h"

static const uint64_t HOUR_US = UINT64_C(3600) * 1000000;

static struct {
    struct daemon daemon;
    struct inventory inventory;
    struct region *regions[2];
    struct fault fault;
    struct device device;
    struct safe_registers *safe_registers;
    unsigned not_set;
    struct error error;
} fixture;

static void ignore_presence(struct device *device, void *context)
{
    (void)device;
    (void)context;
}

static void handle_changed(void *context)
{
    (void)context;
    safe_registers_update(fixture.safe_registers);
}

static void not_set(struct device *device, const struct error *error, void *context)
{
    assert_ptr_equal(device, &fixture.device);
    assert_ptr_equal(context, &fixture);
    fixture.not_set++;
    fixture.error = *error;
}

static int set_up(void **state)
{
    static const struct dispatch_limits limits = {4, UINT64_C(60) * 1000000};
    static const struct reservation_limits reservation_limits = {8, 8, RESERVATION_UNCLAIMED_US};
    const struct reservation_callbacks callbacks = {.changed = handle_changed};
    struct daemon *daemon = &fixture.daemon;

    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    fault_init(&fixture.fault, 2);
    fixture.fault.regions[1].endianness = ENDIANNESS_BIG;
    fault_device(&fixture.fault, &fault_backend, &fixture.device);
    for (size_t i = 0; i < 2; i++)
        fixture.regions[i] = &fixture.device.regions[i];
    fixture.inventory = (struct inventory){&fixture.device, 1, fixture.regions, 2};
    daemon->inventory = &fixture.inventory;
    assert_true(sd_event_new(&daemon->event) >= 0);
    assert_int_equal(dispatch_new(daemon->event, &limits, ignore_presence, NULL, &daemon->dispatch), 0);
    dispatch_settle(daemon->dispatch, &fixture.device);
    assert_int_equal(safe_registers_new(daemon, not_set, &fixture, &fixture.safe_registers), 0);
    assert_int_equal(reservations_new(daemon->event, &daemon->accounts, &reservation_limits, &callbacks,
                             &daemon->reservations),
            0);
    return 0;
}

static int tear_down(void **state)
{
    struct daemon *daemon = &fixture.daemon;

    (void)state;
    assert_true(dispatch_stop(&fixture.device, 60000));
    reservations_free(daemon->reservations);
    safe_registers_free(fixture.safe_registers);
    dispatch_free(daemon->dispatch);
    device_done(&fixture.device);
    sd_event_unref(daemon->event);
    fault_done(&fixture.fault);
    return 0;
}

static void settle(void)
{
    while (fixture.device.pending > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
}

static struct reservation *take(const char *holder, const struct safe_write *writes, size_t count)
{
    const struct reservation_window window = {&fixture.device.regions[0], 0, 3};
    const struct reservation_wish wish = {.holder = holder,
            .target = "fault",
            .windows = &window,
            .window_count = 1,
            .safe_writes = writes,
            .safe_write_count = count,
            .duration_us = HOUR_US};
    const struct reservation *blocking;
    struct reservation *reservation;
    struct error error = {0};

    test_that(reservations_take(fixture.daemon.reservations, &wish, &reservation, &blocking, &error) == 0,
            "%s", error.message);
    settle();
    return reservation;
}

static void release(struct reservation *reservation)
{
    assert_int_equal(
            reservations_release(fixture.daemon.reservations, reservation, reservation->holder, false, NULL),
            0);
    settle();
}

static void check_register(size_t index, size_t region, uint64_t offset, const char *octets)
{
    const struct safe_register *set = &fixture.fault.safe[index];

    assert_int_equal(set->region, region);
    assert_int_equal(set->offset, offset);
    assert_int_equal(set->width, 4);
    assert_memory_equal(&set->value, octets, 8);
}

static void test_union_of_what_is_held(void **state)
{
    struct region *little = &fixture.device.regions[0], *big = &fixture.device.regions[1];
    const struct safe_write one[] = {{little, 0x10, 4, 0x11223344}, {big, 0x20, 4, 0x11223344}};
    const struct safe_write other[] = {{little, 0x10, 4, 0x11223344}, {little, 0x10, 4, 1}};
    struct reservation *alice, *bob;

    (void)state;
    alice = take("user:alice", one, 2);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 2);
    check_register(0, 0, 0x10, "\x44\x33\x22\x11\0\0\0\0");
    check_register(1, 1, 0x20, "\x11\x22\x33\x44\0\0\0\0");
    bob = take("user:bob", other, 2);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 3); /* two are the same */
    check_register(2, 0, 0x10, "\1\0\0\0\0\0\0\0");
    release(alice);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 2);
    check_register(1, 0, 0x10, "\1\0\0\0\0\0\0\0");
    release(bob);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 0);
    assert_int_equal(atomic_load(&fixture.fault.safe_sets), 4);
}

static void test_set_only_when_it_is_another(void **state)
{
    const struct safe_write write = {&fixture.device.regions[0], 0, 4, 1};
    struct reservation *reservation;

    (void)state;
    release(take("user:alice", NULL, 0));
    assert_int_equal(atomic_load(&fixture.fault.safe_sets), 0);
    reservation = take("user:alice", &write, 1);
    assert_int_equal(reservations_renew(fixture.daemon.reservations, reservation, "user:alice", 0, NULL), 0);
    settle();
    assert_int_equal(atomic_load(&fixture.fault.safe_sets), 1);
}

static void test_set_anew_when_the_device_is_back(void **state)
{
    const struct safe_write write = {&fixture.device.regions[0], 0, 4, 1};

    (void)state;
    take("user:alice", &write, 1);
    fixture.device.lost = true;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    safe_registers_renew(fixture.safe_registers, &fixture.device);
    assert_int_equal(fixture.device.pending, 0);
    atomic_store(&fixture.fault.open_result, 0);
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    safe_registers_renew(fixture.safe_registers, &fixture.device);
    settle();
    assert_int_equal(atomic_load(&fixture.fault.safe_sets), 2);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 1);
}

static void test_failures_are_told_once(void **state)
{
    const struct safe_write write = {&fixture.device.regions[0], 0, 4, 1};
    struct reservation *first, *second;
    const struct safe_write another = {&fixture.device.regions[0], 4, 4, 1};

    (void)state;
    atomic_store(&fixture.fault.safe_result, -EINVAL);
    first = take("user:alice", &write, 1);
    second = take("user:bob", &another, 1);
    assert_int_equal(fixture.not_set, 1);
    assert_non_null(strstr(fixture.error.message, "it was told to take no writes: "));
    assert_non_null(strstr(fixture.error.message, "those are made there that were set before"));
    atomic_store(&fixture.fault.safe_result, 0);
    release(first);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 1);
    atomic_store(&fixture.fault.safe_result, -EINVAL);
    release(second);
    assert_int_equal(fixture.not_set, 2);
    atomic_store(&fixture.fault.safe_result, -ENODEV);
    take("user:alice", &write, 1); /* the device is gone: that is told otherwise */
    assert_int_equal(fixture.not_set, 2);
}

/* The writes of a reservation that has ended are not made for one whose own were not taken, and these are
 * tried again. */
static void test_what_is_not_taken_is_not_set(void **state)
{
    const struct safe_write one = {&fixture.device.regions[0], 0, 4, 1};
    const struct safe_write refused = {&fixture.device.regions[0], FAULT_REFUSED, 4, 1};
    struct reservation *first, *second, *third;

    (void)state;
    first = take("user:alice", &one, 1);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 1);
    second = take("user:bob", &refused, 1);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 0);
    assert_int_equal(fixture.not_set, 1);
    assert_non_null(strstr(fixture.error.message, "no safe-state writes are made there"));
    release(first);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 0);
    assert_int_equal(atomic_load(&fixture.fault.safe_sets), 5); /* tried again, and again none instead */
    third = take("user:carol", &one, 1);
    assert_int_equal(fixture.not_set, 1);
    release(second);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 1);
    release(third);
    take("user:bob", &refused, 1);
    assert_int_equal(fixture.not_set, 2); /* it was well meanwhile */
}

/* None is taken either: what is there is as before, and that it is not what is wanted is not forgotten. */
static void test_none_is_tried_again(void **state)
{
    const struct safe_write write = {&fixture.device.regions[0], 0, 4, 1};
    struct reservation *reservation = take("user:alice", &write, 1);

    (void)state;
    atomic_store(&fixture.fault.safe_result, -EINVAL);
    release(reservation);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 1);
    assert_int_equal(fixture.not_set, 1);
    atomic_store(&fixture.fault.safe_result, 0);
    take("user:bob", NULL, 0);
    assert_int_equal(atomic_load(&fixture.fault.safe_count), 0);
}

static void test_backend_without(void **state)
{
    const struct safe_write write = {&fixture.device.regions[0], 0, 4, 1};

    (void)state;
    fixture.device.backend = &fault_backend_revocable;
    take("user:alice", &write, 1);
    assert_int_equal(atomic_load(&fixture.fault.safe_sets), 0);
    fixture.device.backend = &fault_backend;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_union_of_what_is_held),
            TEST(test_set_only_when_it_is_another),
            TEST(test_set_anew_when_the_device_is_back),
            TEST(test_failures_are_told_once),
            TEST(test_what_is_not_taken_is_not_set),
            TEST(test_none_is_tried_again),
            TEST(test_backend_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
