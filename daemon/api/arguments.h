/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes in paths and queries, as numbers. All errors are -EINVAL unless said otherwise. */
#pragma once

#include "api/call.h"

/* Every argument must be one that the route takes, and be there once. */
int arguments_check(const struct call *call, struct error *error);

/* The value, or NULL when it was not given. */
const char *arguments_find(const struct call *call, const char *name);

/* Fills in the width in octets; 0 when it was not given. */
int arguments_width(const struct call *call, unsigned *ret_width, struct error *error);

/* Fills in a number; leaves it alone when the argument was not given. -EMSGSIZE when it does not fit. */
int arguments_number(const struct call *call, const char *name, uint64_t *ret_value, struct error *error);

/* Fills in a switch: "0" or "1". */
int arguments_switch(const struct call *call, const char *name, bool *ret_value, struct error *error);

/* Finds the region that the path names. -ENOENT when there is none. */
int arguments_region(const struct call *call, struct region **ret_region, struct error *error);

/* Reads an offset as a path has it: hexadecimal after 0x. -ENOENT for a register's name that is not known,
 * -ERANGE when it does not fit 64 bits. */
int arguments_offset(
        const struct region *region, const char *text, uint64_t *ret_offset, struct error *error);
