/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The units are a table, longest first: the order in which they may follow each other. */
#include "duration.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "util/cleanup.h"

/* Longer ones are mistakes, and would not fit a JSON number in other units. */
#define LONGEST_SECONDS (UINT64_C(100) * 366 * 86400)

static const struct unit {
    char letter;
    uint64_t seconds;
    const char *name;
} units[] = {{'d', 86400, "d"}, {'h', 3600, "h"}, {'m', 60, "min"}, {'s', 1, "s"}};

/* The digits at *text; moves it behind them. */
static bool take_number(const char **text, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (!isdigit((unsigned char)**text))
        return false;
    for (; isdigit((unsigned char)**text); (*text)++) {
        number = number * 10 + (uint64_t)(**text - '0');
        if (number > LONGEST_SECONDS)
            return false;
    }
    *ret_number = number;
    return true;
}

/* The unit at *text, one of those from *index on; moves both behind it. No letter at the end is seconds,
 * when nothing came before. */
static const struct unit *take_unit(const char **text, size_t *index)
{
    for (size_t i = *index; i < ELEMENTS(units); i++) {
        if (**text != units[i].letter)
            continue;
        (*text)++;
        *index = i + 1;
        return &units[i];
    }
    if (**text == '\0' && *index == 0) {
        *index = ELEMENTS(units);
        return &units[ELEMENTS(units) - 1];
    }
    return NULL;
}

static bool parse(const char *text, uint64_t *ret_seconds)
{
    uint64_t seconds = 0;
    size_t index = 0;

    do {
        const struct unit *unit;
        uint64_t number;

        if (!take_number(&text, &number))
            return false;
        unit = take_unit(&text, &index);
        if (!unit)
            return false;
        seconds += number * unit->seconds;
        if (seconds > LONGEST_SECONDS)
            return false;
    } while (*text);
    if (seconds == 0)
        return false;
    *ret_seconds = seconds;
    return true;
}

int duration_parse(const char *text, uint64_t *ret_seconds, struct error *error)
{
    if (!parse(text, ret_seconds))
        return error_set(error, -EINVAL,
                "\"%s\" is not a time: write 90 or 90s, 10m, 2h, 30d or 1h30m, up to 100 years", text);
    return 0;
}

const char *duration_format(uint64_t seconds, char text[DURATION_TEXT])
{
    for (size_t i = 0; i + 1 < ELEMENTS(units); i++) {
        uint64_t rest = seconds % units[i].seconds / units[i + 1].seconds;

        if (seconds < units[i].seconds)
            continue;
        if (rest > 0)
            snprintf(text, DURATION_TEXT, "%" PRIu64 " %s %" PRIu64 " %s", seconds / units[i].seconds,
                    units[i].name, rest, units[i + 1].name);
        else
            snprintf(text, DURATION_TEXT, "%" PRIu64 " %s", seconds / units[i].seconds, units[i].name);
        return text;
    }
    snprintf(text, DURATION_TEXT, "%" PRIu64 " s", seconds);
    return text;
}
