/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/access.c: random rules and accesses are compared with the model. */
#include "access_model.h"

#include "util/cleanup.h"

enum {
    MOST_RULES = 6,
    MOST_STORES = 6,
};

/* Values that are likely to meet each other. */
static uint64_t any_value(void)
{
    static const uint64_t values[] = {
            0, 1, 0x80, 0xff, 0x100, 0x8000, 0xff00, UINT64_MAX, 0x0102030405060708};

    return values[any(ELEMENTS(values))];
}

struct random_rule {
    struct access_range ranges[3];
    uint64_t values[3];
    char *regions[3];
    struct access_subject subjects[2];
};

static void make_rule(struct access_rule *rule, struct random_rule *parts)
{
    static const char *const globs[] = {"a0", "a*", "b?", "*", "[bc]*", "p", "nothing"};
    bool partial = any(3) == 0;

    *rule = (struct access_rule){.name = (char *)"rule", .deny = any(3) == 0, .mask = UINT64_MAX};
    rule->subjects = parts->subjects;
    rule->subject_count = 1 + any(2);
    for (size_t i = 0; i < rule->subject_count; i++)
        parts->subjects[i] = subjects[any(2) ? 0 : any(ELEMENTS(subjects))];
    rule->permissions = partial ? 1 << PERMISSION_WRITE
                                : (permission_set)(1 << PERMISSION_WRITE | any(2) << PERMISSION_READ);
    if (!partial && any(8) == 0)
        rule->permissions = 1 << PERMISSION_READ;
    if (any(3)) {
        rule->regions = parts->regions;
        parts->regions[0] = (char *)globs[any(ELEMENTS(globs))];
        parts->regions[1] = any(2) ? (char *)globs[any(ELEMENTS(globs))] : NULL;
        parts->regions[2] = NULL;
    }
    rule->ranges = parts->ranges;
    rule->range_count = partial ? 1 + any(3) : any(4);
    for (size_t i = 0; i < rule->range_count; i++) {
        uint64_t size = partial ? UINT64_C(1) << any(4) : 1 + any(SIZE);
        uint64_t first = partial ? any(SIZE / size + 1) * size : any(SIZE);

        parts->ranges[i] = (struct access_range){first, first + size - 1};
        if (!partial && any(16) == 0)
            parts->ranges[i].last = UINT64_MAX;
    }
    if (!partial)
        return;
    rule->has_mask = any(2);
    if (rule->has_mask)
        rule->mask = any_value() | UINT64_C(1) << any(64);
    rule->values = parts->values;
    rule->value_count = any(4);
    if (rule->value_count == 0)
        rule->has_mask = true;
    for (size_t i = 0; i < rule->value_count; i++)
        parts->values[i] = any_value() & rule->mask;
}

struct random_rules {
    struct access_rule rules[MOST_RULES];
    struct random_rule parts[MOST_RULES];
};

static void make_rules(struct random_rules *random, struct access_rules *rules)
{
    rules->rules = random->rules;
    rules->count = any(MOST_RULES + 1);
    for (size_t i = 0; i < rules->count; i++)
        make_rule(&random->rules[i], &random->parts[i]);
    if (rules->count > 0 && any(2)) { /* otherwise nearly everything is refused */
        random->rules[0].deny = random->rules[0].has_mask = false;
        random->rules[0].value_count = random->rules[0].range_count = 0;
        random->rules[0].permissions = PERMISSIONS_ALL;
    }
}

/* A random operation, and what it writes as the model has it. values has room for MOST_STORES * 8 octets. */
static size_t make_operation(struct operation *operation, uint8_t *values, struct write writes[MOST_STORES])
{
    struct access *access = &operation->access;
    uint8_t mask[8], value[8];

    *operation = (struct operation){.kind = any(3), .region = &board.regions[any(REGIONS)]};
    access->width = 1u << any(4);
    access->offset = any(SIZE / access->width) * access->width;
    if (any(8) == 0)
        access->offset = any(SIZE); /* it need not be aligned */
    access->count = operation->kind == OPERATION_MODIFY ? 1 : 1 + any(MOST_STORES);
    access->fixed = operation->kind != OPERATION_MODIFY && any(4) == 0;
    operation->values = operation->kind == OPERATION_WRITE && any(8) ? values : NULL;
    operation->mask = any_value();
    operation->value = any_value() & operation->mask;
    for (size_t i = 0; i < access->count * access->width; i++)
        values[i] = any(3) ? (uint8_t)any(2) : (uint8_t)(any_value() >> 8 * any(8));
    for (unsigned i = 0; i < access->width; i++) {
        bool big = operation->region->description->endianness == ENDIANNESS_BIG;
        unsigned shift = 8 * (big ? access->width - 1 - i : i);

        mask[i] = (uint8_t)(operation->mask >> shift);
        value[i] = (uint8_t)(operation->value >> shift);
    }
    for (size_t i = 0; i < access->count; i++) {
        writes[i].count = access->width;
        for (size_t k = 0; k < access->width; k++) {
            struct octet *octet = &writes[i].octets[k];

            octet->offset = access_offset(access, i) + k;
            octet->bits = operation->kind == OPERATION_MODIFY ? mask[k] : 0xff;
            octet->value = operation->kind == OPERATION_MODIFY ? value[k] : values[i * access->width + k];
            octet->known = operation->kind == OPERATION_MODIFY || operation->values ? octet->bits : 0;
        }
    }
    return access->count;
}

static void reading(struct write *writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < writes[i].count; k++)
            writes[i].octets[k].bits = 0xff;
    }
}

static void test_decide(void **state)
{
    size_t allowed = 0, rounds = 120000;

    (void)state;
    for (size_t round = 0; round < rounds; round++) {
        const struct principal *principal = &principals[any(PRINCIPALS)];
        struct write writes[MOST_STORES];
        uint8_t values[MOST_STORES * 8];
        struct access_decision decision;
        struct random_rules random;
        struct access_rules rules;
        struct operation operation;
        uint64_t offset = 0;
        bool wanted = true, got;
        size_t count;

        make_rules(&random, &rules);
        count = make_operation(&operation, values, writes);
        if (operation.kind != OPERATION_READ)
            wanted = model_decide(
                    &rules, principal, PERMISSION_WRITE, operation.region, writes, count, &offset);
        if (operation.kind != OPERATION_WRITE) {
            uint64_t write_offset = offset;
            bool may_write = wanted;

            reading(writes, count);
            wanted = model_decide(
                    &rules, principal, PERMISSION_READ, operation.region, writes, count, &offset);
            if (wanted)
                offset = write_offset;
            wanted = wanted && may_write;
        }
        got = access_decide(&rules, &board.inventory, principal, &operation, &decision);
        if (wanted) {
            bool scope = (operation.kind == OPERATION_WRITE ||
                                 model_scope(principal, PERMISSION_READ, operation.region)) &&
                         (operation.kind == OPERATION_READ ||
                                 model_scope(principal, PERMISSION_WRITE, operation.region));

            test_that(got == scope && decision.narrowed == !scope && decision.rule && !decision.rule->deny,
                    "round %zu: it was %s", round, got ? "allowed" : "refused");
            allowed += got;
            continue;
        }
        test_that(!got && !decision.allowed, "round %zu: it was allowed, but not 0x%llx", round,
                (unsigned long long)offset);
        test_that(decision.narrowed ||
                          (decision.has_offset && (operation.access.fixed || decision.offset == offset)),
                "round %zu: at 0x%llx instead of 0x%llx", round, (unsigned long long)decision.offset,
                (unsigned long long)offset);
        test_that(!decision.rule || decision.narrowed || decision.rule->deny, "round %zu", round);
    }
    test_that(allowed > rounds / 20 && allowed < rounds / 2, "%zu of %zu were allowed", allowed, rounds);
}

/* A range is what a block of single octets of any values is. */
static void test_range(void **state)
{
    size_t allowed = 0, rounds = 40000;

    (void)state;
    for (size_t round = 0; round < rounds; round++) {
        const struct principal *principal = &principals[any(3)];
        const struct region *region = &board.regions[any(REGIONS)];
        enum permission permission = any(2) ? PERMISSION_READ : PERMISSION_WRITE;
        uint64_t first = any(SIZE), last = first + any(SIZE), offset = 0;
        struct write writes[SIZE];
        struct access_decision decision;
        struct random_rules random;
        struct access_rules rules;
        bool wanted;

        make_rules(&random, &rules);
        for (uint64_t i = first; i <= last; i++)
            writes[i - first] = (struct write){.octets = {{i, 0xff, 0, 0}}, .count = 1};
        wanted = model_decide(
                &rules, principal, permission, region, writes, (size_t)(last - first + 1), &offset);
        test_that(access_may_range(&rules, &board.inventory, principal, permission, region, first, last,
                          &decision) == wanted,
                "round %zu: expected %d", round, wanted);
        test_that(wanted || decision.offset == offset, "round %zu: at 0x%llx instead of 0x%llx", round,
                (unsigned long long)decision.offset, (unsigned long long)offset);
        allowed += wanted;
    }
    test_that(allowed > rounds / 20, "%zu of %zu were allowed", allowed, rounds);
}

/* Something may be done when there is an octet that an allowing rule speaks of and none denies as a whole.
 */
static void test_may(void **state)
{
    size_t allowed = 0, rounds = 40000;

    (void)state;
    for (size_t round = 0; round < rounds; round++) {
        const struct principal *principal = &principals[any(PRINCIPALS)];
        const struct region *region = &board.regions[any(REGIONS)];
        enum permission permission = any(2) ? PERMISSION_READ : PERMISSION_WRITE;
        struct access_decision decision;
        struct random_rules random;
        struct access_rules rules;
        bool wanted = false, got;

        make_rules(&random, &rules);
        for (uint64_t offset = 0; offset < SIZE && offset < board.handles[region - board.regions].size;
                offset++) {
            bool octet_allowed = false, octet_denied = false;

            for (size_t i = 0; i < rules.count; i++) {
                const struct access_rule *rule = &rules.rules[i];
                bool has = rule->range_count == 0;

                if (!model_applies(rule, principal, permission, region))
                    continue;
                for (size_t k = 0; k < rule->range_count; k++)
                    has = has || (rule->ranges[k].first <= offset && offset <= rule->ranges[k].last);
                if (has && rule->deny && !rule->has_mask && !rule->value_count)
                    octet_denied = true;
                if (has && !rule->deny)
                    octet_allowed = true;
            }
            wanted = wanted || (octet_allowed && !octet_denied);
        }
        got = access_may(&rules, principal, permission, region, &decision);
        test_that(got == (wanted && model_scope(principal, permission, region)),
                "round %zu: expected %d, narrowed %d", round, wanted, decision.narrowed);
        allowed += got;
    }
    test_that(allowed > rounds / 20, "%zu of %zu were allowed", allowed, rounds);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_decide),
            cmocka_unit_test(test_range),
            cmocka_unit_test(test_may),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
