/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/reaper.c: whoever is over its deadline is shut down, nobody else. */
#include "test.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/reaper.h"
#include "util/clock.h"

enum { CONNECTIONS = 3 };

static struct {
    sd_event *event;
    struct reaper *reaper;
    struct reaper_entry entries[CONNECTIONS];
    int ends[CONNECTIONS][2];
    unsigned ended[CONNECTIONS]; /* how often it was said of each */
    uint64_t timed_out;
} fixture;

static void note_ended(struct reaper_entry *entry, void *context)
{
    assert_ptr_equal(context, &fixture);
    fixture.ended[entry - fixture.entries]++;
}

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    assert_true(sd_event_new(&fixture.event) >= 0);
    assert_int_equal(
            reaper_new(fixture.event, note_ended, &fixture, &fixture.timed_out, &fixture.reaper), 0);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fixture.ends[i]), 0);
        reaper_add(fixture.reaper, &fixture.entries[i], fixture.ends[i][0]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reaper_free(fixture.reaper);
    reaper_free(NULL);
    sd_event_unref(fixture.event);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        close(fixture.ends[i][0]);
        close(fixture.ends[i][1]);
    }
    return 0;
}

static bool is_shut_down(size_t connection)
{
    struct pollfd end = {.fd = fixture.ends[connection][1], .events = POLLIN | POLLRDHUP};

    return poll(&end, 1, 0) > 0 && end.revents & POLLRDHUP;
}

static void test_deadlines(void **state)
{
    (void)state;
    fixture.entries[1].deadline_us = 1;
    fixture.entries[2].deadline_us = clock_now_us() + UINT64_C(3600) * 1000000;
    for (unsigned i = 0; i < 20 && !is_shut_down(1); i++)
        sd_event_run(fixture.event, 1000000);
    assert_true(is_shut_down(1));
    assert_false(is_shut_down(0));     /* no deadline */
    assert_false(is_shut_down(2));     /* not yet */
    assert_true(fixture.ended[1] > 0); /* there is nothing more to come */
    assert_int_equal(fixture.ended[0] + fixture.ended[2], 0);
}

/* The other side has closed: that is reported where libmicrohttpd may have missed it, and nowhere else. */
static void test_ended(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONNECTIONS; i++)
        assert_int_equal(shutdown(fixture.ends[i][1], SHUT_WR), 0);
    fixture.entries[1].deadline_us = fixture.entries[2].deadline_us =
            clock_now_us() + UINT64_C(3600) * 1000000;
    fixture.entries[2].answering = true;
    for (unsigned i = 0; i < 20 && !fixture.ended[1]; i++)
        sd_event_run(fixture.event, 1000000);
    assert_true(fixture.ended[1] > 0);
    assert_int_equal(fixture.ended[0], 0); /* waits for a device */
    assert_int_equal(fixture.ended[2], 0); /* gets an answer */
}

/* Of a stream that has nothing to send, the end is reported although it has no deadline, and is under way;
 * and although there are octets that nobody has read. */
static void test_stream_ended(void **state)
{
    (void)state;
    fixture.entries[0].streaming = fixture.entries[0].answering = true;
    fixture.entries[1].streaming = fixture.entries[1].answering = true;
    assert_int_equal(write(fixture.ends[0][1], "x", 1), 1);
    assert_int_equal(write(fixture.ends[1][1], "x", 1), 1);
    assert_int_equal(shutdown(fixture.ends[1][1], SHUT_WR), 0);
    for (unsigned i = 0; i < 20 && !fixture.ended[1]; i++)
        sd_event_run(fixture.event, 1000000);
    assert_true(fixture.ended[1] > 0);
    assert_int_equal(fixture.ended[0], 0);
    assert_false(is_shut_down(1));
}

/* Octets that were not read yet are not the end. */
static void test_not_ended(void **state)
{
    (void)state;
    fixture.entries[0].deadline_us = fixture.entries[1].deadline_us =
            clock_now_us() + UINT64_C(3600) * 1000000;
    assert_int_equal(write(fixture.ends[0][1], "x", 1), 1);
    assert_int_equal(shutdown(fixture.ends[0][1], SHUT_WR), 0);
    sd_event_run(fixture.event, 2000000);
    assert_int_equal(fixture.ended[0], 0);
    assert_int_equal(fixture.ended[1], 0);
}

/* One that was removed is not touched, whichever place it had. */
static void test_removed(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONNECTIONS; i++)
        fixture.entries[i].deadline_us = 1;
    reaper_remove(&fixture.entries[1]);
    reaper_remove(&fixture.entries[2]);
    for (unsigned i = 0; i < 20 && !is_shut_down(0); i++)
        sd_event_run(fixture.event, 1000000);
    assert_true(is_shut_down(0));
    assert_false(is_shut_down(1));
    assert_false(is_shut_down(2));
    reaper_remove(&fixture.entries[0]);

    /* And after there were none at all. */
    sd_event_run(fixture.event, 1500000);
    reaper_add(fixture.reaper, &fixture.entries[1], fixture.ends[1][0]);
    assert_true(fixture.entries[1].deadline_us == 0);
    fixture.entries[1].deadline_us = 1;
    for (unsigned i = 0; i < 20 && !is_shut_down(1); i++)
        sd_event_run(fixture.event, 1000000);
    assert_true(is_shut_down(1));
    assert_false(is_shut_down(2));
}

static void test_cut(void **state)
{
    (void)state;
    fixture.entries[1].deadline_us = clock_now_us() + UINT64_C(3600) * 1000000;
    reaper_cut(fixture.reaper);
    assert_false(is_shut_down(0));
    assert_true(is_shut_down(1));
    assert_false(is_shut_down(2));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_deadlines, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_ended, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_stream_ended, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_not_ended, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_cut, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
