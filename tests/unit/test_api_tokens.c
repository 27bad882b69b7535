/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/tokens.c: tokens over the API. */
#include "api_fixture.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

enum { LIMIT = 40 };

static struct api_fixture api;
static int save_result;

static int save(void *context, struct error *error)
{
    (void)context;
    return save_result < 0 ? error_set(error, save_result, "the disk is full: nothing was changed") : 0;
}

static const struct reservation_limits reservation_limits = {8, 8, RESERVATION_UNCLAIMED_US};
static const struct reservation_callbacks callbacks;

static int set_up(void **state)
{
    (void)state;
    save_result = 0;
    api_open(&api, true);
    assert_int_equal(tokens_new(&api.daemon.accounts, LIMIT, save, NULL, &api.daemon.tokens), 0);
    assert_int_equal(reservations_new(api.daemon.event, &api.daemon.accounts, &reservation_limits,
                             &callbacks, &api.daemon.reservations),
            0);
    api.principal = principal_new(&api.daemon.accounts, PRINCIPAL_USER, "alice");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    principal_unref(&api.daemon.accounts, take_ptr(api.principal));
    tokens_free(api.daemon.tokens);
    reservations_free(api.daemon.reservations);
    assert_null(api.daemon.accounts.first);
    api_close(&api);
    return 0;
}

static const struct api_answer *post(const char *body)
{
    return api_request(&api, "POST", "/v1/tokens", "", "", body, strlen(body));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static int authenticate(const char *secret, struct principal **ret_principal)
{
    struct error error;

    return tokens_authenticate(api.daemon.tokens, secret, ret_principal, &error);
}

static void test_create(void **state)
{
    const struct api_answer *answer = post("{\"name\":\"ci\"}");
    struct principal *principal;
    json_t *facts;

    (void)state;
    assert_int_equal(answer->status, 201);
    assert_string_equal(answer->content_type, "application/json");
    assert_string_equal(text_of(answer->json, "name"), "ci");
    assert_int_equal(json_array_size(json_object_get(answer->json, "permissions")), 7);
    assert_true(json_is_null(json_object_get(answer->json, "regions")));
    assert_true(json_is_null(json_object_get(answer->json, "expires")));
    assert_true(json_is_false(json_object_get(answer->json, "expired")));
    assert_int_equal(strlen(text_of(answer->json, "created")), 20);
    assert_string_equal(text_of(answer->json, "created_by"), "user:alice");
    assert_int_equal(authenticate(text_of(answer->json, "token"), &principal), 0);
    assert_string_equal(principal->name, "token:ci");

    facts = json_deep_copy(answer->json);
    json_object_del(facts, "token");
    answer = api_request(&api, "GET", "/v1/tokens", "", "", NULL, 0);
    assert_int_equal(answer->status, 200);
    assert_true(json_equal(json_array_get(json_object_get(answer->json, "tokens"), 0), facts));
    assert_int_equal(json_array_size(json_object_get(answer->json, "tokens")), 1);
    assert_null(strstr(answer->text, "devreg_"));
    json_decref(facts);
}

static void test_create_narrow(void **state)
{
    const struct api_answer *answer = post("{\"name\":\"ci\",\"permissions\":[\"read\",\"list\",\"read\"],"
                                           "\"regions\":[\"edu*\",\"a\\\"b\"],\"seconds\":86400}");
    struct principal *principal;

    (void)state;
    assert_int_equal(answer->status, 201);
    assert_int_equal(authenticate(text_of(answer->json, "token"), &principal), 0);
    assert_int_equal(principal->scope, permission_bit(PERMISSION_READ) | permission_bit(PERMISSION_LIST));
    assert_string_equal(principal->scope_regions[0], "edu*");
    assert_string_equal(principal->scope_regions[1], "a\"b");
    assert_null(principal->scope_regions[2]);
    assert_int_equal(principal->expires, tokens_at(api.daemon.tokens, 0)->created + 86400);
    assert_int_equal(strlen(text_of(answer->json, "expires")), 20);
    assert_non_null(
            strstr(answer->text, "\"permissions\":[\"list\",\"read\"],\"regions\":[\"edu*\",\"a\\\"b\"]"));
}

static void test_refused(void **state)
{
    static const struct {
        const char *body, *message;
    } rows[] = {
            {"", "empty"},
            {"[]", "not a JSON object"},
            {"{}", "name"},
            {"{\"name\":5}", "name"},
            {"{\"name\":\"\"}", "no name for a token"},
            {"{\"name\":\"a b\"}", "no name for a token"},
            {"{\"name\":\"*\"}", "no name for a token"},
            {"{\"name\":\"a\\nb\"}", "no name for a token"},
            {"{\"name\":\"a\",\"x\":1}", "unknown key"},
            {"{\"name\":\"a\",\"permissions\":[]}", "permissions"},
            {"{\"name\":\"a\",\"permissions\":null}", "permissions"},
            {"{\"name\":\"a\",\"permissions\":\"read\"}", "permissions"},
            {"{\"name\":\"a\",\"permissions\":[\"none\"]}", "'none'"},
            {"{\"name\":\"a\",\"permissions\":[\"read\",1]}", "no string"},
            {"{\"name\":\"a\",\"regions\":[]}", "regions"},
            {"{\"name\":\"a\",\"regions\":null}", "regions"},
            {"{\"name\":\"a\",\"regions\":\"edu\"}", "regions"},
            {"{\"name\":\"a\",\"regions\":[1]}", "regions"},
            {"{\"name\":\"a\",\"regions\":[\"\"]}", "no pattern"},
            {"{\"name\":\"a\",\"regions\":[\"a b\"]}", "no pattern"},
            {"{\"name\":\"a\",\"seconds\":0}", "seconds"},
            {"{\"name\":\"a\",\"seconds\":-1}", "seconds"},
            {"{\"name\":\"a\",\"seconds\":1.5}", "seconds"},
            {"{\"name\":\"a\",\"seconds\":\"60\"}", "seconds"},
            {"{\"name\":\"a\",\"seconds\":null}", "seconds"},
            {"{\"name\":\"a\",\"seconds\":316224001}", "seconds"},
            {"{\"name\":\"a\",\"seconds\":9223372036854775807}", "seconds"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        api_expect(&api, "POST", "/v1/tokens", "", "", rows[i].body, 400, rows[i].message);
    assert_int_equal(tokens_count(api.daemon.tokens), 0);
    assert_int_equal(post("{\"name\":\"a\",\"seconds\":316224000}")->status, 201);
    assert_int_equal(post("{\"name\":\"b\",\"seconds\":1}")->status, 201);
    assert_int_equal(post("{\"name\":\"c\",\"permissions\":[\"all\"]}")->status, 201);
    api_expect(&api, "POST", "/v1/tokens", "", "", "{\"name\":\"a\"}", 409, "already");
}

static void test_limit(void **state)
{
    char body[64];

    (void)state;
    for (unsigned i = 0; i < LIMIT; i++) {
        snprintf(body, sizeof(body), "{\"name\":\"t%02u\"}", i);
        assert_int_equal(post(body)->status, 201);
    }
    api_expect(&api, "POST", "/v1/tokens", "", "", "{\"name\":\"more\"}", 429, "limit");
}

static void test_delete(void **state)
{
    char secret[TOKEN_SECRET_SIZE];
    struct principal *principal;

    (void)state;
    snprintf(secret, sizeof(secret), "%s", text_of(post("{\"name\":\"ci\"}")->json, "token"));
    assert_int_equal(authenticate(secret, &principal), 0);
    api_expect(&api, "DELETE", "/v1/tokens/{token}", "c", "", NULL, 404, "no token 'c'");
    api_expect(&api, "DELETE", "/v1/tokens/{token}", "ci", "", NULL, 200, "{\"name\":\"ci\"}\n");
    assert_int_equal(authenticate(secret, &principal), -EKEYREJECTED);
    api_expect(&api, "DELETE", "/v1/tokens/{token}", "ci", "", NULL, 404, "no token 'ci'");
    api_expect(&api, "GET", "/v1/tokens", "", "", NULL, 200, "{\"tokens\":[]}\n");
}

static void test_not_saved(void **state)
{
    (void)state;
    assert_int_equal(post("{\"name\":\"ci\"}")->status, 201);
    save_result = -EIO;
    api_expect(&api, "POST", "/v1/tokens", "", "", "{\"name\":\"b\"}", 500, "the disk is full");
    api_expect(&api, "DELETE", "/v1/tokens/{token}", "ci", "", NULL, 500, "is revoked, but would be back");
    assert_int_equal(tokens_count(api.daemon.tokens), 0);
}

/* The longest answer that has a secret fits what was reserved for it. */
static void test_longest(void **state)
{
    char body[8192], glob[TOKEN_REGION_SIZE], name[PRINCIPAL_SHORT_NAME + 1];
    size_t used;

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    memset(glob, '\\', sizeof(glob) - 1); /* each takes two */
    glob[sizeof(glob) - 1] = 0;
    used = (size_t)snprintf(body, sizeof(body), "{\"name\":\"%s\",\"regions\":[", name);
    for (unsigned i = 0; i < TOKEN_REGIONS; i++) {
        body[used++] = i ? ',' : ' ';
        body[used++] = '"';
        memset(body + used, '\\', 2 * (TOKEN_REGION_SIZE - 1));
        used += 2 * (TOKEN_REGION_SIZE - 1);
        body[used++] = '"';
    }
    strcpy(body + used, "]}");
    assert_int_equal(post(body)->status, 201);
    assert_true(
            api_request(&api, "GET", "/v1/tokens", "", "", NULL, 0)->size + TOKEN_SECRET_SIZE + 16 < 8192);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            TEST(test_create),
            TEST(test_create_narrow),
            TEST(test_refused),
            TEST(test_limit),
            TEST(test_delete),
            TEST(test_not_saved),
            TEST(test_longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
