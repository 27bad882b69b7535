/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See api_fixture.h. Calls are made from the heap, so that what a handler keeps of a call that is over
 * shows. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/event_text.h"
#include "backends/bus_guard.h"
#include "core/dma_buffers.h"
#include "core/events.h"
#include "core/interrupts.h"
#include "core/streams.h"
#include "util/cleanup.h"
#include "util/clock.h"

static struct api_answer answer;

static struct access_subject everybody = {.kind = SUBJECT_EVERYBODY};
static struct access_rule allow_all = {
        .name = (char *)"all", .subjects = &everybody, .subject_count = 1, .permissions = PERMISSIONS_ALL};

/* Until a test has other rules, everybody may do everything. */
static const struct access_rules allow_all_rules = {&allow_all, 1};

/* One that is not acknowledged; nothing raises it unless a test does. */
static struct interrupt_description odd_interrupt = {.name = (char *)"odd"};

static void ignore_presence(struct device *device, void *context)
{
    (void)device;
    (void)context;
}

void api_open(struct api_fixture *fixture, bool with_ram_file)
{
    static const struct dispatch_limits limits = {16, UINT64_C(60) * 1000000};
    static const char *const names[API_DEVICES] = {"edu", "odd", "ram"};
    struct error error = {0};

    memset(fixture, 0, sizeof(*fixture));
    fixture->directory = test_directory_new();
    snprintf(fixture->ram_path, sizeof(fixture->ram_path), "%s/memory", fixture->directory);
    if (with_ram_file) {
        test_write_text(fixture->ram_path, "");
        assert_int_equal(truncate(fixture->ram_path, API_RAM_SIZE), 0);
    }
    for (size_t i = 0; i < API_DEVICES; i++) {
        fixture->regions[i].name = (char *)names[i];
        fixture->devices[i] = (struct device_description){.name = (char *)names[i],
                .model = (char *)names[i],
                .keys = KEY_MODEL,
                .regions = &fixture->regions[i],
                .region_count = 1};
    }
    fixture->devices[1].interrupts = &odd_interrupt;
    fixture->devices[1].interrupt_count = 1;
    fixture->devices[2].path = fixture->ram_path;
    fixture->devices[2].keys |= KEY_PATH;
    fixture->regions[2].size = API_RAM_SIZE;
    fixture->regions[2].keys = KEY_SIZE;
    fixture->daemon.limits = limits_default;
    fixture->daemon.access = &allow_all_rules;
    fixture->daemon.started_us = clock_now_us();
    assert_true(sd_event_new(&fixture->daemon.event) >= 0);
    assert_int_equal(
            dispatch_new(fixture->daemon.event, &limits, ignore_presence, NULL, &fixture->daemon.dispatch),
            0);
    test_that(inventory_new(fixture->devices, API_DEVICES, &fixture->daemon.inventory, &error) == 0, "%s",
            error.message);
    assert_int_equal(events_new(fixture->daemon.event, API_EVENTS, &fixture->daemon.events), 0);
    assert_int_equal(event_texts_new(&fixture->daemon, &fixture->daemon.event_texts), 0);
    assert_int_equal(streams_new(&fixture->daemon, &fixture->daemon.streams), 0);
    test_that(
            interrupts_new(&fixture->daemon, &fixture->daemon.interrupts, &error) == 0, "%s", error.message);
    assert_int_equal(dma_buffers_new(&fixture->daemon, &fixture->daemon.dma_buffers), 0);
    /* As at the start of the daemon: what is not there then is absent. */
    for (size_t i = 0; i < API_DEVICES; i++)
        dispatch_settle(fixture->daemon.dispatch, &fixture->daemon.inventory->devices[i]);
}

static void forget_answer(void)
{
    free(answer.text);
    json_decref(answer.json);
    answer = (struct api_answer){0};
}

void api_close(struct api_fixture *fixture)
{
    struct inventory *inventory = fixture->daemon.inventory;

    for (size_t i = 0; i < inventory->device_count; i++)
        assert_true(dispatch_stop(&inventory->devices[i], 60000));
    test_that(fixture->daemon.data_bytes_in_use == 0, "%llu octets of the budget were not given back",
            (unsigned long long)fixture->daemon.data_bytes_in_use);
    assert_int_equal(streams_count(fixture->daemon.streams), 0);
    dma_buffers_free(fixture->daemon.dma_buffers);
    streams_free(fixture->daemon.streams);
    event_texts_free(fixture->daemon.event_texts);
    interrupts_free(fixture->daemon.interrupts);
    dispatch_free(fixture->daemon.dispatch);
    inventory_free(inventory);
    events_free(fixture->daemon.events);
    sd_event_unref(fixture->daemon.event);
    test_directory_remove(fixture->directory);
    forget_answer();
}

static const struct route *find_route(const char *method, const char *path)
{
    for (size_t i = 0; i < route_count; i++) {
        if (strcmp(routes[i].method, method) == 0 && strcmp(routes[i].path, path) == 0)
            return &routes[i];
    }
    fail_msg("there is no route %s %s", method, path);
    return NULL;
}

/* Splits in place; every piece ends with one of the separators. */
static char *next_word(char **text, const char *separators)
{
    char *word = strsep(text, separators);

    return word && !*word ? NULL : word;
}

static void note_answer(struct call *call)
{
    (void)call;
}

const struct api_answer *api_request(struct api_fixture *fixture, const char *method, const char *path,
        const char *parameters, const char *query, const void *body, size_t body_size)
{
    _cleanup_free_ char *words = strdup(parameters);
    _cleanup_free_ char *arguments = strdup(query);
    struct call *call = calloc(1, sizeof(*call));
    char *rest = words, *word;

    forget_answer();
    /* In each request: cmocka puts its own handler there before each test. */
    assert_int_equal(bus_guard_install(), 0);
    call->daemon = &fixture->daemon;
    call->route = find_route(method, path);
    call->answered_later = note_answer;
    call->principal = fixture->principal
                              ? principal_ref(fixture->principal)
                              : principal_new(&fixture->daemon.accounts, PRINCIPAL_ANONYMOUS, NULL);
    assert_non_null(call->principal);
    for (size_t i = 0; i < CALL_PARAMETERS && (word = next_word(&rest, " ")); i++)
        call->parameters[i] = word;
    rest = arguments;
    while ((word = next_word(&rest, "&"))) {
        char *value = strchr(word, '=');

        assert_non_null(value);
        *value++ = 0;
        call->arguments[call->argument_count++] = (struct call_argument){word, value};
    }
    buffer_append(&call->body, body, body_size);
    call_run(call);
    while (call->status == 0)
        assert_true(sd_event_run(fixture->daemon.event, 10 * 1000 * 1000) > 0);
    answer.status = call->status;
    snprintf(answer.content_type, sizeof(answer.content_type), "%s", call->content_type);
    buffer_append_char(&call->reply, 0);
    answer.text = buffer_take(&call->reply, &answer.size);
    answer.size--;
    answer.json = json_loadb(answer.text, answer.size, JSON_REJECT_DUPLICATES, NULL);
    call_done(call);
    free(call);
    return &answer;
}
