/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See interrupts_fixture.h. */
#include "interrupts_fixture.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"

struct fake_interrupts fake;
struct interrupts_fixture fixture;

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

void wake(void)
{
    const uint64_t one = 1;

    assert_int_equal(write(fake.base.fd, &one, sizeof(one)), sizeof(one));
}

void come(struct interrupt_record record)
{
    assert_true(fake.count < QUEUE);
    if (record.time_ns == 0)
        record.time_ns = clock_now_ns();
    fake.queue[(fake.first + fake.count++) % QUEUE] = record;
    wake();
}

void settle(void)
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

const struct event *next_interrupt(const struct interrupt_source *source)
{
    const struct event *event = next_event();

    assert_int_equal(event->kind, EVENT_INTERRUPT);
    assert_ptr_equal(event->source, source);
    assert_ptr_equal(event->device, &fixture.device);
    return event;
}

void expect_change(enum event_kind kind, bool on, const char *text)
{
    const struct event *event = next_event();

    test_that(event->kind == kind && event->on == on, "it is a %s event, %d", event_kind_name(event->kind),
            event->on);
    assert_ptr_equal(event->source, fixture.first);
    test_that(strstr(event->text, text), "'%s' has no '%s'", event->text, text);
}

void expect_no_event(void)
{
    settle();
    assert_int_equal(events_next(fixture.daemon.events), fixture.seen + 1);
}

void expect_mask(unsigned source, bool masked)
{
    test_that(fake.mask_count == 1 && fake.masks[0].source == source && fake.masks[0].masked == masked,
            "%zu were masked or unmasked, the first is %u, %d", fake.mask_count, fake.masks[0].source,
            fake.masks[0].masked);
    fake.mask_count = 0;
}

void expect_state(const struct interrupt_source *source, const char *state)
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

void begin(void)
{
    assert_int_equal(interrupts_new(&fixture.daemon, &fixture.daemon.interrupts, NULL), 0);
    fixture.first = interrupts_find(fixture.daemon.interrupts, "first");
    fixture.second = interrupts_find(fixture.daemon.interrupts, "second");
}

int set_up_closed(void **state)
{
    (void)state;
    return prepare(false);
}

int set_up(void **state)
{
    (void)state;
    prepare(false);
    begin();
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    return 0;
}

int set_up_acknowledged(void **state)
{
    (void)state;
    prepare(true);
    begin();
    dispatch_settle(fixture.daemon.dispatch, &fixture.device);
    return 0;
}

int tear_down(void **state)
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
