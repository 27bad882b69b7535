/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See byte_range.h. Numbers are of decimal digits alone, and all are compared before they are added up. */
#include "api/byte_range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/number.h"

/* Moves on behind the text, which is there in either case of letters. */
static bool skip(const char **text, const char *expected)
{
    size_t length = strlen(expected);

    if (strncasecmp(*text, expected, length) != 0)
        return false;
    *text += length;
    return true;
}

/* Moves on behind a number. One of more than 64 bits is beyond every end, as UINT64_MAX is. */
static bool take_number(const char **text, uint64_t *ret_value)
{
    char digits[BYTE_RANGE_SIZE];
    size_t count = strspn(*text, "0123456789");

    if (count == 0 || count >= sizeof(digits))
        return false;
    memcpy(digits, *text, count);
    digits[count] = 0;
    *text += count;
    if (number_parse(digits, ret_value) < 0)
        *ret_value = UINT64_MAX;
    return true;
}

static int refuse(const char *text, struct error *error)
{
    return error_set(error, -EINVAL,
            "the header Range is '%.80s', which is no single range "
            "of octets: send bytes=A-B, bytes=A- or bytes=-N",
            text);
}

int byte_range_parse(const char *text, uint64_t size, struct byte_range *ret_range, struct error *error)
{
    const char *rest = text;
    uint64_t first = 0, last = UINT64_MAX;
    bool from_end;

    if (!skip(&rest, "bytes="))
        return refuse(text, error);
    from_end = !take_number(&rest, &first);
    if (!skip(&rest, "-") || (!take_number(&rest, &last) && from_end) || *rest)
        return refuse(text, error);
    if (from_end) {
        /* The last so many. */
        first = last < size ? size - last : 0;
        if (last == 0)
            first = UINT64_MAX;
        last = UINT64_MAX;
    } else if (first > last) {
        return refuse(text, error);
    }
    if (first >= size)
        return error_set(
                error, -ERANGE, "none of the octets of '%.80s' is there: there are %" PRIu64, text, size);
    if (last >= size)
        last = size - 1;
    *ret_range = (struct byte_range){first, last - first + 1};
    return 0;
}

int byte_range_parse_content(
        const char *text, uint64_t size, struct byte_range *ret_range, struct error *error)
{
    const char *rest = text;
    uint64_t first = 0, last = 0, whole = size;

    if (!skip(&rest, "bytes ") || !take_number(&rest, &first) || !skip(&rest, "-") ||
            !take_number(&rest, &last) || !skip(&rest, "/") ||
            (!take_number(&rest, &whole) && !skip(&rest, "*")) || *rest || first > last)
        return error_set(error, -EINVAL,
                "the header Content-Range is '%.80s', which says no range of octets: send bytes A-B/*",
                text);
    if (whole != size)
        return error_set(error, -EINVAL,
                "the header Content-Range says that there are %" PRIu64 " octets, but there are %" PRIu64
                ": send bytes A-B/*",
                whole, size);
    if (last >= size)
        return error_set(
                error, -ERANGE, "the octets of '%.80s' are not all there: there are %" PRIu64, text, size);
    *ret_range = (struct byte_range){first, last - first + 1};
    return 0;
}

const char *byte_range_format(const struct byte_range *range, uint64_t size, char text[BYTE_RANGE_SIZE])
{
    if (range)
        snprintf(text, BYTE_RANGE_SIZE, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->first,
                range->first + range->length - 1, size);
    else
        snprintf(text, BYTE_RANGE_SIZE, "bytes */%" PRIu64, size);
    return text;
}
