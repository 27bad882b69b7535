/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/routes.c: what must hold for every line of the table, and the listing that is made of it. */
#include "api_fixture.h"

#include <ctype.h>
#include <string.h>

#include "util/words.h"

static unsigned count_parameters(const char *path)
{
    unsigned count = 0;

    for (; *path; path++)
        count += *path == '{';
    return count;
}

static void test_table(void **state)
{
    (void)state;
    assert_true(route_count > 0);
    for (size_t i = 0; i < route_count; i++) {
        const struct route *route = &routes[i];

        test_that(words_have("GET PUT PATCH POST DELETE", route->method), "route %zu has the method %s", i,
                route->method);
        test_that(route->handler && route->arguments, "%s %s lacks something", route->method, route->path);
        test_that(route->summary && strlen(route->summary) > 5 &&
                          isupper((unsigned char)route->summary[0]) &&
                          route->summary[strlen(route->summary) - 1] != '.',
                "%s %s has no proper summary", route->method, route->path);
        test_that(strcmp(permission_name(route->permission), "") != 0, "%s %s has no permission",
                route->method, route->path);
        test_that(route->path[0] == '/' && route->path[strlen(route->path) - 1] != '/',
                "the path %s is malformed", route->path);
        test_that(count_parameters(route->path) <= CALL_PARAMETERS,
                "%s has more parameters than a call holds", route->path);
        for (size_t k = 0; k < i; k++)
            test_that(
                    strcmp(routes[k].method, route->method) != 0 || strcmp(routes[k].path, route->path) != 0,
                    "%s %s is there twice", route->method, route->path);
    }
}

/* Only what says nothing about the hardware is open, and whatever changes something needs the right to. */
static void test_permissions(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_count; i++) {
        const struct route *route = &routes[i];
        bool reads = strcmp(route->method, "GET") == 0;
        bool changes = route->permission == PERMISSION_WRITE || route->permission == PERMISSION_RESERVE ||
                       route->permission == PERMISSION_ADMIN || route->permission == PERMISSION_DMA;

        test_that(reads || changes, "%s %s does not need the right to change something", route->method,
                route->path);
        test_that(!reads || route->permission != PERMISSION_WRITE, "%s %s needs the right to write",
                route->method, route->path);
        test_that(route->permission != PERMISSION_NONE ||
                          words_have("/healthz /v1/whoami /v1/access/explain", route->path),
                "%s %s is open", route->method, route->path);
        test_that((reads || strcmp(route->method, "DELETE") == 0) == (route->body == BODY_NONE),
                "%s %s: a body", route->method, route->path);
    }
    assert_string_equal(permission_name(PERMISSION_NONE), "none");
    assert_string_equal(permission_name(PERMISSION_LIST), "list");
    assert_string_equal(permission_name(PERMISSION_READ), "read");
    assert_string_equal(permission_name(PERMISSION_WRITE), "write");
}

/* The design's table, so far as it is there. */
static void test_all_there(void **state)
{
    static const char *const expected[] = {"GET /healthz", "GET /v1", "GET /v1/whoami",
            "GET /v1/access/explain", "GET /v1/status", "GET /v1/devices", "GET /v1/devices/{device}",
            "POST /v1/devices/{device}/bind", "POST /v1/devices/{device}/unbind", "GET /v1/regions",
            "GET /v1/regions/{region}", "GET /v1/regions/{region}/registers/{register}",
            "PUT /v1/regions/{region}/registers/{register}",
            "PATCH /v1/regions/{region}/registers/{register}", "GET /v1/regions/{region}/data",
            "PUT /v1/regions/{region}/data", "GET /v1/interrupts", "GET /v1/interrupts/{source}",
            "POST /v1/interrupts/{source}/mask", "POST /v1/interrupts/{source}/unmask", "GET /v1/events",
            "GET /v1/tokens", "POST /v1/tokens", "DELETE /v1/tokens/{token}", "GET /v1/audit",
            "GET /v1/reservations", "POST /v1/reservations", "GET /v1/reservations/{id}",
            "PUT /v1/reservations/{id}", "DELETE /v1/reservations/{id}", "GET /v1/buffers",
            "POST /v1/buffers", "GET /v1/buffers/{id}", "PUT /v1/buffers/{id}", "DELETE /v1/buffers/{id}",
            "GET /v1/buffers/{id}/segments"};

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        bool found = false;

        for (size_t k = 0; k < route_count; k++) {
            size_t length = strlen(routes[k].method);

            found = found || (strncmp(expected[i], routes[k].method, length) == 0 &&
                                     strcmp(expected[i] + length + 1, routes[k].path) == 0);
        }
        test_that(found, "%s is missing", expected[i]);
    }
}

static void test_listing(void **state)
{
    struct api_fixture api;
    const json_t *list;

    (void)state;
    api_open(&api, true);
    list = json_object_get(api_request(&api, "GET", "/v1", "", "", NULL, 0)->json, "routes");
    assert_int_equal(json_array_size(list), route_count);
    for (size_t i = 0; i < route_count; i++) {
        const json_t *row = json_array_get(list, i);

        assert_string_equal(json_string_value(json_object_get(row, "method")), routes[i].method);
        assert_string_equal(json_string_value(json_object_get(row, "path")), routes[i].path);
        assert_string_equal(json_string_value(json_object_get(row, "permission")),
                permission_name(routes[i].permission));
        assert_string_equal(json_string_value(json_object_get(row, "summary")), routes[i].summary);
        assert_string_equal(json_string_value(json_object_get(row, "arguments")), routes[i].arguments);
    }
    api_close(&api);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_table),
            cmocka_unit_test(test_permissions),
            cmocka_unit_test(test_all_there),
            cmocka_unit_test(test_listing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
