/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/event_text.c: every kind of event to the octet, and the table of
 * texts. */
#include "test.h"

#include "api/event_text.h"
#include "core/interrupts.h"

#define ID   "id: 00000000000000ff-7\n"
#define TIME "\"time\":\"2026-11-22T07:00:00.123456789Z\""

static const uint64_t realtime_ns = UINT64_C(1795330800123456789);

static struct daemon daemon_here = {.identity = 0xff};
static struct device_description device_description = {.name = (char *)"card"};
static struct device device = {.description = &device_description};
static struct interrupt_description acknowledged = {.name = (char *)"card-3",
        .vector = 3,
        .acknowledged = true,
        .acknowledge = {.width = 4, .read = 0x24}};
static struct interrupt_description plain = {.name = (char *)"plain"};
static struct interrupt_source source = {.description = &acknowledged, .device = &device};
static struct interrupt_source plain_source = {.description = &plain, .device = &device};

static void expect(const struct event *event, const char *wanted)
{
    _cleanup_buffer_ struct buffer text = {0};
    struct event complete = *event;

    complete.sequence = 7;
    complete.realtime_ns = realtime_ns;
    event_text_write(&text, &daemon_here, &complete);
    buffer_append_char(&text, 0);
    assert_false(buffer_failed(&text));
    assert_string_equal(text.data, wanted);
}

static void test_interrupt(void **state)
{
    struct event event = {.kind = EVENT_INTERRUPT,
            .device = &device,
            .source = &source,
            .monotonic_ns = UINT64_MAX,
            .number = 12,
            .missed = 2,
            .has_value = true,
            .value = 0x1f,
            .masked = true};

    (void)state;
    expect(&event,
            ID "event: "
               "interrupt\ndata: "
               "{\"source\":\"card-3\",\"device\":\"card\",\"vector\":3,\"number\":12,\"missed\":2," TIME
               ",\"monotonic_ns\":\"18446744073709551615\",\"value\":\"0x0000001f\","
               "\"masked\":true}\n\n");
    event.has_value = event.masked = false;
    event.missed = UINT64_MAX; /* more than a JSON number holds */
    event.monotonic_ns = 1;
    expect(&event, ID
            "event: interrupt\ndata: {\"source\":\"card-3\",\"device\":\"card\",\"vector\":3,\"number\":12,"
            "\"missed\":9007199254740992," TIME
            ",\"monotonic_ns\":\"1\",\"value\":null,\"masked\":false}\n\n");
    event.has_value = true;
    event.missed = 0;
    event.source = &plain_source;
    expect(&event,
            ID "event: "
               "interrupt\ndata: "
               "{\"source\":\"plain\",\"device\":\"card\",\"vector\":0,\"number\":12,\"missed\":0," TIME
               ",\"monotonic_ns\":\"1\",\"value\":\"0x1f\",\"masked\":false}\n\n");
}

static void test_other_kinds(void **state)
{
    static const struct {
        enum event_kind kind;
        bool on;
        const char *text;
        const char *wanted;
    } rows[] = {
            {EVENT_MASK, true, "user:al\"ice",
                    ID "event: mask\ndata: {\"source\":\"card-3\",\"device\":\"card\",\"masked\":true,"
                       "\"by\":\"user:al\\\"ice\"," TIME "}\n\n"},
            {EVENT_STORM, false, NULL,
                    ID "event: storm\ndata: {\"source\":\"card-3\",\"device\":\"card\",\"storm\":false,"
                       "\"reason\":null," TIME "}\n\n"},
            {EVENT_DEVICE, false, "gone\n\ndata: {}",
                    ID "event: device\ndata: {\"device\":\"card\",\"present\":false,"
                       "\"reason\":\"gone\\n\\ndata: {}\"," TIME "}\n\n"},
            {EVENT_DRIVER, true, "devreg",
                    ID "event: driver\ndata: {\"device\":\"card\",\"driver\":\"devreg\"," TIME "}\n\n"},
            {EVENT_DRIVER, false, NULL,
                    ID "event: driver\ndata: {\"device\":\"card\",\"driver\":null," TIME "}\n\n"},
            {EVENT_RESET, false, "token:ci",
                    ID "event: reset\ndata: {\"device\":\"card\",\"by\":\"token:ci\"," TIME "}\n\n"},
            {EVENT_DAEMON, true, NULL,
                    ID "event: daemon\ndata: {\"daemon\":\"started\",\"version\":\"" DEVREG_VERSION
                       "\"," TIME "}\n\n"},
            {EVENT_DAEMON, false, NULL,
                    ID "event: daemon\ndata: {\"daemon\":\"stopping\",\"version\":\"" DEVREG_VERSION
                       "\"," TIME "}\n\n"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        expect(&(struct event){.kind = rows[i].kind,
                       .on = rows[i].on,
                       .device = &device,
                       .source = &source,
                       .text = (char *)rows[i].text},
                rows[i].wanted);
}

static void test_lost(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};
    uint64_t count = 5;

    (void)state;
    event_text_write_lost(&text, &daemon_here, 7, &count, "because");
    event_text_write_lost(&text, &daemon_here, 7, NULL, "because");
    buffer_append_char(&text, 0);
    assert_string_equal(text.data, ID "event: lost\ndata: {\"count\":5,\"reason\":\"because\"}\n\n" ID
                                      "event: lost\ndata: {\"count\":null,\"reason\":\"because\"}\n\n");
}

/* Whatever is there already is what comes again, and what takes its place is not mixed up with it. */
static void test_table(void **state)
{
    struct event_texts *texts = NULL;
    const struct buffer *text;

    (void)state;
    event_texts_free(NULL);
    assert_int_equal(event_texts_new(&daemon_here, &texts), 0);
    for (uint64_t sequence = 1; sequence < 5000; sequence += sequence % 3 ? 1 : 700) {
        struct event event = {.sequence = sequence, .kind = EVENT_DEVICE, .on = true, .device = &device};
        _cleanup_buffer_ struct buffer wanted = {0};

        event_text_write(&wanted, &daemon_here, &event);
        for (unsigned again = 0; again < 2; again++) {
            text = event_texts_get(texts, &event);
            assert_non_null(text);
            assert_int_equal(text->size, wanted.size);
            assert_memory_equal(text->data, wanted.data, wanted.size);
            event.on = false; /* it is not written again */
        }
    }
    event_texts_free(texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_interrupt),
            cmocka_unit_test(test_other_kinds),
            cmocka_unit_test(test_lost),
            cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
