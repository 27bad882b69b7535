/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dma_buffers.c and core/dma_transfer.c: how buffers begin and end, whoever leaves meanwhile. */
#include "fault_backend.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "backends/bus_guard.h"
#include "core/dma_buffers.h"
#include "core/safe_state.h"
#include "util/cleanup.h"
#include "util/date.h"

struct told {
    struct dma_waiter waiter;
    unsigned count;
    struct dma_buffer *buffer;
    struct error error; /* code 0: there was none */
};

static struct {
    struct daemon daemon;
    struct inventory inventory;
    struct region *regions[1];
    struct fault fault;
    struct device device;
    struct safe_state *safe_state;
    struct principal *alice, *bob, *token;
    struct reservation reservation;
    struct safe_write writes[2];
    unsigned presence_changed;
} fixture;

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

static int set_up(void **state)
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

static int tear_down(void **state)
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

static void over(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error)
{
    struct told *told = container_of(waiter, struct told, waiter);

    assert_null(waiter->buffer);
    told->count++;
    told->buffer = buffer;
    told->error = error ? *error : (struct error){0};
}

static struct dma_buffer_wish wish_of(uint64_t size)
{
    return (struct dma_buffer_wish){
            .device = &fixture.device, .memory = {BUFFER_COHERENT, size, 1, 32, 4096, 0, true, true}};
}

static int begin_wish(struct principal *principal, const struct dma_buffer_wish *wish, struct told *told,
        struct error *error)
{
    *told = (struct told){.waiter.over = over};
    return dma_buffers_allocate(&fixture.daemon, principal, wish, &told->waiter, error);
}

static void begin(struct principal *principal, struct told *told)
{
    struct dma_buffer_wish wish = wish_of(4096);
    struct error error = {0};

    test_that(begin_wish(principal, &wish, told, &error) == 0, "%s", error.message);
}

/* Runs the loop until all works of the device are back. */
static void settle(void)
{
    while (fixture.device.pending > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
}

static void wait_until_gone(void)
{
    while (dma_buffers_count(&fixture.daemon) > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
}

static struct dma_buffer *allocate_wish(struct principal *principal, const struct dma_buffer_wish *wish)
{
    struct told told;
    struct error error = {0};

    test_that(begin_wish(principal, wish, &told, &error) == 0, "%s", error.message);
    settle();
    assert_int_equal(told.count, 1);
    test_that(told.buffer, "%s", told.error.message);
    return told.buffer;
}

static struct dma_buffer *allocate(struct principal *principal)
{
    struct dma_buffer_wish wish = wish_of(4096);

    return allocate_wish(principal, &wish);
}

static struct dma_buffer *allocate_reserved(void)
{
    struct dma_buffer_wish wish = wish_of(4096);

    wish.reservation = "r-1";
    return allocate_wish(fixture.alice, &wish);
}

static void end_reservation(size_t safe_writes)
{
    fixture.reservation.safe_write_count = safe_writes;
    dma_buffers_reservation_ended(&fixture.daemon, &fixture.reservation);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    while (safe_state_pending(fixture.safe_state) > 0)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
}

static void open_gate(void)
{
    atomic_store(&fixture.fault.blocking, false);
    sem_post(&fixture.fault.gate);
}

static void wait_until_entered(void)
{
    while (sem_wait(&fixture.fault.entered) < 0)
        continue;
}

static void check_closed(unsigned closed, unsigned let_go)
{
    assert_int_equal(atomic_load(&fixture.fault.buffers_closed), closed);
    assert_int_equal(atomic_load(&fixture.fault.buffers_let_go), let_go);
}

static void test_allocated_counted_freed(void **state)
{
    struct dma_buffer_wish wish = wish_of(5000);
    struct dma_buffer *buffer;
    struct told told = {.waiter.over = over};
    struct error error;

    (void)state;
    wish.note = "ring";
    buffer = allocate_wish(fixture.alice, &wish);
    assert_int_equal(buffer->state, DMA_BUFFER_LIVE);
    assert_true(strncmp(buffer->id, "b-", 2) == 0 && strlen(buffer->id) == 18);
    assert_string_equal(buffer->owner, "user:alice");
    assert_string_equal(buffer->note, "ring");
    assert_int_equal(buffer->bus_address, FAULT_BUS_ADDRESS);
    assert_int_equal(dma_buffer_size(buffer), 5000);
    assert_int_equal(dma_buffer_seconds_left(buffer), UINT64_MAX);
    assert_int_equal(fixture.alice->account->buffers, 1);
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 8192);
    assert_ptr_equal(dma_buffers_find(&fixture.daemon, fixture.alice, buffer->id, &error), buffer);
    assert_int_equal(fixture.device.cost_ns, 0); /* nothing was learnt about register accesses */
    dma_buffer_release(buffer, &told.waiter);
    assert_null(dma_buffers_first(&fixture.daemon)); /* nobody finds it, though it is not freed yet */
    assert_int_equal(dma_buffers_count(&fixture.daemon), 1);
    settle();
    assert_true(told.count == 1 && !told.buffer && told.error.code == 0);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    check_closed(1, 1);
}

static void test_others_are_not_there(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct error other = {0}, none = {0};
    char text[64];

    (void)state;
    assert_null(dma_buffers_find(&fixture.daemon, fixture.token, buffer->id, &other));
    assert_null(dma_buffers_find(&fixture.daemon, fixture.token, "b-0000000000000000", &none));
    assert_true(other.code == -ENOENT && none.code == -ENOENT);
    assert_true(strstr(other.message, buffer->id) && strlen(other.message) == strlen(none.message));
    assert_ptr_equal(dma_buffers_find(&fixture.daemon, fixture.bob, buffer->id, &none), buffer);
    allocate(fixture.bob);
    allocate(fixture.alice);
    assert_int_equal(dma_buffers_of_device(&fixture.daemon, &fixture.device, text, sizeof(text)), 3);
    assert_string_equal(text, "2 of user:alice, 1 of user:bob");
    dma_buffers_of_device(&fixture.daemon, &fixture.device, text, 8);
    assert_string_equal(text, "2 of us");
}

static void test_limits(void **state)
{
    struct limits *limits = &fixture.daemon.limits;
    struct dma_buffer_wish wish = wish_of(8192);
    struct error error;
    struct told told;

    (void)state;
    limits->buffers_per_principal = 2;
    limits->buffers = 3;
    allocate(fixture.alice);
    limits->buffer_bytes_per_principal = 8192;
    check_error(
            begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error, "buffer_bytes_per_principal");
    allocate(fixture.alice);
    wish = wish_of(1);
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error, "buffers_per_principal");
    limits->buffer_bytes = 3 * 4096 - 1;
    check_error(begin_wish(fixture.bob, &wish, &told, &error), -EAGAIN, &error, "(buffer_bytes)");
    limits->buffer_bytes = 3 * 4096;
    allocate(fixture.bob);
    check_error(begin_wish(fixture.bob, &wish, &told, &error), -EAGAIN, &error, "(buffers)");
    assert_int_equal(told.count, 0);
    assert_int_equal(fixture.bob->account->buffers, 1);
}

/* What was taken may be more than what was wished for. */
static void test_limits_hold_for_what_was_taken(void **state)
{
    struct limits *limits = &fixture.daemon.limits;
    struct dma_buffer_wish wish = wish_of(1);
    struct dma_buffer *buffer;
    struct told told;

    (void)state;
    limits->buffer_bytes_per_principal = 8192;
    atomic_store(&fixture.fault.waste, 8192);
    begin(fixture.alice, &told);
    settle();
    assert_true(told.count == 1 && !told.buffer);
    check_error(told.error.code, -EDQUOT, &told.error, "with 12288 more it would be over its limit of 8192");
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
    check_closed(1, 1); /* nobody knew where it was */
    atomic_store(&fixture.fault.waste, 4096);
    dma_buffer_release(allocate(fixture.alice), NULL);
    settle();
    limits->buffer_bytes = 4096;
    begin(fixture.alice, &told);
    settle();
    check_error(told.error.code, -EAGAIN, &told.error, "(buffer_bytes)");
    atomic_store(&fixture.fault.waste, 0);
    limits->buffer_bytes = 65536;
    limits->buffer_bytes_per_principal = 65536;
    wish.memory.alignment = 65536;
    buffer = allocate_wish(fixture.alice, &wish);
    assert_int_equal(buffer->mapped_size, 4096);
    assert_int_equal(fixture.alice->account->buffer_bytes, 65536);
}

/* What is being allocated counts as well. */
static void test_limits_hold_meanwhile(void **state)
{
    struct dma_buffer_wish wish = wish_of(1);
    struct told first, second;
    struct error error;

    (void)state;
    fixture.daemon.limits.buffers_per_principal = 1;
    atomic_store(&fixture.fault.blocking, true);
    begin(fixture.alice, &first);
    wait_until_entered();
    assert_null(dma_buffers_first(&fixture.daemon));
    assert_int_equal(dma_buffers_of_device(&fixture.daemon, &fixture.device, NULL, 0), 1);
    check_error(begin_wish(fixture.alice, &wish, &second, &error), -EDQUOT, &error, "buffers_per_principal");
    open_gate();
    settle();
    assert_non_null(first.buffer);
}

static void test_without_memory(void **state)
{
    struct told told;

    (void)state;
    atomic_store(&fixture.fault.buffer_result, -ENOMEM);
    begin(fixture.alice, &told);
    settle();
    assert_true(told.count == 1 && !told.buffer);
    assert_int_equal(told.error.code, -ENOMEM);
    assert_string_equal(told.error.message, "fault: it was told to have no memory");
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
}

static void test_device_without_dma(void **state)
{
    struct dma_buffer_wish wish = wish_of(1);
    struct dma_state described;
    struct error error;
    struct told told;

    (void)state;
    assert_true(dma_buffers_look(&fixture.device, &described));
    assert_int_equal(described.size_max, 1 << 20);
    settle();
    device_detach(&fixture.device, "test");
    assert_false(dma_buffers_look(&fixture.device, &described));
    atomic_store(&fixture.fault.open_result, -ENODEV);
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -ENODEV, &error, "fault is absent");
    atomic_store(&fixture.fault.open_result, 0);
    fixture.device.description = &fixture.fault.description;
    fixture.device.backend = &fault_backend_revocable;
    fixture.fault.description.backend = (char *)"revocable";
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    check_error(
            begin_wish(fixture.alice, &wish, &told, &error), -EOPNOTSUPP, &error, "devregctl bind fault");
    assert_false(dma_buffers_look(&fixture.device, &described));
}

static void test_client_leaves_while_it_is_allocated(void **state)
{
    struct told told;

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    begin(fixture.alice, &told);
    wait_until_entered();
    dma_waiter_leave(&told.waiter);
    open_gate();
    wait_until_gone();
    assert_int_equal(told.count, 0);
    check_closed(1, 1); /* nobody knew where it was */
}

static void test_client_leaves_while_it_is_freed(void **state)
{
    struct told told = {.waiter.over = over};

    (void)state;
    dma_buffer_release(allocate(fixture.alice), &told.waiter);
    dma_waiter_leave(&told.waiter);
    wait_until_gone();
    assert_int_equal(told.count, 0);
    check_closed(1, 1);
}

static void test_its_time_is_over(void **state)
{
    struct dma_buffer_wish wish = wish_of(4096);
    struct dma_buffer *buffer;

    (void)state;
    wish.duration_us = UINT64_C(3600) * 1000000;
    buffer = allocate_wish(fixture.alice, &wish);
    assert_in_range(dma_buffer_seconds_left(buffer), 3590, 3600);
    dma_buffer_renew(buffer, 1000);
    wait_until_gone();
    check_closed(1, 0);
}

static void test_renewed_it_stays(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice), *brief = allocate(fixture.alice);

    (void)state;
    dma_buffer_renew(buffer, 1);
    dma_buffer_renew(buffer, 0);
    dma_buffer_renew(brief, 1000);
    while (dma_buffers_count(&fixture.daemon) > 1)
        assert_true(sd_event_run(fixture.daemon.event, 10 * 1000 * 1000) > 0);
    assert_ptr_equal(dma_buffers_first(&fixture.daemon), buffer);
}

static void test_its_token_is_revoked(void **state)
{
    struct dma_buffer *kept = allocate(fixture.alice);
    struct told told;

    (void)state;
    allocate(fixture.token);
    atomic_store(&fixture.fault.blocking, true);
    begin(fixture.token, &told);
    wait_until_entered();
    fixture.token->scope = 0;
    dma_buffers_recheck(&fixture.daemon);
    open_gate();
    settle();
    assert_true(told.count == 1 && !told.buffer);
    check_error(told.error.code, -ESTALE, &told.error, "token was revoked");
    assert_int_equal(dma_buffers_count(&fixture.daemon), 1);
    assert_ptr_equal(dma_buffers_first(&fixture.daemon), kept);
    check_closed(2, 1); /* the one that was there was not let go by anybody */
}

static void test_its_token_expires(void **state)
{
    (void)state;
    fixture.token->expires = date_now_us() / 1000000 + 1;
    allocate(fixture.token);
    wait_until_gone();
    check_closed(1, 0);
}

static void test_ends_after_safe_writes(void **state)
{
    (void)state;
    allocate_reserved();
    allocate_reserved();
    end_reservation(2);
    wait_until_gone();
    assert_int_equal(atomic_load(&fixture.fault.writes), 2);
    assert_int_equal(atomic_load(&fixture.fault.writes_at_close), 2);
    check_closed(2, 2);
}

static void test_safe_writes_that_fail_let_nothing_go(void **state)
{
    (void)state;
    allocate_reserved();
    fixture.fault.fault_offset = 8;
    atomic_store(&fixture.fault.write_result, -EIO);
    end_reservation(2);
    wait_until_gone();
    check_closed(1, 0);
}

static void test_ends_with_a_reservation_without_safe_writes(void **state)
{
    struct dma_buffer *other = allocate(fixture.alice);

    (void)state;
    allocate_reserved();
    end_reservation(0);
    settle();
    check_closed(1, 0);
    assert_ptr_equal(dma_buffers_first(&fixture.daemon), other);
}

static void test_reservation_ends_while_it_is_allocated(void **state)
{
    struct dma_buffer_wish wish = wish_of(4096);
    struct told told;

    (void)state;
    wish.reservation = "r-1";
    atomic_store(&fixture.fault.blocking, true);
    assert_int_equal(begin_wish(fixture.alice, &wish, &told, NULL), 0);
    wait_until_entered();
    dma_buffers_reservation_ended(&fixture.daemon, &fixture.reservation);
    open_gate();
    settle();
    check_error(told.error.code, -ESTALE, &told.error, "its reservation ended");
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
}

static void remove_device(void)
{
    atomic_store(&fixture.fault.present, false);
    atomic_store(&fixture.fault.open_result, -ENODEV);
    fixture.device.lost = true;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    settle();
    assert_null(fixture.device.handle);
}

static void test_device_goes(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct dma_transfer transfer = {0};
    struct told told = {.waiter.over = over};
    struct error error;
    char octet;

    (void)state;
    assert_int_equal(dma_transfer_begin(&transfer, buffer, &error), 0);
    remove_device();
    assert_int_equal(buffer->state, DMA_BUFFER_LOST);
    assert_non_null(strstr(buffer->lost.message, "it was removed"));
    assert_int_equal(dma_transfer_read(&transfer, 0, &octet, 1), -ENODEV);
    check_error(dma_transfer_begin(&transfer, buffer, &error), -ENODEV, &error, "free it");
    assert_ptr_equal(dma_buffers_find(&fixture.daemon, fixture.alice, buffer->id, &error), buffer);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(fixture.alice->account->buffers, 1);
    assert_int_equal(dma_buffers_of_device(&fixture.daemon, &fixture.device, NULL, 0), 0);
    check_closed(1, 0);
    dma_buffer_release(buffer, &told.waiter);
    assert_true(told.count == 1 && told.error.code == 0);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
}

static void test_what_is_lost_stays_for_a_while(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);

    (void)state;
    dma_buffer_renew(buffer, 5000000);
    remove_device();
    assert_in_range(dma_buffer_seconds_left(buffer), 25, 30);
}

static void test_device_goes_before_safe_writes(void **state)
{
    (void)state;
    allocate_reserved();
    fixture.reservation.safe_write_count = 2;
    dma_buffers_reservation_ended(&fixture.daemon, &fixture.reservation);
    remove_device();
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    check_closed(1, 0);
    safe_state_run(fixture.safe_state, &fixture.reservation);
    assert_int_equal(safe_state_pending(fixture.safe_state), 0);
}

static void test_freed_when_its_device_was_found_gone(void **state)
{
    struct told told = {.waiter.over = over};

    (void)state;
    allocate(fixture.alice);
    fixture.device.lost = true; /* by an access on the loop */
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dma_buffer_release(dma_buffers_first(&fixture.daemon), &told.waiter);
    settle();
    assert_int_equal(told.count, 1);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 0);
    assert_null(fixture.device.handle);
}

/* The loop goes on while what a device had is given back; its owner may free it meanwhile, and pays for it
 * until it is. */
static void test_the_loop_closes_nothing(void **state)
{
    struct dma_buffer *kept = allocate(fixture.alice), *freed = allocate(fixture.alice);
    struct told told = {.waiter.over = over};

    (void)state;
    atomic_store(&fixture.fault.closing_blocks, true);
    fixture.device.lost = true;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    wait_until_entered();
    assert_non_null(fixture.device.handle); /* until they are closed */
    assert_true(kept->state == DMA_BUFFER_LOST && freed->state == DMA_BUFFER_LOST);
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    dma_buffer_release(freed, &told.waiter);
    assert_int_equal(told.count, 0);
    atomic_store(&fixture.fault.closing_blocks, false);
    open_gate();
    settle();
    assert_null(fixture.device.handle);
    assert_true(told.count == 1 && told.error.code == 0);
    assert_ptr_equal(dma_buffers_first(&fixture.daemon), kept);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 1);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    check_closed(2, 0);
}

static struct work rebinding;
static bool rebound;

static void rebind(struct work *work)
{
    assert_int_equal(atomic_load(&fixture.fault.closed), atomic_load(&fixture.fault.opened));
    assert_ptr_equal(work, &rebinding);
}

static void note_rebound(struct work *work)
{
    rebound = work->end == WORK_RAN;
}

static void close_for_a_driver(void)
{
    rebound = false;
    rebinding = (struct work){.run = rebind, .done = note_rebound, .own = true};
    assert_int_equal(dispatch_submit_closed(fixture.daemon.dispatch, &fixture.device, &rebinding,
                             "is being bound to a driver", NULL),
            0);
}

static void test_closed_for_a_driver(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);

    (void)state;
    close_for_a_driver();
    assert_int_equal(buffer->state, DMA_BUFFER_LOST);
    assert_non_null(strstr(buffer->lost.message, "is being bound to a driver"));
    assert_non_null(fixture.device.handle);
    settle();
    assert_true(rebound && fixture.device.handle);
    check_closed(1, 0);
}

/* As when it was bound to another driver. */
static void offer_better(void)
{
    fixture.fault.description.backend = NULL;
    fixture.fault.description.platform = (char *)"fed00000.fault";
    fault_choice = &fault_backend_better;
    dispatch_recheck(fixture.daemon.dispatch, &fixture.device);
}

static void test_a_better_backend_waits(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct dma_buffer_wish wish = wish_of(1);
    struct error error;
    struct told told;

    (void)state;
    fixture.presence_changed = 0;
    atomic_store(&fixture.fault.closing_blocks, true);
    offer_better();
    wait_until_entered();
    assert_ptr_equal(fixture.device.backend, &fault_backend);
    assert_int_equal(buffer->state, DMA_BUFFER_LOST);
    assert_non_null(strstr(buffer->lost.message, "another backend"));
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EAGAIN, &error, "try again soon");
    assert_int_equal(fixture.presence_changed, 0);
    atomic_store(&fixture.fault.closing_blocks, false);
    open_gate();
    settle();
    assert_ptr_equal(fixture.device.backend, &fault_backend_better);
    assert_true(device_is_complete(&fixture.device));
    assert_int_equal(fixture.presence_changed, 1);
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EOPNOTSUPP, &error, "has no DMA");
    check_closed(1, 0);
}

/* Nothing is lost for one that does not work. */
static void test_a_better_backend_that_fails(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);

    (void)state;
    atomic_store(&fixture.fault.open_result, -EIO);
    offer_better();
    settle();
    assert_int_equal(buffer->state, DMA_BUFFER_LIVE);
    assert_ptr_equal(fixture.device.backend, &fault_backend);
    allocate(fixture.alice);
}

/* Its worker is in the first buffer when something else comes. */
static void begin_improving(void)
{
    allocate(fixture.alice);
    atomic_store(&fixture.fault.closing_blocks, true);
    offer_better();
    wait_until_entered();
    atomic_store(&fixture.fault.closing_blocks, false);
}

static void check_improves_no_more(void)
{
    settle();
    assert_null(fixture.device.better);
    assert_false(fixture.device.recheck);
}

static void test_a_better_backend_that_is_none_any_more(void **state)
{
    (void)state;
    begin_improving();
    fault_choice = &fault_backend;
    open_gate();
    check_improves_no_more();
    assert_ptr_equal(fixture.device.backend, &fault_backend);
    allocate(fixture.alice);
}

static void test_device_goes_before_it_is_improved(void **state)
{
    (void)state;
    begin_improving();
    atomic_store(&fixture.fault.open_result, -ENODEV);
    fixture.device.lost = true;
    open_gate();
    check_improves_no_more();
    assert_null(fixture.device.handle);
    atomic_store(&fixture.fault.open_result, 0);
    fault_choice = &fault_backend;
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    allocate(fixture.alice);
}

static void test_bound_before_it_is_improved(void **state)
{
    (void)state;
    begin_improving();
    close_for_a_driver();
    open_gate();
    check_improves_no_more();
    assert_true(rebound);
    assert_ptr_equal(fixture.device.backend, &fault_backend_better);
}

static void test_daemon_stops_before_it_is_improved(void **state)
{
    (void)state;
    begin_improving();
    dispatch_cancel(&fixture.device);
    open_gate();
    check_improves_no_more();
    check_closed(1, 0);
}

static void test_daemon_stops_while_it_is_allocated(void **state)
{
    struct told first, second;

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    begin(fixture.alice, &first);
    wait_until_entered();
    begin(fixture.alice, &second);
    dispatch_cancel(&fixture.device);
    open_gate();
    settle();
    assert_non_null(first.buffer);
    check_error(second.error.code, -EAGAIN, &second.error, "stopping");
    dma_buffers_free(take_ptr(fixture.daemon.dma_buffers));
    check_closed(1, 0);
}

/* What its worker had no time to close is closed with the device, and stays lost. */
static void test_daemon_stops_while_they_are_lost(void **state)
{
    struct dma_buffer *first = allocate(fixture.alice), *second = allocate(fixture.alice);

    (void)state;
    atomic_store(&fixture.fault.closing_blocks, true);
    fixture.device.lost = true;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    wait_until_entered();
    dispatch_cancel(&fixture.device);
    atomic_store(&fixture.fault.closing_blocks, false);
    open_gate();
    settle();
    assert_null(fixture.device.handle);
    assert_int_equal(dma_buffers_count(&fixture.daemon), 2);
    assert_true(first->state == DMA_BUFFER_LOST && second->state == DMA_BUFFER_LOST);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    check_closed(2, 0);
}

static void test_daemon_stops_before_it_is_told(void **state)
{
    struct told told, freed = {.waiter.over = over};

    (void)state;
    dma_buffer_release(allocate(fixture.alice), &freed.waiter);
    begin(fixture.alice, &told);
    assert_true(dispatch_stop(&fixture.device, 60000));
    dma_waiter_leave(&told.waiter);
    dma_waiter_leave(&freed.waiter);
    dma_buffers_free(take_ptr(fixture.daemon.dma_buffers));
    assert_true(told.count == 0 && freed.count == 0);
    check_closed(2, 2); /* of the second nobody knew */
    fixture.device.pending = 0;
}

static void test_transfers(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct dma_transfer one = {0}, other = {0};
    char octets[4];

    (void)state;
    assert_int_equal(dma_transfer_begin(&one, buffer, NULL), 0);
    assert_int_equal(dma_transfer_begin(&other, buffer, NULL), 0);
    assert_int_equal(dma_transfer_write(&one, 100, "abc", 4), 0);
    assert_int_equal(dma_transfer_read(&other, 100, octets, 4), 0);
    assert_string_equal(octets, "abc");
    dma_transfer_end(&one);
    assert_int_equal(dma_transfer_write(&one, 0, "x", 1), -ENODEV);
    dma_buffer_release(buffer, NULL);
    assert_int_equal(dma_transfer_read(&other, 100, octets, 4), -ENODEV);
    dma_transfer_end(&other);
    settle();
}

static unsigned synced;

static void count_sync(struct dma_sync *sync)
{
    (void)sync;
    synced++;
}

static void test_sync(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);
    struct dma_sync sync = {.size = 4096, .for_device = true, .completed = count_sync};
    struct error error;

    (void)state;
    synced = 0;
    assert_int_equal(dma_sync_start(&fixture.daemon, buffer, &sync, &error), 0);
    settle();
    assert_true(synced == 1 && sync.result == 0 && atomic_load(&fixture.fault.syncs) == 1);
    atomic_store(&fixture.fault.sync_result, -ENODEV);
    assert_int_equal(dma_sync_start(&fixture.daemon, buffer, &sync, &error), 0);
    dma_buffer_release(buffer, NULL); /* after it */
    wait_until_gone();
    check_error(sync.result, -ENODEV, &sync.error, "handing over failed");
    assert_int_equal(synced, 2);
}

/* What the device keeps is paid for by whoever had it, and by nobody else, until it is given back. */
static void test_retained_stays_on_its_account(void **state)
{
    struct limits *limits = &fixture.daemon.limits;
    struct dma_buffer_wish wish = wish_of(4096);
    struct dma_state seen;
    struct error error;
    struct told told;

    (void)state;
    limits->buffer_bytes_per_principal = 8192;
    limits->buffer_bytes = 3 * 4096;
    atomic_store(&fixture.fault.retaining, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    wait_until_gone();
    check_closed(2, 0);
    assert_int_equal(fixture.alice->account->buffers, 0);
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 8192);
    assert_true(dma_buffers_look(&fixture.device, &seen) && seen.retained == 8192);
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error,
            "8192 of these are retained, of buffers");
    check_error(begin_wish(fixture.alice, &wish, &told, &error), -EDQUOT, &error,
            "devregctl unbind and bind fault");
    dma_buffer_release(allocate(fixture.bob), NULL); /* while it is retained others' is freed */
    settle();
    allocate(fixture.bob);
    check_error(begin_wish(fixture.bob, &wish, &told, &error), -EAGAIN, &error,
            "8192 of these are retained, of buffers");
    atomic_store(&fixture.fault.retained, 0);
    dma_buffer_release(dma_buffers_first(&fixture.daemon), NULL); /* which looks */
    settle();
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
    allocate(fixture.alice);
}

static void test_retained_is_given_back_with_its_device(void **state)
{
    (void)state;
    atomic_store(&fixture.fault.retaining, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    wait_until_gone();
    assert_int_equal(fixture.alice->account->buffer_bytes, 4096);
    remove_device();
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
}

/* When the driver could neither stop the device nor be unbound, its memory is still missing. */
static void test_retained_by_a_driver_that_stays(void **state)
{
    struct dma_buffer *lost;

    (void)state;
    atomic_store(&fixture.fault.retaining, true);
    atomic_store(&fixture.fault.unstopped, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    wait_until_gone();
    lost = allocate(fixture.alice);
    close_for_a_driver();
    settle();
    assert_true(rebound && fixture.device.handle);
    assert_int_equal(lost->state, DMA_BUFFER_LOST);
    assert_int_equal(fixture.device.dma.retained, 8192);
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 8192);
    dma_buffer_release(lost, NULL); /* does not free what is retained of it */
    assert_int_equal(fixture.alice->account->buffer_bytes, 8192);
    atomic_store(&fixture.fault.unstopped, false);
    close_for_a_driver();
    settle();
    assert_true(rebound && fixture.device.handle);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    assert_int_equal(dma_buffers_bytes(&fixture.daemon), 0);
}

/* The same where the loop itself has to close it. */
static void test_retained_when_the_loop_closes(void **state)
{
    struct dma_buffer *buffer = allocate(fixture.alice);

    (void)state;
    atomic_store(&fixture.fault.retaining, true);
    atomic_store(&fixture.fault.unstopped, true);
    device_detach(&fixture.device, "test");
    assert_int_equal(buffer->state, DMA_BUFFER_LOST);
    assert_int_equal(fixture.alice->account->buffer_bytes, 4096);
    device_attach(&fixture.device);
    assert_int_equal(fixture.alice->account->buffer_bytes, 4096);
    atomic_store(&fixture.fault.retained, 0);
    device_detach(&fixture.device, "test");
    device_attach(&fixture.device);
    assert_int_equal(fixture.alice->account->buffer_bytes, 0);
    atomic_store(&fixture.fault.unstopped, false);
}

/* Refused, one gets it soon after it was given back, without anything else having happened. */
static void test_refused_for_what_was_retained(void **state)
{
    struct dma_buffer_wish wish = wish_of(4096);
    struct error error;
    struct told told;

    (void)state;
    fixture.daemon.limits.buffer_bytes_per_principal = 4096;
    atomic_store(&fixture.fault.retaining, true);
    dma_buffer_renew(allocate(fixture.alice), 1000);
    wait_until_gone();
    atomic_store(&fixture.fault.retained, 0);
    for (int i = 0; i < 100 && begin_wish(fixture.alice, &wish, &told, &error) == -EDQUOT; i++) {
        usleep(50000);
        settle();
    }
    settle();
    assert_int_equal(told.count, 1);
    assert_non_null(told.buffer);
}

/* Nobody waits for the device to be looked at, and it is not done again and again. */
static void test_looks(void **state)
{
    struct dma_state seen;
    unsigned before = atomic_load(&fixture.fault.looks);

    (void)state;
    atomic_store(&fixture.fault.retained, 1);
    for (int i = 0; i < 100; i++) {
        assert_true(dma_buffers_look(&fixture.device, &seen));
        assert_int_equal(seen.retained, 0);
    }
    settle();
    assert_int_equal(atomic_load(&fixture.fault.looks), before + 1);
    assert_true(dma_buffers_look(&fixture.device, &seen) && seen.retained == 1);
    assert_int_equal(fixture.device.pending, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_allocated_counted_freed),
            TEST(test_others_are_not_there),
            TEST(test_limits),
            TEST(test_limits_hold_for_what_was_taken),
            TEST(test_limits_hold_meanwhile),
            TEST(test_without_memory),
            TEST(test_device_without_dma),
            TEST(test_client_leaves_while_it_is_allocated),
            TEST(test_client_leaves_while_it_is_freed),
            TEST(test_its_time_is_over),
            TEST(test_renewed_it_stays),
            TEST(test_its_token_is_revoked),
            TEST(test_its_token_expires),
            TEST(test_ends_after_safe_writes),
            TEST(test_safe_writes_that_fail_let_nothing_go),
            TEST(test_ends_with_a_reservation_without_safe_writes),
            TEST(test_reservation_ends_while_it_is_allocated),
            TEST(test_device_goes),
            TEST(test_what_is_lost_stays_for_a_while),
            TEST(test_device_goes_before_safe_writes),
            TEST(test_freed_when_its_device_was_found_gone),
            TEST(test_the_loop_closes_nothing),
            TEST(test_closed_for_a_driver),
            TEST(test_a_better_backend_waits),
            TEST(test_a_better_backend_that_fails),
            TEST(test_a_better_backend_that_is_none_any_more),
            TEST(test_device_goes_before_it_is_improved),
            TEST(test_bound_before_it_is_improved),
            TEST(test_daemon_stops_before_it_is_improved),
            TEST(test_daemon_stops_while_it_is_allocated),
            TEST(test_daemon_stops_while_they_are_lost),
            TEST(test_daemon_stops_before_it_is_told),
            TEST(test_retained_stays_on_its_account),
            TEST(test_retained_is_given_back_with_its_device),
            TEST(test_retained_by_a_driver_that_stays),
            TEST(test_retained_when_the_loop_closes),
            TEST(test_refused_for_what_was_retained),
            TEST(test_looks),
            TEST(test_transfers),
            TEST(test_sync),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
