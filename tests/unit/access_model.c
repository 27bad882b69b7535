/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See access_model.h. */
#include "access_model.h"

#include <fnmatch.h>

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

bool model_applies(const struct access_rule *rule, const struct principal *principal,
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

bool model_decide(const struct access_rules *rules, const struct principal *principal,
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

bool model_scope(const struct principal *principal, enum permission permission, const struct region *region)
{
    return principal->kind != PRINCIPAL_TOKEN ||
           (principal->scope & (1 << permission) &&
                   (!principal->scope_regions || region_name(region)[0] == 'a'));
}
