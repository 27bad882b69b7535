/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules as plain data; what follows from them is access.c's. */
#include <stdlib.h>

#include "core/access.h"

static void rule_done(struct access_rule *rule)
{
    free(rule->name);
    for (size_t i = 0; i < rule->subject_count; i++)
        free(rule->subjects[i].pattern);
    free(rule->subjects);
    for (size_t i = 0; rule->regions && rule->regions[i]; i++)
        free(rule->regions[i]);
    free(rule->regions);
    free(rule->ranges);
    free(rule->values);
}

bool access_rules_name_tokens(const struct access_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct access_rule *rule = &rules->rules[i];

        for (size_t k = 0; !rule->deny && k < rule->subject_count; k++) {
            enum subject_kind kind = rule->subjects[k].kind;

            if (kind == SUBJECT_TOKEN || kind == SUBJECT_EVERYBODY)
                return true;
        }
    }
    return false;
}

void access_rules_done(struct access_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        rule_done(&rules->rules[i]);
    free(rules->rules);
    *rules = (struct access_rules){0};
}
