/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/router.c, on the real table. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/router.h"
#include "util/cleanup.h"

static int find(const char *method, const char *target, struct call *call, char allow[ROUTER_ALLOW_SIZE],
        struct error *error)
{
    static char text[256]; /* what the call points into */
    struct uri uri;

    snprintf(text, sizeof(text), "%s", target);
    test_that(uri_parse(text, &uri, error) == 0, "%s: %s", target, error->message);
    *call = (struct call){0};
    return router_find(method, &uri, call, allow, error);
}

/* Every line of the table is found by a path that fits it, and by no other method. */
static void test_every_route(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_count; i++) {
        char target[256] = "", allow[ROUTER_ALLOW_SIZE];
        struct error error = {0};
        struct call call;
        size_t used = 0, parameters = 0;

        for (const char *c = routes[i].path; *c; c++) {
            if (*c == '{') {
                c += strcspn(c, "}");
                used += (size_t)snprintf(target + used, sizeof(target) - used, "p%zu", parameters++);
            } else {
                target[used++] = *c;
                target[used] = 0;
            }
        }
        test_that(find(routes[i].method, target, &call, allow, &error) == 0, "%s %s: %s", routes[i].method,
                target, error.message);
        test_that(call.route == &routes[i], "%s %s went to %s", routes[i].method, target, call.route->path);
        for (size_t k = 0; k < parameters; k++) {
            char expected[8];

            snprintf(expected, sizeof(expected), "p%zu", k);
            assert_string_equal(call.parameters[k], expected);
        }
        check_error(find("BREW", target, &call, allow, &error), -ENOSYS, &error, "does not take BREW");
        test_that(strstr(allow, routes[i].method), "%s is not in '%s'", routes[i].method, allow);
        assert_int_equal(find(routes[i].method, strcat(target, "/x/y/z"), &call, allow, &error), -ENOENT);
        assert_string_equal(allow, "");
    }
}

static void test_not_found(void **state)
{
    static const char *const targets[] = {"/", "/v", "/v2", "/v11", "/v1/region", "/v1/regionsx",
            "/v1/regions/a/b", "/v1/regions/a/registers", "/v1/regions/a/dat", "/v1/regions/a/datas",
            "/v1/regions/a/registers/0x0/x", "/healthz/x", "/V1", "/v1/{region}", "/regions",
            "/v1/%7Bregion%7D"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(targets); i++) {
        char allow[ROUTER_ALLOW_SIZE];
        struct error error = {0};
        struct call call;

        check_error(find("GET", targets[i], &call, allow, &error), -ENOENT, &error, "no such path");
        assert_string_equal(allow, "");
        assert_null(call.route);
    }
}

static void test_allow(void **state)
{
    static const struct {
        const char *target, *allow;
    } rows[] = {
            {"/v1/status", "GET"},
            {"/v1/regions/edu/registers/0x0", "GET, PUT, PATCH"},
            {"/v1/regions/edu/data", "GET, PUT"},
    };
    static const char *const methods[] = {
            "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "PU", "PUTT"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        for (size_t k = 0; k < ELEMENTS(methods); k++) {
            char allow[ROUTER_ALLOW_SIZE];
            struct error error = {0};
            struct call call;

            check_error(
                    find(methods[k], rows[i].target, &call, allow, &error), -ENOSYS, &error, rows[i].allow);
            assert_string_equal(allow, rows[i].allow);
        }
    }
}

static void test_arguments(void **state)
{
    char allow[ROUTER_ALLOW_SIZE];
    struct error error = {0};
    struct call call;

    (void)state;
    assert_int_equal(
            find("GET", "/v1/regions/a%20b/registers/0x10?width=8&count=2", &call, allow, &error), 0);
    assert_string_equal(call.parameters[0], "a b");
    assert_string_equal(call.parameters[1], "0x10");
    assert_int_equal(call.argument_count, 2);
    assert_string_equal(call.arguments[1].name, "count");
    assert_string_equal(call.arguments[1].value, "2");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_every_route),
            cmocka_unit_test(test_not_found),
            cmocka_unit_test(test_allow),
            cmocka_unit_test(test_arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
