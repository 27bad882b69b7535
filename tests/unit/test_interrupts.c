/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/interrupts.c, core/acknowledgement.c: from a backend's records to events. */
#include "fault_backend.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/daemon.h"
#include "core/events.h"
#include "core/interrupts.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    SOURCES = 2,
    QUEUE = 512,
    LOG = 32,
    STATUS = 0x10,
    CLEAR = 0x20,
};

#define SECOND_NS UINT64_C(1000000000)

/* What the device's interrupts do. */
static struct {
    struct backend_interrupts base;
    int open_result, mask_result, read_result;
    unsigned opened, closed, reads;
    struct interrupt_record queue[QUEUE];
    size_t first, count;
    bool endless; /* there is always a whole batch more */
    struct {
        unsigned source;
        bool masked;
    } masks[LOG];
    size_t mask_count;
} fake;

static struct {
    struct daemon daemon;
    struct inventory inventory;
    struct fault fault;
    struct backend backend;
    struct device device;
    struct interrupt_description descriptions[SOURCES];
    struct interrupt_source *first, *second; /* "first" and "second" */
    uint64_t seen;                           /* of the events */
} fixture;

static int fake_open(
        struct backend_device *device, struct backend_interrupts **ret_interrupts, struct error *error)
{
    assert_ptr_equal(device, fixture.device.handle);
    if (fake.open_result < 0)
        return error_set(error, fake.open_result, "they were told not to open");
    assert_true(fake.opened == fake.closed);
    fake.opened++;
    fake.base.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(fake.base.fd >= 0);
    fake.base.type = "fake";
    fake.count = 0;
    *ret_interrupts = &fake.base;
    return 0;
}

/* A descriptor that is still waited for is found when it is closed. */
static void fake_close(struct backend_interrupts *interrupts)
{
    assert_ptr_equal(interrupts, &fake.base);
    fake.closed++;
    close(fake.base.fd);
    fake.base.fd = -1;
}

static int fake_read(struct backend_interrupts *interrupts, struct interrupt_record *records, size_t count,
        size_t *ret_count)
{
    uint64_t ignored;

    assert_ptr_equal(interrupts, &fake.base);
    fake.reads++;
    for (*ret_count = 0; *ret_count < count && (fake.endless || fake.count > 0); (*ret_count)++) {
        records[*ret_count] = fake.queue[fake.first];
        if (fake.endless)
            continue;
        fake.first = (fake.first + 1) % QUEUE;
        fake.count--;
    }
    if (fake.count == 0 && !fake.endless && fake.read_result == 0 &&
            read(fake.base.fd, &ignored, sizeof(ignored)) < 0)
        ignored = 0;
    return fake.read_result;
}

static int fake_mask(struct backend_interrupts *interrupts, unsigned source, bool masked)
{
    assert_ptr_equal(interrupts, &fake.base);
    if (fake.mask_result < 0)
        return fake.mask_result;
    assert_true(fake.mask_count < LOG);
    fake.masks[fake.mask_count].source = source;
    fake.masks[fake.mask_count++].masked = masked;
    return 0;
}

static void wake(void)
{
    const uint64_t one = 1;

    assert_int_equal(write(fake.base.fd, &one, sizeof(one)), sizeof(one));
}

/* Zero time: now. */
static void come(struct interrupt_record record)
{
    assert_true(fake.count < QUEUE);
    if (record.time_ns == 0)
        record.time_ns = clock_now_ns();
    fake.queue[(fake.first + fake.count++) % QUEUE] = record;
    wake();
}

/* Runs the loop until nothing happens. */
static void settle(void)
{
    while (sd_event_run(fixture.daemon.event, 0) > 0)
        continue;
}

static const struct event *next_event(void)
{
    const struct event *event;

    for (uint64_t until_us = clock_now_us() + 60000000;
            fixture.seen + 1 == events_next(fixture.daemon.events) && clock_now_us() < until_us;)
        assert_true(sd_event_run(fixture.daemon.event, 1000000) >= 0);
    event = events_get(fixture.daemon.events, fixture.seen + 1);
    assert_non_null(event);
    fixture.seen++;
    return event;
}

static const struct event *next_interrupt(const struct interrupt_source *source)
{
    const struct event *event = next_event();

    assert_int_equal(event->kind, EVENT_INTERRUPT);
    assert_ptr_equal(event->source, source);
    assert_ptr_equal(event->device, &fixture.device);
    return event;
}

static void expect_change(enum event_kind kind, bool on, const char *text)
{
    const struct event *event = next_event();

    test_that(event->kind == kind && event->on == on, "it is a %s event, %d", event_kind_name(event->kind),
            event->on);
    assert_ptr_equal(event->source, fixture.first);
    test_that(strstr(event->text, text), "'%s' has no '%s'", event->text, text);
}

static void expect_no_event(void)
{
    settle();
    assert_int_equal(events_next(fixture.daemon.events), fixture.seen + 1);
}

static void expect_mask(unsigned source, bool masked)
{
    test_that(fake.mask_count == 1 && fake.masks[0].source == source && fake.masks[0].masked == masked,
            "%zu were masked or unmasked, the first is %u, %d", fake.mask_count, fake.masks[0].source,
            fake.masks[0].masked);
    fake.mask_count = 0;
}

static void expect_state(const struct interrupt_source *source, const char *state)
{
    assert_string_equal(interrupt_state_name(source->state), state);
}

static void ignore_presence(struct device *device, void *context)
{
    (void)device;
    (void)context;
}

static int prepare(bool acknowledged)
{
    static const struct dispatch_limits limits = {16, UINT64_C(60) * 1000000};
    struct daemon *daemon = &fixture.daemon;

    memset(&fixture, 0, sizeof(fixture));
    memset(&fake, 0, sizeof(fake));
    fault_init(&fixture.fault, 2);
    fixture.backend = fault_backend;
    fixture.backend.interrupts_open = fake_open;
    fixture.backend.interrupts_close = fake_close;
    fixture.backend.interrupts_read = fake_read;
    fixture.backend.interrupts_mask = fake_mask;
    fixture.descriptions[0].name = (char *)"second";
    fixture.descriptions[1] = (struct interrupt_description){.name = (char *)"first",
            .vector = 7,
            .acknowledged = acknowledged,
            .acknowledge = {
                    .region = 1, .width = 4, .read = STATUS, .writes = true, .write = CLEAR, .mask = 0xff}};
    fixture.fault.description.interrupts = fixture.descriptions;
    fixture.fault.description.interrupt_count = SOURCES;
    fault_device(&fixture.fault, &fixture.backend, &fixture.device);
    fixture.inventory = (struct inventory){.devices = &fixture.device, .device_count = 1};
    assert_true(sd_event_new(&daemon->event) >= 0);
    assert_int_equal(dispatch_new(daemon->event, &limits, ignore_presence, NULL, &daemon->dispatch), 0);
    assert_int_equal(events_new(daemon->event, 4096, &daemon->events), 0);
    daemon->inventory = &fixture.inventory;
    daemon->limits.interrupts_per_second = 1000;
    return 0;
}

static void begin(void)
{
    assert_int_equal(interrupts_new(&fixture.daemon, &fixture.daemon.interrupts, NULL), 0);
    fixture.first = interrupts_find(fixture.daemon.interrupts, "first");
    fixture.second = interrupts_find(fixture.daemon.interrupts, "second");
}

static int set_up_closed(void **state)
{
    (void)state;
    return prepare(false);
}

static int set_up(void **state)
{
    (void)state;
    prepare(false);
    begin();
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    return 0;
}

static int set_up_acknowledged(void **state)
{
    (void)state;
    prepare(true);
    begin();
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(dispatch_stop(&fixture.device, 60000));
    interrupts_free(fixture.daemon.interrupts);
    interrupts_free(NULL);
    dispatch_free(fixture.daemon.dispatch);
    device_done(&fixture.device);
    assert_int_equal(fake.opened, fake.closed);
    events_free(fixture.daemon.events);
    sd_event_unref(fixture.daemon.event);
    fault_done(&fixture.fault);
    return 0;
}

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
            cmocka_unit_test_setup_teardown(test_sources, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_opened_for_somebody, set_up_closed, tear_down),
            cmocka_unit_test_setup_teardown(test_absent_device, set_up_closed, tear_down),
            cmocka_unit_test_setup_teardown(test_backend_without, set_up_closed, tear_down),
            cmocka_unit_test_setup_teardown(test_refused, set_up_closed, tear_down),
            cmocka_unit_test_setup_teardown(test_numbers, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_waiting, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_overrun, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_mask_fails, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_backend_acknowledges, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_acknowledged_here, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_nothing_to_acknowledge, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_acknowledgement_fails, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_queue, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_gone_while_acknowledged, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_storm, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_masked_in_a_storm, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_closed_in_a_storm, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_read_fails, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    test_read_fails_while_acknowledged, set_up_acknowledged, tear_down),
            cmocka_unit_test_setup_teardown(test_read_fails_as_the_device_is_gone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_hung_up, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fairness, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_rate, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
