/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/daemon.c: the budget for raw transfers. */
#include "test.h"

#include <errno.h>

#include "core/daemon.h"

static void test_budget(void **state)
{
    struct daemon daemon = {.limits = {.data_total_bytes = 100}};
    struct error error = {0};

    (void)state;
    assert_int_equal(daemon_claim_data(&daemon, NULL, 60, &error), 0);
    assert_int_equal(daemon_claim_data(&daemon, NULL, 40, &error), 0);
    assert_int_equal(daemon_claim_data(&daemon, NULL, 0, &error), 0);
    check_error(daemon_claim_data(&daemon, NULL, 1, &error), -EAGAIN, &error, "too much raw data");
    daemon_return_data(&daemon, NULL, 40);
    assert_int_equal(daemon_claim_data(&daemon, NULL, 41, &error), -EAGAIN);
    assert_int_equal(daemon_claim_data(&daemon, NULL, UINT64_MAX, &error), -EAGAIN);
    assert_int_equal(daemon_claim_data(&daemon, NULL, 40, &error), 0);
    daemon_return_data(&daemon, NULL, 100);
    assert_true(daemon.data_bytes_in_use == 0);
}

static void test_budget_of_a_principal(void **state)
{
    struct daemon daemon = {.limits = {.data_principal_bytes = 60, .data_total_bytes = 100}};
    struct account alice = {.name = "user:alice"}, bob = {.name = "user:bob"};
    struct error error = {0};

    (void)state;
    assert_int_equal(daemon_claim_data(&daemon, &alice, 60, &error), 0);
    check_error(daemon_claim_data(&daemon, &alice, 1, &error), -EDQUOT, &error, "user:alice has too much");
    check_error(daemon_claim_data(&daemon, &bob, UINT64_MAX, &error), -EDQUOT, &error, "user:bob");
    check_error(daemon_claim_data(&daemon, &bob, 41, &error), -EAGAIN, &error, "too much raw data");
    assert_int_equal(daemon_claim_data(&daemon, &bob, 40, &error), 0);
    daemon_return_data(&daemon, &alice, 60);
    daemon_return_data(&daemon, &bob, 40);
    assert_true(daemon.data_bytes_in_use == 0 && alice.data_bytes == 0 && bob.data_bytes == 0);
}

static void test_default_limits(void **state)
{
    (void)state;
    assert_true(limits_default.data_bytes <= limits_default.data_principal_bytes);
    assert_true(limits_default.data_principal_bytes <= limits_default.data_total_bytes);
    assert_true(limits_default.json_body_bytes == 64 * 1024);
    assert_true(limits_default.connections && limits_default.values && limits_default.queue &&
                limits_default.device_seconds && limits_default.idle_seconds &&
                limits_default.request_seconds && limits_default.tokens && limits_default.events >= 16 &&
                limits_default.interrupts_per_second);
    assert_true(limits_default.reservations_per_principal > 0 &&
                limits_default.reservations_per_principal < limits_default.reservations);
    assert_true(limits_default.streams_per_principal > 0 &&
                limits_default.streams_per_principal < limits_default.streams);
    assert_true(limits_default.buffers_per_principal > 0 &&
                limits_default.buffers_per_principal < limits_default.buffers);
    assert_true(limits_default.buffer_bytes_per_principal >= 1 << 20 &&
                limits_default.buffer_bytes_per_principal < limits_default.buffer_bytes);
    assert_true(limits_default.queue < limits_default.connections); /* one device must not block them all */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_budget),
            cmocka_unit_test(test_budget_of_a_principal),
            cmocka_unit_test(test_default_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
