/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times, as they are typed and printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "duration.h"
#include "util/cleanup.h"

static void test_times(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } rows[] = {{"1", 1}, {"90", 90}, {"090", 90}, {"90s", 90}, {"10m", 600}, {"2h", 7200}, {"30d", 2592000},
            {"1h30m", 5400}, {"1d2h3m4s", 93784}, {"1d1s", 86401}, {"0h1s", 1}, {"90m", 5400},
            {"36600d", 3162240000}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        uint64_t seconds = 0;

        assert_int_equal(duration_parse(rows[i].text, &seconds, NULL), 0);
        assert_int_equal(seconds, rows[i].seconds);
    }
}

static void test_mistakes(void **state)
{
    static const char *const texts[] = {"", "0", "0s", "0d0s", "s", "m1", "-1", "+1", " 1", "1 ", "1 h",
            "1.5h", "1h 30m", "30m1h", "1h1h", "1h30", "1w", "1H", "0x10", "1ms", "36601d", "3162240001",
            "99999999999999999999", "213503982334602d", "36600d1s", "1e3", "1h-1s"};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        struct error error = {.message = ""};
        uint64_t seconds = 77;

        assert_int_equal(duration_parse(texts[i], &seconds, &error), -EINVAL);
        assert_int_equal(seconds, 77);
        assert_int_not_equal(error.message[0], '\0');
    }
}

static void test_texts(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {{0, "0 s"}, {59, "59 s"}, {60, "1 min"}, {250, "4 min 10 s"}, {3600, "1 h"}, {3659, "1 h"},
            {7500, "2 h 5 min"}, {86400, "1 d"}, {90061, "1 d 1 h"}, {2592000, "30 d"},
            {UINT64_MAX, "213503982334601 d 7 h"}};
    char text[DURATION_TEXT];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        assert_string_equal(duration_format(rows[i].seconds, text), rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_times),
            cmocka_unit_test(test_mistakes),
            cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
