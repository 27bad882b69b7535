/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One more base than daemon/util/number.h: masks are often thought of in bits. */
#include "values.h"

#include <errno.h>

#include "util/number.h"

static int parse_binary(const char *digits, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (*digits == '\0')
        return -EINVAL;
    for (; *digits; digits++) {
        if (*digits != '0' && *digits != '1')
            return -EINVAL;
        if (value >> 63)
            return -ERANGE;
        value = value << 1 | (uint64_t)(*digits - '0');
    }
    *ret_value = value;
    return 0;
}

int value_parse(const char *text, uint64_t *ret_value, struct error *error)
{
    int r;

    if (text[0] == '0' && (text[1] == 'b' || text[1] == 'B'))
        r = parse_binary(text + 2, ret_value);
    else
        r = number_parse(text, ret_value);
    if (r == -ERANGE)
        return error_set(error, -EINVAL, "the value %s does not fit 64 bits", text);
    if (r < 0)
        return error_set(error, -EINVAL,
                "\"%s\" is not a value: write it in decimal, in hex as 0x1f or in binary as 0b101", text);
    return 0;
}

int width_parse(const char *text, unsigned *ret_width, struct error *error)
{
    uint64_t width;

    if (number_parse(text, &width) < 0 || (width != 8 && width != 16 && width != 32 && width != 64))
        return error_set(error, -EINVAL, "the width %s is none of 8, 16, 32 and 64 bits", text);
    *ret_width = (unsigned)width;
    return 0;
}

int value_from_json(const json_t *value, uint64_t *ret_value)
{
    const char *text = json_string_value(value);

    return text && number_parse(text, ret_value) == 0 ? 0 : -EINVAL;
}

unsigned count_from_json(const json_t *value, unsigned limit)
{
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;

    return number >= 1 && number <= (json_int_t)limit ? (unsigned)number : 0;
}
