/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read by hand: strptime() takes blanks and signs, and knows no offsets from UTC as RFC 3339 writes them. */
#include "util/date.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* 9999-12-31T23:59:59Z */
static const uint64_t LAST_SECOND = UINT64_C(253402300799);

uint64_t date_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static const char *format(uint64_t seconds, const char *fraction, char text[DATE_SIZE])
{
    time_t time = (time_t)(seconds < LAST_SECOND ? seconds : LAST_SECOND);
    struct tm parts = {0};

    gmtime_r(&time, &parts);
    snprintf(text, DATE_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", parts.tm_year + 1900, parts.tm_mon + 1,
            parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, fraction);
    return text;
}

const char *date_format(uint64_t seconds, char text[DATE_SIZE])
{
    return format(seconds, "", text);
}

const char *date_format_us(uint64_t us, char text[DATE_SIZE])
{
    char fraction[16];

    snprintf(fraction, sizeof(fraction), ".%06u", (unsigned)(us % 1000000));
    return format(us / 1000000, fraction, text);
}

const char *date_format_ns(uint64_t ns, char text[DATE_SIZE])
{
    char fraction[16];

    snprintf(fraction, sizeof(fraction), ".%09u", (unsigned)(ns % 1000000000));
    return format(ns / 1000000000, fraction, text);
}

/* Reads exactly so many digits and the character after them. */
static bool take(const char **text, unsigned digits, char after, int *ret_value)
{
    int value = 0;

    for (; digits > 0; digits--, (*text)++) {
        if (!isdigit((unsigned char)**text))
            return false;
        value = value * 10 + (**text - '0');
    }
    if (after && *(*text)++ != after)
        return false;
    *ret_value = value;
    return true;
}

/* Microseconds; finer digits are dropped. */
static bool take_fraction(const char **text, uint64_t *ret_us)
{
    uint64_t us = 0, unit = 1000000;

    if (**text != '.')
        return true;
    (*text)++;
    if (!isdigit((unsigned char)**text))
        return false;
    for (; isdigit((unsigned char)**text); (*text)++) {
        unit /= 10;
        us += (uint64_t)(**text - '0') * unit;
    }
    *ret_us = us;
    return true;
}

static bool take_zone(const char **text, int *ret_east_seconds)
{
    int hours, minutes, sign;

    if (**text == 'Z' || **text == 'z') {
        (*text)++;
        *ret_east_seconds = 0;
        return true;
    }
    if (**text != '+' && **text != '-')
        return false;
    sign = *(*text)++ == '-' ? -1 : 1;
    if (!take(text, 2, ':', &hours) || !take(text, 2, 0, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_east_seconds = sign * (hours * 60 + minutes) * 60;
    return true;
}

int date_parse(const char *text, uint64_t *ret_us)
{
    struct tm parts = {0}, normal;
    uint64_t us = 0;
    int east_seconds;
    time_t time;

    if (!take(&text, 4, '-', &parts.tm_year) || !take(&text, 2, '-', &parts.tm_mon) ||
            !take(&text, 2, 0, &parts.tm_mday) || (*text != 'T' && *text != 't'))
        return -EINVAL;
    text++;
    if (!take(&text, 2, ':', &parts.tm_hour) || !take(&text, 2, ':', &parts.tm_min) ||
            !take(&text, 2, 0, &parts.tm_sec) || !take_fraction(&text, &us) ||
            !take_zone(&text, &east_seconds) || *text)
        return -EINVAL;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    if (parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60)
        return -EINVAL;
    if (parts.tm_sec == 60)
        parts.tm_sec = 59; /* a leap second, which the system's date does not have */
    normal = parts;
    time = timegm(&normal);
    /* timegm() makes the 3rd of March of the 31st of February. */
    if (normal.tm_mday != parts.tm_mday || normal.tm_mon != parts.tm_mon || time < east_seconds)
        return -EINVAL;
    *ret_us = (uint64_t)(time - east_seconds) * 1000000 + us;
    return 0;
}
