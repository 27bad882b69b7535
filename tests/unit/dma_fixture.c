/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See dma_fixture.h. */
#include "dma_fixture.h"

#include <errno.h>
#include <string.h>

#include "backends/bus_guard.h"
#include "util/cleanup.h"

struct dma_fixture fixture;

static struct access_subject everybody = {.kind = SUBJECT_EVERYBODY};
static struct access_subject bob_alone = {SUBJECT_USER, (char *)"bob", false, 0};

static struct access_rule rules[] = {
        {.name = (char *)"all",
                .subjects = &everybody,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_DMA},
        {.name = (char *)"admin",
                .subjects = &bob_alone,
                .subject_count = 1,
                .permissions = PERMISSIONS_ALL},
};

static const struct access_rules access_of_test = {rules, ELEMENTS(rules)};

static void presence_changed(struct device *device, void *context)
{
    (void)device;
    (void)context;
    fixture.presence_changed++;
}

static void report(
        const struct operation *operation, const char *reservation, bool first_failure, void *context)
{
    (void)first_failure;
    (void)context;
    dma_buffers_safe_write_made(&fixture.daemon, reservation, operation->region->device, operation->result);
}

int set_up(void **state)
{
    const struct dispatch_limits limits = {8, UINT64_C(60) * 1000000};
    struct daemon *daemon = &fixture.daemon;

    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    fault_choice = NULL;
    fault_init(&fixture.fault, 1);
    fault_device(&fixture.fault, &fault_backend, &fixture.device);
    fixture.regions[0] = &fixture.device.regions[0];
    fixture.inventory = (struct inventory){&fixture.device, 1, fixture.regions, 1};
    daemon->inventory = &fixture.inventory;
    daemon->limits = limits_default;
    daemon->access = &access_of_test;
    assert_true(sd_event_new(&daemon->event) >= 0);
    assert_int_equal(dispatch_new(daemon->event, &limits, presence_changed, NULL, &daemon->dispatch), 0);
    assert_int_equal(dma_buffers_new(daemon, &daemon->dma_buffers), 0);
    assert_int_equal(
            safe_state_new(daemon->dispatch, &daemon->accounts, report, NULL, &fixture.safe_state), 0);
    dispatch_settle(daemon->dispatch, &fixture.device);
    assert_non_null(fixture.device.handle);
    fixture.alice = principal_new(&daemon->accounts, PRINCIPAL_USER, "alice");
    fixture.bob = principal_new(&daemon->accounts, PRINCIPAL_USER, "bob");
    fixture.token = principal_new(&daemon->accounts, PRINCIPAL_TOKEN, "ci");
    assert_true(fixture.alice && fixture.bob && fixture.token);
    for (size_t i = 0; i < 2; i++)
        fixture.writes[i] = (struct safe_write){&fixture.device.regions[0], 8 * i, 4, 1};
    strcpy(fixture.reservation.id, "r-1");
    strcpy(fixture.reservation.holder, "user:alice");
    fixture.reservation.granted = true;
    fixture.reservation.safe_writes = fixture.writes;
    assert_int_equal(bus_guard_install(), 0);
    return 0;
}

int tear_down(void **state)
{
    struct daemon *daemon = &fixture.daemon;

    (void)state;
    assert_true(dispatch_stop(&fixture.device, 60000));
    dma_buffers_free(take_ptr(daemon->dma_buffers));
    safe_state_free(fixture.safe_state);
    assert_int_equal(fixture.alice->account->buffers, 0);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    principal_unref(&daemon->accounts, fixture.alice);
    principal_unref(&daemon->accounts, fixture.bob);
    principal_unref(&daemon->accounts, fixture.token);
    assert_null(daemon->accounts.first); /* nothing else has anybody's account or token */
    dispatch_free(daemon->dispatch);
    device_done(&fixture.device);
    sd_event_unref(daemon->event);
    fault_done(&fixture.fault);
    return 0;
}

void over(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error)
{
    struct told *told = container_of(waiter, struct told, waiter);

    assert_null(waiter->buffer);
    told->count++;
    told->buffer = buffer;
    told->error = error ? *error : (struct error){0};
}

struct dma_buffer_wish wish_of(uint64_t size)
{
    return (struct dma_buffer_wish){
            .device = &fixture.device, .memory = {BUFFER_COHERENT, size, 1, 32, 4096, 0, true, true}};
}

int begin_wish(struct principal *principal, const struct dma_buffer_wish *wish, struct told *told,
        struct error *error)
{
    *told = (struct told){.waiter.over = over};
    return dma_buffers_allocate(&fixture.daemon, principal, wish, &told->waiter, error);
}

void begin(struct principal *principal, struct told *told)
{
    struct dma_buffer_wish wish = wish_of(4096);
    struct error error = {0};

    test_that(begin_wish(principal, &wish, told, &error) == 0, "%s", error.message);
}

void settle(void)
{
    while (fixture.device.pending > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
}

void wait_until_gone(void)
{
    while (dma_buffers_count(&fixture.daemon) > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
}

struct dma_buffer *allocate_wish(struct principal *principal, const struct dma_buffer_wish *wish)
{
    struct told told;
    struct error error = {0};

    test_that(begin_wish(principal, wish, &told, &error) == 0, "%s", error.message);
    settle();
    assert_int_equal(told.count, 1);
    test_that(told.buffer, "%s", told.error.message);
    return told.buffer;
}

struct dma_buffer *allocate(struct principal *principal)
{
    struct dma_buffer_wish wish = wish_of(4096);

    return allocate_wish(principal, &wish);
}

void open_gate(void)
{
    atomic_store(&fixture.fault.blocking, false);
    sem_post(&fixture.fault.gate);
}

void wait_until_entered(void)
{
    while (sem_wait(&fixture.fault.entered) < 0)
        continue;
}

void check_closed(unsigned closed, unsigned let_go)
{
    assert_int_equal(atomic_load(&fixture.fault.buffers_closed), closed);
    assert_int_equal(atomic_load(&fixture.fault.buffers_let_go), let_go);
}

void remove_device(void)
{
    atomic_store(&fixture.fault.present, false);
    atomic_store(&fixture.fault.open_result, -ENODEV);
    fixture.device.lost = true;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    settle();
    assert_null(fixture.device.handle);
}

static struct work rebinding;

static void rebind(struct work *work)
{
    assert_int_equal(atomic_load(&fixture.fault.closed), atomic_load(&fixture.fault.opened));
    assert_ptr_equal(work, &rebinding);
}

static void note_rebound(struct work *work)
{
    fixture.rebound = work->end == WORK_RAN;
}

void close_for_a_driver(void)
{
    fixture.rebound = false;
    rebinding = (struct work){.run = rebind, .done = note_rebound, .own = true};
    assert_int_equal(dispatch_submit_closed(fixture.daemon.dispatch, &fixture.device, &rebinding,
                             "is being bound to a driver", NULL),
            0);
}
