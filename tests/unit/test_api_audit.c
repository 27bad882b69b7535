/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/audit.c: the audit over the API. */
#include "api_fixture.h"

#include <string.h>
#include <unistd.h>

#include "core/audit_reader.h"
#include "journal_fixture.h"
#include "util/cleanup.h"
#include "util/date.h"

#define SECOND UINT64_C(1000000)

static struct api_fixture api;
static struct journal_fixture journal;

static int set_up(void **state)
{
    const struct audit_record old = {.principal = "user:bob", .action = "token.list", .result = "ok"};
    const struct audit_record full = {"user:alice", "uid=1000 pid=4711", "12ab-1", "modify", "r-1", "edu",
            true, 0x4, 32, 2, true, "0xff", "0x1,0x2", "0x3,0x4", true, "ok", 200, "a \"reason\"\n\xff"};

    (void)state;
    api_open(&api, true);
    journal_open(&journal);
    journal_add(&journal, UINT64_C(1709210096) * SECOND + 7, geteuid(), &old);
    journal_add(&journal, date_now_us() - 1000 * SECOND, geteuid(), &full);
    journal_finish(&journal);
    assert_int_equal(audit_reader_new(api.daemon.event, journal.directory, &api.daemon.audit_reader), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(audit_reader_free(take_ptr(api.daemon.audit_reader), 60000));
    journal_close(&journal);
    api_close(&api);
    return 0;
}

static const json_t *fetch(const char *query)
{
    const struct api_answer *answer = api_request(&api, "GET", "/v1/audit", "", query, NULL, 0);
    const json_t *records = json_object_get(answer->json, "records");

    test_that(answer->status == 200 && json_is_array(records), "?%s: %u %s", query, answer->status,
            answer->text);
    return records;
}

static void test_records(void **state)
{
    const json_t *records = fetch("");
    const char *time = json_string_value(json_object_get(json_array_get(records, 1), "time"));
    json_t *wanted = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:b,s:s,s:s,s:s,s:b,s:s,s:i,s:s}",
            "time", time, "principal", "user:alice", "peer", "uid=1000 pid=4711", "request", "12ab-1",
            "action", "modify", "subject", "r-1", "region", "edu", "offset", "0x4", "width", 32, "count", 2,
            "fixed", 1, "mask", "0xff", "old", "0x1,0x2", "new", "0x3,0x4", "forced", 1, "result", "ok",
            "status", 200, "reason", "a \"reason\"\n\xef\xbf\xbd");
    json_t *old = json_pack("{s:s,s:s,s:s,s:s}", "time", "2024-02-29T12:34:56.000007Z", "principal",
            "user:bob", "action", "token.list", "result", "ok");
    uint64_t us;

    (void)state;
    assert_int_equal(json_array_size(records), 2);
    assert_true(json_equal(json_array_get(records, 0), old));
    assert_true(json_equal(json_array_get(records, 1), wanted));
    assert_int_equal(date_parse(time, &us), 0);
    json_decref(wanted);
    json_decref(old);
}

static void test_queries(void **state)
{
    static const struct {
        const char *query;
        size_t count;
    } rows[] = {
            {"since=1100", 1},
            {"since=900", 0},
            {"until=900", 2},
            {"until=1100", 1},
            {"since=18446744073709551615", 2},
            {"since=2024-02-29T12:34:56Z&until=2024-02-29T12:34:57Z", 1},
            {"since=2024-02-29T12:34:57Z&until=2024-02-29T12:34:58Z", 0},
            {"principal=user:bob", 1},
            {"region=edu&action=modify&result=ok", 1},
            {"result=failed", 0},
            {"limit=1", 1},
            {"limit=1000", 2},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        test_that(json_array_size(fetch(rows[i].query)) == rows[i].count, "?%s", rows[i].query);
}

static void test_refused(void **state)
{
    static const struct {
        const char *query, *message;
    } rows[] = {
            {"since=", "no time"},
            {"since=yesterday", "no time"},
            {"since=-1", "no time"},
            {"since=1.5", "no time"},
            {"until=2024-02-30T00:00:00Z", "no time"},
            {"since=10&until=20", "since is after until"},
            {"principal=", "principal is empty"},
            {"region=", "region is empty"},
            {"action=", "action is empty"},
            {"result=", "result is empty"},
            {"result=OK", "ok, refused or failed"},
            {"limit=0", "1 to 1000"},
            {"limit=1001", "1 to 1000"},
            {"limit=many", "not a number"},
            {"offset=0", "unknown argument"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        api_expect(&api, "GET", "/v1/audit", "", rows[i].query, NULL, 400, rows[i].message);
}

static void test_no_journal(void **state)
{
    struct audit_reader *reader = take_ptr(api.daemon.audit_reader);

    (void)state;
    api_expect(&api, "GET", "/v1/audit", "", "", NULL, 503,
            "no journal here: audit records went to standard error");
    api.daemon.audit_reader = reader;
    audit_reader_cancel(reader);
    api_expect(&api, "GET", "/v1/audit", "", "", NULL, 503, "stopping");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            TEST(test_records),
            TEST(test_queries),
            TEST(test_refused),
            TEST(test_no_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
