/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util/words.h: only whole words are there. */
#include "test.h"

#include "util/words.h"

static void test_have(void **state)
{
    (void)state;
    assert_true(words_have("value", "value"));
    assert_true(words_have("mask value", "mask"));
    assert_true(words_have("mask value", "value"));
    assert_false(words_have("mask value", "mask value"));
    assert_false(words_have("mask value", "ask"));
    assert_false(words_have("mask value", "val"));
    assert_false(words_have("mask value", "values"));
    assert_false(words_have("mask value", ""));
    assert_false(words_have("", "mask"));
    assert_false(words_have("", ""));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_have)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
