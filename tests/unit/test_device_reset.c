/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/device_reset.c: who may reset a device when, and what becomes of its buffers and of memory that was
 * retained. */
#include "fault_backend.h"

#include <errno.h>
#include <string.h>

#include "core/admission.h"
#include "core/device_reset.h"
#include "core/events.h"
#include "util/cleanup.h"

static struct {
    struct daemon daemon;
    struct inventory inventory;
    struct region *regions[2];
    struct fault fault;
    struct backend backend;
    struct device device;
    struct principal *alice, *bob, *half;
    struct device_reset reset;
    unsigned completed, left;
} fixture;

static struct access_subject users[] = {
        {SUBJECT_USER, (char *)"alice", false, 0}, {SUBJECT_USER, (char *)"bob", false, 0}};
static struct access_subject half[] = {{SUBJECT_USER, (char *)"half", false, 0}};
static char *one_region[] = {(char *)"fault", NULL};
static struct access_rule rules[] = {
        {.name = (char *)"users",
                .subjects = users,
                .subject_count = 2,
                .permissions = 1 << PERMISSION_WRITE | 1 << PERMISSION_RESERVE | 1 << PERMISSION_DMA},
        {.name = (char *)"half",
                .subjects = half,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_WRITE,
                .regions = one_region},
};
static const struct access_rules access_of_test = {rules, ELEMENTS(rules)};

static void ignore_presence(struct device *device, void *context)
{
    (void)device;
    (void)context;
}

static void recheck(const struct reservation *reservation, void *context)
{
    (void)reservation;
    (void)context;
    admission_recheck(&fixture.daemon);
}

static int set_up(void **state)
{
    static const struct reservation_limits reservation_limits = {8, 4, RESERVATION_UNCLAIMED_US};
    static const struct reservation_callbacks callbacks = {.granted = recheck};
    const struct dispatch_limits limits = {8, UINT64_C(60) * 1000000};
    struct daemon *daemon = &fixture.daemon;

    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    fault_init(&fixture.fault, 2);
    fixture.fault.can_reset = true;
    fixture.backend = fault_backend;
    fault_device(&fixture.fault, &fixture.backend, &fixture.device);
    fixture.regions[0] = &fixture.device.regions[0];
    fixture.regions[1] = &fixture.device.regions[1];
    fixture.inventory = (struct inventory){&fixture.device, 1, fixture.regions, 2};
    daemon->inventory = &fixture.inventory;
    daemon->limits = limits_default;
    daemon->access = &access_of_test;
    assert_true(sd_event_new(&daemon->event) >= 0);
    assert_int_equal(dispatch_new(daemon->event, &limits, ignore_presence, NULL, &daemon->dispatch), 0);
    assert_int_equal(events_new(daemon->event, 16, &daemon->events), 0);
    assert_int_equal(reservations_new(daemon->event, &daemon->accounts, &reservation_limits, &callbacks,
                             &daemon->reservations),
            0);
    assert_int_equal(dma_buffers_new(daemon, &daemon->dma_buffers), 0);
    fixture.alice = principal_new(&daemon->accounts, PRINCIPAL_USER, "alice");
    fixture.bob = principal_new(&daemon->accounts, PRINCIPAL_USER, "bob");
    fixture.half = principal_new(&daemon->accounts, PRINCIPAL_USER, "half");
    return 0;
}

static int tear_down(void **state)
{
    struct daemon *daemon = &fixture.daemon;

    (void)state;
    assert_null(daemon->resets);
    assert_true(dispatch_stop(&fixture.device, 60000));
    assert_false(fixture.device.silent);
    dma_buffers_free(take_ptr(daemon->dma_buffers));
    reservations_free(daemon->reservations);
    principal_unref(&daemon->accounts, fixture.alice);
    principal_unref(&daemon->accounts, fixture.bob);
    principal_unref(&daemon->accounts, fixture.half);
    assert_null(daemon->accounts.first);
    events_free(daemon->events);
    dispatch_free(daemon->dispatch);
    device_done(&fixture.device);
    sd_event_unref(daemon->event);
    fault_done(&fixture.fault);
    return 0;
}

static void completed(struct device_reset *reset)
{
    assert_ptr_equal(reset, &fixture.reset);
    fixture.completed++;
}

static void left(struct device_reset *reset, const struct error *error)
{
    assert_ptr_equal(reset, &fixture.reset);
    check_error(-EIO, error->code, error,
            "devregd stopped while fault was being reset: how that went is not known");
    fixture.left++;
}

static int begin(
        const struct principal *principal, const struct reservation **ret_blocking, struct error *error)
{
    fixture.completed = 0;
    memset(&fixture.reset, 0, sizeof(fixture.reset));
    fixture.reset.device = &fixture.device;
    fixture.reset.principal = principal;
    fixture.reset.completed = completed;
    return device_reset_start(&fixture.daemon, &fixture.reset, ret_blocking, error);
}

static void must_begin(const struct principal *principal)
{
    const struct reservation *blocking;
    struct error error = {0};

    test_that(begin(principal, &blocking, &error) == 0, "%s", error.message);
    assert_int_equal(fixture.completed, 0);
}

static void settle(void)
{
    while (fixture.device.pending > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
}

static void end(int code, const char *text)
{
    settle();
    assert_int_equal(fixture.completed, 1);
    if (code < 0)
        check_error(fixture.reset.result, code, &fixture.reset.error, text);
    else
        test_that(fixture.reset.result == 0, "%s", fixture.reset.error.message);
}

static void check_refused(const struct principal *principal, int code, const char *text)
{
    const struct reservation *blocking;
    struct error error = {0};

    check_error(begin(principal, &blocking, &error), code, &error, text);
    assert_int_equal(fixture.completed, 0);
    assert_int_equal(atomic_load(&fixture.fault.resets), 0);
    assert_int_equal(events_next(fixture.daemon.events), 1);
}

/* It is opened for it. */
static void test_reset(void **state)
{
    const struct event *event;

    (void)state;
    assert_null(fixture.device.handle);
    assert_false(device_can_reset(&fixture.device));
    must_begin(fixture.alice);
    assert_true(device_can_reset(&fixture.device));
    end(0, NULL);
    assert_true(fixture.reset.attempted);
    assert_int_equal(fixture.reset.given_back, 0);
    assert_int_equal(atomic_load(&fixture.fault.resets), 1);
    assert_int_equal(atomic_load(&fixture.fault.closed), 0);
    event = events_get(fixture.daemon.events, 1);
    assert_non_null(event);
    assert_int_equal(event->kind, EVENT_RESET);
    assert_ptr_equal(event->device, &fixture.device);
    assert_string_equal(event->text, "user:alice");
}

static void test_who_may(void **state)
{
    (void)state;
    check_refused(fixture.half, -EPERM, "no access rule lets user:half write other");
    fixture.device.region_count = 1; /* all that it may */
    must_begin(fixture.half);
    end(0, NULL);
    fixture.device.region_count = 2;
}

static struct reservation *reserve(const char *holder, size_t region)
{
    const struct reservation_window window = {&fixture.device.regions[region], 0, 3};
    const struct reservation_wish wish = {.holder = holder,
            .exclusive = true,
            .target = "a part",
            .windows = &window,
            .window_count = 1,
            .duration_us = UINT64_C(600) * 1000000};
    const struct reservation *blocking = NULL;
    struct reservation *reservation;
    struct error error = {0};

    test_that(reservations_take(fixture.daemon.reservations, &wish, &reservation, &blocking, &error) == 0,
            "%s", error.message);
    return reservation;
}

/* Any part of it, and one's own is in nobody's way. */
static void test_reserved(void **state)
{
    const struct reservation *blocking;
    struct error error = {0};

    (void)state;
    reserve("user:alice", 0);
    reserve("user:bob", 1);
    check_error(begin(fixture.alice, &blocking, &error), -EUSERS, &error, "other is reserved by user:bob");
    assert_non_null(blocking);
    assert_string_equal(blocking->holder, "user:bob");
    check_refused(fixture.bob, -EUSERS, "fault is reserved by user:alice");
    check_refused(fixture.half, -EPERM, "user:half"); /* and is not told by whom */
}

static void test_own_reservation(void **state)
{
    (void)state;
    reserve("user:alice", 0);
    reserve("user:alice", 1);
    must_begin(fixture.alice);
    end(0, NULL);
}

static struct work before;

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

/* The device is busy until the gate is opened. */
static void keep_busy(void)
{
    before = (struct work){.run = wait_at_gate, .done = forget, .apart = true};
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    assert_int_equal(dispatch_submit(fixture.daemon.dispatch, &fixture.device, &before, 0, NULL), 0);
    sem_wait(&fixture.fault.entered);
}

static void test_reserved_meanwhile(void **state)
{
    (void)state;
    keep_busy();
    must_begin(fixture.alice);
    reserve("user:bob", 1);
    sem_post(&fixture.fault.gate);
    end(-EUSERS, "fault was not reset: other is reserved by user:bob");
    assert_false(fixture.reset.attempted);
    assert_string_equal(fixture.reset.blocking->holder, "user:bob");
    assert_int_equal(atomic_load(&fixture.fault.resets), 0);
    assert_int_equal(events_next(fixture.daemon.events), 1);
}

static void test_revoked_meanwhile(void **state)
{
    permission_set scope = fixture.alice->scope;

    (void)state;
    keep_busy();
    must_begin(fixture.alice);
    fixture.alice->scope = 0;
    admission_recheck(&fixture.daemon);
    sem_post(&fixture.fault.gate);
    end(-EUSERS, "fault was not reset: user:alice, which allowed it, ended before its turn came");
    assert_null(fixture.reset.blocking);
    assert_int_equal(atomic_load(&fixture.fault.resets), 0);
    fixture.alice->scope = scope;
}

/* What was in its way is gone again: that is said, and it was not done. */
static void test_reserved_for_a_while(void **state)
{
    struct reservation *other;

    (void)state;
    keep_busy();
    must_begin(fixture.alice);
    other = reserve("user:bob", 1);
    assert_int_equal(reservations_release(fixture.daemon.reservations, other, "user:bob", false, NULL), 0);
    sem_post(&fixture.fault.gate);
    end(-EUSERS, "fault was not reset: another had reserved some of it before its turn came, and has no "
                 "more: ask again");
    assert_null(fixture.reset.blocking);
    assert_int_equal(atomic_load(&fixture.fault.resets), 0);
}

/* The one that it was to be done with. */
static void test_own_reservation_ends_meanwhile(void **state)
{
    struct reservation *own = reserve("user:alice", 0);
    char text[80];

    (void)state;
    keep_busy();
    must_begin(fixture.alice);
    fixture.reset.reservation = strcpy(text, own->id);
    assert_int_equal(reservations_release(fixture.daemon.reservations, own, "user:alice", false, NULL), 0);
    admission_recheck(&fixture.daemon);
    sem_post(&fixture.fault.gate);
    end(-EUSERS, text);
    test_that(strncmp(fixture.reset.error.message, "fault was not reset: ", 21) == 0, "%s",
            fixture.reset.error.message);
    assert_null(fixture.reset.blocking);
    assert_int_equal(atomic_load(&fixture.fault.resets), 0);
}

/* As it can't be, or not now. */

static void test_no_way(void **state)
{
    (void)state;
    fixture.backend.device_reset = NULL;
    check_refused(
            fixture.alice, -EOPNOTSUPP, "the backend fault, through which fault is reached, has no reset");
    assert_non_null(fixture.device.handle);
    assert_false(device_can_reset(&fixture.device));
}

static void test_absent(void **state)
{
    (void)state;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    check_refused(fixture.alice, -ENODEV, "fault is absent: it was told not to open");
    atomic_store(&fixture.fault.open_result, -EBUSY);
    check_refused(fixture.alice, -EBUSY, "fault is absent");
    atomic_store(&fixture.fault.open_result, 0);
}

static void test_daemon_stops(void **state)
{
    (void)state;
    keep_busy();
    must_begin(fixture.alice);
    fixture.daemon.draining = true;
    dispatch_cancel(&fixture.device);
    sem_post(&fixture.fault.gate);
    end(-EAGAIN, "devregd is stopping: fault was not reset");
    assert_false(fixture.reset.attempted);
    check_refused(fixture.alice, -EAGAIN, "devregd is stopping: fault was not reset");
}

/* Nobody knows how it is then, so it is looked at. */
static void test_failure(void **state)
{
    unsigned asked;

    (void)state;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    asked = atomic_load(&fixture.fault.presence_asked);
    atomic_store(&fixture.fault.retained, 4096);
    atomic_store(&fixture.fault.reset_result, -EIO);
    must_begin(fixture.alice);
    end(-EIO, "fault: it was told not to be reset");
    assert_true(fixture.reset.attempted);
    assert_int_equal(fixture.reset.given_back, 0);
    assert_int_equal(atomic_load(&fixture.fault.presence_asked), asked + 1);
    assert_int_equal(events_next(fixture.daemon.events), 1);
    atomic_store(&fixture.fault.present, false);
    must_begin(fixture.alice);
    end(-EIO, "it was told not to be reset");
    assert_int_equal(atomic_load(&fixture.fault.closed), 1);
    atomic_store(&fixture.fault.present, true);
}

/* Nothing else is done with it meanwhile, and nobody looks whether it is there. */
static void test_others_wait(void **state)
{
    struct work after = {.run = forget, .done = forget, .apart = true};
    unsigned asked;

    (void)state;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    asked = atomic_load(&fixture.fault.presence_asked);
    atomic_store(&fixture.fault.reset_blocks, true);
    must_begin(fixture.alice);
    sem_wait(&fixture.fault.entered);
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
    assert_int_equal(dispatch_submit(fixture.daemon.dispatch, &fixture.device, &after, 0, NULL), 0);
    assert_int_equal(fixture.device.pending, 2);
    assert_int_equal(atomic_load(&fixture.fault.presence_asked), asked);
    sem_post(&fixture.fault.gate);
    end(0, NULL);
    assert_true(atomic_load(&fixture.fault.presence_asked) > asked);
}

/* Others are not let go on with it because they never stop asking. */
static void test_gone_meanwhile(void **state)
{
    struct work after = {.run = wait_at_gate, .done = forget, .apart = true};

    (void)state;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    atomic_store(&fixture.fault.reset_blocks, true);
    must_begin(fixture.alice);
    sem_wait(&fixture.fault.entered);
    assert_int_equal(dispatch_submit(fixture.daemon.dispatch, &fixture.device, &after, 0, NULL), 0);
    atomic_store(&fixture.fault.present, false);
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
    assert_false(fixture.device.lost);
    sem_post(&fixture.fault.gate);
    while (fixture.completed == 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
    assert_true(fixture.device.lost && fixture.device.pending == 1);
    atomic_store(&fixture.fault.present, true);
    sem_post(&fixture.fault.gate);
    settle();
}

/* The backend did nothing to it. */
static void test_refused(void **state)
{
    static const int codes[] = {-EBUSY, -EOPNOTSUPP, -EAGAIN, -ENODATA};
    unsigned asked;

    (void)state;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    asked = atomic_load(&fixture.fault.presence_asked);
    for (size_t i = 0; i < ELEMENTS(codes); i++) {
        atomic_store(&fixture.fault.reset_result, codes[i]);
        must_begin(fixture.alice);
        end(codes[i], "fault: it was told not to be reset");
        assert_false(fixture.reset.attempted);
    }
    assert_int_equal(atomic_load(&fixture.fault.presence_asked), asked);
}

static void test_left(void **state)
{
    struct device_reset waiting = {.left = left};

    (void)state;
    atomic_store(&fixture.fault.reset_blocks, true);
    must_begin(fixture.alice);
    fixture.reset.left = left;
    sem_wait(&fixture.fault.entered);
    waiting.next = fixture.daemon.resets; /* one that has not begun */
    fixture.daemon.resets = &waiting;
    device_resets_leave(&fixture.daemon);
    fixture.daemon.resets = waiting.next;
    assert_int_equal(fixture.left, 1);
    sem_post(&fixture.fault.gate);
    end(0, NULL);
}

/* Memory */

static struct dma_buffer *allocated;

static void over(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error)
{
    (void)waiter;
    test_that(buffer, "%s", error->message);
    allocated = buffer;
}

static struct dma_buffer *allocate(struct principal *principal)
{
    const struct dma_buffer_wish wish = {
            .device = &fixture.device, .memory = {BUFFER_COHERENT, 4096, 1, 32, 4096, 0, true, true}};
    struct dma_waiter waiter = {.over = over};
    struct error error = {0};

    test_that(dma_buffers_allocate(&fixture.daemon, principal, &wish, &waiter, &error) == 0, "%s",
            error.message);
    settle();
    return allocated;
}

/* Everybody's goes off their accounts, and what is live stays. */
static void test_retained_is_given_back(void **state)
{
    struct dma_buffer *live = allocate(fixture.bob);
    struct dma_buffer_wish wish = {
            .device = &fixture.device, .memory = {BUFFER_COHERENT, 4096, 1, 32, 4096, 0, true, true}};
    struct dma_waiter waiter = {.over = over};
    struct error error = {0};
    struct dma_state seen;

    (void)state;
    atomic_store(&fixture.fault.retaining, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    dma_buffer_renew(allocate(fixture.bob), 1000);
    while (dma_buffers_count(&fixture.daemon) > 1)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
    assert_int_equal(fixture.alice->account->buffer_bytes, 4096);
    assert_int_equal(fixture.bob->account->buffer_bytes, 8192);
    fixture.daemon.limits.buffer_bytes_per_principal = 4096;
    check_error(dma_buffers_allocate(&fixture.daemon, fixture.alice, &wish, &waiter, &error), -EDQUOT,
            &error, "devregctl reset fault frees them");
    must_begin(fixture.alice);
    end(0, NULL);
    assert_int_equal(fixture.reset.given_back, 8192);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(fixture.bob->account->buffer_bytes, 4096);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 4096);
    assert_true(dma_buffers_look(&fixture.device, &seen));
    assert_int_equal(seen.retained, 0);
    assert_int_equal(live->state, DMA_BUFFER_LIVE);
    assert_non_null(live->handle);
    allocate(fixture.alice);
}

/* It is on its owner's account as long as it is retained. */
static void test_retained_after_a_failure(void **state)
{
    (void)state;
    atomic_store(&fixture.fault.retaining, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    while (dma_buffers_count(&fixture.daemon) > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
    atomic_store(&fixture.fault.reset_result, -EAGAIN);
    must_begin(fixture.alice);
    end(-EAGAIN, "it was told not to be reset");
    assert_int_equal(fixture.alice->account->buffer_bytes, 4096);
    assert_int_equal(fixture.device.dma.retained, 4096);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_reset),
            TEST(test_who_may),
            TEST(test_reserved),
            TEST(test_own_reservation),
            TEST(test_reserved_meanwhile),
            TEST(test_revoked_meanwhile),
            TEST(test_reserved_for_a_while),
            TEST(test_own_reservation_ends_meanwhile),
            TEST(test_no_way),
            TEST(test_absent),
            TEST(test_daemon_stops),
            TEST(test_failure),
            TEST(test_others_wait),
            TEST(test_gone_meanwhile),
            TEST(test_refused),
            TEST(test_left),
            TEST(test_retained_is_given_back),
            TEST(test_retained_after_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
