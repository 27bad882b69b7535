/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both forms with names go through one list of fields, so that they have the same. */
#include "core/audit_text.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "util/words.h"

enum { NUMBER_SIZE = 24 };

static void append_escaped(struct buffer *text, const char *value, const char *special)
{
    static const char digits[] = "0123456789abcdef";

    for (; *value; value++) {
        unsigned char character = (unsigned char)*value;

        if (character < 0x20 || character >= 0x7f) {
            buffer_append(text, "\\x", 2);
            buffer_append_char(text, digits[character >> 4]);
            buffer_append_char(text, digits[character & 15]);
            continue;
        }
        if (strchr(special, *value))
            buffer_append_char(text, '\\');
        buffer_append_char(text, *value);
    }
}

/* A value with its length before it: there is no octet that could end it early. */
static void put_journal(struct buffer *datagram, const char *name, const char *value)
{
    size_t length = strlen(value);
    uint64_t little = htole64(length);

    buffer_append_string(datagram, name);
    buffer_append_char(datagram, '\n');
    buffer_append(datagram, &little, sizeof(little));
    buffer_append(datagram, value, length);
    buffer_append_char(datagram, '\n');
}

static bool is_plain(const char *value)
{
    for (const char *c = value; *c; c++) {
        if (*c <= 0x20 || *c >= 0x7f || strchr("\"\\=", *c))
            return false;
    }
    return value[0] != 0;
}

/* The name is the field's without DEVREG_, in small letters. */
static void put_line(struct buffer *text, const char *name, const char *value)
{
    if (text->size)
        buffer_append_char(text, ' ');
    for (name += strlen("DEVREG_"); *name; name++)
        buffer_append_char(text, (char)(*name | 0x20));
    buffer_append_char(text, '=');
    if (is_plain(value)) {
        buffer_append_string(text, value);
        return;
    }
    buffer_append_char(text, '"');
    append_escaped(text, value, "\"\\");
    buffer_append_char(text, '"');
}

const char *const audit_field_names[AUDIT_FIELDS] = {"DEVREG_PRINCIPAL", "DEVREG_PEER", "DEVREG_REQUEST",
        "DEVREG_ACTION", "DEVREG_SUBJECT", "DEVREG_REGION", "DEVREG_OFFSET", "DEVREG_WIDTH", "DEVREG_COUNT",
        "DEVREG_FIXED", "DEVREG_MASK", "DEVREG_OLD", "DEVREG_NEW", "DEVREG_FORCED", "DEVREG_RESULT",
        "DEVREG_STATUS", "DEVREG_REASON"};

static void put_fields(struct buffer *text, const struct audit_record *record,
        void (*put)(struct buffer *text, const char *name, const char *value))
{
    char offset[NUMBER_SIZE], width[NUMBER_SIZE], count[NUMBER_SIZE], status[NUMBER_SIZE];
    const char *const values[AUDIT_FIELDS] = {record->principal, record->peer, record->request,
            record->action, record->subject, record->region, record->has_offset ? offset : NULL,
            record->width_bits ? width : NULL, record->count ? count : NULL, record->fixed ? "1" : NULL,
            record->mask, record->old_value, record->new_value, record->forced ? "1" : NULL, record->result,
            record->status ? status : NULL, record->reason};

    snprintf(offset, sizeof(offset), "0x%" PRIx64, record->offset);
    snprintf(width, sizeof(width), "%u", record->width_bits);
    snprintf(count, sizeof(count), "%" PRIu64, record->count);
    snprintf(status, sizeof(status), "%u", record->status);
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        if (values[i])
            put(text, audit_field_names[i], values[i]);
    }
}

int audit_text_priority(const struct audit_record *record)
{
    if (!record->result || strcmp(record->result, "ok") != 0)
        return LOG_WARNING;
    return record->action && words_have("read list", record->action) ? LOG_INFO : LOG_NOTICE;
}

static void append_place(struct buffer *text, const struct audit_record *record)
{
    if (record->region) {
        buffer_append_char(text, ' ');
        append_escaped(text, record->region, "\\");
        if (record->has_offset)
            buffer_append_format(text, ":0x%" PRIx64, record->offset);
    } else if (record->has_offset) {
        buffer_append_format(text, ", %" PRIu64 " octets from 0x%" PRIx64, record->count, record->offset);
        return;
    }
    if (record->count > 1)
        buffer_append_format(text, ", %" PRIu64 " times", record->count);
    if (record->fixed)
        buffer_append_string(text, " at one offset");
    if (record->width_bits)
        buffer_append_format(text, ", %u bits", record->width_bits);
}

static void append_named(struct buffer *text, const char *before, const char *value, const char *after)
{
    if (!value)
        return;
    buffer_append_string(text, before);
    append_escaped(text, value, "\\");
    buffer_append_string(text, after);
}

void audit_text_sentence(struct buffer *text, const struct audit_record *record)
{
    append_named(text, "", record->principal ? record->principal : "somebody", "");
    append_named(text, " (", record->peer, ")");
    append_named(text, " ", record->action ? record->action : "did something", "");
    append_named(text, " ", record->subject, "");
    append_place(text, record);
    append_named(text, ", ", record->new_value, "");
    append_named(text, " under the mask ", record->mask, "");
    append_named(text, " (was ", record->old_value, ")");
    if (record->forced)
        buffer_append_string(text, " by force");
    append_named(text, ": ", record->result ? record->result : "failed", "");
    append_named(text, ": ", record->reason, "");
}

void audit_text_line(struct buffer *text, const struct audit_record *record)
{
    put_fields(text, record, put_line);
}

void audit_text_journal(struct buffer *datagram, const struct audit_record *record)
{
    struct buffer sentence = {0};

    audit_text_sentence(&sentence, record);
    buffer_append_format(datagram,
            "MESSAGE_ID=" AUDIT_MESSAGE_ID "\nPRIORITY=%d\nSYSLOG_IDENTIFIER=devregd\nMESSAGE=%.*s\n",
            audit_text_priority(record), (int)sentence.size, sentence.size ? sentence.data : "");
    if (buffer_failed(&sentence))
        datagram->failed = true;
    buffer_done(&sentence);
    put_fields(datagram, record, put_journal);
}
