/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Works on UTF-8 without a locale: loading one costs more than a whole register read. */
#include "text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/utf8.h"

/* Unicode's control, format and separator characters that change how the text around them looks. */
static const struct {
    uint32_t first, last;
} hidden[] = {
        {0x0000, 0x001f},   /* C0 controls */
        {0x007f, 0x009f},   /* DEL and the C1 controls: 0x9b starts an escape sequence by itself */
        {0x00ad, 0x00ad},   /* soft hyphen */
        {0x061c, 0x061c},   /* Arabic letter mark */
        {0x200b, 0x200f},   /* zero width, and left-to-right marks */
        {0x2028, 0x202e},   /* separators, embeddings and overrides */
        {0x2060, 0x206f},   /* word joiner, isolates */
        {0xfeff, 0xfeff},   /* byte order mark */
        {0xfff9, 0xfffb},   /* annotations */
        {0xe0000, 0xe0fff}, /* tags and variation selectors */
};

static bool is_hidden(uint32_t character)
{
    for (size_t i = 0; i < ELEMENTS(hidden); i++)
        if (character >= hidden[i].first && character <= hidden[i].last)
            return true;
    return false;
}

static uint32_t decode(const char *text, size_t length)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t character = (unsigned char)text[0] & first_bits[length];

    for (size_t i = 1; i < length; i++)
        character = character << 6 | ((unsigned char)text[i] & 0x3f);
    return character;
}

void text_append_safe(struct buffer *buffer, const char *text)
{
    while (*text) {
        size_t length = utf8_length(text);
        uint32_t character = length ? decode(text, length) : 0;

        if (length == 0)
            buffer_append_format(buffer, "\\x%02x", (unsigned char)*text);
        else if (!is_hidden(character))
            buffer_append(buffer, text, length);
        else if (character < 0x80)
            buffer_append_format(buffer, "\\x%02" PRIx32, character);
        else
            buffer_append_format(buffer, "\\u{%" PRIx32 "}", character);
        text += length ? length : 1;
    }
}

void text_write_safe(FILE *stream, const char *text)
{
    _cleanup_buffer_ struct buffer safe = {0};

    text_append_safe(&safe, text);
    if (safe.size > 0)
        fwrite(safe.data, 1, safe.size, stream);
}

size_t text_columns(const char *text)
{
    size_t columns = 0;

    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

size_t text_cut(const char *text, size_t columns)
{
    size_t octets = 0;

    while (text[octets]) {
        if (((unsigned char)text[octets] & 0xc0) != 0x80 && columns-- == 0)
            break;
        octets++;
    }
    return octets;
}
