/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/event_id.c: what is written is read, and nothing else. */
#include "test.h"

#include <errno.h>

#include "api/event_id.h"

static struct daemon daemon_here = {.identity = 0xff};

static void test_ids(void **state)
{
    uint64_t identity, sequence;
    char id[EVENT_ID_SIZE];

    (void)state;
    assert_string_equal(event_id_format(&daemon_here, 7, id), "00000000000000ff-7");
    assert_int_equal(event_id_parse(id, &identity, &sequence), 0);
    assert_true(identity == 0xff && sequence == 7);
    assert_int_equal(event_id_parse("fedcba9876543210-0", &identity, &sequence), 0);
    assert_true(identity == 0xfedcba9876543210 && sequence == 0);

    daemon_here.identity = UINT64_MAX;
    event_id_format(&daemon_here, UINT64_MAX, id);
    daemon_here.identity = 0xff;
    assert_int_equal(event_id_parse(id, &identity, &sequence), 0);
    assert_true(identity == UINT64_MAX && sequence == UINT64_MAX);
}

static void test_malformed_ids(void **state)
{
    static const char *const malformed[] = {"", "0", "-", "7", "ff-7", "00000000000000ff",
            "00000000000000ff-", "00000000000000ff7", "000000000000000ff-7", "0000000000000ff-7",
            "00000000000000FF-7", "00000000000000ff-07", "00000000000000ff--7", "00000000000000ff-+7",
            "00000000000000ff- 7", " 00000000000000ff-7", "00000000000000ff-7 ", "00000000000000ff-7\n",
            "00000000000000ff-0x7", "00000000000000ff-18446744073709551616", "0x000000000000ff-7",
            "00000000000000fg-7", "00000000000000ff-99999999999999999999999999999999999999999999"};
    uint64_t identity = 1, sequence = 2;

    (void)state;
    for (size_t i = 0; i < ELEMENTS(malformed); i++)
        test_that(event_id_parse(malformed[i], &identity, &sequence) == -EINVAL, "'%s' was taken",
                malformed[i]);
    assert_true(identity == 1 && sequence == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_ids),
            cmocka_unit_test(test_malformed_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
