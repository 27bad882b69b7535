/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* http/uri.c: a table of targets. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/uri.h"
#include "util/cleanup.h"

/* parts: the segments, each after a '|', then the arguments, each after a '&'. */
static const struct {
    const char *target, *parts;
} good[] = {
        {"/", ""},
        {"/v1", "|v1"},
        {"/v1/regions/edu/registers/0x0", "|v1|regions|edu|registers|0x0"},
        {"/v1/regions/a%20b", "|v1|regions|a b"},
        {"/%76%31", "|v1"},
        {"/a%25b", "|a%b"},
        {"/a%2525", "|a%25"}, /* once, not twice */
        {"/a%3Fb%26c%3d", "|a?b&c="},
        {"/...", "|..."},
        {"/.a", "|.a"},
        {"/a..", "|a.."},
        {"/a+b", "|a+b"},
        {"/a;b:c@d,e!$'()*", "|a;b:c@d,e!$'()*"},
        {"/a\\b", "|a\\b"},
        {"/%c3%a9", "|\xc3\xa9"},
        {"/\xc3\xa9", "|\xc3\xa9"},
        {"/a?", "|a"},
        {"/a?b=1", "|a&b=1"},
        {"/a?b", "|a&b="},
        {"/a?b=", "|a&b="},
        {"/a?=1", "|a&=1"},
        {"/a?b=1&c=2", "|a&b=1&c=2"},
        {"/a?b=1&&c=2", "|a&b=1&=&c=2"}, /* the handlers refuse the name "" */
        {"/a?b=1=2", "|a&b=1=2"},
        {"/a?b=%3d%26&c", "|a&b==&&c="},
        {"/a?b=/../x", "|a&b=/../x"},
        {"/a?b=%2f%2e%2e", "|a&b=/.."},
        {"/a?b?c=?", "|a&b?c=?"},
        {"/a?b=a+b", "|a&b=a+b"}, /* no form */
        {"/?a=1", "&a=1"},
};

static const struct {
    const char *target, *message;
    int code;
} bad[] = {
        {"", "does not begin with a slash", -EINVAL},
        {"v1", "does not begin with a slash", -EINVAL},
        {"*", "does not begin with a slash", -EINVAL},
        {"http://a/v1", "does not begin with a slash", -EINVAL},
        {"?a=1", "does not begin with a slash", -EINVAL},
        {"//", "empty segment", -EINVAL},
        {"//v1", "empty segment", -EINVAL},
        {"/v1/", "empty segment", -EINVAL},
        {"/v1//regions", "empty segment", -EINVAL},
        {"/.", "dot segment", -EINVAL},
        {"/..", "dot segment", -EINVAL},
        {"/v1/../etc", "dot segment", -EINVAL},
        {"/v1/./x", "dot segment", -EINVAL},
        {"/%2e", "dot segment", -EINVAL},
        {"/%2E%2e", "dot segment", -EINVAL},
        {"/.%2e/x", "dot segment", -EINVAL},
        {"/a%2fb", "encoded slash", -EINVAL},
        {"/a%2Fb", "encoded slash", -EINVAL},
        {"/a%00", "control character", -EINVAL},
        {"/a%00b", "control character %00", -EINVAL},
        {"/a%0a", "control character %0a", -EINVAL},
        {"/a%1F", "control character", -EINVAL},
        {"/a%7f", "control character", -EINVAL},
        {"/a%", "without two hexadecimal digits", -EINVAL},
        {"/a%4", "without two hexadecimal digits", -EINVAL},
        {"/a%4g", "without two hexadecimal digits", -EINVAL},
        {"/a%g4", "without two hexadecimal digits", -EINVAL},
        {"/a%-1", "without two hexadecimal digits", -EINVAL},
        {"/a%%41", "without two hexadecimal digits", -EINVAL},
        {"/%ff", "not valid UTF-8", -EINVAL},
        {"/\xff", "not valid UTF-8", -EINVAL},
        {"/%c0%af", "not valid UTF-8", -EINVAL},
        {"/%c3", "not valid UTF-8", -EINVAL},
        {"/%c3/%a9", "not valid UTF-8", -EINVAL},
        {"/%ed%a0%80", "not valid UTF-8", -EINVAL},
        {"/%c0%ae%c0%ae/", "not valid UTF-8", -EINVAL},
        {"/a?b=%00", "control character", -EINVAL},
        {"/a?%00=b", "control character", -EINVAL},
        {"/a?b=%", "without two hexadecimal digits", -EINVAL},
        {"/a?b=%ff", "not valid UTF-8", -EINVAL},
        {"/a?%ff", "not valid UTF-8", -EINVAL},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(good); i++) {
        char *text = strdup(good[i].target);
        struct error error = {0};
        struct uri uri;
        char parts[256] = "";
        size_t used = 0;

        test_that(uri_parse(text, &uri, &error) == 0, "'%s' was refused: %s", good[i].target, error.message);
        for (size_t k = 0; k < uri.segment_count; k++)
            used += (size_t)snprintf(parts + used, sizeof(parts) - used, "|%s", uri.segments[k]);
        for (size_t k = 0; k < uri.argument_count; k++)
            used += (size_t)snprintf(parts + used, sizeof(parts) - used, "&%s=%s", uri.arguments[k].name,
                    uri.arguments[k].value);
        test_that(strcmp(parts, good[i].parts) == 0, "'%s' became %s, expected %s", good[i].target, parts,
                good[i].parts);
        free(text);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(bad); i++) {
        char *text = strdup(bad[i].target);
        struct error error = {0};
        struct uri uri;

        check_error(uri_parse(text, &uri, &error), bad[i].code, &error, bad[i].message);
        free(text);
    }
}

/* As many parts as there is room for, and one more. */
static void test_room(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        char path[4 * URI_SEGMENTS + 8] = "", query[4 * CALL_ARGUMENTS + 8] = "/a?";
        struct error error = {0};
        struct uri uri;

        for (size_t i = 0; i < URI_SEGMENTS + more; i++)
            strcat(path, "/s");
        for (size_t i = 0; i < CALL_ARGUMENTS + more; i++)
            strcat(query, i ? "&a" : "a");
        if (more) {
            check_error(uri_parse(path, &uri, &error), -ENOENT, &error, "that many segments");
            check_error(uri_parse(query, &uri, &error), -EINVAL, &error, "arguments");
        } else {
            assert_int_equal(uri_parse(path, &uri, &error), 0);
            assert_int_equal(uri.segment_count, URI_SEGMENTS);
            assert_int_equal(uri_parse(query, &uri, &error), 0);
            assert_int_equal(uri.argument_count, CALL_ARGUMENTS);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_good),
            cmocka_unit_test(test_bad),
            cmocka_unit_test(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
