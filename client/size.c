/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The number itself is util/number.h's; here is what a person is told about one that is none. */
#include "size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/number.h"

#define SIZE_FORMS "write octets, as 4096 or 0x1000, or with a unit, as 64k, 4M or 1G (of 1024)"

/* Where the digits end: at `text` when there are none. */
static const char *skip_number(const char *text)
{
    size_t digits;

    if (text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
        return text + strspn(text, "0123456789");
    digits = strspn(text + 2, "0123456789abcdefABCDEF");
    return digits > 0 ? text + 2 + digits : text;
}

static int fail(const char *text, struct error *error)
{
    const char *unit = skip_number(text);

    if (*text == '\0')
        return error_set(error, -EINVAL, "an empty size; " SIZE_FORMS);
    if (*text == '-' || *text == '+')
        return error_set(error, -EINVAL, "\"%s\": a size has no sign", text);
    if (unit == text)
        return error_set(error, -EINVAL, "\"%s\" is no size; " SIZE_FORMS, text);
    if (*unit == '.' || *unit == ',')
        return error_set(error, -EINVAL, "\"%s\": a size is a whole number; take a smaller unit", text);
    if (isspace((unsigned char)*unit))
        return error_set(error, -EINVAL, "\"%s\": the unit follows the number without a space", text);
    return error_set(error, -EINVAL, "\"%s\": \"%s\" is no unit; " SIZE_FORMS, text, unit);
}

int size_parse(const char *text, uint64_t *ret_octets, struct error *error)
{
    int r = number_parse_size(text, ret_octets);

    if (r == -ERANGE)
        return error_set(error, -EINVAL, "%s is more octets than fit 64 bits", text);
    return r < 0 ? fail(text, error) : 0;
}

const char *size_format(uint64_t octets, char text[SIZE_TEXT])
{
    static const char *const units[] = {"octets", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    uint64_t whole = octets, rest = 0;

    for (; whole >= 1024; whole /= 1024, unit++)
        rest = whole % 1024;
    if (unit == 0 || rest * 10 / 1024 == 0 || whole >= 100)
        snprintf(text, SIZE_TEXT, "%" PRIu64 " %s", whole, octets == 1 ? "octet" : units[unit]);
    else
        snprintf(text, SIZE_TEXT, "%" PRIu64 ".%" PRIu64 " %s", whole, rest * 10 / 1024, units[unit]);
    return text;
}
