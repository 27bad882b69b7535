/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/audit.c, with a journal of the test's own: a socket that is read, stalls, goes away and comes back.
 */
#include "test.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/audit.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    FIELDS = 32,
    MANY = 100000,
};

struct entry {
    char octets[16384];
    char *names[FIELDS], *values[FIELDS]; /* in octets; values are terminated */
    size_t lengths[FIELDS];
    size_t count;
};

static char *directory, *path;
static int journal = -1;
static struct audit *audit;
static struct error error;
static struct entry entry;

static void open_journal(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval timeout = {.tv_sec = 30};

    strcpy(address.sun_path, path);
    unlink(path);
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(journal >= 0);
    assert_int_equal(bind(journal, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(journal, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
}

static void close_journal(void)
{
    closep(&journal);
    journal = -1;
    unlink(path);
}

static int set_up(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    directory = test_directory_new();
    path = strdup(test_path(directory, "socket"));
    open_journal();
    assert_int_equal(audit_new_at(path, &audit, &error), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    audit_free(take_ptr(audit), 10000);
    audit_free(NULL, 0);
    close_journal();
    free(path);
    test_directory_remove(directory);
    return 0;
}

/* Reads fields as journald does (systemd.io/JOURNAL_NATIVE_PROTOCOL). */
static void split(size_t size)
{
    char *next = entry.octets, *end = next + size;

    entry.count = 0;
    while (next < end) {
        char *line = memchr(next, '\n', (size_t)(end - next));
        char *equals;
        size_t i = entry.count++;
        uint64_t length;

        assert_true(line && i < FIELDS);
        *line = 0;
        entry.names[i] = next;
        equals = strchr(next, '=');
        if (equals) {
            *equals = 0;
            entry.values[i] = equals + 1;
            entry.lengths[i] = (size_t)(line - equals - 1);
            next = line + 1;
            continue;
        }
        assert_true(end - line > 9);
        memcpy(&length, line + 1, sizeof(length));
        length = le64toh(length);
        assert_true(length < (uint64_t)(end - line - 9));
        entry.values[i] = line + 9;
        entry.lengths[i] = (size_t)length;
        assert_int_equal(entry.values[i][length], '\n');
        entry.values[i][length] = 0;
        next = entry.values[i] + length + 1;
    }
}

static void receive(void)
{
    ssize_t size = recv(journal, entry.octets, sizeof(entry.octets), 0);

    test_that(size > 0, "nothing came: %s", strerror(errno));
    split((size_t)size);
}

/* NULL when there is none; there must not be two. */
static const char *field(const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < entry.count; i++) {
        if (strcmp(entry.names[i], name) != 0)
            continue;
        test_that(!found, "%s is there twice", name);
        found = entry.values[i];
    }
    return found;
}

static const char *text_of(const char *name)
{
    const char *value = field(name);

    return value ? value : "(none)";
}

static void test_all_fields(void **state)
{
    char name[16] = "user:alice";
    const struct audit_record record = {name, "uid=1000 pid=4711", "12ab-1", "modify", "r-1", "edu", true,
            0x4, 32, 2, true, "0xff", "0x1,0x2", "0x3,0x4", true, "ok", 200, "because"};
    static const struct {
        const char *name, *value;
    } wanted[] = {
            {"MESSAGE", "user:alice (uid=1000 pid=4711) modify r-1 edu:0x4, 2 times at one offset, 32 bits, "
                        "0x3,0x4 under the mask 0xff (was 0x1,0x2) by force: ok: because"},
            {"MESSAGE_ID", AUDIT_MESSAGE_ID},
            {"PRIORITY", "5"},
            {"SYSLOG_IDENTIFIER", "devregd"},
            {"DEVREG_PRINCIPAL", "user:alice"},
            {"DEVREG_PEER", "uid=1000 pid=4711"},
            {"DEVREG_REQUEST", "12ab-1"},
            {"DEVREG_ACTION", "modify"},
            {"DEVREG_SUBJECT", "r-1"},
            {"DEVREG_REGION", "edu"},
            {"DEVREG_OFFSET", "0x4"},
            {"DEVREG_WIDTH", "32"},
            {"DEVREG_COUNT", "2"},
            {"DEVREG_FIXED", "1"},
            {"DEVREG_MASK", "0xff"},
            {"DEVREG_OLD", "0x1,0x2"},
            {"DEVREG_NEW", "0x3,0x4"},
            {"DEVREG_FORCED", "1"},
            {"DEVREG_RESULT", "ok"},
            {"DEVREG_STATUS", "200"},
            {"DEVREG_REASON", "because"},
    };

    (void)state;
    audit_write(audit, &record);
    strcpy(name, "overwritten"); /* it was copied */
    receive();
    for (size_t i = 0; i < ELEMENTS(wanted); i++)
        assert_string_equal(text_of(wanted[i].name), wanted[i].value);
    assert_int_equal(entry.count, ELEMENTS(wanted));
}

static void test_absent_fields(void **state)
{
    const struct audit_record record = {
            .principal = "user:root", .action = "token.create", .subject = "ci", .result = "ok"};

    (void)state;
    audit_write(NULL, &record);
    audit_write(audit, &record);
    receive();
    assert_int_equal(entry.count, 8);
    assert_string_equal(text_of("DEVREG_SUBJECT"), "ci");
    assert_null(field("DEVREG_OFFSET"));
    assert_null(field("DEVREG_STATUS"));
    assert_null(field("DEVREG_REASON"));
}

/* What clients choose can't become a field, a line, or something else's value. */
static void test_injection(void **state)
{
    static const char *const hostile[] = {"a\nDEVREG_PRINCIPAL=user:root\n", "a\nPRIORITY=7", "\n", "=",
            "==", "a=b", "\n\n", "DEVREG_RESULT=ok", "a\x1b[2J\r\x7f\x01\xff\xc3", "\xe2\x80\xa8",
            "MESSAGE\n\x01\x01\x01\x01\x01\x01\x01\x01x\n"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(hostile); i++) {
        const struct audit_record record = {.principal = "anonymous",
                .peer = hostile[i],
                .action = "write",
                .subject = hostile[i],
                .region = hostile[i],
                .result = "refused",
                .reason = hostile[i]};

        audit_write(audit, &record);
        receive();
        assert_int_equal(entry.count, 11);
        assert_string_equal(text_of("DEVREG_PRINCIPAL"), "anonymous");
        assert_string_equal(text_of("DEVREG_RESULT"), "refused");
        assert_string_equal(text_of("PRIORITY"), "4");
        assert_string_equal(text_of("DEVREG_PEER"), hostile[i]);
        assert_string_equal(text_of("DEVREG_SUBJECT"), hostile[i]);
        assert_string_equal(text_of("DEVREG_REGION"), hostile[i]);
        assert_string_equal(text_of("DEVREG_REASON"), hostile[i]);
        for (const char *c = text_of("MESSAGE"); *c; c++)
            assert_true(*c >= 0x20 && *c < 0x7f);
    }
}

static void test_long_texts(void **state)
{
    char text[1000];
    const struct audit_record record = {text, text, text, text, text, text, true, UINT64_MAX, 64, UINT64_MAX,
            true, text, text, text, true, text, 599, text};

    (void)state;
    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    audit_write(audit, &record);
    receive();
    assert_int_equal(entry.count, 21);
    assert_string_equal(text_of("DEVREG_OFFSET"), "0xffffffffffffffff");
    assert_string_equal(text_of("DEVREG_COUNT"), "18446744073709551615");
    assert_int_equal(strlen(text_of("DEVREG_OLD")), AUDIT_VALUES_SIZE - 1);
    assert_string_equal(text_of("DEVREG_OLD") + AUDIT_VALUES_SIZE - 5, "\n...");
    assert_int_equal(strlen(text_of("DEVREG_RESULT")), 15);
    assert_int_equal(strlen(text_of("DEVREG_REASON")), 319);
}

static void test_order(void **state)
{
    struct audit_record record = {.principal = "user:alice", .action = "write", .result = "ok"};

    (void)state;
    for (uint64_t i = 1; i <= 5000; i++) {
        record.count = i;
        audit_write(audit, &record);
        if (i % 100 == 0) {
            for (uint64_t k = i - 99; k <= i; k++) {
                receive();
                assert_int_equal(strtoull(text_of("DEVREG_COUNT"), NULL, 10), k);
            }
        }
    }
}

/* A journal that does not read delays nobody, costs no more memory, and how much is missing is known. */
static void test_stalled(void **state)
{
    struct audit_record record = {.principal = "user:alice",
            .action = "write",
            .region = "edu",
            .result = "ok",
            .has_offset = true};
    uint64_t started = clock_now_us(), slowest = 0, got = 0, lost = 0, last = UINT64_MAX;

    (void)state;
    assert_true(audit_has_room(audit, 1));
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t before = clock_now_us();

        record.offset = i;
        audit_write(audit, &record);
        if (clock_now_us() - before > slowest)
            slowest = clock_now_us() - before;
    }
    test_that(slowest < 1000000, "one record took %llu us", (unsigned long long)slowest);
    test_that(clock_now_us() - started < 20000000, "it waited for the journal");
    assert_false(audit_has_room(audit, 1));
    assert_true(audit_has_room(audit, 0));
    /* All that had room, then one more that says what had not. */
    while (last != MANY) {
        receive();
        if (strcmp(text_of("DEVREG_ACTION"), "audit.lost") == 0) {
            assert_string_equal(text_of("DEVREG_PRINCIPAL"), "devregd");
            assert_string_equal(text_of("PRIORITY"), "4");
            lost += strtoull(text_of("DEVREG_COUNT"), NULL, 10);
            continue;
        }
        last = strtoull(text_of("DEVREG_OFFSET"), NULL, 16);
        test_that(last == got + lost, "record %llu came after %llu and %llu lost", (unsigned long long)last,
                (unsigned long long)got, (unsigned long long)lost);
        got++;
        if (record.offset != MANY && audit_has_room(audit, 1)) {
            record.offset = MANY;
            audit_write(audit, &record);
        }
    }
    assert_true(got > AUDIT_RECORDS && lost > 0);
    assert_int_equal(got + lost, MANY + 1);
    assert_true(audit_has_room(audit, 1));
}

/* Whoever may do nothing can't use up the room without which nobody may. */
static void test_refusals_leave_room(void **state)
{
    struct audit_record record = {
            .principal = "anonymous", .action = "write", .result = "refused", .reason = "no"};
    uint64_t refused = 0, lost = 0;

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        audit_write(audit, &record);
    assert_true(audit_has_room(audit, AUDIT_RECORDS / 2 / AUDIT_REQUEST_RECORDS));
    record.result = "ok";
    for (unsigned i = 0; i < AUDIT_RECORDS / 2; i++)
        audit_write(audit, &record);
    assert_false(audit_has_room(audit, AUDIT_RECORDS / 4 / AUDIT_REQUEST_RECORDS));
    for (unsigned changes = 0; changes < AUDIT_RECORDS / 2;
            changes += !strcmp("ok", text_of("DEVREG_RESULT"))) {
        receive();
        refused += !strcmp(text_of("DEVREG_RESULT"), "refused");
        if (strcmp(text_of("DEVREG_ACTION"), "audit.lost") == 0)
            lost += strtoull(text_of("DEVREG_COUNT"), NULL, 10);
    }
    assert_int_equal(refused + lost, MANY);
}

static void *stop(void *context)
{
    audit_free(context, 60000);
    return NULL;
}

/* The number is not forgotten when nothing follows. */
static void test_lost_at_the_end(void **state)
{
    struct audit_record record = {.principal = "user:alice", .action = "write", .result = "ok"};
    uint64_t got = 0, lost = 0;
    pthread_t stopping;

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        audit_write(audit, &record);
    assert_int_equal(pthread_create(&stopping, NULL, stop, take_ptr(audit)), 0);
    while (got + lost < MANY) {
        receive();
        if (strcmp(text_of("DEVREG_ACTION"), "audit.lost") == 0)
            lost += strtoull(text_of("DEVREG_COUNT"), NULL, 10);
        else
            got++;
    }
    assert_int_equal(got + lost, MANY);
    assert_true(lost > 0);
    pthread_join(stopping, NULL);
}

/* What is on standard error while the function runs. */
static void capture(char text[16384], void (*function)(void))
{
    _cleanup_close_ int fd = memfd_create("stderr", MFD_CLOEXEC);
    _cleanup_close_ int saved = dup(STDERR_FILENO);
    ssize_t size;

    assert_true(fd >= 0 && saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    function();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    size = pread(fd, text, 16383, 0);
    assert_true(size >= 0);
    text[size] = 0;
}

static void stop_stalled(void)
{
    audit_free(take_ptr(audit), 200);
}

static void test_free_beside_a_stalled_journal(void **state)
{
    struct audit_record record = {.principal = "user:alice", .action = "write", .result = "ok"};
    uint64_t started;
    char text[16384];

    (void)state;
    for (unsigned i = 0; i < 2000; i++)
        audit_write(audit, &record);
    started = clock_now_us();
    capture(text, stop_stalled);
    assert_true(clock_now_us() - started < 10000000);
    assert_non_null(strstr(text, "records are lost: the journal did not take them in time"));
}

static void write_without_journal(void)
{
    struct audit_record record = {.principal = "token:ci",
            .peer = "127.0.0.1:99",
            .action = "write",
            .result = "refused",
            .reason = "no\nrule \"x\""};

    close_journal();
    audit_write(audit, &record);
    audit_write(audit, &record);
    audit_free(take_ptr(audit), 10000);
}

static void test_no_journal(void **state)
{
    static const char line[] =
            "devregd: audit: principal=token:ci peer=127.0.0.1:99 action=write result=refused "
            "reason=\"no\\x0arule \\\"x\\\"\"\n";
    char text[16384];
    const char *second;

    (void)state;
    capture(text, write_without_journal);
    assert_non_null(
            strstr(text, "takes no records (No such file or directory): they go to standard error\n"));
    second = strstr(text, line);
    assert_non_null(second);
    assert_string_equal(second + strlen(line), line);
}

static void restart_journal(void)
{
    struct audit_record record = {.principal = "user:alice", .action = "one", .result = "ok"};

    audit_write(audit, &record);
    receive();
    assert_string_equal(text_of("DEVREG_ACTION"), "one");
    close_journal();
    open_journal();
    record.action = "two";
    audit_write(audit, &record);
    receive();
    assert_string_equal(text_of("DEVREG_ACTION"), "two");
}

static void test_journal_restarts(void **state)
{
    char text[16384];

    (void)state;
    capture(text, restart_journal);
    assert_string_equal(text, "");
}

/* A journal that stalls and then goes for good. */
static void stall_and_go(void)
{
    struct audit_record record = {.principal = "user:alice", .action = "write", .result = "ok"};

    for (unsigned i = 0; i < 1000; i++)
        audit_write(audit, &record);
    close_journal();
    audit_free(take_ptr(audit), 20000);
}

static void test_stalled_journal_goes(void **state)
{
    char text[16384];

    (void)state;
    capture(text, stall_and_go);
    assert_non_null(strstr(text, "audit: principal=user:alice action=write result=ok\n"));
    assert_null(strstr(text, "records are lost"));
}

static void get_stuck(void *context)
{
    const struct audit_record record = {.principal = "user:alice", .action = "write", .result = "ok"};
    char octets[4096] = {0};
    uint64_t started;
    int ends[2];

    (void)context;
    if (audit_new_at(path, &audit, &error) < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        _exit(2);
    while (write(ends[1], octets, sizeof(octets)) > 0 || write(ends[1], octets, 1) > 0)
        continue;
    if (fcntl(ends[1], F_SETFL, 0) < 0 || dup2(ends[1], STDERR_FILENO) < 0)
        _exit(3);
    audit_write(audit, &record);
    started = clock_now_us();
    audit_free(audit, 100);
    _exit(clock_now_us() - started < 10000000 ? 0 : 4);
}

/* Nobody reads standard error either: the thread is left behind, and the daemon ends. */
static void test_stuck_for_good(void **state)
{
    (void)state;
    close_journal();
    audit_free(take_ptr(audit), 10000);
    assert_int_equal(test_in_child(get_stuck, NULL), 0);
}

static void test_long_path(void **state)
{
    char text[200];
    struct audit *none = NULL;

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    check_error(audit_new_at(text, &none, &error), -ENAMETOOLONG, &error, "too long");
    assert_null(none);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            TEST(test_all_fields),
            TEST(test_absent_fields),
            TEST(test_injection),
            TEST(test_long_texts),
            TEST(test_order),
            TEST(test_stalled),
            TEST(test_refusals_leave_room),
            TEST(test_lost_at_the_end),
            TEST(test_free_beside_a_stalled_journal),
            TEST(test_no_journal),
            TEST(test_journal_restarts),
            TEST(test_stalled_journal_goes),
            TEST(test_stuck_for_good),
            TEST(test_long_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
