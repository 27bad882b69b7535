/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/json_position.c */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/json_position.h"

static const char text[] = "{\n"
                           "  \"name\": \"a \\\" }]{[ \\\\\",\n"
                           "\t\"list\" : [1, [2, 3], {\"x\": {\"y\": []}}, \"s\", true],\n"
                           "  \"a/b\": {\"m~n\": null}, \"last\":-1.5e3,\n"
                           "  \"\": 7, \"na\": {\"name\": 1}\n"
                           "}\n";

static const struct {
    const char *pointer;
    int want_key;
    unsigned line, column; /* 0: there is none */
} rows[] = {
        {"", 0, 1, 1},
        {"", 1, 1, 1},
        {"/name", 0, 2, 11},
        {"/name", 1, 2, 3},
        {"/list", 0, 3, 11},
        {"/list/0", 0, 3, 12},
        {"/list/1", 0, 3, 15},
        {"/list/1/1", 0, 3, 19},
        {"/list/2", 0, 3, 23},
        {"/list/2/x", 1, 3, 24},
        {"/list/2/x/y", 0, 3, 35},
        {"/list/3", 0, 3, 41},
        {"/list/3", 1, 3, 41}, /* an element has no key */
        {"/list/4", 0, 3, 46},
        {"/list/5", 0, 0, 0},
        {"/list/2/x/y/0", 0, 0, 0},
        {"/a~1b", 0, 4, 10},
        {"/a~1b/m~0n", 0, 4, 18},
        {"/a~1b/m~0n", 1, 4, 11},
        {"/last", 0, 4, 32},
        {"/", 0, 5, 7},
        {"/na", 0, 5, 16}, /* not the beginning of "name" */
        {"/na/name", 0, 5, 25},
        {"/nam", 0, 0, 0},
        {"/name/x", 0, 0, 0},
        {"/missing", 0, 0, 0},
        {"/list/0/0", 0, 0, 0},
};

static void test_find(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct json_position position = {77, 77};
        int r = json_position_find(text, rows[i].pointer, rows[i].want_key, &position);

        if (rows[i].line == 0) {
            test_that(
                    r == -ENOENT, "%s was found at %u:%u", rows[i].pointer, position.line, position.column);
            test_that(position.line == 77, "%s: a failure changed its result", rows[i].pointer);
            continue;
        }
        test_that(r == 0, "%s was not found", rows[i].pointer);
        test_that(position.line == rows[i].line && position.column == rows[i].column,
                "%s is at %u:%u, expected %u:%u", rows[i].pointer, position.line, position.column,
                rows[i].line, rows[i].column);
    }
}

static void test_scalar_documents(void **state)
{
    struct json_position position;

    (void)state;
    assert_int_equal(json_position_find("  \n 5", "", 0, &position), 0);
    assert_int_equal(position.line, 2);
    assert_int_equal(position.column, 2);
    assert_int_equal(json_position_find("5", "/a", 0, &position), -ENOENT);
    assert_int_equal(json_position_find("\"a\"", "/a", 0, &position), -ENOENT);
    assert_int_equal(json_position_find("[]", "/0", 0, &position), -ENOENT);
    assert_int_equal(json_position_find("{}", "/a", 0, &position), -ENOENT);
}

/* Every beginning of a text, which is mostly not JSON: any answer will do, but it must end, inside the text.
 */
static void test_cut_texts(void **state)
{
    (void)state;
    for (size_t length = 0; length < sizeof(text); length++) {
        char cut[sizeof(text)];

        snprintf(cut, sizeof(cut), "%.*s", (int)length, text);
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
            struct json_position position = {0, 0};
            int r = json_position_find(cut, rows[i].pointer, rows[i].want_key, &position);

            test_that(r == 0 || r == -ENOENT, "%s in %zu octets gave %d", rows[i].pointer, length, r);
            test_that(r < 0 || position.line <= 7, "%s in %zu octets is on line %u", rows[i].pointer, length,
                    position.line);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_find),
            cmocka_unit_test(test_scalar_documents),
            cmocka_unit_test(test_cut_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
