/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/access_match.c, core/access_explain.c: whom and what a rule is about. */
#include "access_fixture.h"

#include <fnmatch.h>

#include "core/access_match.h"
#include "util/cleanup.h"

static void test_subjects(void **state)
{
    static const struct {
        struct access_subject subject;
        unsigned whom; /* bits of principals[] */
    } rows[] = {
            {{SUBJECT_EVERYBODY, NULL, false, 0}, 31},
            {{SUBJECT_ANONYMOUS, NULL, false, 0}, 2},
            {{SUBJECT_USER, (char *)"*", false, 0}, 1},
            {{SUBJECT_USER, (char *)"alice", false, 0}, 1},
            {{SUBJECT_USER, (char *)"alic", false, 0}, 0},
            {{SUBJECT_USER, (char *)"alice2", false, 0}, 0},
            {{SUBJECT_USER, (char *)"alice", true, 1001}, 0}, /* a name that is a number is none */
            {{SUBJECT_USER, (char *)"1000", true, 1000}, 1},
            {{SUBJECT_GROUP, (char *)"lab", true, 100}, 1},
            {{SUBJECT_GROUP, (char *)"lab", true, 200}, 1},
            {{SUBJECT_GROUP, (char *)"lab", true, 300}, 0},
            {{SUBJECT_GROUP, (char *)"gone", false, 0}, 0},
            {{SUBJECT_TOKEN, (char *)"*", false, 0}, 12},
            {{SUBJECT_TOKEN, (char *)"c?", false, 0}, 4},
            {{SUBJECT_CERTIFICATE, (char *)"rig[0-9]", false, 0}, 16},
            {{SUBJECT_CERTIFICATE, (char *)"ci", false, 0}, 0},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        for (size_t k = 0; k < PRINCIPALS; k++)
            test_that(access_subject_is(&rows[i].subject, &principals[k]) == (rows[i].whom >> k & 1),
                    "row %zu, principal %s", i, principals[k].name);
    }
}

/* The short ways are fnmatch()'s. */
static void test_globs(void **state)
{
    static const char letters[] = "ab*?[]\\-!";

    (void)state;
    for (size_t round = 0; round < 200000; round++) {
        char glob[8] = "", name[6] = "";

        for (size_t i = any(7); i > 0; i--)
            glob[i - 1] = letters[any(sizeof(letters) - 1)];
        for (size_t i = any(5); i > 0; i--)
            name[i - 1] = (char)('a' + any(2));
        test_that(access_glob_matches(glob, name) == (fnmatch(glob, name, 0) == 0), "'%s' and '%s'", glob,
                name);
    }
}

static void test_bearing(void **state)
{
    static char *some[] = {(char *)"a*", NULL};
    struct access_range range = {0x10, 0x13};
    struct access_rule rule = RULE(.permissions = 1 << PERMISSION_READ | 1 << PERMISSION_WRITE,
            .regions = some, .ranges = &range, .range_count = 1);
    struct access_subject tokens = {SUBJECT_TOKEN, (char *)"*", false, 0};
    const struct region *alias;

#define BEARING(region, first, last, permissions)                                                           \
    access_rule_bearing(                                                                                    \
            &rule, &board.inventory, &principals[0], (permissions), (region), (first), (last), &alias)
    (void)state;
    assert_int_equal(BEARING(&board.regions[0], 0, 0x10, 1 << PERMISSION_READ), ACCESS_BEARS);
    assert_int_equal(BEARING(&board.regions[0], 0, 0xf, 1 << PERMISSION_READ), ACCESS_OTHER_RANGES);
    assert_int_equal(BEARING(&board.regions[3], 0, 0x1f, 1 << PERMISSION_READ), ACCESS_OTHER_REGIONS);
    assert_int_equal(BEARING(&board.regions[0], 0, 0x1f, 1 << PERMISSION_LIST), ACCESS_OTHER_PERMISSIONS);
    assert_int_equal(BEARING(NULL, 0, UINT64_MAX, 1 << PERMISSION_READ), ACCESS_BEARS);
    rule.permissions = PERMISSIONS_ALL;
    assert_int_equal(BEARING(NULL, 0, UINT64_MAX, 1 << PERMISSION_ADMIN), ACCESS_OTHER_REGIONS);
    rule.subjects = &tokens;
    assert_int_equal(BEARING(&board.regions[0], 0, 0x1f, 1 << PERMISSION_READ), ACCESS_OTHER_PRINCIPALS);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_subjects),
            cmocka_unit_test(test_globs),
            cmocka_unit_test(test_bearing),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
