/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only what can be known without the daemon is judged here: the form, not whether the place exists. */
#include "place.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "util/number.h"

void place_done(struct place *place)
{
    free(place->region);
    *place = (struct place){0};
}

static bool is_hex(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

/* A hex number of `length` characters. */
static int parse_offset(const char *text, size_t length, uint64_t *ret_offset, struct error *error)
{
    _cleanup_free_ char *number = strndup(text, length);
    int r;

    if (!number)
        return error_set(error, -ENOMEM, "out of memory");
    r = is_hex(number) ? number_parse(number, ret_offset) : -EINVAL;
    if (r == -ERANGE)
        return error_set(error, -EINVAL, "the offset %s does not fit 64 bits", number);
    if (r < 0)
        return error_set(error, -EINVAL, "\"%s\" is not an offset: write it in hex, as 0x10", number);
    return 0;
}

static int parse_count(const char *text, struct place *place, struct error *error)
{
    if (number_parse(text, &place->count) < 0 || place->count == 0)
        return error_set(error, -EINVAL, "\"%s\" is not a count: write how many registers, as 0x0+16", text);
    place->span = PLACE_COUNT;
    return 0;
}

static int parse_last(const char *text, struct place *place, struct error *error)
{
    int r = parse_offset(text, strlen(text), &place->last, error);

    if (r < 0)
        return r;
    if (place->last < place->offset)
        return error_set(error, -EINVAL, "the range ends at %s, before it starts", text);
    place->span = PLACE_UNTIL;
    return 0;
}

static int parse_offsets(const char *text, struct place *place, struct error *error)
{
    size_t length = strcspn(text, "+-");
    int r = parse_offset(text, length, &place->offset, error);

    if (r < 0)
        return r;
    if (text[length] == '+')
        return parse_count(text + length + 1, place, error);
    if (text[length] == '-')
        return parse_last(text + length + 1, place, error);
    return 0;
}

/* What comes after the colon. */
static int parse_register(const char *text, struct place *place, struct error *error)
{
    if (is_hex(text))
        return parse_offsets(text, place, error);
    if (*text == '\0')
        return error_set(error, -EINVAL, "nothing after the colon: write %s:0xOFFSET", place->region);
    /* A bare number is far more often a forgotten 0x than a register's name, and guessing could touch the
     * wrong register. */
    if (isdigit((unsigned char)*text))
        return error_set(
                error, -EINVAL, "offsets are written in hex: did you mean %s:0x%s?", place->region, text);
    place->name = text;
    return 0;
}

int place_parse(const char *text, struct place *ret_place, struct error *error)
{
    _cleanup_place_ struct place place = {.text = text};
    const char *colon = strchr(text, ':');
    int r;

    if (!colon)
        return error_set(error, -EINVAL, "\"%s\" is not a place: write REGION:0xOFFSET, as edu:0x4", text);
    if (colon == text)
        return error_set(error, -EINVAL, "\"%s\" names no region: write REGION:0xOFFSET, as edu:0x4", text);
    place.region = strndup(text, (size_t)(colon - text));
    if (!place.region)
        return error_set(error, -ENOMEM, "out of memory");
    r = parse_register(colon + 1, &place, error);
    if (r < 0) {
        error_prefix(error, "%s", text);
        return r;
    }
    *ret_place = place;
    place.region = NULL;
    return 0;
}

int place_count(const struct place *place, unsigned width_bits, uint64_t *ret_count)
{
    uint64_t steps;

    switch (place->span) {
    case PLACE_SINGLE:
        *ret_count = 1;
        return 0;
    case PLACE_COUNT:
        *ret_count = place->count;
        return 0;
    case PLACE_UNTIL:
        steps = (place->last - place->offset) / (width_bits / 8);
        if (steps == UINT64_MAX)
            return -ERANGE;
        *ret_count = steps + 1;
        return 0;
    }
    return -ERANGE;
}
