/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Appends JSON (RFC 8259) to a buffer. Answers are written once, front to back, so nothing is built in
 * memory first: that is several times faster than a tree and its serializer. Commas are the writer's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/buffer.h"

struct json_writer {
    struct buffer *buffer;
    bool comma; /* the next value in this object or array needs a comma before it */
};

static inline struct json_writer json_writer(struct buffer *buffer)
{
    return (struct json_writer){.buffer = buffer};
}

void json_begin_object(struct json_writer *writer, const char *key);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer, const char *key);
void json_end_array(struct json_writer *writer);

/* In each, key is NULL inside an array; it must be a plain ASCII literal, it is not escaped. */

/* Any octets: what is not valid UTF-8 is replaced by U+FFFD, so that the answer always parses. A NULL
 * value writes null. */
void json_put_string(struct json_writer *writer, const char *key, const char *value);
void json_put_bool(struct json_writer *writer, const char *key, bool value);

/* A JSON number: only for counts that stay below 2^53. */
void json_put_count(struct json_writer *writer, const char *key, uint64_t value);

/* A JSON number that is not negative, with one digit after the point. */
void json_put_tenths(struct json_writer *writer, const char *key, double value);

/* A register value: a string of hex digits padded to the width, "0x010000ed" for 32 bits. */
void json_put_value(struct json_writer *writer, const char *key, uint64_t value, unsigned width_bits);

/* An offset, address or size: a string of hex digits without padding, "0x4". */
void json_put_hex(struct json_writer *writer, const char *key, uint64_t value);
