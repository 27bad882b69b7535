/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/tokens.c, with clocks that the test sets. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/tokens.h"
#include "util/cleanup.h"
#include "util/digest.h"

enum { LIMIT = 5 };

static uint64_t date, boottime; /* seconds */
static struct accounts accounts;
static struct tokens *tokens;
static unsigned saves;
static int save_result;
static size_t saved_count;
static char secret[TOKEN_SECRET_SIZE];
static struct error error;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap___clock_gettime64(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    now->tv_sec = (time_t)(clock == CLOCK_REALTIME ? date : boottime);
    now->tv_nsec = 0;
    return 0;
}

/* What it is called where the C library has one for a time_t of 32 bits, too. */
int __wrap___clock_gettime64(clockid_t clock, struct timespec *now)
{
    return __wrap_clock_gettime(clock, now);
}

static int save(void *context, struct error *ret_error)
{
    assert_ptr_equal(context, &saves);
    saves++;
    saved_count = tokens_count(tokens);
    return save_result < 0 ? error_set(ret_error, save_result, "the disk is full") : 0;
}

static int set_up(void **state)
{
    (void)state;
    date = 1700000000;
    boottime = 5000;
    saves = 0;
    save_result = 0;
    assert_int_equal(tokens_new(&accounts, LIMIT, save, &saves, &tokens), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tokens_free(tokens);
    tokens_free(NULL);
    assert_null(accounts.first); /* every reference was given back */
    return 0;
}

static struct token_wish wish_for(const char *name)
{
    return (struct token_wish){.name = name, .scope = PERMISSIONS_ALL, .created_by = "user:root"};
}

static const struct token *create(const char *name, uint64_t lifetime_seconds)
{
    struct token_wish wish = wish_for(name);
    const struct token *token = NULL;

    wish.lifetime_seconds = lifetime_seconds;
    test_that(tokens_create(tokens, &wish, secret, &token, &error) == 0, "%s", error.message);
    return token;
}

static struct principal *authenticate(const char *text)
{
    struct principal *principal = NULL;

    error = (struct error){0};
    if (tokens_authenticate(tokens, text, &principal, &error) < 0)
        assert_null(principal);
    return principal;
}

static void test_create(void **state)
{
    static char *const regions[] = {(char *)"edu*", (char *)"uart.?", NULL};
    struct token_wish wish = {"ci", permission_bit(PERMISSION_READ), regions, 60, "user:alice"};
    const struct token *token = NULL;
    uint8_t hash[32];

    (void)state;
    assert_int_equal(tokens_create(tokens, &wish, secret, &token, &error), 0);
    assert_int_equal(strlen(secret), strlen("devreg_") + 43);
    assert_memory_equal(secret, "devreg_", 7);
    assert_int_equal(
            strspn(secret + 7, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
    assert_int_equal(digest_sha256(secret, strlen(secret), hash), 0);
    assert_memory_equal(token->hash, hash, sizeof(hash));
    assert_string_equal(token->principal->name, "token:ci");
    assert_int_equal(token->principal->kind, PRINCIPAL_TOKEN);
    assert_int_equal(token->principal->scope, permission_bit(PERMISSION_READ));
    assert_string_equal(token->principal->scope_regions[0], "edu*");
    assert_string_equal(token->principal->scope_regions[1], "uart.?");
    assert_null(token->principal->scope_regions[2]);
    assert_true(token->created == date && token->principal->expires == date + 60);
    assert_string_equal(token->created_by, "user:alice");
    assert_int_equal(saves, 1);
    assert_int_equal(saved_count, 1);
    assert_ptr_equal(authenticate(secret), token->principal);
}

static void test_no_two_alike(void **state)
{
    char first[TOKEN_SECRET_SIZE];

    (void)state;
    create("a", 0);
    strcpy(first, secret);
    create("b", 0);
    assert_string_not_equal(first, secret);
    assert_string_equal(authenticate(first)->name, "token:a");
    assert_string_equal(authenticate(secret)->name, "token:b");
}

static void test_wrong_secrets(void **state)
{
    char text[20000], token[TOKEN_SECRET_SIZE];

    (void)state;
    create("other", 0);
    create("ci", 0);
    strcpy(token, secret);
    for (size_t i = 0; i < strlen(token); i++) {
        strcpy(text, token);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        assert_null(authenticate(text));
        strcpy(text, token);
        text[i] = 0; /* a beginning of it */
        assert_null(authenticate(text));
        assert_int_equal(error.code, -EKEYREJECTED);
    }
    snprintf(text, sizeof(text), "%sx", token);
    assert_null(authenticate(text));
    memset(text, 'A', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    memcpy(text, token, strlen(token));
    assert_null(authenticate(text));
    assert_null(authenticate(""));
    assert_non_null(strstr(error.message, "no token of devreg"));
    assert_null(authenticate("devreg_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    assert_non_null(strstr(error.message, "not known"));
    assert_null(strstr(error.message, "AAAA")); /* no message has a secret */
    assert_non_null(authenticate(token));
}

static void test_refused_wishes(void **state)
{
    static const char *const names[] = {"", "a b", "a*", "a:b", "\xc3\xa4", "a\n",
            "1234567890123456789012345678901234567890123456789012345678901234x"};
    static char *const bad[][2] = {{(char *)"", NULL}, {(char *)"a b", NULL}, {(char *)"a\n", NULL}};
    static char *const none[] = {NULL};
    char *many[TOKEN_REGIONS + 2] = {NULL};
    struct token_wish wish;
    const struct token *token;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        wish = wish_for(names[i]);
        check_error(tokens_create(tokens, &wish, secret, &token, &error), -EINVAL, &error, "no name");
    }
    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        wish = wish_for("a");
        wish.regions = bad[i];
        check_error(tokens_create(tokens, &wish, secret, &token, &error), -EINVAL, &error, "no pattern");
    }
    wish.regions = none;
    check_error(tokens_create(tokens, &wish, secret, &token, &error), -EINVAL, &error, "1 to 32");
    for (size_t i = 0; i < TOKEN_REGIONS + 1; i++)
        many[i] = (char *)"x";
    wish.regions = many;
    check_error(tokens_create(tokens, &wish, secret, &token, &error), -EINVAL, &error, "1 to 32");
    wish = wish_for("a");
    wish.scope = 0;
    check_error(tokens_create(tokens, &wish, secret, &token, &error), -EINVAL, &error, "permission");
    wish = wish_for("a");
    wish.lifetime_seconds = TOKEN_LIFETIME_SECONDS + 1;
    check_error(tokens_create(tokens, &wish, secret, &token, &error), -EINVAL, &error, "10 years");
    assert_int_equal(saves, 0);
    many[TOKEN_REGIONS] = NULL;
    wish = (struct token_wish){"a", PERMISSIONS_ALL, many, TOKEN_LIFETIME_SECONDS, "user:root"};
    assert_int_equal(tokens_create(tokens, &wish, secret, &token, &error), 0);
    check_error(tokens_create(tokens, &wish, secret, &token, &error), -EEXIST, &error, "already");
}

static void test_limit(void **state)
{
    static const char *const names[LIMIT] = {"d", "b", "e", "a", "c"};
    struct token_wish wish = wish_for("f");
    const struct token *token;

    (void)state;
    for (size_t i = 0; i < LIMIT; i++)
        create(names[i], 0);
    check_error(tokens_create(tokens, &wish, secret, &token, &error), -EDQUOT, &error, "limit");
    assert_int_equal(tokens_count(tokens), LIMIT);
    for (size_t i = 0; i < LIMIT; i++)
        assert_int_equal(tokens_at(tokens, i)->principal->short_name[0], 'a' + (int)i);
    assert_int_equal(tokens_revoke(tokens, "c", &error), 0);
    create("f", 0);
}

static void test_revoke(void **state)
{
    struct principal *principal;

    (void)state;
    create("ci", 0);
    principal = principal_ref(authenticate(secret));
    assert_int_equal(tokens_revoke(tokens, "ci", &error), 0);
    assert_int_equal(saved_count, 0);
    assert_null(authenticate(secret));
    assert_int_equal(principal->scope, 0); /* what is under way may do nothing more */
    assert_string_equal(principal->name, "token:ci");
    check_error(tokens_revoke(tokens, "ci", &error), -ENOENT, &error, "no token 'ci'");
    create("ci", 0);
    assert_ptr_not_equal(authenticate(secret), principal);
    principal_unref(&accounts, principal);
}

/* What can't be saved has not happened, but a token that is revoked is. */
static void test_save_fails(void **state)
{
    struct token_wish wish = wish_for("b");
    const struct token *token = NULL;
    char text[TOKEN_SECRET_SIZE];

    (void)state;
    create("a", 0);
    strcpy(text, secret);
    create("c", 0);
    save_result = -ENOSPC;
    strcpy(secret, "untouched");
    check_error(tokens_create(tokens, &wish, secret, &token, &error), -ENOSPC, &error, "disk is full");
    assert_string_equal(secret, "untouched");
    assert_null(token);
    assert_int_equal(authenticate(text)->scope, PERMISSIONS_ALL);
    check_error(tokens_revoke(tokens, "a", &error), -ENOSPC, &error, "token a is revoked, but");
    assert_int_equal(tokens_count(tokens), 1);
    assert_string_equal(tokens_at(tokens, 0)->principal->name, "token:c");
    assert_null(authenticate(text));
}

static void pass(uint64_t seconds)
{
    date += seconds;
    boottime += seconds;
}

static void test_expiry(void **state)
{
    const struct token *token = create("ci", 60);

    (void)state;
    pass(59);
    assert_ptr_equal(authenticate(secret), token->principal);
    pass(1);
    assert_null(authenticate(secret));
    assert_int_equal(error.code, -EKEYREJECTED);
    assert_non_null(strstr(error.message, "ci expired on 2023-11-14T22:14:20Z"));
    assert_true(token->expired);
    assert_int_equal(saves, 2);
    assert_null(authenticate(secret));
    assert_int_equal(saves, 2);
}

static void test_date_set_back(void **state)
{
    const struct token *token = create("ci", 60);

    (void)state;
    pass(30);
    date -= 1000000;
    assert_ptr_equal(authenticate(secret), token->principal);
    pass(29);
    assert_non_null(authenticate(secret));
    pass(1);
    assert_null(authenticate(secret));
    date -= 1000000;
    assert_null(authenticate(secret));
}

/* A date that is set far ahead ends it, and that stays when it is set back: nobody can tell which is right.
 */
static void test_date_set_ahead_and_back(void **state)
{
    (void)state;
    create("ci", 60);
    date += 1000;
    tokens_expire(tokens);
    date -= 1000;
    assert_null(authenticate(secret));
    create("new", 60); /* and others are as good as ever */
    assert_non_null(authenticate(secret));
}

static void test_restore(void **state)
{
    struct token_wish wish = wish_for("ci");
    uint8_t hash[32], other[32] = {1};

    (void)state;
    assert_int_equal(digest_sha256("devreg_x", 8, hash), 0);
    assert_int_equal(tokens_restore(tokens, hash, &wish, date - 100, date + 50, false, &error), 0);
    assert_int_equal(saves, 0);
    assert_string_equal(authenticate("devreg_x")->name, "token:ci");
    check_error(tokens_restore(tokens, other, &wish, 0, 0, false, &error), -EEXIST, &error, "already");
    wish.name = "twin";
    check_error(tokens_restore(tokens, hash, &wish, 0, 0, false, &error), -EEXIST, &error, "hash");
    check_error(
            tokens_restore(tokens, other, &wish, 0, UINT64_MAX, false, &error), -EINVAL, &error, "dates");
    check_error(tokens_restore(tokens, other, &wish, 0, 0, true, &error), -EINVAL, &error, "dates");
    pass(50);
    assert_null(authenticate("devreg_x"));
}

/* One that had expired is not revived by a restart with another date. */
static void test_restore_expired(void **state)
{
    struct token_wish wish = wish_for("ci");
    uint8_t hash[32];

    (void)state;
    assert_int_equal(digest_sha256("devreg_x", 8, hash), 0);
    assert_int_equal(tokens_restore(tokens, hash, &wish, date - 100, date + 50, true, &error), 0);
    assert_null(authenticate("devreg_x"));
}

/* At a start long before it was made, it has the life that it was made with, and no more. */
static void test_restore_before_created(void **state)
{
    struct token_wish wish = wish_for("ci");
    uint8_t hash[32];

    (void)state;
    assert_int_equal(digest_sha256("devreg_x", 8, hash), 0);
    assert_int_equal(tokens_restore(tokens, hash, &wish, date + 1000000, date + 1000060, false, &error), 0);
    pass(59);
    assert_non_null(authenticate("devreg_x"));
    pass(1);
    assert_null(authenticate("devreg_x"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            TEST(test_create),
            TEST(test_no_two_alike),
            TEST(test_wrong_secrets),
            TEST(test_refused_wishes),
            TEST(test_limit),
            TEST(test_revoke),
            TEST(test_save_fails),
            TEST(test_expiry),
            TEST(test_date_set_back),
            TEST(test_date_set_ahead_and_back),
            TEST(test_restore),
            TEST(test_restore_expired),
            TEST(test_restore_before_created),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
