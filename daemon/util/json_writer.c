/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See json_writer.h. Keys are trusted literals; string values may come from anywhere and are escaped. */
#include "util/json_writer.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "util/utf8.h"

static const char digits[] = "0123456789abcdef";

static void begin_value(struct json_writer *writer, const char *key)
{
    if (writer->comma)
        buffer_append_char(writer->buffer, ',');
    writer->comma = true;
    if (!key)
        return;
    buffer_append_char(writer->buffer, '"');
    buffer_append_string(writer->buffer, key);
    buffer_append(writer->buffer, "\":", 2);
}

static void begin_nested(struct json_writer *writer, const char *key, char bracket)
{
    begin_value(writer, key);
    buffer_append_char(writer->buffer, bracket);
    writer->comma = false;
}

static void end_nested(struct json_writer *writer, char bracket)
{
    buffer_append_char(writer->buffer, bracket);
    writer->comma = true;
}

void json_begin_object(struct json_writer *writer, const char *key)
{
    begin_nested(writer, key, '{');
}

void json_end_object(struct json_writer *writer)
{
    end_nested(writer, '}');
}

void json_begin_array(struct json_writer *writer, const char *key)
{
    begin_nested(writer, key, '[');
}

void json_end_array(struct json_writer *writer)
{
    end_nested(writer, ']');
}

static void append_escaped(struct buffer *buffer, unsigned char character)
{
    switch (character) {
    case '"':
    case '\\':
        buffer_append_char(buffer, '\\');
        buffer_append_char(buffer, (char)character);
        return;
    case '\n':
        buffer_append(buffer, "\\n", 2);
        return;
    case '\t':
        buffer_append(buffer, "\\t", 2);
        return;
    default:
        buffer_append(buffer, "\\u00", 4);
        buffer_append_char(buffer, digits[character >> 4]);
        buffer_append_char(buffer, digits[character & 15]);
    }
}

void json_put_string(struct json_writer *writer, const char *key, const char *value)
{
    struct buffer *buffer = writer->buffer;
    size_t length;

    begin_value(writer, key);
    if (!value) {
        buffer_append(buffer, "null", 4);
        return;
    }
    buffer_append_char(buffer, '"');
    while (*value) {
        unsigned char character = (unsigned char)*value;

        if (character < 0x20 || character == '"' || character == '\\' || character == 0x7f) {
            append_escaped(buffer, character);
            value++;
        } else if ((length = utf8_length(value)) > 0) {
            buffer_append(buffer, value, length);
            value += length;
        } else {
            buffer_append(buffer, "\xef\xbf\xbd", 3);
            value++;
        }
    }
    buffer_append_char(buffer, '"');
}

void json_put_bool(struct json_writer *writer, const char *key, bool value)
{
    begin_value(writer, key);
    buffer_append_string(writer->buffer, value ? "true" : "false");
}

void json_put_count(struct json_writer *writer, const char *key, uint64_t value)
{
    char text[24];
    char *start = text + sizeof(text);

    assert(value <= UINT64_C(1) << 53);
    do {
        *--start = digits[value % 10];
        value /= 10;
    } while (value);
    begin_value(writer, key);
    buffer_append(writer->buffer, start, (size_t)(text + sizeof(text) - start));
}

/* By hand: printf() has the point of the locale. */
void json_put_tenths(struct json_writer *writer, const char *key, double value)
{
    uint64_t tenths;

    if (!(value > 0)) /* not a number neither */
        value = 0;
    tenths = value < 1e15 ? (uint64_t)(value * 10 + 0.5) : UINT64_C(10000000000000000);
    begin_value(writer, key);
    buffer_append_format(writer->buffer, "%" PRIu64 ".%u", tenths / 10, (unsigned)(tenths % 10));
}

/* Writes "0x…" with at least `least` digits. */
static void put_hex(struct json_writer *writer, const char *key, uint64_t value, unsigned least)
{
    char text[20];
    char *start = text + sizeof(text);
    unsigned count = 0;

    *--start = '"';
    do {
        *--start = digits[value & 15];
        value >>= 4;
        count++;
    } while (value || count < least);
    *--start = 'x';
    *--start = '0';
    begin_value(writer, key);
    buffer_append_char(writer->buffer, '"');
    buffer_append(writer->buffer, start, (size_t)(text + sizeof(text) - start));
}

void json_put_value(struct json_writer *writer, const char *key, uint64_t value, unsigned width_bits)
{
    put_hex(writer, key, value, width_bits / 4);
}

void json_put_hex(struct json_writer *writer, const char *key, uint64_t value)
{
    put_hex(writer, key, value, 1);
}
