/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system's date, which people set and which can jump, and its text (RFC 3339). For durations there is
 * clock.h. */
#pragma once

#include <stdint.h>

enum { DATE_SIZE = 40 };

/* Since the epoch. */
uint64_t date_now_us(void);

/* "2026-12-01T00:00:00Z". Returns text. What is beyond the year 9999 is written as its last second. */
const char *date_format(uint64_t seconds, char text[DATE_SIZE]);

/* The same with six digits of the second's fraction. */
const char *date_format_us(uint64_t us, char text[DATE_SIZE]);

/* And with nine. */
const char *date_format_ns(uint64_t ns, char text[DATE_SIZE]);

/* Reads "2026-12-01T00:00:00Z", also with a fraction, with "+01:00" or "-01:00" for Z. Returns 0 or -EINVAL;
 * that there is no such day is that too, and what is before the epoch. */
int date_parse(const char *text, uint64_t *ret_us);
