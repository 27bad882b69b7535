/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/origin.c: names that are ours, and pages that may ask. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "http/origin.h"
#include "util/cleanup.h"

static char *hosts[] = {(char *)"rig1.lab.example", (char *)"[2001:db8::7]", NULL};
static char *origins[] = {(char *)"https://bench.lab.example", (char *)"http://localhost:8080", NULL};

static const struct origin_settings nothing;
static const struct origin_settings settings = {.hosts = hosts, .origins = origins};
static const struct origin_place tcp, tls = {.secure = true}, local = {.local = true};

/* Not terminated where it ends, as headers are. */
static struct gate_text text_of(const char *text)
{
    static char copies[4][128];
    static unsigned next;
    char *copy = copies[next++ % 4];

    if (!text)
        return (struct gate_text){0};
    memset(copy, 'x', sizeof(copies[0]));
    memcpy(copy, text, strlen(text));
    return (struct gate_text){copy, strlen(text)};
}

static void test_hosts(void **state)
{
    static const struct {
        const char *host;
        bool plain, configured;
    } rows[] = {
            {"localhost", true, true},
            {"LocalHost:7373", true, true},
            {"127.0.0.1", true, true},
            {"127.0.0.1:1", true, true},
            {"[::1]", true, true},
            {"[::1]:7373", true, true},
            {"localhost.", false, false},
            {"localhost.evil.example", false, false},
            {"evil.example", false, false},
            {"127.0.0.1.evil.example:7373", false, false},
            {"127.0.0.2", false, false},
            {"[::1", false, false},
            {"::1", false, false},
            {"", false, false},
            {":7373", false, false},
            {"rig1.lab.example", false, true},
            {"RIG1.lab.example:7373", false, true},
            {"rig1", false, false},
            {"rig1.lab.example.evil.example", false, false},
            {"[2001:DB8::7]:7373", false, true},
            {"2001:db8::7", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct gate_text host = text_of(rows[i].host);

        test_that(origin_knows_host(&nothing, &tcp, &host) == rows[i].plain, "%s", rows[i].host);
        test_that(origin_knows_host(&settings, &tls, &host) == rows[i].configured, "%s", rows[i].host);
        assert_true(origin_knows_host(&nothing, &local, &host));
    }
    assert_true(origin_knows_host(&nothing, &tcp, &(struct gate_text){0}));
}

static void test_refusal_names_the_host(void **state)
{
    struct gate_text host = text_of("evil.example:7373");
    struct error error = {0};

    (void)state;
    check_error(origin_refuse_host(&host, &error), -EHOSTUNREACH, &error, "'evil.example' is no name");
}

static void test_origins(void **state)
{
    static const struct {
        const struct origin_place *place;
        const char *host, *origin, *site;
        int plain, configured; /* results */
        bool listed;           /* when configured */
    } rows[] = {
            {&tcp, "localhost:7373", NULL, NULL, 0, 0, false},
            {&tcp, "localhost:7373", NULL, "none", 0, 0, false},
            {&tcp, "localhost:7373", NULL, "same-origin", 0, 0, false},
            {&tcp, "localhost:7373", NULL, "same-site", -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", NULL, "cross-site", -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", NULL, "", -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", NULL, "something new", -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "http://localhost:7373", "same-origin", 0, 0, false},
            {&tcp, "localhost:7373", "http://LOCALHOST:7373", NULL, 0, 0, false},
            {&tcp, "localhost:7373", "http://localhost:7373", "cross-site", -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "https://localhost:7373", NULL, -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "http://localhost", NULL, -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "http://localhost:7373/", NULL, -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "http://localhost:73730", NULL, -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "http://127.0.0.1:7373", NULL, -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "null", NULL, -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "", NULL, -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "http://evil.example", "cross-site", -EPERM, -EPERM, false},
            {&tcp, "localhost:7373", "https://bench.lab.example", "cross-site", -EPERM, 0, true},
            {&tcp, "localhost:7373", "http://localhost:8080", "same-site", -EPERM, 0, true},
            {&tcp, "localhost:7373", "https://bench.lab.example.evil.example", "cross-site", -EPERM, -EPERM,
                    false},
            {&tls, "rig1.lab.example", "https://rig1.lab.example", "same-origin", 0, 0, false},
            {&tls, "rig1.lab.example", "http://rig1.lab.example", NULL, -EPERM, -EPERM, false},
            {&local, "whatever", "https://whatever", NULL, 0, 0, false},
            {&local, "whatever", "http://whatever", NULL, 0, 0, false},
            {&local, "whatever", "http://evil.example", NULL, -EPERM, -EPERM, false},
            {&tcp, NULL, "http://", NULL, -EPERM, -EPERM, false},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct gate_result gate = {.host = text_of(rows[i].host),
                .origin = text_of(rows[i].origin),
                .sec_fetch_site = text_of(rows[i].site)};
        const char *listed;
        struct error error;
        int r = origin_check(&nothing, rows[i].place, &gate, &listed, &error);

        test_that(r == rows[i].plain && !listed, "row %zu gave %d", i, r);
        r = origin_check(&settings, rows[i].place, &gate, &listed, &error);
        test_that(r == rows[i].configured && (listed != NULL) == rows[i].listed, "row %zu gave %d", i, r);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_hosts),
            cmocka_unit_test(test_refusal_names_the_host),
            cmocka_unit_test(test_origins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
