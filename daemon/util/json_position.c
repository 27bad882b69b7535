/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* jansson keeps no positions. The text is known to be valid, so this only has to skip, never to judge; it
 * still stops at the end of any text. */
#include "util/json_position.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

/* text stands on a quotation mark; returns what follows the closing one. */
static const char *skip_string(const char *text)
{
    for (text++; *text && *text != '"'; text++) {
        if (*text == '\\' && text[1])
            text++;
    }
    return *text ? text + 1 : text;
}

static const char *skip_value(const char *text)
{
    unsigned depth = 0;

    do {
        text = skip_blanks(text);
        if (*text == '"') {
            text = skip_string(text);
        } else if (*text == '{' || *text == '[') {
            depth++;
            text++;
        } else if (*text == '}' || *text == ']') {
            if (depth == 0)
                return text;
            depth--;
            text++;
        } else if (depth && (*text == ',' || *text == ':')) {
            text++;
        } else {
            size_t length = strcspn(text, ",:{}[]\" \t\r\n");

            if (length == 0)
                return text;
            text += length;
        }
        text = skip_blanks(text);
    } while (depth && *text);
    return text;
}

/* Compares a key in the text, which stands on its quotation mark, with one part of a pointer. Escapes in
 * keys are compared as they are written: every key that is known here is plain. */
static bool is_key(const char *text, const char *part, size_t part_length)
{
    text++;
    for (size_t i = 0; i < part_length; i++, text++) {
        char wanted = part[i];

        if (wanted == '~' && i + 1 < part_length)
            wanted = part[++i] == '0' ? '~' : '/';
        if (*text != wanted)
            return false;
    }
    return *text == '"';
}

/* Both return the member's or element's value, and the key's place. */
static const char *find_member(const char *text, const char *part, size_t part_length, const char **ret_key)
{
    text = skip_blanks(text + 1);
    while (*text == '"') {
        bool found = is_key(text, part, part_length);

        *ret_key = text;
        text = skip_blanks(skip_string(text));
        if (*text != ':')
            return NULL;
        text = skip_blanks(text + 1);
        if (found)
            return text;
        text = skip_value(text);
        if (*text != ',')
            return NULL;
        text = skip_blanks(text + 1);
    }
    return NULL;
}

static const char *find_element(const char *text, const char *part)
{
    unsigned long index = strtoul(part, NULL, 10);

    text = skip_blanks(text + 1);
    while (index-- > 0) {
        text = skip_value(text);
        if (*text != ',')
            return NULL;
        text = skip_blanks(text + 1);
    }
    return *text == ']' ? NULL : text;
}

int json_position_find(
        const char *text, const char *pointer, int want_key, struct json_position *ret_position)
{
    const char *value = skip_blanks(text);
    const char *key = NULL;

    while (*pointer == '/') {
        size_t length = strcspn(++pointer, "/");

        key = NULL;
        if (*value == '{')
            value = find_member(value, pointer, length, &key);
        else if (*value == '[')
            value = find_element(value, pointer);
        else
            value = NULL;
        if (!value)
            return -ENOENT;
        pointer += length;
    }
    if (want_key && key)
        value = key;
    *ret_position = (struct json_position){1, 1};
    for (; text < value; text++) {
        if (*text == '\n') {
            ret_position->line++;
            ret_position->column = 1;
        } else {
            ret_position->column++;
        }
    }
    return 0;
}
