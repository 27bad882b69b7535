/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/streams.c: how many there may be, and what ends them. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "core/streams.h"
#include "util/clock.h"
#include "util/date.h"

enum { STREAMS = 4 };

struct talking {
    struct stream stream;
    ssize_t says; /* what read() returns */
    unsigned woken, freed;
};

static struct {
    struct daemon daemon;
    struct principal *alice, *bob;
    struct talking talking[STREAMS];
    char data[16];
} fixture;

static struct talking *talking_of(struct stream *stream)
{
    return container_of(stream, struct talking, stream);
}

static ssize_t say(struct stream *stream, char *data, size_t size)
{
    assert_ptr_equal(data, fixture.data);
    assert_int_equal(size, sizeof(fixture.data));
    return talking_of(stream)->says;
}

static void note_woken(struct stream *stream)
{
    talking_of(stream)->woken++;
}

static void note_freed(struct stream *stream)
{
    talking_of(stream)->freed++;
}

static struct principal *make_principal(const char *name)
{
    struct principal *principal = principal_new(&fixture.daemon.accounts, PRINCIPAL_TOKEN, name);

    assert_non_null(principal);
    return principal;
}

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    fixture.daemon.limits.streams = 3;
    fixture.daemon.limits.streams_per_principal = 2;
    assert_true(sd_event_new(&fixture.daemon.event) >= 0);
    assert_int_equal(streams_new(&fixture.daemon, &fixture.daemon.streams), 0);
    fixture.alice = make_principal("alice");
    fixture.bob = make_principal("bob");
    for (size_t i = 0; i < STREAMS; i++)
        fixture.talking[i].stream = (struct stream){.read = say, .free = note_freed, .readable = note_woken};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < STREAMS; i++) {
        if (fixture.talking[i].stream.daemon && !fixture.talking[i].freed)
            stream_close(&fixture.talking[i].stream);
    }
    stream_close(NULL);
    streams_free(fixture.daemon.streams);
    streams_free(NULL);
    assert_int_equal(fixture.alice->account->streams, 0);
    assert_int_equal(fixture.bob->account->streams, 0);
    principal_unref(&fixture.daemon.accounts, fixture.alice);
    principal_unref(&fixture.daemon.accounts, fixture.bob);
    sd_event_unref(fixture.daemon.event);
    return 0;
}

static int open_stream(size_t index, struct principal *principal, struct error *error)
{
    return stream_open(&fixture.daemon, &fixture.talking[index].stream, principal, error);
}

static ssize_t read_stream(size_t index)
{
    return stream_read(&fixture.talking[index].stream, fixture.data, sizeof(fixture.data));
}

static void test_limits(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(open_stream(0, fixture.alice, &error), 0);
    assert_int_equal(open_stream(1, fixture.alice, &error), 0);
    check_error(open_stream(2, fixture.alice, &error), -EDQUOT, &error, "token:alice has 2 streams");
    assert_int_equal(open_stream(2, fixture.bob, &error), 0);
    check_error(open_stream(3, fixture.bob, &error), -EAGAIN, &error, "3 streams are open");
    assert_int_equal(streams_count(fixture.daemon.streams), 3);

    stream_close(&fixture.talking[1].stream);
    assert_int_equal(fixture.talking[1].freed, 1);
    assert_int_equal(open_stream(3, fixture.alice, &error), 0);
    assert_int_equal(fixture.alice->account->streams, 2);
}

static void test_reading(void **state)
{
    struct error error;

    (void)state;
    assert_int_equal(open_stream(0, fixture.alice, &error), 0);
    fixture.talking[0].says = 7;
    assert_int_equal(read_stream(0), 7);
    fixture.talking[0].says = 0;
    assert_int_equal(read_stream(0), 0);
    fixture.talking[0].says = STREAM_END;
    assert_int_equal(read_stream(0), STREAM_END);
    fixture.talking[0].stream.readable = NULL; /* nobody sends it */
    stream_wake(&fixture.talking[0].stream);
}

/* Nothing more is told to who was thrown out, not even what was there before. */
static void test_revoked(void **state)
{
    struct error error;

    (void)state;
    streams_recheck(NULL);
    assert_int_equal(open_stream(0, fixture.alice, &error), 0);
    assert_int_equal(open_stream(1, fixture.bob, &error), 0);
    fixture.talking[0].says = fixture.talking[1].says = 7;
    streams_recheck(fixture.daemon.streams);
    assert_int_equal(fixture.talking[0].woken, 0);
    fixture.alice->scope = 0;
    streams_recheck(fixture.daemon.streams);
    assert_int_equal(fixture.talking[0].woken, 1);
    assert_int_equal(read_stream(0), STREAM_END);
    assert_int_equal(fixture.talking[1].woken, 0);
    assert_int_equal(read_stream(1), 7);
    streams_recheck(fixture.daemon.streams);
    assert_int_equal(fixture.talking[0].woken, 1); /* once is enough */
}

static void run_until_ended(size_t index)
{
    fixture.talking[index].says = 7;
    for (unsigned i = 0; i < 20 && read_stream(index) != STREAM_END; i++)
        assert_true(sd_event_run(fixture.daemon.event, 3000000) > 0);
    assert_int_equal(read_stream(index), STREAM_END);
    assert_int_equal(fixture.talking[index].woken, 1);
}

static void test_expired(void **state)
{
    struct error error;

    (void)state;
    fixture.alice->expires = date_now_us() / 1000000 + 2;
    fixture.bob->expires = date_now_us() / 1000000 + 1000;
    assert_int_equal(open_stream(0, fixture.alice, &error), 0);
    assert_int_equal(open_stream(1, fixture.bob, &error), 0);
    assert_int_equal(read_stream(0), 0);
    run_until_ended(0);
    assert_int_equal(fixture.talking[1].woken, 0);
    /* The date was set back, say: the time has run all the same. */
    fixture.talking[1].stream.until_us = clock_boottime_us();
    run_until_ended(1);
}

static void test_drain(void **state)
{
    struct error error;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(open_stream(i, fixture.alice, &error), 0);
    fixture.talking[0].says = 7;
    fixture.daemon.draining = true;
    streams_drain(fixture.daemon.streams);
    assert_int_equal(fixture.talking[0].woken, 1);
    assert_int_equal(fixture.talking[1].woken, 1);
    assert_int_equal(read_stream(0), 7); /* what there is still goes out */
    assert_int_equal(read_stream(1), STREAM_END);
    fixture.talking[0].says = 0;
    assert_int_equal(read_stream(0), STREAM_END);
}

static void test_end(void **state)
{
    struct error error;

    (void)state;
    streams_end(NULL);
    assert_int_equal(open_stream(0, fixture.alice, &error), 0);
    fixture.talking[0].says = 7;
    streams_end(fixture.daemon.streams);
    assert_int_equal(fixture.talking[0].woken, 1);
    assert_int_equal(read_stream(0), STREAM_END);
}

#define with_streams(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            with_streams(test_limits),
            with_streams(test_reading),
            with_streams(test_revoked),
            with_streams(test_expired),
            with_streams(test_drain),
            with_streams(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
