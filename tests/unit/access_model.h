/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Access rules by a model that asks for every octet and every bit by itself. */
#pragma once

#include "access_fixture.h"

/* One store of an operation: for each of its octets what is written to it. */
struct octet {
    uint64_t offset;
    uint8_t bits, known, value;
};

struct write {
    struct octet octets[8];
    size_t count;
};

/* Whether all is allowed; otherwise the lowest octet that is not. */
bool model_decide(const struct access_rules *rules, const struct principal *principal,
        enum permission permission, const struct region *asked, const struct write *writes, size_t count,
        uint64_t *ret_offset);

/* Whether the rule is about the principal, the permission and the region. */
bool model_applies(const struct access_rule *rule, const struct principal *principal,
        enum permission permission, const struct region *region);

/* Whether the principal, if it is a token, was made for this. */
bool model_scope(const struct principal *principal, enum permission permission, const struct region *region);
