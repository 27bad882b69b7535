/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See event_id.h. */
#include "api/event_id.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/number.h"

enum { IDENTITY_DIGITS = 16 };

const char *event_id_format(const struct daemon *daemon, uint64_t sequence, char id[EVENT_ID_SIZE])
{
    snprintf(id, EVENT_ID_SIZE, "%016" PRIx64 "-%" PRIu64, daemon->identity, sequence);
    return id;
}

int event_id_parse(const char *text, uint64_t *ret_identity, uint64_t *ret_sequence)
{
    const char *sequence = text + IDENTITY_DIGITS + 1;
    char identity[2 + IDENTITY_DIGITS + 1] = "0x";
    uint64_t number;

    if (strspn(text, "0123456789abcdef") != IDENTITY_DIGITS || text[IDENTITY_DIGITS] != '-')
        return -EINVAL;
    if (sequence[0] == 0 || sequence[strspn(sequence, "0123456789")] || (sequence[0] == '0' && sequence[1]))
        return -EINVAL;
    memcpy(identity + 2, text, IDENTITY_DIGITS);
    if (number_parse(sequence, &number) < 0)
        return -EINVAL;
    *ret_sequence = number;
    return number_parse(identity, ret_identity);
}
