/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/access.c: what rules allow and deny, where random ones show little. */
#include "access_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static void test_no_rules(void **state)
{
    const struct access_rules none = {0};
    struct operation operation = {.region = &board.regions[0], .access = {.width = 4, .count = 1}};
    struct access_decision decision;
    struct error error = {0};

    (void)state;
    for (size_t i = 0; i < PRINCIPALS; i++) {
        for (enum permission permission = PERMISSION_LIST; permission <= PERMISSION_ADMIN; permission++) {
            assert_false(access_may(&none, &principals[i], permission, NULL, &decision));
            assert_false(access_may(&none, &principals[i], permission, operation.region, &decision));
            assert_null(decision.rule);
        }
        assert_true(access_may(&none, &principals[i], PERMISSION_NONE, NULL, &decision));
        assert_false(access_decide(&none, &board.inventory, &principals[i], &operation, &decision));
    }
    check_error(access_refuse(&principals[0], PERMISSION_READ, operation.region, &decision, &error), -EPERM,
            &error, "no access rule lets user:alice read a0:0x0");
    check_error(access_refuse(&principals[1], PERMISSION_READ, operation.region, &decision, &error),
            -EKEYREJECTED, &error, "say who you are");
}

/* Lengths and offsets that are none, or wrap around, are nobody's. */
static void test_impossible(void **state)
{
    static const struct access accesses[] = {
            {.offset = 0, .width = 4, .count = 0},
            {.offset = 0, .width = 0, .count = 1},
            {.offset = 0, .width = 16, .count = 1},
            {.offset = UINT64_MAX - 2, .width = 4, .count = 1},
            {.offset = UINT64_MAX - 15, .width = 8, .count = SIZE_MAX / 8},
            {.offset = 0, .width = 4, .count = 0, .fixed = true},
            /* A size_t of 32 bits has no counts that are impossible by themselves. */
            {.offset = 16, .width = 8, .count = SIZE_MAX / 8},
            {.offset = 0, .width = 8, .count = SIZE_MAX / 8 + 2},
    };
    const size_t count = ELEMENTS(accesses) - (SIZE_MAX < UINT64_MAX ? 2 : 0);
    struct access_rule all[] = {RULE(.permissions = PERMISSIONS_ALL)};
    const struct access_rules rules = {all, 1};
    struct access_decision decision;
    char values[8] = {0};

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (enum operation_kind kind = OPERATION_READ; kind <= OPERATION_MODIFY; kind++) {
            struct operation operation = {
                    .region = &board.regions[0], .kind = kind, .access = accesses[i], .values = values};

            test_that(!access_decide(&rules, &board.inventory, &principals[0], &operation, &decision),
                    "access %zu was allowed", i);
        }
    }
    assert_false(access_may_range(
            &rules, &board.inventory, &principals[0], PERMISSION_READ, &board.regions[0], 1, 0, &decision));
    assert_true(access_may_range(&rules, &board.inventory, &principals[0], PERMISSION_READ,
            &board.regions[0], 0, UINT64_MAX, &decision));
    assert_true(access_may_range(&rules, &board.inventory, &principals[0], PERMISSION_READ,
            &board.regions[0], UINT64_MAX, UINT64_MAX, &decision));
}

/* Rules that end at the last octet there can be. */
static void test_last_octet(void **state)
{
    struct access_range low = {0, UINT64_MAX - 4}, high = {UINT64_MAX - 3, UINT64_MAX};
    struct access_rule rows[] = {RULE(.permissions = 1 << PERMISSION_READ, .ranges = &low, .range_count = 1),
            RULE(.permissions = 1 << PERMISSION_READ, .ranges = &high, .range_count = 1),
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &high, .range_count = 1, .has_mask = true,
                    .mask = 0xff)};
    const struct access_rules rules = {rows, ELEMENTS(rows)};
    struct operation operation = {.region = &board.regions[0],
            .kind = OPERATION_MODIFY,
            .access = {.offset = UINT64_MAX - 3, .width = 4, .count = 1},
            .mask = 0x80,
            .value = 0x80};
    struct access_decision decision;

    (void)state;
    assert_true(access_may_range(&rules, &board.inventory, &principals[0], PERMISSION_READ,
            &board.regions[0], 0, UINT64_MAX, &decision));
    assert_true(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    operation.mask = 0x180;
    assert_false(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    assert_true(decision.partly && decision.offset == UINT64_MAX - 2);
    assert_int_equal(decision.permission, PERMISSION_WRITE);
}

/* The right to change some bits of a register is not one to write its neighbours with what they had: that
 * is an access to them, and it may do something. */
static void test_modification_is_wide(void **state)
{
    struct access_range first = {0x0, 0x3}, second = {0x4, 0x7};
    struct access_rule rows[] = {RULE(.permissions = 1 << PERMISSION_READ),
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &first, .range_count = 1, .has_mask = true,
                    .mask = 0x80),
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &second, .range_count = 1),
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &second, .range_count = 1, .deny = true)};
    struct access_rules rules = {rows, 2};
    struct operation operation = {.region = &board.regions[0],
            .kind = OPERATION_MODIFY,
            .access = {.width = 4, .count = 1},
            .mask = 0x80,
            .value = 0x80};
    struct access_decision decision;

    (void)state;
    assert_true(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    operation.access.width = 8;
    assert_false(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    assert_true(decision.offset == 4 && !decision.rule);
    rules.count = 3;
    assert_true(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    rules.count = 4;
    assert_false(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    assert_true(decision.offset == 4 && decision.rule == &rows[3]);
    rows[2].permissions = 1 << PERMISSION_READ; /* a rule that denies says more than that there is none */
    assert_false(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    assert_true(decision.offset == 4 && decision.rule == &rows[3]);
}

/* Value bits outside the mask would be set too. */
static void test_value_beyond_mask(void **state)
{
    struct access_range range = {0x0, 0x3};
    struct access_rule rows[] = {RULE(.permissions = 1 << PERMISSION_READ),
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &range, .range_count = 1, .has_mask = true,
                    .mask = 0x80)};
    const struct access_rules rules = {rows, 2};
    struct operation operation = {.region = &board.regions[0],
            .kind = OPERATION_MODIFY,
            .access = {.width = 4, .count = 1},
            .mask = 0x80,
            .value = 0x81};
    struct access_decision decision;

    (void)state;
    assert_false(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
}

/* All that goes through a FIFO is looked at, wherever in it. */
static void test_fifo(void **state)
{
    enum { COUNT = 5000 };
    struct access_range range = {0x4, 0x7};
    uint64_t values[] = {0x1, 0x2, 0xffffffff}, denied[] = {0xdead};
    struct access_rule rows[] = {
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &range, .range_count = 1, .values = values,
                    .value_count = 3, .mask = UINT64_MAX),
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &range, .range_count = 1),
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &range, .range_count = 1, .values = denied,
                    .value_count = 1, .mask = UINT64_MAX, .deny = true)};
    struct access_rules rules = {rows, 1};
    _cleanup_free_ uint32_t *fifo = calloc(COUNT, sizeof(*fifo));
    struct operation operation = {.region = &board.regions[0],
            .kind = OPERATION_WRITE,
            .access = {.offset = 4, .width = 4, .count = COUNT, .fixed = true},
            .values = fifo};
    struct access_decision decision;

    (void)state;
    assert_non_null(fifo);
    for (size_t i = 0; i < COUNT; i++)
        fifo[i] = (uint32_t)values[i % 3];
    assert_true(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    for (size_t i = 0; i < COUNT; i += 1 + i / 2) {
        uint32_t before = fifo[i];

        fifo[i] = 3;
        test_that(!access_decide(&rules, &board.inventory, &principals[0], &operation, &decision),
                "value %zu went through", i);
        assert_true(decision.partly && decision.offset == 4);
        fifo[i] = before;
    }
    rules = (struct access_rules){rows + 1, 2};
    for (size_t i = 0; i < COUNT; i++)
        fifo[i] = (uint32_t)any(UINT64_C(1) << 32) | 0x10000;
    assert_true(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    fifo[COUNT - 1] = 0xdead;
    assert_false(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    assert_ptr_equal(decision.rule, &rows[2]);
}

/* A whole block is one look at the ranges; in its midst a register that is denied a value. */
static void test_block(void **state)
{
    enum { COUNT = 1 << 20 };
    struct access_range middle = {0x80000, 0x80003};
    uint64_t zero = 0;
    struct access_rule rows[] = {RULE(.permissions = 1 << PERMISSION_WRITE),
            RULE(.permissions = 1 << PERMISSION_WRITE, .ranges = &middle, .range_count = 1, .values = &zero,
                    .value_count = 1, .mask = UINT64_MAX, .deny = true)};
    const struct access_rules rules = {rows, 2};
    _cleanup_free_ char *octets = calloc(COUNT, 1);
    struct operation operation = {.region = &board.regions[3],
            .kind = OPERATION_WRITE,
            .access = {.width = 1, .count = COUNT},
            .values = octets};
    struct access_decision decision;

    (void)state;
    assert_non_null(octets);
    for (unsigned width = 1; width <= 8; width *= 2) {
        operation.access.width = width;
        operation.access.count = COUNT / width;
        memset(octets, 0, COUNT);
        assert_false(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
        assert_true(decision.offset == 0x80000 && decision.rule == &rows[1]);
        octets[0x80000] = 1; /* narrower stores leave the rest of the register to chance */
        assert_int_equal(
                access_decide(&rules, &board.inventory, &principals[0], &operation, &decision), width >= 4);
        memset(octets + 0x80000, 1, 4);
        assert_true(access_decide(&rules, &board.inventory, &principals[0], &operation, &decision));
    }
}

/* Rules of another region that is a window of the same addresses. */
static void test_alias(void **state)
{
    static char *const names[] = {(char *)"b0", NULL};
    struct access_rule rows[] = {RULE(.permissions = 1 << PERMISSION_READ),
            RULE(.permissions = 1 << PERMISSION_READ, .deny = true, .regions = (char **)names)};
    const struct access_rules rules = {rows, 2};
    struct access_decision decision;
    struct error error = {0};
    const struct region *alias;

    (void)state;
    assert_true(access_may_range(
            &rules, &board.inventory, &principals[0], PERMISSION_READ, &board.regions[0], 0, 5, &decision));
    assert_false(access_may_range(
            &rules, &board.inventory, &principals[0], PERMISSION_READ, &board.regions[0], 4, 7, &decision));
    assert_ptr_equal(decision.region, &board.regions[2]);
    assert_ptr_equal(decision.rule, &rows[1]);
    assert_true(decision.offset == 6);
    check_error(access_refuse(&principals[0], PERMISSION_READ, &board.regions[0], &decision, &error), -EPERM,
            &error, "user:alice may not read a0:0x6: the access rule rule denies it, for another region");
    assert_true(access_may_range(&rules, &board.inventory, &principals[0], PERMISSION_READ,
            &board.regions[0], 0xf, 0x1f, &decision));
    assert_int_equal(access_rule_bearing(&rows[1], &board.inventory, &principals[0], 1 << PERMISSION_READ,
                             &board.regions[0], 4, 7, &alias),
            ACCESS_BEARS);
    assert_ptr_equal(alias, &board.regions[2]);
    assert_int_equal(access_rule_bearing(&rows[1], &board.inventory, &principals[0], 1 << PERMISSION_READ,
                             &board.regions[0], 0, 5, &alias),
            ACCESS_OTHER_REGIONS);
    assert_null(alias);
}

/* What is about no region, or any. */
static void test_anywhere(void **state)
{
    static char *some[] = {(char *)"a0", NULL};
    struct access_range range = {0, 3};
    struct access_rule rows[] = {RULE(.permissions = PERMISSIONS_ALL, .regions = some),
            RULE(.permissions = PERMISSIONS_ALL, .ranges = &range, .range_count = 1),
            RULE(.permissions = PERMISSIONS_ALL),
            RULE(.permissions = PERMISSIONS_ALL, .regions = some, .deny = true),
            RULE(.permissions = PERMISSIONS_ALL, .deny = true)};
    struct access_rules rules = {rows, 1};
    struct access_decision decision;
    struct error error = {0};

    (void)state;
    assert_true(access_may(&rules, &principals[0], PERMISSION_LIST, NULL, &decision));
    assert_false(access_may(&rules, &principals[0], PERMISSION_ADMIN, NULL, &decision));
    check_error(access_refuse(&principals[0], PERMISSION_ADMIN, NULL, &decision, &error), -EPERM, &error,
            "no access rule lets user:alice administer devregd");
    assert_true(access_may(&rules, &principals[0], PERMISSION_ADMIN, &board.regions[0], &decision));
    assert_false(access_may(&rules, &principals[0], PERMISSION_ADMIN, &board.regions[1], &decision));
    rules.count = 2;
    assert_false(access_may(&rules, &principals[0], PERMISSION_ADMIN, NULL, &decision));
    rules.count = 4;
    assert_true(access_may(&rules, &principals[0], PERMISSION_ADMIN, NULL, &decision));
    assert_true(access_may(&rules, &principals[2], PERMISSION_ADMIN, NULL, &decision));
    assert_true(access_may(&rules, &principals[0], PERMISSION_READ, NULL, &decision));
    assert_false(access_may(&rules, &principals[0], PERMISSION_READ, &board.regions[0], &decision));
    assert_ptr_equal(decision.rule, &rows[3]);
    rules.count = 5;
    assert_false(access_may(&rules, &principals[0], PERMISSION_READ, NULL, &decision));
    assert_ptr_equal(decision.rule, &rows[4]);
    check_error(access_refuse(&principals[0], PERMISSION_READ, NULL, &decision, &error), -EPERM, &error,
            "user:alice may not read anything: the access rule rule denies it");
}

static void test_scope(void **state)
{
    struct access_rule rows[] = {RULE(.permissions = PERMISSIONS_ALL)};
    const struct access_rules rules = {rows, 1};
    const struct principal *narrow = &principals[3];
    struct principal wide = *narrow;
    struct access_decision decision;
    struct error error = {0};

    (void)state;
    assert_true(access_may(&rules, narrow, PERMISSION_READ, NULL, &decision));
    assert_true(access_may(&rules, narrow, PERMISSION_READ, &board.regions[1], &decision));
    assert_false(access_may(&rules, narrow, PERMISSION_READ, &board.regions[2], &decision));
    assert_true(decision.narrowed && decision.rule == &rows[0]);
    check_error(access_refuse(narrow, PERMISSION_READ, &board.regions[2], &decision, &error), -EPERM, &error,
            "token:narrow may not read b0: access rules allow it, but the token was made for less");
    assert_false(access_may(&rules, narrow, PERMISSION_ADMIN, NULL, &decision));
    wide.scope = PERMISSIONS_ALL; /* but for some regions, which is not everything */
    assert_false(access_may(&rules, &wide, PERMISSION_ADMIN, NULL, &decision));
    wide.scope_regions = NULL;
    assert_true(access_may(&rules, &wide, PERMISSION_ADMIN, NULL, &decision));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_no_rules),
            cmocka_unit_test(test_impossible),
            cmocka_unit_test(test_last_octet),
            cmocka_unit_test(test_modification_is_wide),
            cmocka_unit_test(test_value_beyond_mask),
            cmocka_unit_test(test_fifo),
            cmocka_unit_test(test_block),
            cmocka_unit_test(test_alias),
            cmocka_unit_test(test_anywhere),
            cmocka_unit_test(test_scope),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
