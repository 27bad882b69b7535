/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* strtoull() takes signs, blanks and octal; what comes from outside gets none of these. */
#include "util/number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

static int digit_value(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    character = (char)tolower((unsigned char)character);
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return 99;
}

/* Reads digits up to the first character that is none; *ret_end points there. */
static int parse_digits(const char *text, uint64_t *ret_value, const char **ret_end)
{
    uint64_t value = 0;
    int base = 10;
    bool overflow = false;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    if (digit_value(*text) >= base)
        return -EINVAL;
    for (; digit_value(*text) < base; text++) {
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
                __builtin_add_overflow(value, (uint64_t)digit_value(*text), &value))
            overflow = true;
    }
    *ret_end = text;
    if (overflow)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int number_parse(const char *text, uint64_t *ret_value)
{
    const char *end = text;
    uint64_t value = 0;
    int r;

    r = parse_digits(text, &value, &end);
    if (r != -EINVAL && *end)
        return -EINVAL;
    if (r < 0)
        return r;
    *ret_value = value;
    return 0;
}

int number_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"", 0}, {"k", 10}, {"KiB", 10}, {"M", 20}, {"MiB", 20}, {"G", 30}, {"GiB", 30}};
    const char *end;
    uint64_t value = 0;
    int r;

    r = parse_digits(text, &value, &end);
    if (r == -EINVAL)
        return r;
    for (size_t i = 0; i < ELEMENTS(units); i++) {
        if (strcasecmp(end, units[i].name) != 0)
            continue;
        if (r < 0 || value > UINT64_MAX >> units[i].shift)
            return -ERANGE;
        *ret_bytes = value << units[i].shift;
        return 0;
    }
    return -EINVAL;
}

const char *number_format_size(uint64_t bytes, char text[NUMBER_SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    uint64_t value = bytes;

    while (value >= 1024 && value % 1024 == 0 && unit + 1 < ELEMENTS(units)) {
        value /= 1024;
        unit++;
    }
    if (unit == 0 && value >= 1024)
        snprintf(text, NUMBER_SIZE_TEXT, "0x%" PRIx64 " bytes", value);
    else
        snprintf(text, NUMBER_SIZE_TEXT, "%" PRIu64 " %s", value, units[unit]);
    return text;
}
