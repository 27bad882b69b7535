/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/events.c: what is kept, in which order, and who is told when. */
#include "test.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/events.h"
#include "util/clock.h"

enum { CAPACITY = 16, READERS = 3 };

struct counting {
    struct events_reader reader;
    unsigned told;
    struct events_reader *removes; /* when it is told; NULL: none */
    struct events *adds;           /* likewise, once; NULL: nothing */
};

static struct {
    sd_event *event;
    struct events *events;
    struct counting readers[READERS];
} fixture;

static void count(struct events_reader *reader)
{
    struct counting *counting = container_of(reader, struct counting, reader);

    counting->told++;
    if (counting->removes)
        events_remove_reader(counting->removes);
    if (counting->adds)
        events_add(take_ptr(counting->adds), &(struct event){.kind = EVENT_DAEMON});
}

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    assert_true(sd_event_new(&fixture.event) >= 0);
    assert_int_equal(events_new(fixture.event, CAPACITY, &fixture.events), 0);
    for (size_t i = 0; i < READERS; i++) {
        fixture.readers[i].reader.added = count;
        events_add_reader(fixture.events, &fixture.readers[i].reader);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < READERS; i++)
        events_remove_reader(&fixture.readers[i].reader);
    events_free(fixture.events);
    events_free(NULL);
    sd_event_unref(fixture.event);
    return 0;
}

/* Until nothing is left to do. */
static void run_loop(void)
{
    while (sd_event_run(fixture.event, 0) > 0)
        continue;
}

static void add(const char *text)
{
    char copy[32] = "";

    if (text)
        strncpy(copy, text, sizeof(copy) - 1);
    events_add(fixture.events, &(struct event){.kind = EVENT_DEVICE, .text = text ? copy : NULL});
    memset(copy, '!', sizeof(copy)); /* the ring has its own */
}

static void test_sizes(void **state)
{
    struct events *events = NULL;

    (void)state;
    assert_int_equal(events_new(fixture.event, 15, &events), -EINVAL);
    assert_int_equal(events_new(fixture.event, SIZE_MAX, &events), -ENOMEM);
    assert_int_equal(events_new(fixture.event, SIZE_MAX / sizeof(struct event) + 1, &events), -ENOMEM);
    assert_null(events);
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(events_first(fixture.events), 1);
    assert_int_equal(events_next(fixture.events), 1);
    assert_null(events_get(fixture.events, 0));
    assert_null(events_get(fixture.events, 1));
    assert_null(events_get(fixture.events, UINT64_MAX));
}

static void test_keeps_order_and_texts(void **state)
{
    (void)state;
    add("one");
    add(NULL);
    add("three");
    assert_int_equal(events_first(fixture.events), 1);
    assert_int_equal(events_next(fixture.events), 4);
    assert_int_equal(events_get(fixture.events, 1)->sequence, 1);
    assert_string_equal(events_get(fixture.events, 1)->text, "one");
    assert_null(events_get(fixture.events, 2)->text);
    assert_string_equal(events_get(fixture.events, 3)->text, "three");
    assert_int_equal(events_get(fixture.events, 3)->kind, EVENT_DEVICE);
    assert_null(events_get(fixture.events, 4));
}

static void test_overwrites_the_oldest(void **state)
{
    char text[16];

    (void)state;
    for (unsigned i = 1; i <= 3 * CAPACITY + 5; i++) {
        snprintf(text, sizeof(text), "%u", i);
        add(text);
        assert_int_equal(events_next(fixture.events), i + 1);
        assert_int_equal(events_first(fixture.events), i > CAPACITY ? i - CAPACITY + 1 : 1);
        for (uint64_t kept = events_first(fixture.events); kept <= i; kept++) {
            const struct event *event = events_get(fixture.events, kept);

            assert_non_null(event);
            assert_int_equal(event->sequence, kept);
            assert_int_equal(strtoull(event->text, NULL, 10), kept);
        }
        assert_null(events_get(fixture.events, events_first(fixture.events) - 1));
    }
}

static void test_tells_once_a_round(void **state)
{
    (void)state;
    run_loop();
    assert_int_equal(fixture.readers[0].told, 0);
    for (unsigned i = 0; i < 100; i++)
        add(NULL);
    assert_int_equal(fixture.readers[0].told, 0); /* not before the loop goes on */
    run_loop();
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(fixture.readers[i].told, 1);
    run_loop();
    assert_int_equal(fixture.readers[0].told, 1);
    add(NULL);
    run_loop();
    assert_int_equal(fixture.readers[0].told, 2);
}

static void test_adding_while_told(void **state)
{
    (void)state;
    fixture.readers[1].adds = fixture.events;
    add(NULL);
    run_loop();
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(fixture.readers[i].told, 2);
    assert_int_equal(events_next(fixture.events), 3);
}

/* The middle one removes each one in turn, itself too. */
static void test_removing_while_told(void **state)
{
    for (size_t i = 0; i < READERS; i++) {
        tear_down(state);
        set_up(state);
        fixture.readers[1].removes = &fixture.readers[i].reader;
        add(NULL);
        run_loop();
        add(NULL);
        run_loop();
        for (size_t j = 0; j < READERS; j++)
            assert_true(j == i ? fixture.readers[j].told <= 1 : fixture.readers[j].told == 2);
        events_remove_reader(&fixture.readers[i].reader); /* again does nothing */
    }
}

static void test_readers_outlive_the_ring(void **state)
{
    (void)state;
    add("text");
    events_free(take_ptr(fixture.events));
    for (size_t i = 0; i < READERS; i++)
        events_remove_reader(&fixture.readers[i].reader);
    run_loop();
    assert_int_equal(fixture.readers[0].told, 0);
}

static uint64_t realtime_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void test_clocks(void **state)
{
    const uint64_t second = 1000000000, before = clock_now_ns(), real = realtime_now_ns();
    const struct event *event;

    (void)state;
    events_add(fixture.events, &(struct event){.kind = EVENT_INTERRUPT});
    event = events_get(fixture.events, 1);
    assert_in_range(event->monotonic_ns, before, clock_now_ns());
    assert_in_range(event->realtime_ns, real - second / 10, real + second);

    /* One that is told of later has the time when it was. */
    events_add(
            fixture.events, &(struct event){.kind = EVENT_INTERRUPT, .monotonic_ns = before - 5 * second});
    event = events_get(fixture.events, 2);
    assert_int_equal(event->monotonic_ns, before - 5 * second);
    assert_in_range(event->realtime_ns, real - 5 * second - second / 10, real - 4 * second);

    events_add(
            fixture.events, &(struct event){.kind = EVENT_INTERRUPT, .monotonic_ns = 7, .realtime_ns = 8});
    event = events_get(fixture.events, 3);
    assert_int_equal(event->monotonic_ns, 7);
    assert_int_equal(event->realtime_ns, 8);
}

static void test_names(void **state)
{
    static const char *const names[] = {"interrupt", "mask", "storm", "device", "driver", "reset", "daemon"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(names); i++)
        assert_string_equal(event_kind_name((enum event_kind)i), names[i]);
}

#define with_events(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            with_events(test_sizes),
            with_events(test_empty),
            with_events(test_keeps_order_and_texts),
            with_events(test_overwrites_the_oldest),
            with_events(test_tells_once_a_round),
            with_events(test_adding_while_told),
            with_events(test_removing_while_told),
            with_events(test_readers_outlive_the_ring),
            with_events(test_clocks),
            cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
