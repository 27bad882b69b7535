/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state_tokens.c: tokens survive a restart, and do not vanish with a broken file. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state_tokens.h"
#include "util/cleanup.h"
#include "util/date.h"

static char *directory;
static struct accounts accounts;
static struct state *state;
static struct state_tokens saved;
static struct error error;

static int set_up(void **context)
{
    (void)context;
    directory = test_directory_new();
    chmod(directory, 0700);
    assert_int_equal(state_open(directory, &state, &error), 0);
    return 0;
}

static int tear_down(void **context)
{
    (void)context;
    tokens_free(take_ptr(saved.tokens));
    state_close(take_ptr(state));
    test_directory_remove(directory);
    assert_null(accounts.first);
    return 0;
}

static void restart(void)
{
    tokens_free(take_ptr(saved.tokens));
    test_that(state_tokens_open(&saved, state, &accounts, 100, &error) == 0, "%s", error.message);
}

static void create(const char *name, char *const *regions, permission_set scope, uint64_t seconds,
        char secret[TOKEN_SECRET_SIZE])
{
    const struct token_wish wish = {name, scope, regions, seconds, "user:alice"};
    const struct token *token;

    test_that(tokens_create(saved.tokens, &wish, secret, &token, &error) == 0, "%s", error.message);
}

static void test_restart(void **context)
{
    static char *const regions[] = {(char *)"edu*", (char *)"a\"\\", NULL};
    char first[TOKEN_SECRET_SIZE], second[TOKEN_SECRET_SIZE];
    struct principal *principal;
    const struct token *token;
    uint64_t expires;

    (void)context;
    restart();
    assert_int_equal(tokens_count(saved.tokens), 0);
    create("ci", regions, permission_bit(PERMISSION_READ) | permission_bit(PERMISSION_RESERVE), 1000, first);
    create("all", NULL, PERMISSIONS_ALL, 0, second);
    expires = tokens_at(saved.tokens, 1)->principal->expires;
    restart();
    assert_int_equal(tokens_count(saved.tokens), 2);
    assert_int_equal(tokens_authenticate(saved.tokens, first, &principal, &error), 0);
    assert_string_equal(principal->name, "token:ci");
    assert_int_equal(principal->scope, permission_bit(PERMISSION_READ) | permission_bit(PERMISSION_RESERVE));
    assert_string_equal(principal->scope_regions[0], "edu*");
    assert_string_equal(principal->scope_regions[1], "a\"\\");
    assert_null(principal->scope_regions[2]);
    assert_true(principal->expires == expires && expires > 1000);
    assert_int_equal(tokens_authenticate(saved.tokens, second, &principal, &error), 0);
    assert_int_equal(principal->scope, PERMISSIONS_ALL);
    assert_null(principal->scope_regions);
    assert_true(principal->expires == 0);
    token = tokens_at(saved.tokens, 0);
    assert_string_equal(token->created_by, "user:alice");
    assert_true(date_now_us() / 1000000 - token->created < 60);
    assert_int_equal(tokens_revoke(saved.tokens, "ci", &error), 0);
    restart();
    assert_int_equal(tokens_authenticate(saved.tokens, first, &principal, &error), -EKEYREJECTED);
    assert_int_equal(tokens_authenticate(saved.tokens, second, &principal, &error), 0);
}

/* The file is no use to whoever reads it. */
static void test_no_secrets(void **context)
{
    char secret[TOKEN_SECRET_SIZE];
    char *text;

    (void)context;
    restart();
    create("ci", NULL, PERMISSIONS_ALL, 0, secret);
    text = test_read_text(test_path(directory, "tokens.json"));
    assert_null(strstr(text, secret + strlen(TOKEN_PREFIX)));
    assert_null(strstr(text, TOKEN_PREFIX));
    free(text);
}

static void test_not_saved(void **context)
{
    const struct token_wish wish = {"ci", PERMISSIONS_ALL, NULL, 0, "user:alice"};
    char secret[TOKEN_SECRET_SIZE];
    const struct token *token;

    (void)context;
    restart();
    assert_int_equal(mkdir(test_path(directory, ".tokens.json.new"), 0700), 0);
    check_error(tokens_create(saved.tokens, &wish, secret, &token, &error), -EIO, &error, "can't be saved");
    assert_int_equal(tokens_count(saved.tokens), 0);
}

#define HASH  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FIRST "{\"version\":1,\"tokens\":[{\"name\":\"ci\",\"hash\":\"" HASH "\","
#define REST                                                                                                \
    "\"created\":\"2024-01-01T00:00:00Z\",\"expires\":null,\"expired\":false,\"created_by\":\"user:a\"}]}"
#define READING "\"permissions\":[\"read\"],"

static void test_by_hand(void **context)
{
    (void)context;
    test_write_text(test_path(directory, "tokens.json"), FIRST READING "\"regions\":null," REST);
    restart();
    assert_int_equal(tokens_count(saved.tokens), 1);
}

static void test_malformed(void **context)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
            {"", "not JSON: line 1"},
            {FIRST, "not JSON"},
            {"[]", "no object"},
            {"{}", "version"},
            {"{\"version\":2,\"tokens\":[]}", "another devregd wrote it"},
            {"{\"version\":1,\"tokens\":{}}", "no list"},
            {"{\"version\":1,\"tokens\":[],\"x\":1}", "\"x\" is not known"},
            {"{\"version\":1,\"tokens\":[1]}", "token 0: something is no object"},
            {FIRST "\"regions\":null," REST, "token 0: \"permissions\" is no list"},
            {FIRST "\"permissions\":[],\"regions\":null," REST, "without a permission"},
            {FIRST "\"permissions\":[\"root\"],\"regions\":null," REST, "has 'root'"},
            {FIRST READING REST, "\"regions\" is neither"},
            {FIRST READING "\"regions\":[]," REST, "patterns of regions"},
            {FIRST READING "\"regions\":[1]," REST, "no pattern"},
            {FIRST READING "\"regions\":[\"a\\u0000b\"]," REST, "not JSON"},
            {FIRST READING "\"regions\":null,\"y\":2," REST, "\"y\" is not known"},
            {"{\"version\":1,\"tokens\":[{\"name\":\"a b\",\"hash\":\"" HASH "\"," READING
             "\"regions\":null," REST,
                    "no name"},
            {"{\"version\":1,\"tokens\":[{\"hash\":\"" HASH "\"," READING "\"regions\":null," REST,
                    "\"name\""},
            {"{\"version\":1,\"tokens\":[{\"name\":\"a\",\"hash\":\"00\"," READING "\"regions\":null," REST,
                    "\"hash\""},
            {FIRST READING "\"regions\":null,\"created\":\"today\",\"expires\":null,\"expired\":false,"
                           "\"created_by\":\"user:a\"}]}",
                    "\"created\" is no date"},
            {FIRST READING "\"regions\":null,\"created\":\"2024-01-01T00:00:00Z\",\"expires\":1,"
                           "\"expired\":false,\"created_by\":\"user:a\"}]}",
                    "\"expires\" is no date"},
            {FIRST READING "\"regions\":null,\"created\":\"2024-01-01T00:00:00Z\",\"expires\":null,"
                           "\"created_by\":\"user:a\"}]}",
                    "\"expired\""},
    };

    (void)context;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char *after;

        test_write_text(test_path(directory, "tokens.json"), rows[i].text);
        check_error(
                state_tokens_open(&saved, state, &accounts, 100, &error), -EINVAL, &error, rows[i].message);
        assert_non_null(strstr(error.message, "/tokens.json: "));
        assert_non_null(strstr(error.message, "revokes every token"));
        assert_null(saved.tokens);
        after = test_read_text(test_path(directory, "tokens.json"));
        assert_string_equal(after, rows[i].text);
        free(after);
    }
}

static void test_unreadable(void **context)
{
    (void)context;
    assert_int_equal(mkdir(test_path(directory, "tokens.json"), 0700), 0);
    check_error(state_tokens_open(&saved, state, &accounts, 100, &error), -EISDIR, &error, "can't be read");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            TEST(test_restart),
            TEST(test_no_secrets),
            TEST(test_not_saved),
            TEST(test_by_hand),
            TEST(test_malformed),
            TEST(test_unreadable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
