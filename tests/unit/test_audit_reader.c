/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/audit_reader.c, with real journal files. */
#include "journal_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/audit_reader.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define SECOND UINT64_C(1000000)
#define START  (UINT64_C(1700000000) * SECOND)

enum { FIELD_PRINCIPAL = 0, FIELD_OFFSET = 6, FIELD_STATUS = 15, FIELD_REASON = 16, ROWS = 50 };

/* What the last reading gave, copied before it went. */
static struct {
    unsigned calls;
    struct error error;
    size_t count;
    uint64_t times[AUDIT_READ_LIMIT];
    char principals[AUDIT_READ_LIMIT][32];
    char reason[512], offset[32], status[32];
    pthread_t thread;
} got;

static struct journal_fixture journal;
static sd_event *event;
static struct audit_reader *reader;
static struct error error;

static void note(const struct audit_result *result, void *context)
{
    assert_ptr_equal(context, &got);
    assert_true(pthread_equal(pthread_self(), got.thread)); /* on the loop */
    got.calls++;
    got.error = result->error;
    got.count = result->count;
    for (size_t i = 0; i < result->count; i++) {
        got.times[i] = result->found[i].time_us;
        snprintf(got.principals[i], sizeof(got.principals[i]), "%s",
                result->found[i].values[FIELD_PRINCIPAL]);
    }
    if (result->count == 0)
        return;
#define LAST(field) result->found[result->count - 1].values[field]
    snprintf(got.reason, sizeof(got.reason), "%s", LAST(FIELD_REASON) ? LAST(FIELD_REASON) : "(none)");
    snprintf(got.offset, sizeof(got.offset), "%s", LAST(FIELD_OFFSET) ? LAST(FIELD_OFFSET) : "(none)");
    snprintf(got.status, sizeof(got.status), "%s", LAST(FIELD_STATUS) ? LAST(FIELD_STATUS) : "(none)");
}

static int set_up(void **state)
{
    (void)state;
    memset(&got, 0, sizeof(got));
    got.thread = pthread_self();
    journal_open(&journal);
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(audit_reader_new(event, journal.directory, &reader), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(audit_reader_free(reader, 60000));
    assert_true(audit_reader_free(NULL, 0));
    sd_event_unref(event);
    journal_close(&journal);
    return 0;
}

static void wait_for(unsigned calls)
{
    while (got.calls < calls)
        assert_true(sd_event_run(event, 30 * 1000 * 1000) > 0);
}

static void read_audit(const struct audit_query *query)
{
    unsigned before = got.calls;

    test_that(audit_reader_submit(reader, query, note, &got, &error) == 0, "%s", error.message);
    wait_for(before + 1);
}

/* One a second: by alice and bob in turn, of two regions. */
static void make_rows(void)
{
    for (unsigned i = 0; i < ROWS; i++) {
        struct audit_record record = {.principal = i % 2 ? "user:bob" : "user:alice",
                .action = i % 5 ? "write" : "token.create",
                .region = i % 3 ? "edu" : "odd",
                .has_offset = true,
                .offset = i,
                .result = i % 7 ? "ok" : "refused",
                .status = 200,
                .reason = i == ROWS - 1 ? "a\nDEVREG_STATUS=500\n=\xff" : NULL};

        journal_add(&journal, START + i * SECOND, geteuid(), &record);
    }
    journal_finish(&journal);
}

static void test_all(void **state)
{
    const struct audit_query query = {.until_us = UINT64_MAX / 2, .limit = AUDIT_READ_LIMIT};

    (void)state;
    make_rows();
    read_audit(&query);
    assert_int_equal(got.error.code, 0);
    assert_int_equal(got.count, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(got.times[i], START + i * SECOND); /* oldest first */
        assert_string_equal(got.principals[i], i % 2 ? "user:bob" : "user:alice");
    }
    assert_string_equal(got.offset, "0x31");
    assert_string_equal(got.status, "200");
    assert_string_equal(got.reason, "a\nDEVREG_STATUS=500\n=\xff");
}

static void test_newest(void **state)
{
    struct audit_query query = {.until_us = UINT64_MAX / 2, .limit = 7};

    (void)state;
    make_rows();
    read_audit(&query);
    assert_int_equal(got.count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(got.times[i], START + (ROWS - 7 + i) * SECOND);
    query.limit = 1;
    read_audit(&query);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.times[0], START + (ROWS - 1) * SECOND);
}

static void test_times(void **state)
{
    struct audit_query query = {
            .since_us = START + 10 * SECOND, .until_us = START + 19 * SECOND, .limit = AUDIT_READ_LIMIT};

    (void)state;
    make_rows();
    read_audit(&query);
    assert_int_equal(got.count, 10);
    assert_int_equal(got.times[0], START + 10 * SECOND);
    assert_int_equal(got.times[9], START + 19 * SECOND);
    query.since_us++;
    query.until_us--;
    read_audit(&query);
    assert_int_equal(got.count, 8);
    query.since_us = START + 100 * SECOND;
    query.until_us = START + 200 * SECOND;
    read_audit(&query);
    assert_int_equal(got.count, 0);
    assert_int_equal(got.error.code, 0);
}

static void test_filters(void **state)
{
    static const struct {
        struct audit_query query;
        size_t count;
    } rows[] = {
            {{.principal = "user:alice"}, 25},
            {{.principal = "user:bob", .region = "edu"}, 17},
            {{.action = "token.create"}, 10},
            {{.result = "refused"}, 8},
            {{.principal = "user:alice", .region = "odd", .action = "write", .result = "ok"}, 6},
            {{.principal = "user:ali"}, 0},
            {{.principal = "user:alice2"}, 0},
            {{.region = "*"}, 0},
            {{.region = "edu\nDEVREG_PRINCIPAL=user:alice"}, 0},
    };

    (void)state;
    make_rows();
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct audit_query query = rows[i].query;

        query.until_us = UINT64_MAX / 2;
        query.limit = AUDIT_READ_LIMIT;
        read_audit(&query);
        test_that(got.error.code == 0 && got.count == rows[i].count, "row %zu gave %zu", i, got.count);
    }
}

/* Anybody can send a record with these fields; the journal knows who it was. */
static void test_forged(void **state)
{
    const struct audit_record forged = {.principal = "user:forged", .action = "write", .result = "ok"};
    const struct audit_query query = {.until_us = UINT64_MAX / 2, .limit = 10};

    (void)state;
    journal_add(&journal, START, geteuid(), &(struct audit_record){.principal = "user:true"});
    journal_add(&journal, START + 1, geteuid() + 1, &forged);
    journal_finish(&journal);
    read_audit(&query);
    assert_int_equal(got.count, 1);
    assert_string_equal(got.principals[0], "user:true");
}

static void test_no_journal(void **state)
{
    const struct audit_query query = {.until_us = UINT64_MAX / 2, .limit = 10};

    (void)state;
    read_audit(&query);
    assert_int_equal(got.error.code, -ENODATA);
    assert_true(strstr(got.error.message, "no journal here: audit records went to standard error") ||
                strstr(got.error.message, "group systemd-journal"));
}

static void test_no_directory(void **state)
{
    const struct audit_query query = {.until_us = UINT64_MAX / 2, .limit = 10};

    (void)state;
    assert_true(audit_reader_free(reader, 60000));
    assert_int_equal(audit_reader_new(event, "/nowhere", &reader), 0);
    read_audit(&query);
    assert_int_equal(got.error.code, -ENODATA);
}

/* Too many at once, and what waits when the daemon stops. */
static void test_many_and_cancel(void **state)
{
    const struct audit_query query = {.until_us = UINT64_MAX / 2, .limit = 10};
    unsigned taken = 0;

    (void)state;
    make_rows();
    while (audit_reader_submit(reader, &query, note, &got, &error) == 0)
        taken++;
    assert_int_equal(taken, 4);
    assert_int_equal(error.code, -EAGAIN);
    wait_for(taken);
    assert_int_equal(got.count, 10);
    for (unsigned i = 0; i < taken; i++)
        assert_int_equal(audit_reader_submit(reader, &query, note, &got, &error), 0);
    audit_reader_cancel(reader);
    wait_for(2 * taken);
    assert_int_equal(got.error.code, -EAGAIN);
    assert_non_null(strstr(got.error.message, "stopping"));
}

/* What nobody waits for any more is dropped. */
static void test_free_while_reading(void **state)
{
    const struct audit_query query = {.until_us = UINT64_MAX / 2, .limit = AUDIT_READ_LIMIT};

    (void)state;
    make_rows();
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(audit_reader_submit(reader, &query, note, &got, &error), 0);
    assert_true(audit_reader_free(take_ptr(reader), 60000));
    assert_int_equal(got.calls, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            TEST(test_all),
            TEST(test_newest),
            TEST(test_times),
            TEST(test_filters),
            TEST(test_forged),
            TEST(test_no_journal),
            TEST(test_no_directory),
            TEST(test_many_and_cancel),
            TEST(test_free_while_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
