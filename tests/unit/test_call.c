/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/call.c: one answer for each call, now or later. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/routes.h"

static struct daemon daemon_of_test;
static unsigned later;

static void answer_now(struct call *call)
{
    buffer_append_string(&call->reply, "{}");
    call_answer_json(call);
}

static void answer_never(struct call *call)
{
    (void)call;
}

static void note_later(struct call *call)
{
    (void)call;
    later++;
}

static const struct route now = {.method = "GET", .path = "/now", .arguments = "a", .handler = answer_now};
static const struct route never = {
        .method = "GET", .path = "/never", .arguments = "", .handler = answer_never};

static int set_up(void **state)
{
    (void)state;
    daemon_of_test = (struct daemon){0};
    later = 0;
    return 0;
}

static struct call call_to(const struct route *route)
{
    return (struct call){.daemon = &daemon_of_test, .route = route, .answered_later = note_later};
}

static void test_answered_at_once(void **state)
{
    struct call call = call_to(&now);

    (void)state;
    call_run(&call);
    assert_int_equal(call.status, 200);
    assert_string_equal(call.content_type, "application/json");
    assert_int_equal(call.reply.size, 3);
    assert_memory_equal(call.reply.data, "{}\n", 3);
    assert_int_equal(later, 0);
    call_done(&call);
    assert_null(call.reply.data);
}

static void test_answered_later(void **state)
{
    struct call call = call_to(&never);

    (void)state;
    call_run(&call);
    assert_int_equal(call.status, 0);
    buffer_append_string(&call.reply, "ok");
    call_answer(&call, 200, "text/plain");
    assert_int_equal(later, 1);
    call_done(&call);
}

static void test_request_id(void **state)
{
    struct call call = call_to(&now);
    char id[CALL_REQUEST_ID_SIZE];

    (void)state;
    assert_string_equal(call_request_id(&call, id), "0000000000000000-0");
    daemon_of_test.identity = 0xfedcba9876543210;
    call.request = 0x1a;
    assert_string_equal(call_request_id(&call, id), "fedcba9876543210-1a");
    daemon_of_test.identity = 1;
    call.request = UINT64_MAX;
    assert_string_equal(call_request_id(&call, id), "0000000000000001-ffffffffffffffff");
}

static void test_unknown_argument(void **state)
{
    struct call call = call_to(&now);

    (void)state;
    call.arguments[0] = (struct call_argument){"b", "1"};
    call.argument_count = 1;
    call_run(&call);
    assert_int_equal(call.status, 400);
    assert_string_equal(call.content_type, "application/problem+json");
    assert_int_equal(later, 0);
    call_done(&call);
}

static void test_counters(void **state)
{
    static const struct {
        int code;
        unsigned refused, failed, faults;
    } rows[] = {
            {-EINVAL, 1, 0, 0}, {-EFAULT, 1, 1, 1}, {-EAGAIN, 1, 2, 1}, {-EIO, 1, 3, 1}, {-ENODEV, 2, 3, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error error = {.code = rows[i].code, .message = "x"};
        struct call call = call_to(&never);

        call_run(&call);
        call_fail(&call, &error);
        assert_true(daemon_of_test.counters.refused == rows[i].refused);
        assert_true(daemon_of_test.counters.failed == rows[i].failed);
        assert_true(daemon_of_test.counters.bus_faults == rows[i].faults);
        call_done(&call);
    }
}

/* What a handler wrote before it failed is not sent. */
static void test_fail_drops_the_beginning(void **state)
{
    struct error error = {.code = -ENOENT, .message = "not there"};
    struct call call = call_to(&never);

    (void)state;
    call_run(&call);
    buffer_append_string(&call.reply, "{\"begun\":");
    call_fail_at(&call, &error, "edu", 4, 2);
    assert_int_equal(call.status, 404);
    assert_int_equal(call.reply.data[0], '{');
    assert_null(memmem(call.reply.data, call.reply.size, "begun", 5));
    assert_non_null(memmem(call.reply.data, call.reply.size, "\"offset\":\"0x4\"", 14));
    assert_non_null(memmem(call.reply.data, call.reply.size, "\"done\":2", 8));
    call_done(&call);
}

static void test_out_of_memory(void **state)
{
    struct call call = call_to(&never);

    (void)state;
    call_run(&call);
    assert_null(buffer_reserve(&call.reply, SIZE_MAX));
    call_answer_json(&call);
    assert_int_equal(call.status, 503);
    assert_string_equal(call.content_type, "application/problem+json");
    assert_int_equal(later, 1);
    assert_true(daemon_of_test.counters.failed == 1);
    call_done(&call);
}

static void test_done_gives_back(void **state)
{
    struct call call = call_to(&never);

    (void)state;
    daemon_of_test.limits.data_total_bytes = 100;
    assert_int_equal(daemon_claim_data(&daemon_of_test, NULL, 60, NULL), 0);
    call.claimed_bytes = 60;
    call.values = malloc(60);
    buffer_append_string(&call.body, "body");
    call_done(&call);
    assert_true(daemon_of_test.data_bytes_in_use == 0);
    assert_null(call.values);
    assert_null(call.body.data);
    call_done(&call);
}

struct waiting {
    struct call_wait wait;
    unsigned cancelled;
};

static void cancel(struct call_wait *wait)
{
    container_of(wait, struct waiting, wait)->cancelled++;
}

/* What a call waits with is given up when the call is over first. */
static void test_done_cancels(void **state)
{
    struct waiting waiting = {.wait.cancel = cancel};
    struct call call = call_to(&never);

    (void)state;
    call_run(&call);
    call.wait = &waiting.wait;
    call_done(&call);
    assert_int_equal(waiting.cancelled, 1);
    assert_int_equal(later, 0);
}

static void test_status(void **state)
{
    struct call call = call_to(&never);

    (void)state;
    call_run(&call);
    buffer_append_string(&call.reply, "{}");
    call_answer_json_status(&call, 202);
    assert_int_equal(call.status, 202);
    assert_string_equal(call.content_type, "application/json");
    call_done(&call);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_answered_at_once, set_up),
            cmocka_unit_test_setup(test_answered_later, set_up),
            cmocka_unit_test_setup(test_request_id, set_up),
            cmocka_unit_test_setup(test_unknown_argument, set_up),
            cmocka_unit_test_setup(test_counters, set_up),
            cmocka_unit_test_setup(test_fail_drops_the_beginning, set_up),
            cmocka_unit_test_setup(test_out_of_memory, set_up),
            cmocka_unit_test_setup(test_done_gives_back, set_up),
            cmocka_unit_test_setup(test_done_cancels, set_up),
            cmocka_unit_test_setup(test_status, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
