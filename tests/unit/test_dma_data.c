/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/dma_data.c, api/dma_extent.c and api/dma_fill.c: octets of a buffer that may end between two pieces.
 */
#include "api_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/bus_guard.h"
#include "core/dma_buffers.h"
#include "util/cleanup.h"

#define DATA "/v1/buffers/{id}/data"

enum { SIZE = 1024 * 1024 };

static struct {
    struct api_fixture api;
    char id[DMA_BUFFER_ID_SIZE];
    unsigned answered_later;
} fixture;

static struct daemon *the_daemon(void)
{
    return &fixture.api.daemon;
}

static int set_up(void **state)
{
    static const char body[] = "{\"device\":\"edu\",\"kind\":\"scattered\",\"size\":1048576}";
    const struct api_answer *answer;

    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    api_open(&fixture.api, true);
    fixture.api.principal = principal_new(&the_daemon()->accounts, PRINCIPAL_USER, "alice");
    assert_non_null(fixture.api.principal);
    answer = api_request(&fixture.api, "POST", "/v1/buffers", "", "", body, strlen(body));
    test_that(answer->status == 201, "%s", answer->text);
    strcpy(fixture.id, json_string_value(json_object_get(answer->json, "id")));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    principal_unref(&the_daemon()->accounts, fixture.api.principal);
    api_close(&fixture.api);
    return 0;
}

static void answered_later(struct call *call)
{
    (void)call;
    fixture.answered_later++;
}

/* What the server would make of a request's head. */
struct request {
    struct call call;
    struct call_transfer transfer;
};

static struct call *begin(
        const char *method, const char *path, uint64_t body_size, const char *range, const char *body)
{
    struct request *request = calloc(1, sizeof(*request));
    struct call *call = &request->call;

    assert_non_null(request);
    call->daemon = the_daemon();
    for (size_t i = 0; i < route_count; i++) {
        if (strcmp(routes[i].method, method) == 0 && strcmp(routes[i].path, path) == 0)
            call->route = &routes[i];
    }
    assert_non_null(call->route);
    call->principal = principal_ref(fixture.api.principal);
    call->parameters[0] = fixture.id;
    call->answered_later = answered_later;
    call->transfer = &request->transfer;
    request->transfer.body_size = body_size;
    request->transfer.range = range;
    assert_int_equal(bus_guard_install(), 0);
    if (body)
        buffer_append_string(&call->body, body);
    if (call->route->body == BODY_STREAM)
        call_begin(call);
    else
        call_run(call);
    return call;
}

static void end(struct call *call)
{
    call_done(call);
    free(container_of(call, struct request, call));
}

static void expect(struct call *call, unsigned status, const char *text)
{
    buffer_append_char(&call->reply, 0);
    test_that(call->status == status && strstr(call->reply.data, text), "%u %s, expected %u with %s",
            call->status, call->reply.data, status, text);
}

/* As when it was unplugged; the simulated one is back at once. */
static void lose_device(void)
{
    struct device *device = inventory_find_device(the_daemon()->inventory, "edu");

    device->lost = true;
    dispatch_settle(the_daemon()->dispatch, device);
    assert_non_null(device->handle);
}

static void free_buffer(void)
{
    api_expect(&fixture.api, "DELETE", "/v1/buffers/{id}", fixture.id, "", NULL, 200, "freed");
}

static void test_put(void **state)
{
    struct call *call = begin("PUT", DATA, 5, "bytes 10-14/*", NULL);
    char octets[8];

    (void)state;
    assert_int_equal(call->status, 0);
    call_take(call, "ab", 2);
    call_take(call, "cde", 3);
    call_run(call);
    expect(call, 200, "{\"written\":5}");
    end(call);
    call = begin("GET", DATA, 0, "bytes=9-15", NULL);
    assert_int_equal(call->status, 206);
    assert_string_equal(call->transfer->content_range, "bytes 9-15/1048576");
    assert_int_equal(call->transfer->pieces->size, 7);
    assert_int_equal(call->transfer->pieces->give(call, octets, 7), 0);
    assert_memory_equal(octets, "\0abcde", 7);
    end(call);
}

static void test_lost_on_the_way(void **state)
{
    struct call *put = begin("PUT", DATA, SIZE, NULL, NULL), *get = begin("GET", DATA, 0, NULL, NULL);
    char octets[4];

    (void)state;
    call_take(put, "abc", 3);
    assert_int_equal(get->transfer->pieces->give(get, octets, 4), 0);
    assert_memory_equal(octets, "abc", 4);
    lose_device();
    call_take(put, "d", 1);
    expect(put, 410, "3 of 1048576 octets were written");
    assert_non_null(strstr(put->reply.data, "\"offset\":\"0x3\",\"done\":3"));
    assert_int_equal(get->transfer->pieces->give(get, octets, 4), -ENODEV);
    end(put);
    end(get);
}

static void test_freed_on_the_way(void **state)
{
    struct call *put = begin("PUT", DATA, SIZE, NULL, NULL), *get = begin("GET", DATA, 0, NULL, NULL);
    char octet;

    (void)state;
    call_take(put, "abc", 3);
    free_buffer();
    call_take(put, "d", 1);
    expect(put, 404, "has ended: 3 of 1048576 octets were written");
    assert_int_equal(get->transfer->pieces->give(get, &octet, 1), -ENODEV);
    end(put);
    end(get);
}

/* The same for all that begins then. */
static void test_lost_before(void **state)
{
    static const struct {
        const char *method, *path, *body;
    } rows[] = {
            {"GET", DATA, NULL},
            {"PUT", DATA, NULL},
            {"POST", "/v1/buffers/{id}/fill", "{\"value\":1}"},
            {"POST", "/v1/buffers/{id}/sync", "{\"for\":\"cpu\"}"},
    };

    (void)state;
    lose_device();
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct call *call = begin(rows[i].method, rows[i].path, 1, NULL, rows[i].body);

        expect(call, 410, "is lost");
        end(call);
    }
}

static char octet_at(size_t offset)
{
    struct dma_transfer transfer = {0};
    char octet = 0;

    assert_int_equal(dma_transfer_begin(&transfer, dma_buffers_first(the_daemon()), NULL), 0);
    assert_int_equal(dma_transfer_read(&transfer, offset, &octet, 1), 0);
    dma_transfer_end(&transfer);
    return octet;
}

static struct call *begin_fill(void)
{
    struct call *call =
            begin("POST", "/v1/buffers/{id}/fill", 0, NULL, "{\"value\":\"0x4142\",\"width\":16}");

    /* One piece is done at once, the others in rounds of the loop. */
    assert_int_equal(call->status, 0);
    assert_int_equal(octet_at(CALL_PIECE_BYTES - 2), 'B');
    assert_int_equal(octet_at(CALL_PIECE_BYTES - 1), 'A');
    assert_int_equal(octet_at(CALL_PIECE_BYTES), 0);
    return call;
}

static void test_fill(void **state)
{
    struct call *call = begin_fill();
    unsigned rounds = 0;

    (void)state;
    for (; call->status == 0; rounds++)
        assert_true(sd_event_run(the_daemon()->event, 1000000) > 0);
    test_that(rounds >= SIZE / CALL_PIECE_BYTES - 1, "it took %u rounds", rounds);
    assert_int_equal(fixture.answered_later, 1);
    expect(call, 200, "{\"written\":1048576}");
    assert_int_equal(octet_at(SIZE - 1), 'A');
    end(call);
}

static void test_lost_while_filled(void **state)
{
    struct call *call = begin_fill();

    (void)state;
    lose_device();
    /* That the worker has closed it may come first. */
    while (call->status == 0)
        assert_true(sd_event_run(the_daemon()->event, 1000000) > 0);
    expect(call, 410, "262144 of 1048576 octets were written");
    end(call);
}

/* As when the daemon stops. */
static void test_call_over_while_filled(void **state)
{
    struct call *call = begin_fill();

    (void)state;
    end(call);
    assert_int_equal(sd_event_run(the_daemon()->event, 1000), 0);
    assert_int_equal(octet_at(CALL_PIECE_BYTES), 0);
    call = begin("POST", "/v1/buffers/{id}/sync", 0, NULL, "{\"for\":\"device\"}");
    end(call);
    while (sd_event_run(the_daemon()->event, 100000) > 0)
        ;
    assert_int_equal(fixture.answered_later, 0);
}

/* A reader costs a piece, of the same budget as every raw transfer. */
static void test_budget(void **state)
{
    struct call *call = begin("GET", DATA, 0, NULL, NULL);

    (void)state;
    assert_int_equal(the_daemon()->data_bytes_in_use, CALL_PIECE_BYTES);
    end(call);
    call = begin("GET", DATA, 0, "bytes=0-9", NULL);
    assert_int_equal(the_daemon()->data_bytes_in_use, 10);
    end(call);
    assert_int_equal(the_daemon()->data_bytes_in_use, 0);
    the_daemon()->limits.data_principal_bytes = CALL_PIECE_BYTES - 1;
    call = begin("GET", DATA, 0, NULL, NULL);
    expect(call, 429, "too much raw data");
    end(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_put, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_on_the_way, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_freed_on_the_way, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_before, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fill, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_lost_while_filled, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_call_over_while_filled, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
