/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/access.c and api/principals.c: why somebody may do something, or not. */
#include "api_fixture.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "api/principals.h"
#include "util/cleanup.h"

static struct api_fixture api;

static char *edu[] = {(char *)"edu", NULL};
static struct access_subject users = {.kind = SUBJECT_USER, .pattern = (char *)"*"};
static struct access_subject anonymous = {.kind = SUBJECT_ANONYMOUS};
static struct access_subject root = {.kind = SUBJECT_USER, .has_id = true, .id = 0};
static struct access_range dma = {0x80, 0x9f}, bits = {0x20, 0x23};
static uint64_t values[] = {0, 0x80};
static struct access_rule rows[] = {
        {.name = (char *)"lab",
                .subjects = &users,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_LIST | 1 << PERMISSION_READ | 1 << PERMISSION_WRITE,
                .regions = edu},
        {.name = (char *)"no-dma",
                .deny = true,
                .subjects = &users,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_WRITE,
                .ranges = &dma,
                .range_count = 1},
        {.name = (char *)"look",
                .subjects = &anonymous,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_LIST | 1 << PERMISSION_READ},
        {.name = (char *)"bits",
                .subjects = &anonymous,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_WRITE,
                .regions = edu,
                .ranges = &bits,
                .range_count = 1,
                .has_mask = true,
                .mask = 0x80,
                .values = values,
                .value_count = 2},
        {.name = (char *)"admin", .subjects = &root, .subject_count = 1, .permissions = PERMISSIONS_ALL},
};
static const struct access_rules rules = {rows, ELEMENTS(rows)};

static int set_up(void **state)
{
    (void)state;
    api_open(&api, true);
    api.daemon.access = &rules;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    principal_unref(&api.daemon.accounts, take_ptr(api.principal));
    assert_null(api.daemon.accounts.first);
    api_close(&api);
    return 0;
}

static void ask_as(const char *name, uid_t uid)
{
    principal_unref(&api.daemon.accounts, api.principal);
    api.principal = principal_new(&api.daemon.accounts, PRINCIPAL_USER, name);
    assert_non_null(api.principal);
    api.principal->uid = uid;
}

static void expect(const char *query, unsigned status, const char *text)
{
    api_expect(&api, "GET", "/v1/access/explain", "", query, NULL, status, text);
}

static void test_oneself(void **state)
{
    (void)state;
    ask_as("bob", 1000);
    expect("region=edu&offset=0x80&permission=write", 200,
            "{\"principal\":\"user:bob\",\"region\":\"edu\",\"offset\":\"0x80\",\"width\":32,\"decisions\":["
            "{\"permission\":\"write\",\"allowed\":false,\"rule\":\"no-dma\","
            "\"why\":\"user:bob may not write edu:0x80: the access rule no-dma denies it\"}],\"rules\":["
            "{\"rule\":\"lab\",\"applies\":true,\"why\":\"allows list, read, write\"},"
            "{\"rule\":\"no-dma\",\"applies\":true,\"why\":\"denies write of 0x80-0x9f\"}]}");
    expect("principal=user:bob&region=edu&offset=0x7c&permission=write&width=32", 200,
            "\"decisions\":[{\"permission\":\"write\",\"allowed\":true,\"rule\":\"lab\","
            "\"why\":\"user:bob may write edu: the access rule lab allows it\"}],\"rules\":["
            "{\"rule\":\"lab\",\"applies\":true,\"why\":\"allows list, read, write\"},"
            "{\"rule\":\"no-dma\",\"applies\":false,\"why\":\"is for other octets of the region\"}]}");
    expect("region=edu&offset=0x78&permission=write&width=64", 200, "\"allowed\":true");
    expect("region=odd&permission=read", 200,
            "\"region\":\"odd\",\"decisions\":[{\"permission\":\"read\",\"allowed\":false,\"rule\":null,"
            "\"why\":\"no access rule lets user:bob read odd\"}],\"rules\":["
            "{\"rule\":\"lab\",\"applies\":false,\"why\":\"is for other regions\"},"
            "{\"rule\":\"no-dma\",\"applies\":false,\"why\":\"is about other permissions\"}]}");
}

static void test_whole_region(void **state)
{
    (void)state;
    ask_as("bob", 1000);
    expect("region=edu&permission=write", 200,
            "[{\"permission\":\"write\",\"allowed\":false,\"partly\":true,\"rule\":\"no-dma\",\"why\":\"a "
            "part of the region, but user:bob may not write edu:0x80: the access rule no-dma denies it\"}]");
    expect("region=edu", 200, "{\"permission\":\"list\",\"allowed\":true,\"rule\":\"lab\"");
    expect("region=edu&permission=all", 200, "{\"permission\":\"read\",\"allowed\":true,\"rule\":\"lab\"");
    expect("region=edu", 200, "{\"permission\":\"admin\",\"allowed\":false,\"rule\":null");
    expect("", 200, "{\"principal\":\"user:bob\",\"region\":null,\"decisions\":[{\"permission\":\"list\"");
    expect("permission=admin", 200, "\"why\":\"no access rule lets user:bob administer devregd\"");
}

static void test_values(void **state)
{
    (void)state;
    expect("region=edu&offset=0x20&permission=write", 200,
            "\"allowed\":false,\"rule\":null,\"why\":\"anonymous may not write edu:0x20 like this: access "
            "rules allow only some bits or values there\"");
    expect("region=edu&offset=0x20&permission=write&value=0x80", 200, "\"allowed\":false");
    expect("region=edu&offset=0x20&permission=write&value=0x80&mask=0x80", 200,
            "\"allowed\":true,\"rule\":\"bits\"");
    expect("region=edu&offset=0x20&permission=write&value=0&mask=0x80", 200, "\"allowed\":true");
    expect("region=edu&offset=0x20&permission=write&value=0x0&mask=0x81", 200, "\"allowed\":false");
    expect("region=edu&offset=0x20&value=0x0&mask=0x80", 200,
            "{\"permission\":\"write\",\"allowed\":true,\"rule\":\"bits\"");
    expect("region=edu&permission=write", 200,
            "{\"rule\":\"bits\",\"applies\":true,\"why\":\"allows "
            "write of 0x20-0x23, bits 0x80, 2 values\"}");
}

static void test_others(void **state)
{
    (void)state;
    ask_as("bob", 1000);
    expect("principal=anonymous", 403, "no access rule lets user:bob administer devregd");
    expect("principal=user:root", 403, "administer");
    ask_as("root", 0);
    expect("principal=anonymous&region=edu&permission=read", 200,
            "{\"principal\":\"anonymous\",\"region\":\"edu\",\"decisions\":[{\"permission\":\"read\","
            "\"allowed\":true,\"rule\":\"look\"");
    expect("principal=anonymous&region=edu&permission=read", 200,
            "{\"rule\":\"lab\",\"applies\":false,\"why\":\"is for other principals\"}");
    expect("principal=certificate:rig1&region=edu&permission=read", 200,
            "\"why\":\"no access rule lets certificate:rig1 read edu\"");
    expect("principal=user:3999999999&region=edu&permission=read", 200,
            "{\"principal\":\"user:3999999999\",\"region\":\"edu\",\"decisions\":[{\"permission\":\"read\","
            "\"allowed\":true,\"rule\":\"lab\"");
    expect("principal=user:no-such-user-here", 404, "there is no user no-such-user-here");
    expect("principal=token:nothing", 404, "there is no token nothing");
}

static int saved(void *context, struct error *error)
{
    (void)context;
    (void)error;
    return 0;
}

/* A token that is not here is judged with its scope. */
static void test_token(void **state)
{
    static char *regions[] = {(char *)"o*", NULL};
    const struct token_wish wish = {
            .name = "ci", .scope = 1 << PERMISSION_READ, .regions = regions, .created_by = "user:root"};
    struct access_subject everybody = {.kind = SUBJECT_EVERYBODY};
    struct access_rule all = {.name = (char *)"all",
            .subjects = &everybody,
            .subject_count = 1,
            .permissions = PERMISSIONS_ALL};
    const struct access_rules everything = {&all, 1};
    char secret[TOKEN_SECRET_SIZE];
    const struct token *token;
    struct error error = {0};

    (void)state;
    api.daemon.access = &everything;
    assert_int_equal(tokens_new(&api.daemon.accounts, 4, saved, NULL, &api.daemon.tokens), 0);
    assert_int_equal(tokens_create(api.daemon.tokens, &wish, secret, &token, &error), 0);
    expect("principal=token:ci&region=odd&permission=read", 200, "\"allowed\":true,\"rule\":\"all\"");
    expect("principal=token:ci&region=edu&permission=read", 200,
            "\"allowed\":false,\"rule\":\"all\",\"why\":\"token:ci may not read edu: access rules allow "
            "it, but the token was made for less\"");
    expect("principal=token:ci&region=odd&permission=write", 200, "\"allowed\":false");
    expect("principal=token:other&region=odd", 404, "there is no token other");
    tokens_free(take_ptr(api.daemon.tokens));
}

static void test_refused(void **state)
{
    (void)state;
    ask_as("root", 0);
    expect("principal=bob", 400, "'bob' is no principal");
    expect("principal=user:", 400, "is no principal");
    expect("principal=user:a*", 400, "is no principal");
    expect("principal=", 400, "is no principal");
    expect("permission=none", 400, "'none' is no permission");
    expect("permission=execute", 400, "'execute' is no permission");
    expect("region=none", 404, "there is no region 'none'");
    expect("offset=0x4", 400, "offset needs a region");
    expect("region=edu&offset=4", 400, "not hexadecimal");
    expect("region=edu&width=24", 400, "width '24'");
    expect("region=edu&offset=0x100000", 416, "not all inside edu");
    expect("region=edu&offset=0xffffffffffffffff", 416, "not all inside edu");
    expect("region=edu&offset=0xffffe&width=32", 416, "32 bits at 0xffffe are not all inside edu");
    expect("region=edu&value=1", 400, "give its offset");
    expect("region=edu&offset=0x0&permission=read&value=1", 400, "permission=write");
    expect("region=edu&offset=0x0&mask=1", 400, "mask needs the value");
    expect("region=edu&offset=0x0&value=2&mask=1", 400, "bits outside mask");
    expect("region=edu&offset=0x0&width=8&value=0x100", 400, "must fit the register of 8 bits");
    expect("region=edu&offset=0x0&value=x", 400, "value='x' is not a number");
    expect("who=me", 400, "unknown argument 'who'");
}

/* Of a region whose size is not known nothing wraps around. */
static void test_absent(void **state)
{
    (void)state;
    api_close(&api);
    api_open(&api, false);
    api.daemon.access = &rules;
    ask_as("root", 0);
    expect("region=ram&offset=0xffffffffffffffff&width=32&permission=read", 200, "\"allowed\":false");
    expect("region=ram&offset=0xfffffffffffffffe&width=32&permission=write", 200, "\"allowed\":false");
    expect("region=ram&offset=0x0&permission=read", 200, "\"width\":32");
    expect("region=ram&permission=read", 200, "\"allowed\":true");
}

/* The user database's groups are the principal's. */
static void test_groups(void **state)
{
    struct principal *principal = NULL;
    struct error error = {0};
    gid_t groups[256];
    int count = 256;

    (void)state;
    assert_true(getgrouplist("root", 0, groups, &count) >= 0);
    assert_int_equal(principals_find(&api.daemon, "user:root", &principal, &error), 0);
    assert_string_equal(principal->name, "user:root");
    assert_int_equal(principal->uid, 0);
    assert_int_equal(principal->group_count, count);
    assert_memory_equal(principal->groups, groups, (size_t)count * sizeof(gid_t));
    principal_unref(&api.daemon.accounts, principal);
    assert_int_equal(principals_find(&api.daemon, "user:0", &principal, &error), 0);
    assert_string_equal(principal->name, "user:root");
    principal_unref(&api.daemon.accounts, principal);
    assert_int_equal(principals_find(&api.daemon, "user:3999999999", &principal, &error), 0);
    assert_int_equal(principal->uid, 3999999999u);
    assert_int_equal(principal->group_count, 0);
    principal_unref(&api.daemon.accounts, principal);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_oneself, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_whole_region, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_others, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_absent, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_groups, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
