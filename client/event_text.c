/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A table from the type of an event to what a line says of it. Interrupts are plain lines; what a reader
 * must not overlook among thousands of them stands out by its stars. */
#include "event_text.h"

#include <string.h>
#include <time.h>

#include "output.h"
#include "text.h"
#include "util/date.h"

static bool is_true(const json_t *data, const char *name)
{
    return json_is_true(json_object_get(data, name));
}

/* BEFORE and the member, when there is one. */
static void append_member(struct buffer *line, const char *before, const json_t *data, const char *name)
{
    const json_t *value = json_object_get(data, name);

    if (!value || json_is_null(value))
        return;
    buffer_append_string(line, before);
    words_append(line, value, ",");
}

static void append_text(struct buffer *line, const json_t *data, const char *name)
{
    text_append_safe(line, member_text(data, name, "?"));
}

/* "edu #12 0x00000001, 3 missed before it" */
static void append_interrupt(struct buffer *line, const json_t *data)
{
    append_text(line, data, "source");
    append_member(line, " #", data, "number");
    append_member(line, " ", data, "value");
    if (json_integer_value(json_object_get(data, "missed")) > 0) {
        append_member(line, ", ", data, "missed");
        buffer_append_string(line, " missed before it");
    }
    if (is_true(data, "masked"))
        buffer_append_string(line, ", masked until it is unmasked");
}

static void append_mask(struct buffer *line, const json_t *data)
{
    append_text(line, data, "source");
    buffer_append_string(line, is_true(data, "masked") ? " is masked" : " is unmasked");
    append_member(line, " by ", data, "by");
}

static void append_storm(struct buffer *line, const json_t *data)
{
    append_text(line, data, "source");
    buffer_append_string(line, is_true(data, "storm") ? " storms and is masked" : ": the storm is over");
    append_member(line, ": ", data, "reason");
}

static void append_device(struct buffer *line, const json_t *data)
{
    buffer_append_string(line, "device ");
    append_text(line, data, "device");
    buffer_append_string(line, is_true(data, "present") ? " is there" : " is gone");
    append_member(line, ": ", data, "reason");
}

static void append_driver(struct buffer *line, const json_t *data)
{
    buffer_append_string(line, "device ");
    append_text(line, data, "device");
    if (!member_text(data, "driver", NULL))
        buffer_append_string(line, " has no driver now");
    append_member(line, " is bound to ", data, "driver");
}

static void append_reset(struct buffer *line, const json_t *data)
{
    buffer_append_string(line, "device ");
    append_text(line, data, "device");
    buffer_append_string(line, " was reset");
    append_member(line, " by ", data, "by");
}

static void append_daemon(struct buffer *line, const json_t *data)
{
    buffer_append_string(line, "devregd");
    append_member(line, " ", data, "version");
    append_member(line, ": ", data, "daemon");
}

static void append_lost(struct buffer *line, const json_t *data)
{
    const json_t *count = json_object_get(data, "count");

    buffer_append_string(line, "LOST: ");
    if (json_is_integer(count))
        words_append(line, count, "");
    else
        buffer_append_string(line, "nobody knows how many");
    buffer_append_string(
            line, json_is_integer(count) && json_integer_value(count) == 1 ? " event" : " events");
    append_member(line, ": ", data, "reason");
}

static const struct row {
    const char *type;
    bool loud;
    void (*append)(struct buffer *line, const json_t *data);
} rows[] = {
        {"interrupt", false, append_interrupt},
        {"mask", true, append_mask},
        {"storm", true, append_storm},
        {"device", true, append_device},
        {"driver", true, append_driver},
        {"reset", true, append_reset},
        {"daemon", true, append_daemon},
        {"lost", true, append_lost},
};

static const struct row *find_row(const char *type)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (strcmp(rows[i].type, type) == 0)
            return &rows[i];
    return NULL;
}

static void append_unknown(struct buffer *line, const char *type, const json_t *data)
{
    _cleanup_free_ char *text = json_dumps(data, JSON_COMPACT | JSON_ENSURE_ASCII);

    text_append_safe(line, type);
    buffer_append_char(line, ' ');
    text_append_safe(line, text ? text : "?");
}

static void append_local_time(struct buffer *buffer, uint64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    char text[DATE_SIZE] = "?";

    if (localtime_r(&seconds, &parts))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    buffer_append_format(buffer, "%s.%06u", text, (unsigned)(us % 1000000));
}

void local_time_append(struct buffer *buffer, const char *text)
{
    uint64_t us;

    if (date_parse(text, &us) == 0)
        append_local_time(buffer, us);
    else
        text_append_safe(buffer, text);
}

void event_write_text(FILE *stream, const char *type, const json_t *data)
{
    _cleanup_buffer_ struct buffer line = {0};
    const struct row *row = find_row(type);
    const char *time = member_text(data, "time", NULL);

    if (time)
        local_time_append(&line, time);
    else
        append_local_time(&line, date_now_us());
    buffer_append_string(&line, !row || row->loud ? " *** " : " ");
    if (row)
        row->append(&line, data);
    else
        append_unknown(&line, type, data);
    buffer_append_char(&line, '\n');
    if (!buffer_failed(&line))
        fwrite(line.data, 1, line.size, stream);
}

bool event_write_json(FILE *stream, const char *id, const char *type, json_t *data)
{
    json_auto_t *line = json_pack("{s:s, s:s, s:O}", "id", id, "event", type, "data", data);

    if (!line)
        return false;
    json_dumpf(line, stream, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputc('\n', stream);
    return true;
}
