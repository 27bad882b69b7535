/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See access.h. A decision first finds the rules that are for the principal, the permission and the region,
 * as sets of bits on the stack. Then it goes from one range's end to the next: what rules without masks and
 * values allow or deny is a matter of ranges however long a block is, and only the stores that meet a
 * register with a mask or values are looked at one by one. */
#include "core/access.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "core/access_match.h"
#include "core/access_store.h"

enum {
    SET_WORDS = ACCESS_RULES / 64,
    PASSED = 256, /* values of a FIFO that were found good, kept by their hash */
};

/* What is asked: octets of a region; for writing, the stores that they are written with. */
struct asked {
    const struct access_rules *rules;
    const struct principal *principal;
    enum permission permission;
    struct view own; /* of the region itself */
    unsigned width;  /* octets of a store; they follow each other from the first octet on */
    size_t repeat;   /* stores to one place after the other (a FIFO) */
    uint64_t bits;   /* lanes of each store that may change */
    const char *values;
};

/* The rules for the principal and the permission. Only as many words are used as there are rules for. */
struct found {
    uint64_t allowing[SET_WORDS]; /* for the region */
    uint64_t denying[SET_WORDS];  /* for whatever region */
    bool any_denying;
};

static size_t set_words(const struct access_rules *rules)
{
    return (rules->count + 63) / 64;
}

static void set_add(uint64_t *set, size_t index)
{
    set[index / 64] |= UINT64_C(1) << index % 64;
}

/* The first rule of the set from this one on; the number of rules when there is none. */
static size_t set_next(const struct access_rules *rules, const uint64_t *set, size_t index)
{
    size_t words = set_words(rules), word = index / 64;
    uint64_t bits;

    if (word >= words)
        return rules->count;
    bits = set[word] & UINT64_MAX << index % 64;
    while (!bits && ++word < words)
        bits = set[word];
    return bits ? word * 64 + (size_t)__builtin_ctzll(bits) : rules->count;
}

static void find_rules(const struct asked *asked, struct found *found)
{
    const struct access_rules *rules = asked->rules;
    const char *name = region_name(asked->own.region);
    permission_set wanted = permission_bit(asked->permission);

    assert(rules->count <= ACCESS_RULES);
    memset(found->allowing, 0, set_words(rules) * sizeof(uint64_t));
    memset(found->denying, 0, set_words(rules) * sizeof(uint64_t));
    found->any_denying = false;
    for (size_t i = 0; i < rules->count; i++) {
        const struct access_rule *rule = &rules->rules[i];

        if (!(rule->permissions & wanted) || !access_rule_is_for(rule, asked->principal))
            continue;
        if (rule->deny) {
            set_add(found->denying, i);
            found->any_denying = true;
        } else if (access_globs_match(rule->regions, name)) {
            set_add(found->allowing, i);
        }
    }
}

static void narrow_to_region(
        const struct access_rules *rules, const uint64_t *set, const char *name, uint64_t *ret_set)
{
    memset(ret_set, 0, set_words(rules) * sizeof(uint64_t));
    for (size_t i = set_next(rules, set, 0); i < rules->count; i = set_next(rules, set, i + 1)) {
        if (access_globs_match(rules->rules[i].regions, name))
            set_add(ret_set, i);
    }
}

/* How far, from an octet on, rules of the set that know no masks and values have all octets. NULL: none has
 * even that one. */
static const struct access_rule *covered_until(
        const struct asked *asked, const uint64_t *set, uint64_t first, uint64_t *ret_last)
{
    const struct access_rules *rules = asked->rules;
    const struct access_rule *best = NULL;

    for (size_t i = set_next(rules, set, 0); i < rules->count; i = set_next(rules, set, i + 1)) {
        const struct access_rule *rule = &rules->rules[i];

        if (access_rule_is_partial(rule))
            continue;
        if (rule->range_count == 0) {
            *ret_last = UINT64_MAX;
            return rule;
        }
        for (size_t k = 0; k < rule->range_count; k++) {
            const struct access_range *range = &rule->ranges[k];

            if (range->first > first || range->last < first || (best && range->last <= *ret_last))
                continue;
            *ret_last = range->last;
            best = rule;
        }
    }
    return best;
}

/* A constant size is a load, a variable one a call. */
static uint64_t load_lanes(const char *octets, unsigned width)
{
    uint64_t lanes = 0;

    switch (width) {
    case 1:
        return (uint8_t)*octets;
    case 2:
        memcpy(&lanes, octets, 2);
        break;
    case 4:
        memcpy(&lanes, octets, 4);
        break;
    default:
        memcpy(&lanes, octets, 8);
        break;
    }
    return le64toh(lanes);
}

static struct store store_at(const struct asked *asked, uint64_t first, size_t index)
{
    struct store store = {first, low_octets(asked->width), asked->bits, 0, 0};

    if (asked->values) {
        store.known = asked->bits;
        store.value =
                load_lanes(asked->values + (first - asked->own.first) + index * asked->width, asked->width);
    }
    return store;
}

/* The lanes of the store that the set does not allow. */
static uint64_t missing_lanes(const struct asked *asked, const uint64_t *set, const struct store *store,
        const struct access_rule **ret_rule)
{
    const struct access_rules *rules = asked->rules;
    struct says all = {0, 0};

    for (size_t i = set_next(rules, set, 0); i < rules->count; i = set_next(rules, set, i + 1)) {
        const struct access_rule *rule = &rules->rules[i];

        for (size_t k = 0; k == 0 || k < rule->range_count; k++) {
            struct says says =
                    store_ask(store, &asked->own, rule, rule->range_count ? &rule->ranges[k] : NULL);

            if (says.octets && !*ret_rule)
                *ret_rule = rule;
            all.octets |= says.octets;
            all.bits |= says.bits;
        }
    }
    return (store->octets & ~all.octets) | (store->bits & ~all.bits);
}

static bool depends_on_values(const struct asked *asked, const uint64_t *set)
{
    const struct access_rules *rules = asked->rules;

    for (size_t i = set_next(rules, set, 0); i < rules->count; i = set_next(rules, set, i + 1)) {
        if (rules->rules[i].value_count)
            return true;
    }
    return false;
}

/* Values of a FIFO that were found good. Those that go there are as many as a client likes, and often the
 * same. Each slot has one that passed, at first all the same. */
struct passed {
    uint64_t values[PASSED];
};

static void passed_init(struct passed *passed, uint64_t value)
{
    for (size_t i = 0; i < PASSED; i++)
        passed->values[i] = value;
}

static uint64_t *passed_slot(struct passed *passed, uint64_t value)
{
    return &passed->values[value * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

/* The same for all of the stores that go to one place. */
static uint64_t missing_of_all(
        const struct asked *asked, const uint64_t *set, uint64_t first, const struct access_rule **ret_rule)
{
    struct store store = store_at(asked, first, 0);
    uint64_t missing = missing_lanes(asked, set, &store, ret_rule);
    struct passed passed;

    if (missing || asked->repeat == 1 || !depends_on_values(asked, set))
        return missing;
    passed_init(&passed, store.value);
    for (size_t i = 1; i < asked->repeat; i++) {
        uint64_t *slot;

        store = store_at(asked, first, i);
        slot = passed_slot(&passed, store.value);
        if (*slot == store.value)
            continue;
        missing = missing_lanes(asked, set, &store, ret_rule);
        if (missing)
            return missing;
        *slot = store.value;
    }
    return 0;
}

static uint64_t lowest_lane(uint64_t lanes)
{
    return (uint64_t)__builtin_ctzll(lanes) / 8;
}

/* Finds the first octet that no rule allows. False: there is none, and *ret_rule is the one that allows the
 * first octet. */
static bool find_gap(const struct asked *asked, const uint64_t *set, uint64_t *ret_offset,
        const struct access_rule **ret_rule)
{
    const struct view *own = &asked->own;
    uint64_t at = own->first, last, missing;

    *ret_rule = NULL;
    for (;;) {
        const struct access_rule *rule = covered_until(asked, set, at, &last);

        if (rule) {
            if (!*ret_rule)
                *ret_rule = rule;
        } else {
            uint64_t first = at - (at - own->first) % asked->width;

            missing = missing_of_all(asked, set, first, ret_rule);
            if (missing) {
                *ret_offset = first + lowest_lane(missing);
                return true;
            }
            last = first + (asked->width - 1);
        }
        if (last >= own->last)
            return false;
        at = last + 1;
    }
}

/* Whether a rule with a mask or values, that may change what it does, is for the octet. */
static bool is_partly_allowed(const struct asked *asked, const uint64_t *set, uint64_t offset)
{
    const struct access_rules *rules = asked->rules;

    for (size_t i = set_next(rules, set, 0); i < rules->count; i = set_next(rules, set, i + 1)) {
        const struct access_rule *rule = &rules->rules[i];

        for (size_t k = 0; access_rule_is_partial(rule) && k < rule->range_count; k++) {
            if (rule->ranges[k].first <= offset && offset <= rule->ranges[k].last)
                return true;
        }
    }
    return false;
}

/* What is denied first. */
struct denial {
    const struct access_rule *rule; /* NULL: nothing is */
    const struct region *region;
    uint64_t offset;
};

/* A register of a denying rule that has a mask or values. */
struct denied_register {
    const struct view *view;
    const struct access_rule *rule;
    const struct access_range *range;
};

static uint64_t denied_lanes(const struct denied_register *denied, const struct store *store)
{
    return store_ask(store, denied->view, denied->rule, denied->range).bits & store->bits;
}

/* What it denies of the stores that go to one place. */
static uint64_t denied_of_all(
        const struct asked *asked, const struct denied_register *denied, uint64_t first)
{
    struct store store = store_at(asked, first, 0);
    uint64_t lanes = denied_lanes(denied, &store);
    struct passed passed;

    if (lanes || asked->repeat == 1 || denied->rule->value_count == 0)
        return lanes;
    passed_init(&passed, store.value);
    for (size_t i = 1; i < asked->repeat; i++) {
        uint64_t *slot;

        store = store_at(asked, first, i);
        slot = passed_slot(&passed, store.value);
        if (*slot == store.value)
            continue;
        lanes = denied_lanes(denied, &store);
        if (lanes)
            return lanes;
        *slot = store.value;
    }
    return 0;
}

/* Finds the first octet of the part of the register that it denies. */
static bool find_partly_denied(const struct asked *asked, const struct denied_register *denied,
        const struct access_range *part, uint64_t *ret_offset)
{
    uint64_t first = part->first - (part->first - asked->own.first) % asked->width;

    for (;; first += asked->width) {
        uint64_t lanes = denied_of_all(asked, denied, first);

        if (lanes) {
            *ret_offset = first + lowest_lane(lanes);
            return true;
        }
        if (part->last - first < asked->width)
            return false;
    }
}

static void find_denial(
        const struct asked *asked, const struct view *view, const uint64_t *set, struct denial *first)
{
    const struct access_rules *rules = asked->rules;

    for (size_t i = set_next(rules, set, 0); i < rules->count; i = set_next(rules, set, i + 1)) {
        const struct access_rule *rule = &rules->rules[i];

        for (size_t k = 0; k == 0 || k < rule->range_count; k++) {
            const struct access_range *range = rule->range_count ? &rule->ranges[k] : NULL;
            const struct denied_register denied = {view, rule, range};
            struct access_range part = {view->first, view->last};
            uint64_t offset;

            if (range && !view_clip(view, range, &part))
                continue;
            if (first->rule && part.first >= first->offset)
                continue;
            offset = part.first;
            if (access_rule_is_partial(rule) && !find_partly_denied(asked, &denied, &part, &offset))
                continue;
            if (!first->rule || offset < first->offset)
                *first = (struct denial){rule, view->region, offset};
        }
    }
}

/* Rules for other regions that are windows of the same hardware. */
static void find_denial_of_aliases(const struct asked *asked, const struct inventory *inventory,
        const struct found *found, struct denial *first)
{
    const struct view *own = &asked->own;

    for (size_t i = 0; i < inventory->region_count; i++) {
        const struct region *other = inventory->regions[i];
        uint64_t there[SET_WORDS], other_first, other_last;
        struct view view = {.region = other};

        if (other == own->region ||
                !region_shares(own->region, own->first, own->last, other, &other_first, &other_last) ||
                !region_shares(other, other_first, other_last, own->region, &view.first, &view.last))
            continue;
        view.shift = other_first - view.first;
        narrow_to_region(asked->rules, found->denying, region_name(other), there);
        find_denial(asked, &view, there, first);
    }
}

static bool decide(
        const struct asked *asked, const struct inventory *inventory, struct access_decision *decision)
{
    struct denial denial = {0};
    struct found found;
    bool gap;

    find_rules(asked, &found);
    gap = find_gap(asked, found.allowing, &decision->offset, &decision->rule);
    if (found.any_denying) {
        uint64_t own[SET_WORDS];

        narrow_to_region(asked->rules, found.denying, region_name(asked->own.region), own);
        find_denial(asked, &asked->own, own, &denial);
        find_denial_of_aliases(asked, inventory, &found, &denial);
    }
    if (gap) {
        decision->rule = NULL;
        decision->has_offset = true;
        decision->partly = is_partly_allowed(asked, found.allowing, decision->offset);
    }
    if (denial.rule && (!gap || denial.offset <= decision->offset)) {
        decision->rule = denial.rule;
        decision->region = denial.region == asked->own.region ? NULL : denial.region;
        decision->has_offset = true;
        decision->offset = denial.offset;
        decision->partly = access_rule_is_partial(denial.rule);
        return false;
    }
    if (gap)
        return false;
    decision->narrowed = !access_scope_has(asked->principal, asked->permission, asked->own.region);
    decision->allowed = !decision->narrowed;
    return decision->allowed;
}

bool access_may_range(const struct access_rules *rules, const struct inventory *inventory,
        const struct principal *principal, enum permission permission, const struct region *region,
        uint64_t first, uint64_t last, struct access_decision *ret_decision)
{
    const struct asked asked = {.rules = rules,
            .principal = principal,
            .permission = permission,
            .own = {.region = region, .first = first, .last = last},
            .width = 1,
            .repeat = 1,
            .bits = low_octets(1)};

    *ret_decision = (struct access_decision){.permission = permission};
    if (first > last) {
        ret_decision->has_offset = true;
        ret_decision->offset = first;
        return false;
    }
    return decide(&asked, inventory, ret_decision);
}

static bool find_span(const struct access *access, uint64_t *ret_last)
{
    uint64_t size;

    if (access->width == 0 || access->width > 8 || access->count == 0)
        return false;
    return !__builtin_mul_overflow(access->fixed ? 1 : access->count, (uint64_t)access->width, &size) &&
           !__builtin_add_overflow(access->offset, size - 1, ret_last);
}

static bool decide_write(const struct access_rules *rules, const struct inventory *inventory,
        const struct principal *principal, const struct operation *operation, uint64_t last,
        struct access_decision *decision)
{
    const struct access *access = &operation->access;
    struct asked asked = {.rules = rules,
            .principal = principal,
            .permission = PERMISSION_WRITE,
            .own = {.region = operation->region, .first = access->offset, .last = last},
            .width = access->width,
            .repeat = 1,
            .bits = low_octets(access->width),
            .values = operation->values};
    char octets[sizeof(uint64_t)];
    uint64_t lanes;

    if (operation->kind == OPERATION_MODIFY) {
        asked.bits = store_lanes(operation->region, access->width, operation->mask | operation->value);
        lanes = htole64(store_lanes(operation->region, access->width, operation->value));
        memcpy(octets, &lanes, sizeof(octets));
        asked.values = octets;
    } else if (access->fixed && asked.values) {
        asked.repeat = access->count;
    }
    *decision = (struct access_decision){.permission = PERMISSION_WRITE};
    return decide(&asked, inventory, decision);
}

bool access_decide(const struct access_rules *rules, const struct inventory *inventory,
        const struct principal *principal, const struct operation *operation,
        struct access_decision *ret_decision)
{
    const struct access *access = &operation->access;
    uint64_t last;

    if (!find_span(access, &last)) { /* nobody is to rely on what is no access at all */
        *ret_decision = (struct access_decision){
                .permission = operation->kind == OPERATION_READ ? PERMISSION_READ : PERMISSION_WRITE,
                .has_offset = true,
                .offset = access->offset};
        return false;
    }
    if (operation->kind != OPERATION_WRITE && !access_may_range(rules, inventory, principal, PERMISSION_READ,
                                                      operation->region, access->offset, last, ret_decision))
        return false;
    if (operation->kind == OPERATION_READ)
        return true;
    return decide_write(rules, inventory, principal, operation, last, ret_decision);
}

/* The first octet of the range that the set does not deny as a whole. */
static bool leaves_a_part(const struct asked *asked, const uint64_t *denying,
        const struct access_range *range, const struct access_rule **ret_rule)
{
    uint64_t at = range->first, last;

    for (;;) {
        const struct access_rule *rule = covered_until(asked, denying, at, &last);

        if (!rule)
            return true;
        *ret_rule = rule;
        if (last >= range->last)
            return false;
        at = last + 1;
    }
}

static bool may_in_part(const struct asked *asked, const struct access_rule *rule, const uint64_t *denying,
        const struct access_rule **ret_rule)
{
    for (size_t k = 0; k == 0 || k < rule->range_count; k++) {
        struct access_range part = {asked->own.first, asked->own.last};

        if (rule->range_count && !view_clip(&asked->own, &rule->ranges[k], &part))
            continue;
        if (leaves_a_part(asked, denying, &part, ret_rule))
            return true;
    }
    return false;
}

static bool may_in_region(const struct access_rules *rules, const struct principal *principal,
        const struct region *region, struct access_decision *decision)
{
    uint64_t size = region->handle ? region->handle->size : region->known_size;
    const struct asked asked = {.rules = rules,
            .principal = principal,
            .permission = decision->permission,
            .own = {.region = region, .first = 0, .last = size ? size - 1 : UINT64_MAX}};
    uint64_t denying[SET_WORDS];
    struct found found;

    find_rules(&asked, &found);
    narrow_to_region(rules, found.denying, region_name(region), denying);
    for (size_t i = set_next(rules, found.allowing, 0); i < rules->count;
            i = set_next(rules, found.allowing, i + 1)) {
        if (!may_in_part(&asked, &rules->rules[i], denying, &decision->rule))
            continue;
        decision->rule = &rules->rules[i];
        return true;
    }
    return false;
}

/* Rules for some regions say nothing of what is about none; and a denying one of that kind leaves others. */
static bool may_anywhere(const struct access_rules *rules, const struct principal *principal,
        struct access_decision *decision)
{
    bool allowed = false;

    for (size_t i = 0; i < rules->count; i++) {
        const struct access_rule *rule = &rules->rules[i];
        bool everywhere = !rule->regions && rule->range_count == 0;

        if (!(rule->permissions & permission_bit(decision->permission)) ||
                !access_rule_is_for(rule, principal))
            continue;
        if (rule->deny && everywhere) {
            decision->rule = rule;
            return false;
        }
        if (!rule->deny && !allowed && (everywhere || decision->permission != PERMISSION_ADMIN)) {
            decision->rule = rule;
            allowed = true;
        }
    }
    return allowed;
}

bool access_may(const struct access_rules *rules, const struct principal *principal,
        enum permission permission, const struct region *region, struct access_decision *ret_decision)
{
    bool allowed;

    *ret_decision = (struct access_decision){.permission = permission};
    if (permission == PERMISSION_NONE)
        allowed = true;
    else if (region)
        allowed = may_in_region(rules, principal, region, ret_decision);
    else
        allowed = may_anywhere(rules, principal, ret_decision);
    ret_decision->narrowed =
            allowed && permission != PERMISSION_NONE && !access_scope_has(principal, permission, region);
    ret_decision->allowed = allowed && !ret_decision->narrowed;
    return ret_decision->allowed;
}
