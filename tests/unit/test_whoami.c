/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/whoami.c and api/extent.c: who somebody is, and what that allows where. */
#include "api_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static struct api_fixture api;

static int set_up(void **state)
{
    (void)state;
    api_open(&api, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    principal_unref(&api.daemon.accounts, take_ptr(api.principal));
    api_close(&api);
    return 0;
}

static void ask_as(enum principal_kind kind, const char *name)
{
    principal_unref(&api.daemon.accounts, api.principal);
    api.principal = principal_new(&api.daemon.accounts, kind, name);
    assert_non_null(api.principal);
}

static void expect(const char *text)
{
    api_expect(&api, "GET", "/v1/whoami", "", "", NULL, 200, text);
}

#define EVERYTHING "[\"list\",\"read\",\"write\",\"interrupt\",\"dma\",\"reserve\",\"admin\"]"

static void test_anonymous(void **state)
{
    (void)state;
    expect("{\"principal\":\"anonymous\",\"kind\":\"anonymous\",\"peer\":null,\"groups\":[],\"expires\":"
           "null,\"permissions\":" EVERYTHING ",\"regions\":[");
    expect("{\"region\":\"edu\",\"permissions\":" EVERYTHING ",\"restricted\":[]}");
}

static void test_nobody(void **state)
{
    static const struct access_rules none = {0};

    (void)state;
    api.daemon.access = &none;
    expect("\"permissions\":[],\"regions\":[]}");
}

static void test_rules(void **state)
{
    static char *edu[] = {(char *)"edu", NULL}, *odd[] = {(char *)"odd", NULL};
    struct access_subject who[] = {{.kind = SUBJECT_USER, .pattern = (char *)"alice"},
            {.kind = SUBJECT_GROUP, .pattern = (char *)"lab", .has_id = true, .id = 4242}};
    struct access_range range = {0x80, 0x83}, other = {0x84, 0x87};
    struct access_rule rows[] = {
            {.name = (char *)"a",
                    .subjects = who,
                    .subject_count = 1,
                    .permissions = 1 << PERMISSION_LIST | 1 << PERMISSION_READ | 1 << PERMISSION_WRITE,
                    .regions = edu},
            {.name = (char *)"b",
                    .deny = true,
                    .subjects = who,
                    .subject_count = 1,
                    .permissions = 1 << PERMISSION_WRITE | 1 << PERMISSION_LIST,
                    .ranges = &range,
                    .range_count = 1},
            {.name = (char *)"c",
                    .subjects = &who[1],
                    .subject_count = 1,
                    .permissions = 1 << PERMISSION_WRITE,
                    .regions = odd,
                    .ranges = &other,
                    .range_count = 1,
                    .has_mask = true,
                    .mask = 1},
    };
    const struct access_rules rules = {rows, ELEMENTS(rows)};

    (void)state;
    api.daemon.access = &rules;
    ask_as(PRINCIPAL_USER, "alice");
    api.principal->groups = calloc(2, sizeof(gid_t));
    assert_non_null(api.principal->groups);
    api.principal->groups[0] = 4242;
    api.principal->groups[1] = 4343;
    api.principal->group_count = 2;
    expect("{\"principal\":\"user:alice\",\"kind\":\"user\",\"peer\":null,\"groups\":[\"lab\",\"4343\"],"
           "\"expires\":null,\"permissions\":[\"list\",\"read\",\"write\"],\"regions\":["
           "{\"region\":\"edu\",\"permissions\":[\"list\",\"read\",\"write\"],\"restricted\":[\"write\"]},"
           "{\"region\":\"odd\",\"permissions\":[\"write\"],\"restricted\":[\"write\"]}]}");
}

/* An administrator of one region administers something. */
static void test_admin_of_a_region(void **state)
{
    static char *odd[] = {(char *)"odd", NULL};
    struct access_subject who = {.kind = SUBJECT_EVERYBODY};
    struct access_rule row = {.name = (char *)"a",
            .subjects = &who,
            .subject_count = 1,
            .permissions = 1 << PERMISSION_ADMIN,
            .regions = odd};
    const struct access_rules rules = {&row, 1};

    (void)state;
    api.daemon.access = &rules;
    expect("\"permissions\":[\"admin\"],\"regions\":[{\"region\":\"odd\",\"permissions\":[\"admin\"],"
           "\"restricted\":[]}]}");
}

static void test_token(void **state)
{
    (void)state;
    ask_as(PRINCIPAL_TOKEN, "ci");
    api.principal->scope = 1 << PERMISSION_READ;
    api.principal->scope_regions = calloc(2, sizeof(char *));
    assert_non_null(api.principal->scope_regions);
    api.principal->scope_regions[0] = strdup("r*");
    api.principal->expires = 1796083200;
    expect("{\"principal\":\"token:ci\",\"kind\":\"token\",\"peer\":null,\"groups\":[],"
           "\"expires\":\"2026-12-01T00:00:00Z\",\"permissions\":[\"read\"],\"regions\":["
           "{\"region\":\"ram\",\"permissions\":[\"read\"],\"restricted\":[]}]}");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_anonymous, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_nobody, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_rules, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_admin_of_a_region, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
