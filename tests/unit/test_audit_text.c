/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/audit_text.c: the three forms of a record, and what can't be forged in them. */
#include "test.h"

#include <endian.h>
#include <string.h>
#include <syslog.h>

#include "core/audit_text.h"
#include "util/cleanup.h"

static const struct audit_record full = {"user:alice", "uid=1000 pid=4711", "12ab-1", "modify", "r-1", "edu",
        true, 0x4, 32, 2, true, "0xff", "0x1,0x2", "0x3,0x4", true, "ok", 200, "because"};

static char *finish(struct buffer *text)
{
    size_t size;

    buffer_append_char(text, 0);
    assert_false(buffer_failed(text));
    return buffer_take(text, &size);
}

static void expect(void (*write)(struct buffer *text, const struct audit_record *record),
        const struct audit_record *record, const char *wanted)
{
    struct buffer text = {0};
    char *written;

    write(&text, record);
    written = finish(&text);
    assert_string_equal(written, wanted);
    free(written);
}

static void test_sentence(void **state)
{
    const struct audit_record write = {.principal = "user:bob",
            .action = "write",
            .region = "edu",
            .has_offset = true,
            .offset = 0x10,
            .width_bits = 32,
            .count = 1,
            .new_value = "0x00000001",
            .result = "refused",
            .reason = "no rule"};
    const struct audit_record token = {
            .principal = "user:root", .action = "token.create", .subject = "ci", .result = "ok"};
    const struct audit_record data = {.principal = "user:bob",
            .action = "buffer.write",
            .subject = "b-1",
            .has_offset = true,
            .offset = 0x10,
            .count = 4096,
            .result = "ok"};
    const struct audit_record nothing = {0};

    (void)state;
    expect(audit_text_sentence, &full,
            "user:alice (uid=1000 pid=4711) modify r-1 edu:0x4, 2 times at one offset, "
            "32 bits, 0x3,0x4 under the mask 0xff (was 0x1,0x2) by force: ok: because");
    expect(audit_text_sentence, &write, "user:bob write edu:0x10, 32 bits, 0x00000001: refused: no rule");
    expect(audit_text_sentence, &token, "user:root token.create ci: ok");
    expect(audit_text_sentence, &data, "user:bob buffer.write b-1, 4096 octets from 0x10: ok");
    expect(audit_text_sentence, &nothing, "somebody did something: failed");
}

static void test_line(void **state)
{
    const struct audit_record hostile = {.principal = "anonymous",
            .region = "a b\" result=ok \\",
            .result = "refused",
            .reason = "x\n\x1b[2J\xc3\xa4 result=ok"};
    const struct audit_record empty = {.principal = "anonymous", .reason = ""};

    (void)state;
    expect(audit_text_line, &full,
            "principal=user:alice peer=\"uid=1000 pid=4711\" request=12ab-1 action=modify "
            "subject=r-1 region=edu offset=0x4 width=32 count=2 fixed=1 mask=0xff old=0x1,0x2 "
            "new=0x3,0x4 forced=1 result=ok status=200 reason=because");
    expect(audit_text_line, &hostile,
            "principal=anonymous region=\"a b\\\" result=ok \\\\\" result=refused "
            "reason=\"x\\x0a\\x1b[2J\\xc3\\xa4 result=ok\"");
    expect(audit_text_line, &empty, "principal=anonymous reason=\"\"");
}

static void test_priority(void **state)
{
    struct audit_record record = {.action = "write", .result = "ok"};

    (void)state;
    assert_int_equal(audit_text_priority(&record), LOG_NOTICE);
    record.action = "read";
    assert_int_equal(audit_text_priority(&record), LOG_INFO);
    record.result = "refused";
    assert_int_equal(audit_text_priority(&record), LOG_WARNING);
    record.result = "failed";
    assert_int_equal(audit_text_priority(&record), LOG_WARNING);
    record.result = NULL;
    assert_int_equal(audit_text_priority(&record), LOG_WARNING);
}

/* Every octet, in each text: the sentence and the line stay printable, and a line of their own. */
static void test_every_octet(void **state)
{
    char every[256];

    (void)state;
    for (unsigned i = 1; i < 256; i++)
        every[i - 1] = (char)i;
    every[255] = 0;
    for (unsigned i = 0; i < 2; i++) {
        const struct audit_record record = {.principal = every,
                .peer = every,
                .request = every,
                .action = every,
                .subject = every,
                .region = every,
                .mask = every,
                .old_value = every,
                .new_value = every,
                .result = every,
                .reason = every};
        struct buffer text = {0};
        char *written;

        (i ? audit_text_line : audit_text_sentence)(&text, &record);
        written = finish(&text);
        assert_true(strlen(written) > 10 * 255);
        for (const char *c = written; *c; c++)
            assert_true(*c >= 0x20 && *c < 0x7f);
        free(written);
    }
}

/* As systemd.io/JOURNAL_NATIVE_PROTOCOL has it. */
static void test_journal(void **state)
{
    const struct audit_record record = {.principal = "user:alice", .reason = "a\nPRIORITY=0\n"};
    static const char wanted[] = "MESSAGE_ID=" AUDIT_MESSAGE_ID "\nPRIORITY=4\nSYSLOG_IDENTIFIER=devregd\n"
                                 "MESSAGE=user:alice did something: failed: a\\x0aPRIORITY=0\\x0a\n"
                                 "DEVREG_PRINCIPAL\n\x0a\0\0\0\0\0\0\0user:alice\n"
                                 "DEVREG_REASON\n\x0d\0\0\0\0\0\0\0a\nPRIORITY=0\n\n";
    struct buffer datagram = {0};

    (void)state;
    audit_text_journal(&datagram, &record);
    assert_int_equal(datagram.size, sizeof(wanted) - 1);
    assert_memory_equal(datagram.data, wanted, datagram.size);
    buffer_done(&datagram);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sentence),
            cmocka_unit_test(test_line),
            cmocka_unit_test(test_priority),
            cmocka_unit_test(test_every_octet),
            cmocka_unit_test(test_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
