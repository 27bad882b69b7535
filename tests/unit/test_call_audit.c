/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/call_audit.c: what is recorded of calls, and what is not done without a record. */
#include "api_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/call_audit.h"
#include "util/cleanup.h"

static struct api_fixture api;
static int journal = -1;

static int set_up(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct error error;

    (void)state;
    api_open(&api, true);
    strcpy(address.sun_path, test_path(api.directory, "journal"));
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(journal >= 0);
    assert_int_equal(bind(journal, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(audit_new_at(address.sun_path, &api.daemon.audit, &error), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    audit_free(take_ptr(api.daemon.audit), 0);
    closep(&journal);
    journal = -1;
    api_close(&api);
    return 0;
}

/* Nobody reads the journal, so the ring stays full. */
static void fill_audit(void)
{
    static const struct audit_record record = {.principal = "user:alice", .action = "write", .result = "ok"};

    for (size_t i = 0; i < 2 * (size_t)AUDIT_RECORDS; i++)
        audit_write(api.daemon.audit, &record);
}

static void test_no_room_for_a_change(void **state)
{
    static const struct route change = {.method = "PUT", .path = "/x"},
                              look = {.method = "GET", .path = "/x"};
    struct principal asker = {.kind = PRINCIPAL_ANONYMOUS};
    struct call call = {.daemon = &api.daemon, .route = &change, .principal = &asker};
    struct error error;

    (void)state;
    assert_int_equal(call_admit(&call, &error), 0);
    fill_audit();
    check_error(call_admit(&call, &error), -EAGAIN, &error, "the journal takes no records");
    call.route = &look;
    assert_int_equal(call_admit(&call, &error), 0);
}

/* A read is no less to be recorded than a change where that was asked for. */
static void test_no_room_for_a_read(void **state)
{
    (void)state;
    api.regions[0].audit_reads = true;
    api_expect(&api, "GET", API_REGISTER, "edu 0x0", "", NULL, 200, "0x010000ed");
    fill_audit();
    api_expect(&api, "GET", API_REGISTER, "edu 0x0", "", NULL, 503, "the journal takes no records");
    api_expect(&api, "GET", API_DATA, "edu", "offset=0&length=4", NULL, 503, "the journal takes no records");
    api_expect(&api, "GET", API_REGISTER, "odd 0x100", "width=8", NULL, 200, "0x00");
}

/* The fields of the next record; those that come from outside have their lengths before them. */
static size_t receive(char record[4096])
{
    const struct timeval timeout = {.tv_sec = 30};
    ssize_t size;

    assert_int_equal(setsockopt(journal, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    size = recv(journal, record, 4096, 0);
    test_that(size > 0, "nothing was recorded");
    return (size_t)size;
}

static void expect_record(const char *wanted)
{
    char record[4096];
    size_t size = receive(record);

    test_that(
            memmem(record, size, wanted, strlen(wanted)), "'%s' is not in %.*s", wanted, (int)size, record);
}

/* How a call that has started nothing fails. */
static void fail_call(const char *method, int code)
{
    const struct route route = {.method = method, .path = "/x", .action = "token.create"};
    const struct error error = {code, "it went wrong"};
    struct call call = {.daemon = &api.daemon, .route = &route, .subject = "ci", .running = true};

    call_fail(&call, &error);
    call_done(&call);
}

/* One whose end is not known may have done something: what the client got wrong has not. */
static void test_failures(void **state)
{
    (void)state;
    fail_call("GET", -EIO);
    fail_call("POST", -EINVAL);
    fail_call("POST", -EIO);
    expect_record("token.create ci: failed: it went wrong");
    fail_call("POST", -ENOMEM);
    expect_record("token.create ci: failed: it went wrong");
    fail_call("POST", -EPERM);
    expect_record("token.create ci: refused: it went wrong");
}

/* What was not done for want of room is not to take the room of what is under way. */
static void test_failures_leave_room(void **state)
{
    struct audit_record record = {.principal = "user:alice", .action = "write", .result = "ok"};
    size_t room = AUDIT_RECORDS;

    (void)state;
    while (audit_has_room(api.daemon.audit, 1024))
        audit_write(api.daemon.audit, &record);
    for (unsigned i = 0; i < AUDIT_RECORDS; i++)
        fail_call("POST", -EAGAIN);
    while (!audit_has_room(api.daemon.audit, room))
        room--;
    test_that(room > 900, "room for %zu requests is left of 1024", room);
}

/* Octets 0x00, 0x01, ... to the simulated memory, 8 bits each. */
static void put_octets(const char *query, size_t count)
{
    unsigned char octets[16];

    for (size_t i = 0; i < count; i++)
        octets[i] = (unsigned char)i;
    assert_int_equal(api_request(&api, "PUT", API_DATA, "ram", query, octets, count)->status, 200);
}

static void test_values(void **state)
{
    static const char fixed[] = "DEVREG_FIXED\n\1\0\0\0\0\0\0\0"
                                "1\n";
    char record[4096];
    size_t size;

    (void)state;
    put_octets("offset=0&width=8", 8);
    expect_record(" ram:0x0, 8 times, 8 bits, 0x00,0x01,0x02,0x03,0x04,0x05,0x06,0x07: ok");
    put_octets("offset=0&width=8", 9);
    expect_record(" ram:0x0, 9 times, 8 bits, 0x00,0x01,0x02,0x03,0x04,0x05,0x06,...,0x08: ok");
    put_octets("offset=0&width=8", 16);
    size = receive(record);
    assert_null(memmem(record, size, "DEVREG_FIXED", strlen("DEVREG_FIXED")));
    put_octets("offset=0&width=8&fixed=1", 16);
    size = receive(record);
    assert_non_null(memmem(record, size, fixed, sizeof(fixed) - 1));
    assert_non_null(memmem(record, size, "0x06,...,0x0f\n", strlen("0x06,...,0x0f\n")));
    put_octets("offset=0&width=64", 16);
    expect_record(" 64 bits, 0x0706050403020100,0x0f0e0d0c0b0a0908: ok");
}

/* Who keeps a device from interrupting is told to whoever asks later why it was silent. */
static void test_masked_interrupts(void **state)
{
    static const char mask[] = "/v1/interrupts/{source}/mask", unmask[] = "/v1/interrupts/{source}/unmask";

    (void)state;
    api_expect(&api, "POST", mask, "nothing", "", "{}", 404, "nothing");
    api_expect(&api, "POST", mask, "odd", "", "{\"x\": 1}", 400, "x");
    api_expect(&api, "POST", mask, "odd", "", "{}", 200, "\"state\":\"masked\"");
    expect_record("anonymous interrupt.mask odd: ok");
    api_expect(&api, "POST", unmask, "odd", "", "{}", 200, "\"state\":\"on\"");
    expect_record("anonymous interrupt.unmask odd: ok");
    api_expect(&api, "GET", "/v1/interrupts", "", "", NULL, 200, "\"name\":\"odd\"");
    assert_true(recv(journal, &(char){0}, 1, MSG_DONTWAIT) < 0); /* no more than that */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            TEST(test_no_room_for_a_change),
            TEST(test_no_room_for_a_read),
            TEST(test_masked_interrupts),
            TEST(test_failures),
            TEST(test_failures_leave_room),
            TEST(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
