/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The headers Range and Content-Range (RFC 9110, 14.2 and 14.4), of one range in octets. A client that asks
 * for something else is told so: who takes a part for the whole would not notice. */
#pragma once

#include <stdint.h>

#include "util/error.h"

struct byte_range {
    uint64_t first;  /* octets from the start */
    uint64_t length; /* never 0 */
};

enum { BYTE_RANGE_SIZE = 80 };

/* "bytes=A-B", "bytes=A-" or "bytes=-N", of `size` octets: what goes beyond their end is left out. Returns
 * 0, -EINVAL when it is malformed or several ranges, -ERANGE when there are none of these octets. */
int byte_range_parse(const char *text, uint64_t size, struct byte_range *ret_range, struct error *error);

/* Of a body: "bytes A-B/SIZE", where SIZE may be an asterisk. Returns 0, -EINVAL when it is malformed or of
 * another size, -ERANGE when it goes beyond the end. */
int byte_range_parse_content(
        const char *text, uint64_t size, struct byte_range *ret_range, struct error *error);

/* As an answer has it: "bytes A-B/SIZE", or for NULL the one that says that there are no such octets,
 * "bytes *" and the size. Returns text. */
const char *byte_range_format(const struct byte_range *range, uint64_t size, char text[BYTE_RANGE_SIZE]);
