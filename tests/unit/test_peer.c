/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/peer.c: who is at the other end. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/peer.h"
#include "util/cleanup.h"

static struct {
    struct daemon daemon;
    struct peers peers;
} fixture;

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    assert_int_equal(peers_init(&fixture.peers, &fixture.daemon), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    peers_done(&fixture.peers);
    assert_null(fixture.daemon.accounts.first);
    return 0;
}

static void expect_identity(const struct peer *peer, const char *name)
{
    static const struct gate_text none;
    struct principal *principal = NULL;
    struct error error = {0};
    int r = peer_identify(peer, &fixture.peers, &none, &principal, &error);

    test_that(r == 0, "%s", error.message);
    assert_string_equal(principal->name, name);
    principal_unref(&fixture.daemon.accounts, principal);
}

static void test_user_names(void **state)
{
    static const struct {
        const char *name, *wanted;
    } rows[] = {
            {"alice", "user:alice"},
            {"alice-2.x_y", "user:alice-2.x_y"},
            {NULL, "user:1000"},
            {"", "user:1000"},
            {"0", "user:1000"},
            {"1001", "user:1000"},
            {"a b", "user:1000"},
            {"a*", "user:1000"},
            {"\xc3\xa9mile", "user:1000"},
            {"LAB\\alice", "user:1000"},
            {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "user:1000"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct principal *principal = peer_user(&fixture.daemon.accounts, rows[i].name, 1000);

        assert_string_equal(principal->name, rows[i].wanted);
        assert_int_equal(principal->uid, 1000);
        principal_unref(&fixture.daemon.accounts, principal);
    }
}

static void test_unix(void **state)
{
    const struct passwd *entry = getpwuid(getuid());
    gid_t groups[256];
    int count = getgroups(256, groups);
    char name[64], text[64];
    struct peer peer;
    int ends[2];

    (void)state;
    snprintf(name, sizeof(name), "user:%s", entry ? entry->pw_name : "nobody there");
    if (!entry)
        snprintf(name, sizeof(name), "user:%u", (unsigned)getuid());
    snprintf(text, sizeof(text), "uid=%u pid=%d", (unsigned)getuid(), (int)getpid());
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    for (unsigned i = 0; i < 2; i++) { /* its name is remembered then */
        assert_int_equal(peer_init_unix(&peer, &fixture.peers, ends[0]), 0);
        expect_identity(&peer, name);
        assert_string_equal(peer.text, text);
        assert_int_equal(peer.principal->uid, getuid());
        assert_int_equal(peer.principal->group_count, 1 + count);
        assert_int_equal(peer.principal->groups[0], getgid());
        for (int k = 0; k < count; k++)
            assert_int_equal(peer.principal->groups[1 + k], groups[k]);
        peer_done(&peer, &fixture.peers);
    }
    close(ends[0]);
    close(ends[1]);
}

static void connect_with_groups(void *context)
{
    gid_t groups[1000];
    struct peer peer;
    int ends[2];

    (void)context;
    for (size_t i = 0; i < ELEMENTS(groups); i++)
        groups[i] = (gid_t)(5000 + i);
    if (setgroups(ELEMENTS(groups), groups) < 0)
        exit(errno == EPERM ? 0 : 2); /* only root may */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
            peer_init_unix(&peer, &fixture.peers, ends[0]) < 0 ||
            peer.principal->group_count != 1 + ELEMENTS(groups) || peer.principal->groups[1000] != 5999)
        exit(3);
    peer_done(&peer, &fixture.peers);
}

static void test_many_groups(void **state)
{
    (void)state;
    assert_int_equal(test_in_child(connect_with_groups, NULL), 0);
}

static void test_addresses(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(4711)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(4711)};
    struct throttle_key key;
    struct peer peer;

    (void)state;
    inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr);
    inet_pton(AF_INET6, "2001:db8::7", &v6.sin6_addr);
    peer_init_address(&peer, (struct sockaddr *)&v4);
    assert_string_equal(peer.text, "192.0.2.1:4711");
    expect_identity(&peer, "anonymous");
    key = peer.key;
    v4.sin_port = htons(1);
    peer_init_address(&peer, (struct sockaddr *)&v4);
    assert_memory_equal(&key, &peer.key, sizeof(key)); /* the port says nothing of who it is */
    peer_init_address(&peer, (struct sockaddr *)&v6);
    assert_string_equal(peer.text, "[2001:db8::7]:4711");
    assert_memory_not_equal(&key, &peer.key, sizeof(key));
    peer_done(&peer, &fixture.peers);
}

static void test_certificates(void **state)
{
    static const struct gate_text none;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct principal *principal = NULL;
    struct error error = {0};
    struct peer peer;

    (void)state;
    peer_init_address(&peer, (struct sockaddr *)&v4);
    assert_int_equal(peer_set_certificate(&peer, &fixture.peers, "rig1", (uint64_t)time(NULL) + 100), 0);
    expect_identity(&peer, "certificate:rig1");
    peer.principal->expires = (uint64_t)time(NULL) - 1;
    check_error(peer_identify(&peer, &fixture.peers, &none, &principal, &error), -EKEYREJECTED, &error,
            "'rig1' has expired");
    peer_done(&peer, &fixture.peers);

    peer_init_address(&peer, (struct sockaddr *)&v4);
    assert_int_equal(peer_refuse_certificate(&peer, "it is forged"), 0);
    check_error(peer_identify(&peer, &fixture.peers, &none, &principal, &error), -EKEYREJECTED, &error,
            "it is forged");
    assert_null(principal);
    peer_done(&peer, &fixture.peers);
}

static void test_authorization(void **state)
{
    static const struct {
        const char *header;
        const char *token; /* or NULL: */
        const char *why;
    } rows[] = {
            {"Bearer devreg_abc", "devreg_abc", NULL},
            {"bearer devreg_abc", "devreg_abc", NULL},
            {"BEARER   devreg_a-b_c.d~e+f/g==", "devreg_a-b_c.d~e+f/g==", NULL},
            {"", NULL, "scheme Bearer"},
            {"Bearer", NULL, "scheme Bearer"},
            {"Bearer ", NULL, "no token after Bearer"},
            {"Bearer\tx", NULL, "scheme Bearer"},
            {"Bearerx", NULL, "scheme Bearer"},
            {"Basic YTpi", NULL, "scheme Bearer"},
            {"Digest username=\"x\"", NULL, "scheme Bearer"},
            {"devreg_abc", NULL, "scheme Bearer"},
            {"Bearer =", NULL, "malformed"},
            {"Bearer a=b", NULL, "malformed"},
            {"Bearer a b", NULL, "malformed"},
            {"Bearer a,Bearer b", NULL, "malformed"},
            {"Bearer \"a\"", NULL, "malformed"},
            {"Bearer \xc3\xa9", NULL, "malformed"},
            {"Bearer devreg_0123456789012345678901234567890123456789012345678901234567890", NULL, "longer"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct gate_text text = {rows[i].header, strlen(rows[i].header)};
        char secret[TOKEN_SECRET_SIZE] = "";
        struct error error = {0};
        int r = peer_read_token(&text, secret, &error);

        if (rows[i].token) {
            test_that(r == 0, "%s: %s", rows[i].header, error.message);
            assert_string_equal(secret, rows[i].token);
        } else {
            check_error(r, -EKEYREJECTED, &error, rows[i].why);
            assert_string_equal(secret, "");
        }
    }
}

/* A wrong token is not made up for by whoever is at the other end. */
static void test_wrong_token_is_no_fallback(void **state)
{
    const struct gate_text text = {"Bearer devreg_wrong", 19};
    struct principal *principal = NULL;
    struct error error = {0};
    struct peer peer;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(peer_init_unix(&peer, &fixture.peers, ends[0]), 0);
    check_error(peer_identify(&peer, &fixture.peers, &text, &principal, &error), -EKEYREJECTED, &error,
            "not known");
    assert_null(principal);
    peer_done(&peer, &fixture.peers);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_user_names, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_unix, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_many_groups, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_addresses, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_certificates, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_authorization, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_wrong_token_is_no_fallback, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
