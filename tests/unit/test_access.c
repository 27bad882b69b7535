/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/access.c and what it is made of: what rules allow and deny. Random rules and accesses are compared
 * with a model that asks for every octet and every bit by itself. */
#include "test.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/access.h"
#include "core/access_match.h"
#include "util/cleanup.h"

enum {
    REGIONS = 5,
    SIZE = 0x20,
    MOST_RULES = 6,
    MOST_STORES = 6,
    PRINCIPALS = 5,
};

/* a0, a1 and b0 are windows of one memory; b0 is absent, and where c is is not known. p is of ports. */
struct board {
    struct region_description descriptions[REGIONS];
    struct backend_region handles[REGIONS];
    struct region regions[REGIONS];
    struct region *index[REGIONS];
    struct inventory inventory;
};

static struct board board;

static void make_board(void)
{
    static const struct {
        const char *name;
        uint64_t address, size;
        enum endianness endianness;
        enum region_type type;
    } rows[REGIONS] = {
            {"a0", 0x1000, SIZE, ENDIANNESS_LITTLE, REGION_MMIO},
            {"a1", 0x1008, SIZE, ENDIANNESS_BIG, REGION_MMIO},
            {"b0", 0x1006, 9, ENDIANNESS_BIG, REGION_MMIO},
            {"c", ADDRESS_UNKNOWN, SIZE, ENDIANNESS_LITTLE, REGION_MMIO},
            {"p", 0x1000, SIZE, ENDIANNESS_LITTLE, REGION_IOPORT},
    };

    memset(&board, 0, sizeof(board));
    for (size_t i = 0; i < REGIONS; i++) {
        board.descriptions[i].name = (char *)rows[i].name;
        board.descriptions[i].endianness = rows[i].endianness;
        board.handles[i] = (struct backend_region){
                .type = rows[i].type, .address = rows[i].address, .size = rows[i].size};
        board.regions[i].description = &board.descriptions[i];
        board.regions[i].handle = &board.handles[i];
        region_note_place(&board.regions[i]);
        board.index[i] = &board.regions[i];
    }
    board.regions[2].handle = NULL;
    board.inventory.regions = board.index;
    board.inventory.region_count = REGIONS;
}

static int set_up(void **state)
{
    (void)state;
    make_board();
    return 0;
}

static gid_t groups[] = {100, 200};
static char *scope_regions[] = {(char *)"a*", NULL};

static const struct principal principals[PRINCIPALS] = {
        {.kind = PRINCIPAL_USER,
                .name = "user:alice",
                .short_name = "alice",
                .uid = 1000,
                .groups = groups,
                .group_count = 2},
        {.kind = PRINCIPAL_ANONYMOUS, .name = "anonymous", .short_name = ""},
        {.kind = PRINCIPAL_TOKEN, .name = "token:ci", .short_name = "ci", .scope = PERMISSIONS_ALL},
        {.kind = PRINCIPAL_TOKEN,
                .name = "token:narrow",
                .short_name = "narrow",
                .scope = 1 << PERMISSION_LIST | 1 << PERMISSION_READ,
                .scope_regions = scope_regions},
        {.kind = PRINCIPAL_CERTIFICATE, .name = "certificate:rig1", .short_name = "rig1"},
};

static struct access_subject subjects[] = {
        {SUBJECT_EVERYBODY, (char *)"*", false, 0},
        {SUBJECT_ANONYMOUS, (char *)"", false, 0},
        {SUBJECT_USER, (char *)"al*", false, 0},
        {SUBJECT_USER, (char *)"1000", true, 1000},
        {SUBJECT_GROUP, (char *)"lab", true, 200},
        {SUBJECT_TOKEN, (char *)"*", false, 0},
        {SUBJECT_CERTIFICATE, (char *)"rig?", false, 0},
};

/* The model. */

/* One store of an operation: for each of its octets what is written to it. */
struct octet {
    uint64_t offset;
    uint8_t bits, known, value;
};

struct write {
    struct octet octets[8];
    size_t count;
};

static bool model_is(const struct access_subject *subject, const struct principal *principal)
{
    switch (subject->kind) {
    case SUBJECT_EVERYBODY:
        return true;
    case SUBJECT_ANONYMOUS:
        return principal->kind == PRINCIPAL_ANONYMOUS;
    case SUBJECT_USER:
        if (principal->kind != PRINCIPAL_USER)
            return false;
        return subject->has_id ? subject->id == principal->uid
                               : fnmatch(subject->pattern, principal->short_name, 0) == 0;
    case SUBJECT_GROUP:
        return principal->kind == PRINCIPAL_USER &&
               (subject->id == principal->groups[0] || subject->id == principal->groups[1]);
    case SUBJECT_TOKEN:
        return principal->kind == PRINCIPAL_TOKEN &&
               fnmatch(subject->pattern, principal->short_name, 0) == 0;
    case SUBJECT_CERTIFICATE:
        return principal->kind == PRINCIPAL_CERTIFICATE &&
               fnmatch(subject->pattern, principal->short_name, 0) == 0;
    }
    return false;
}

static bool model_applies(const struct access_rule *rule, const struct principal *principal,
        enum permission permission, const struct region *region)
{
    bool subject = false, named = !rule->regions;

    for (size_t i = 0; i < rule->subject_count; i++)
        subject = subject || model_is(&rule->subjects[i], principal);
    for (size_t i = 0; rule->regions && rule->regions[i]; i++)
        named = named || fnmatch(rule->regions[i], region_name(region), 0) == 0;
    return subject && named && rule->permissions & (1 << permission);
}

/* An octet of a region as an offset in another one. */
static bool model_translate(
        const struct region *region, uint64_t offset, const struct region *other, uint64_t *ret_offset)
{
    uint64_t address = region->known_address + offset;

    *ret_offset = offset;
    if (region == other)
        return true;
    if (!region->known_size || !other->known_size || region->known_type != other->known_type ||
            offset >= region->known_size || address < other->known_address ||
            address - other->known_address >= other->known_size)
        return false;
    *ret_offset = address - other->known_address;
    return true;
}

/* Which bit of its register a bit of an octet is. */
static unsigned model_bit(
        const struct region *region, const struct access_range *range, uint64_t offset, unsigned bit)
{
    uint64_t octet = offset - range->first;

    if (region->description->endianness == ENDIANNESS_BIG)
        octet = range->last - offset;
    return (unsigned)octet * 8 + bit;
}

/* Whether what is written, as far as it is known, can be (or, for an allowing rule, is) one of the values.
 */
static bool model_values(const struct access_rule *rule, const struct access_range *range,
        const struct region *region, const struct region *asked, const struct write *write)
{
    uint64_t written = 0, known = 0, value = 0, mask = 0;

    for (unsigned i = 0; i < 8 * (range->last - range->first + 1); i++)
        mask |= rule->mask & UINT64_C(1) << i;
    for (size_t i = 0; i < write->count; i++) {
        const struct octet *octet = &write->octets[i];
        uint64_t offset;

        if (!model_translate(asked, octet->offset, region, &offset) || offset < range->first ||
                offset > range->last)
            continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            uint64_t one = UINT64_C(1) << model_bit(region, range, offset, bit);

            written |= octet->bits & 1 << bit ? one : 0;
            known |= octet->known & 1 << bit ? one : 0;
            value |= octet->value & 1 << bit ? one : 0;
        }
    }
    if (rule->deny ? !(written & mask) : (known & mask) != mask)
        return false;
    for (size_t i = 0; i < rule->value_count; i++) {
        if ((rule->values[i] & known & mask) == (value & known & mask))
            return true;
    }
    return rule->value_count == 0;
}

/* The bits of an octet that the rule speaks of; *covered when it speaks of the octet. */
static uint8_t model_says(const struct access_rule *rule, const struct region *region,
        const struct region *asked, const struct write *write, const struct octet *octet, bool *covered)
{
    bool partial = rule->has_mask || rule->value_count;
    uint64_t offset;
    uint8_t bits = 0;

    if (!model_translate(asked, octet->offset, region, &offset))
        return 0;
    if (rule->range_count == 0) {
        *covered = true;
        return 0xff;
    }
    for (size_t i = 0; i < rule->range_count; i++) {
        const struct access_range *range = &rule->ranges[i];

        if (offset < range->first || offset > range->last)
            continue;
        if (!partial) {
            *covered = true;
            return 0xff;
        }
        if (rule->value_count && !model_values(rule, range, region, asked, write))
            continue;
        *covered = true;
        for (unsigned bit = 0; bit < 8; bit++) {
            if (rule->mask & UINT64_C(1) << model_bit(region, range, offset, bit))
                bits |= (uint8_t)(1 << bit);
        }
    }
    return bits;
}

/* Whether the octet may be part of the write. */
static bool model_octet(const struct access_rules *rules, const struct principal *principal,
        enum permission permission, const struct region *asked, const struct write *write,
        const struct octet *octet)
{
    bool covered = false;
    uint8_t allowed = 0;

    for (size_t i = 0; i < rules->count; i++) {
        const struct access_rule *rule = &rules->rules[i];

        if (!rule->deny && model_applies(rule, principal, permission, asked))
            allowed |= model_says(rule, asked, asked, write, octet, &covered);
        for (size_t k = 0; rule->deny && k < REGIONS; k++) {
            bool partial = rule->has_mask || rule->value_count, spoken = false;
            uint8_t denied;

            if (!model_applies(rule, principal, permission, &board.regions[k]))
                continue;
            denied = model_says(rule, &board.regions[k], asked, write, octet, &spoken);
            if (partial ? denied & octet->bits : spoken)
                return false;
        }
    }
    return covered && !(octet->bits & ~allowed);
}

/* Whether all is allowed; otherwise the lowest octet that is not. */
static bool model_decide(const struct access_rules *rules, const struct principal *principal,
        enum permission permission, const struct region *asked, const struct write *writes, size_t count,
        uint64_t *ret_offset)
{
    bool allowed = true;

    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < writes[i].count; k++) {
            const struct octet *octet = &writes[i].octets[k];

            if (model_octet(rules, principal, permission, asked, &writes[i], octet))
                continue;
            if (allowed || octet->offset < *ret_offset)
                *ret_offset = octet->offset;
            allowed = false;
        }
    }
    return allowed;
}

static bool model_scope(
        const struct principal *principal, enum permission permission, const struct region *region)
{
    return principal->kind != PRINCIPAL_TOKEN ||
           (principal->scope & (1 << permission) &&
                   (!principal->scope_regions || region_name(region)[0] == 'a'));
}

/* Random rules. */

static uint32_t seed = 2463534242;

static uint64_t any(uint64_t limit)
{
    uint64_t number = (uint64_t)test_random(&seed) << 32;

    number |= test_random(&seed);
    return number % limit;
}

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

/* What the model can't show. */

static struct access_subject everybody = {SUBJECT_EVERYBODY, NULL, false, 0};

#define RULE(...)                                                                                           \
    {                                                                                                       \
        .name = (char *)"rule", .subjects = &everybody, .subject_count = 1, __VA_ARGS__                     \
    }

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
            {.offset = 16, .width = 8, .count = SIZE_MAX / 8},
            {.offset = 0, .width = 8, .count = SIZE_MAX / 8 + 2},
            {.offset = 0, .width = 4, .count = 0, .fixed = true},
    };
    struct access_rule all[] = {RULE(.permissions = PERMISSIONS_ALL)};
    const struct access_rules rules = {all, 1};
    struct access_decision decision;
    char values[8] = {0};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(accesses); i++) {
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
        fifo[i] = test_random(&seed) | 0x10000;
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
            cmocka_unit_test(test_decide),
            cmocka_unit_test(test_range),
            cmocka_unit_test(test_may),
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
            cmocka_unit_test(test_subjects),
            cmocka_unit_test(test_globs),
            cmocka_unit_test(test_bearing),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
