/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/safe_state.c: the writes at the end of a reservation, on devices that are well, full, stuck and gone.
 */
#include "fault_backend.h"

#include <errno.h>
#include <string.h>

#include "core/safe_state.h"

static const uint64_t HOUR_US = UINT64_C(3600) * 1000000;

enum { REPORTS = 8 };

static struct {
    sd_event *event;
    struct dispatch *dispatch;
    struct accounts accounts;
    struct account *account;
    struct safe_state *safe_state;
    struct fault fault;
    struct device device;
    struct reservation reservation;
    struct safe_write writes[3];
    unsigned reported, completed, first_failures;
    int results[REPORTS];
    uint64_t offsets[REPORTS];
    struct error last_error;
} fixture;

static void ignore_presence(struct device *device, void *context)
{
    (void)device;
    (void)context;
}

static void report(
        const struct operation *operation, const char *reservation, bool first_failure, void *context)
{
    assert_ptr_equal(context, &fixture);
    assert_string_equal(reservation, "r-1");
    assert_int_equal(operation->kind, OPERATION_WRITE);
    assert_true(fixture.reported < REPORTS);
    fixture.results[fixture.reported] = operation->result;
    fixture.offsets[fixture.reported] = operation->access.offset;
    fixture.last_error = operation->error;
    fixture.reported++;
    fixture.first_failures += first_failure;
}

static int set_up_with(uint64_t timeout_us)
{
    const struct dispatch_limits limits = {2, timeout_us};

    memset(&fixture, 0, sizeof(fixture));
    fault_init(&fixture.fault, 1);
    fault_device(&fixture.fault, &fault_backend, &fixture.device);
    assert_true(sd_event_new(&fixture.event) >= 0);
    assert_int_equal(dispatch_new(fixture.event, &limits, ignore_presence, NULL, &fixture.dispatch), 0);
    assert_int_equal(
            safe_state_new(fixture.dispatch, &fixture.accounts, report, &fixture, &fixture.safe_state), 0);
    fixture.account = accounts_get(&fixture.accounts, "user:alice");
    assert_non_null(fixture.account);
    strcpy(fixture.reservation.id, "r-1");
    strcpy(fixture.reservation.holder, "user:alice");
    for (size_t i = 0; i < 3; i++)
        fixture.writes[i] = (struct safe_write){&fixture.device.regions[0], 8 * (3 - i), 4, 0x11 * (i + 1)};
    fixture.reservation.safe_writes = fixture.writes;
    fixture.reservation.safe_write_count = 3;
    fixture.reservation.granted = true;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(HOUR_US);
}

static int set_up_hurried(void **state)
{
    (void)state;
    return set_up_with(1);
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(dispatch_stop(&fixture.device, 60000));
    safe_state_free(fixture.safe_state);
    assert_int_equal(fixture.account->safe_writes, 0);
    accounts_put(&fixture.accounts, fixture.account);
    assert_null(fixture.accounts.first);
    dispatch_free(fixture.dispatch);
    device_done(&fixture.device);
    sd_event_unref(fixture.event);
    fault_done(&fixture.fault);
    return 0;
}

static void wait_for(const unsigned *counter, unsigned wanted)
{
    while (*counter < wanted)
        assert_true(sd_event_run(fixture.event, 10 * 1000 * 1000) > 0);
}

static void completed(struct operation *operation)
{
    (void)operation;
    fixture.completed++;
}

static void start(struct operation *operation, void *values)
{
    struct error error = {0};

    operation->values = values;
    operation->region = &fixture.device.regions[0];
    operation->completed = completed;
    assert_int_equal(operation_prepare(fixture.dispatch, operation->region, operation->kind,
                             &operation->access, &error),
            0);
    test_that(operation_start(fixture.dispatch, operation, &error) == 0, "%s", error.message);
}

static void test_in_order(void **state)
{
    (void)state;
    safe_state_run(fixture.safe_state, &fixture.reservation);
    memset(&fixture.reservation, 0xa5, sizeof(fixture.reservation)); /* it need not be there any more */
    wait_for(&fixture.reported, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fixture.results[i], 0);
        assert_int_equal(fixture.offsets[i], 8 * (3 - i));
        assert_int_equal(fixture.fault.memory[8 * (3 - i)], 0x11 * (i + 1));
    }
}

static void test_never_held(void **state)
{
    (void)state;
    fixture.reservation.granted = false;
    safe_state_run(fixture.safe_state, &fixture.reservation);
    assert_int_equal(fixture.reported, 0);
    assert_int_equal(atomic_load(&fixture.fault.writes), 0);
}

static void test_absent(void **state)
{
    (void)state;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    assert_int_equal(fixture.reported, 3);
    assert_int_equal(fixture.first_failures, 1);
    check_error(fixture.results[2], -ENODEV, &fixture.last_error, "fault is absent");
}

static void test_failure_stops_none(void **state)
{
    (void)state;
    atomic_store(&fixture.fault.write_result, -EFAULT);
    fixture.fault.fault_offset = 0x18; /* of the first */
    safe_state_run(fixture.safe_state, &fixture.reservation);
    wait_for(&fixture.reported, 3);
    assert_int_equal(fixture.results[0], -EFAULT);
    assert_int_equal(fixture.results[1], 0);
    assert_int_equal(fixture.results[2], 0);
    assert_int_equal(fixture.fault.memory[8], 0x33);
}

/* The old holder has filled the queue, one of its accesses does not return for longer than anything may
 * take: the writes come after what it had begun and before what the next holder does. */
static void test_before_the_next_holder(void **state)
{
    uint32_t old[2] = {0xdead, 0xdead}, next = 0;
    struct operation before[2] = {
            {.kind = OPERATION_WRITE, .access = {.offset = 0x18, .width = 4, .count = 1}},
            {.kind = OPERATION_WRITE, .access = {.offset = 0x10, .width = 4, .count = 1}}};
    struct operation after = {.kind = OPERATION_READ, .access = {.offset = 0x8, .width = 4, .count = 1}};
    struct error error = {0};

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    start(&before[0], &old[0]);
    start(&before[1], &old[1]);
    sem_wait(&fixture.fault.entered);
    atomic_store(&before[0].revoked, true);
    atomic_store(&before[1].revoked, true);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    after.region = &fixture.device.regions[0];
    after.values = &next;
    assert_int_equal(operation_start(fixture.dispatch, &after, &error), -EAGAIN); /* full for all others */
    wait_for(&fixture.completed, 1); /* given back as too late, or revoked */
    assert_int_equal(fixture.reported, 0);
    atomic_store(&fixture.fault.blocking, false);
    sem_post(&fixture.fault.gate);
    wait_for(&fixture.reported, 3);
    wait_for(&fixture.completed, 2);
    assert_int_equal(before[0].result, 0); /* it was under way */
    assert_true(before[1].result < 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(fixture.results[i], 0);
    assert_int_equal(fixture.fault.memory[0x18], 0x11);
    assert_int_equal(fixture.fault.memory[0x10], 0x22);
}

/* Each one counts for its holder until it is made, on the device that it is for. */
static void test_counted(void **state)
{
    uint32_t value;
    struct operation before = {.kind = OPERATION_READ, .access = {.width = 4, .count = 1}};

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    start(&before, &value);
    sem_wait(&fixture.fault.entered);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    assert_int_equal(fixture.account->safe_writes, 6);
    assert_int_equal(safe_state_pending(fixture.safe_state), 6);
    atomic_store(&fixture.fault.blocking, false);
    sem_post(&fixture.fault.gate);
    wait_for(&fixture.reported, 4);
    assert_int_equal(fixture.account->safe_writes, 6 - fixture.reported);
    wait_for(&fixture.reported, 6);
    assert_int_equal(fixture.account->safe_writes, 0);
    assert_int_equal(safe_state_pending(fixture.safe_state), 0);
}

static void run_blocking(struct work *work)
{
    (void)work;
    sem_post(&fixture.fault.entered);
    while (sem_wait(&fixture.fault.gate) < 0 && errno == EINTR)
        continue;
}

static void work_done(struct work *work)
{
    (void)work;
    fixture.completed++;
}

/* Closed for a while, to be bound to a driver: they are made when it is back, in their order. */
static void test_closed_for_a_while(void **state)
{
    struct work work = {.run = run_blocking, .done = work_done};

    (void)state;
    assert_int_equal(dispatch_submit_closed(fixture.dispatch, &fixture.device, &work, "is away", NULL), 0);
    sem_wait(&fixture.fault.entered);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    assert_int_equal(fixture.reported, 0);
    assert_int_equal(safe_state_pending(fixture.safe_state), 3);
    sem_post(&fixture.fault.gate);
    wait_for(&fixture.reported, 3);
    assert_int_equal(fixture.completed, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fixture.results[i], 0);
        assert_int_equal(fixture.offsets[i], 8 * (3 - i));
    }
}

/* What has not been made when the daemon ends is freed. */
static void test_end_of_the_daemon(void **state)
{
    static uint32_t value; /* the worker may be done with it only after this returns */
    static struct operation operation = {.kind = OPERATION_READ, .access = {.width = 4, .count = 1}};

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    start(&operation, &value);
    sem_wait(&fixture.fault.entered);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    dispatch_cancel(&fixture.device);
    atomic_store(&fixture.fault.blocking, false);
    sem_post(&fixture.fault.gate);
    assert_int_equal(fixture.reported, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_in_order, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_never_held, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_absent, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_failure_stops_none, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_before_the_next_holder, set_up_hurried, tear_down),
            cmocka_unit_test_setup_teardown(test_counted, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_for_a_while, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_end_of_the_daemon, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
