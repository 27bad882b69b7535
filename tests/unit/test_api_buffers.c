/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/dma_buffers.c: what a client's going away leaves behind, and what is said of a buffer whose device
 * went. The rest is looked at from outside. */
#include "api_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "core/dma_buffers.h"
#include "util/cleanup.h"

#define LIST "/v1/buffers"
#define ONE  "/v1/buffers/{id}"

static const char wish[] = "{\"device\": \"edu\", \"size\": 4096, \"address_bits\": 28, \"seconds\": 7}";

static struct {
    struct api_fixture api;
    char id[DMA_BUFFER_ID_SIZE];
} fixture;

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    api_open(&fixture.api, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_close(&fixture.api);
    assert_null(fixture.api.daemon.accounts.first);
    return 0;
}

static struct device *edu(void)
{
    return &fixture.api.daemon.inventory->devices[0];
}

static uint64_t octets_in_use(void)
{
    struct dma_state state = {.total = UINT64_MAX};

    assert_true(dma_buffers_look(edu(), &state));
    return state.total;
}

static bool has_left(const struct call *call)
{
    (void)call;
    return true;
}

static void ignore_answer(struct call *call)
{
    (void)call;
}

/* A request to allocate that is under way. */
static struct call *begin(bool (*client_left)(const struct call *call))
{
    struct call *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    call->daemon = &fixture.api.daemon;
    for (size_t i = 0; i < route_count; i++) {
        if (routes[i].handler == dma_buffers_post)
            call->route = &routes[i];
    }
    call->answered_later = ignore_answer;
    call->client_left = client_left;
    call->principal = principal_new(&fixture.api.daemon.accounts, PRINCIPAL_ANONYMOUS, NULL);
    buffer_append(&call->body, wish, strlen(wish));
    call_run(call);
    assert_int_equal(call->status, 0);
    return call;
}

static void end(struct call *call)
{
    call_done(call);
    free(call);
}

static void wait_until_none_is_left(void)
{
    while (dma_buffers_count(&fixture.api.daemon) > 0)
        assert_true(sd_event_run(fixture.api.daemon.event, 10 * 1000 * 1000) > 0);
    assert_int_equal(octets_in_use(), 0);
}

static void test_client_that_left_has_no_buffer(void **state)
{
    struct call *call = begin(has_left);

    (void)state;
    while (call->status == 0)
        assert_true(sd_event_run(fixture.api.daemon.event, 10 * 1000 * 1000) > 0);
    assert_int_equal(call->status, 410);
    end(call);
    wait_until_none_is_left();
}

static void test_call_that_is_given_up_has_no_buffer(void **state)
{
    (void)state;
    end(begin(NULL));
    assert_int_equal(dma_buffers_count(&fixture.api.daemon), 1);
    wait_until_none_is_left();
}

static void allocate(void)
{
    const struct api_answer *answer = api_request(&fixture.api, "POST", LIST, "", "", wish, strlen(wish));

    assert_int_equal(answer->status, 201);
    snprintf(fixture.id, sizeof(fixture.id), "%s", json_string_value(json_object_get(answer->json, "id")));
}

static void test_device_that_went(void **state)
{
    (void)state;
    allocate();
    api_expect(&fixture.api, "GET", ONE, fixture.id, "", NULL, 200, "\"state\":\"live\"}");
    device_detach(edu(), "somebody pulled it");
    api_expect(&fixture.api, "GET", ONE, fixture.id, "", NULL, 200,
            "\"state\":\"lost\",\"reason\":\"its device edu was closed: somebody pulled it\"}");
    api_expect(&fixture.api, "GET", LIST, "", "", NULL, 200, fixture.id);
    api_expect(&fixture.api, "GET", ONE "/segments", fixture.id, "", NULL, 410, "somebody pulled it");
    api_expect(&fixture.api, "PUT", ONE, fixture.id, "", "{\"seconds\": 99}", 200, "\"expires_in\":99");
    dispatch_settle(fixture.api.daemon.dispatch, edu());
    api_expect(&fixture.api, "GET", ONE "/segments", fixture.id, "", NULL, 410, "somebody pulled it");
    api_expect(&fixture.api, "DELETE", ONE, fixture.id, "", NULL, 200, "\"state\":\"freed\"");
    api_expect(&fixture.api, "GET", ONE, fixture.id, "", NULL, 404, fixture.id);
}

static void test_nothing_is_begun_when_it_stops(void **state)
{
    (void)state;
    allocate();
    fixture.api.daemon.draining = true;
    api_expect(&fixture.api, "POST", LIST, "", "", wish, 503, "stopping");
    dispatch_cancel(edu());
    api_expect(&fixture.api, "DELETE", ONE, fixture.id, "", NULL, 200, "freed");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_client_that_left_has_no_buffer),
            TEST(test_call_that_is_given_up_has_no_buffer),
            TEST(test_device_that_went),
            TEST(test_nothing_is_begun_when_it_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
