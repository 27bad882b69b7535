/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verbs say what they print; how wide, how indented and how safely is decided here. */
#include "output.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "text.h"
#include "util/number.h"

enum {
    CELL_COLUMNS = 48,   /* longer cells are cut, the last column aside: a table is for looking over */
    FACT_COLUMNS = 18,   /* where the values of facts start, behind the indent */
    FACT_INDENT = 2,     /* more for each level */
    FACT_LEVELS = 6,     /* deeper values are printed as JSON */
    TABLE_COLUMNS = 12,  /* at most */
    OBVIOUS_SIZE = 4096, /* what anybody reads as it is, in decimal */
};

void output_json(FILE *stream, const json_t *value)
{
    size_t layout = isatty(fileno(stream)) ? JSON_INDENT(2) : JSON_COMPACT;

    json_dumpf(value, stream, layout | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    fputc('\n', stream);
}

void table_done(struct table *table)
{
    buffer_done(&table->cells);
    *table = (struct table){0};
}

void table_add_row(struct table *table, const char *const *cells)
{
    for (unsigned i = 0; i < table->columns; i++) {
        text_append_safe(&table->cells, cells[i] ? cells[i] : "");
        buffer_append_char(&table->cells, '\0');
    }
    table->rows++;
}

static void measure(const struct table *table, size_t *ret_widths)
{
    const char *cell = table->cells.data;

    memset(ret_widths, 0, table->columns * sizeof(*ret_widths));
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        size_t columns = text_columns(cell);
        size_t *width = &ret_widths[i % table->columns];

        if (table->cut && columns > CELL_COLUMNS)
            columns = CELL_COLUMNS;
        if (columns > *width)
            *width = columns;
        cell += strlen(cell) + 1;
    }
}

static void write_cell(FILE *stream, const char *cell, size_t width)
{
    size_t columns = text_columns(cell);

    if (columns > width) {
        fwrite(cell, 1, text_cut(cell, width - 1), stream);
        fputs("~  ", stream);
        return;
    }
    fprintf(stream, "%s%*s", cell, (int)(width - columns + 2), "");
}

void table_write(FILE *stream, const struct table *table)
{
    const char *cell = table->cells.data;
    size_t widths[TABLE_COLUMNS];

    assert(table->columns > 0 && table->columns <= TABLE_COLUMNS);
    if (buffer_failed(&table->cells)) {
        fputs("devregctl: out of memory\n", stderr);
        return;
    }
    measure(table, widths);
    for (size_t row = 0; row < table->rows; row++) {
        for (unsigned i = 0; i < table->columns; i++) {
            if (i + 1 == table->columns)
                fprintf(stream, "%s\n", cell);
            else
                write_cell(stream, cell, widths[i]);
            cell += strlen(cell) + 1;
        }
    }
}

const char *member_text(const json_t *object, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : otherwise;
}

void size_append(struct buffer *buffer, const char *text)
{
    char readable[NUMBER_SIZE_TEXT];
    uint64_t size;

    if (number_parse(text, &size) < 0)
        buffer_append_string(buffer, text);
    else
        buffer_append_string(buffer, number_format_size(size, readable));
}

static void append_json(struct buffer *buffer, const json_t *value)
{
    _cleanup_free_ char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);

    /* What jansson does not escape: DEL. */
    text_append_safe(buffer, text ? text : "?");
}

static void append_scalar(struct buffer *buffer, const json_t *value)
{
    if (json_is_string(value))
        text_append_safe(buffer, json_string_value(value));
    else if (json_is_boolean(value))
        buffer_append_string(buffer, json_is_true(value) ? "yes" : "no");
    else
        append_json(buffer, value);
}

void words_append(struct buffer *buffer, const json_t *value, const char *separator)
{
    const json_t *word;
    size_t i;

    if (!json_is_array(value)) {
        append_scalar(buffer, value);
        return;
    }
    json_array_foreach ((json_t *)value, i, word) {
        buffer_append_string(buffer, i > 0 ? separator : "");
        append_scalar(buffer, word);
    }
}

void member_words(struct buffer *buffer, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (value && !json_is_null(value) && (!json_is_array(value) || json_array_size(value) > 0))
        words_append(buffer, value, ",");
    else
        buffer_append_char(buffer, '-');
    buffer_append_char(buffer, '\0');
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer_failed(buffer) ? "?" : buffer->data;
}

/* The text must be safe. */
static void write_fact(FILE *stream, unsigned indent, const char *name, const char *value)
{
    _cleanup_buffer_ struct buffer label = {0};
    size_t columns;

    text_append_safe(&label, name);
    buffer_append_char(&label, '\0');
    if (buffer_failed(&label))
        return;
    for (char *c = label.data; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    columns = text_columns(label.data);
    fprintf(stream, "%*s%s%*s%s\n", (int)indent, "", label.data,
            *value ? (int)(columns < FACT_COLUMNS ? FACT_COLUMNS - columns : 1) : 0, "", value);
}

void fact_write(FILE *stream, unsigned indent, const char *name, const char *value)
{
    _cleanup_buffer_ struct buffer safe = {0};

    text_append_safe(&safe, value);
    buffer_append_char(&safe, '\0');
    if (!buffer_failed(&safe))
        write_fact(stream, indent, name, safe.data);
}

static bool is_nested(const json_t *value)
{
    return json_is_object(value) || (json_is_array(value) && json_is_object(json_array_get(value, 0)));
}

static void write_nested(FILE *stream, const char *name, const json_t *value, unsigned indent)
{
    const json_t *one;
    size_t i;

    write_fact(stream, indent, name, "");
    if (json_is_object(value)) {
        facts_write(stream, value, indent + FACT_INDENT, NULL);
        return;
    }
    json_array_foreach ((json_t *)value, i, one) {
        if (i > 0)
            fputc('\n', stream);
        facts_write(stream, one, indent + FACT_INDENT, NULL);
    }
}

static bool is_size(const char *name)
{
    static const char *const names[] = {"size", "page_size", "mapped_size", "alignment", "boundary"};

    for (size_t i = 0; i < ELEMENTS(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* " (1 MiB)", when that says more than the number itself. */
static void append_readable_size(struct buffer *buffer, const json_t *value)
{
    const char *text = json_string_value(value);
    char readable[NUMBER_SIZE_TEXT];
    uint64_t size;

    if (json_is_integer(value) && json_integer_value(value) > OBVIOUS_SIZE)
        size = (uint64_t)json_integer_value(value);
    else if (!text || number_parse(text, &size) < 0)
        return;
    if (strncmp(number_format_size(size, readable), "0x", 2) != 0)
        buffer_append_format(buffer, " (%s)", readable);
}

static void write_plain(FILE *stream, const char *name, const json_t *value, unsigned indent)
{
    _cleanup_buffer_ struct buffer text = {0};

    if (json_is_array(value) && json_array_size(value) == 0)
        buffer_append_string(&text, "none");
    else if (is_nested(value))
        append_json(&text, value);
    else
        words_append(&text, value, ", ");
    if (is_size(name))
        append_readable_size(&text, value);
    buffer_append_char(&text, '\0');
    if (!buffer_failed(&text))
        write_fact(stream, indent, name, text.data);
}

static bool is_skipped(const char *name, const char *const *skip)
{
    for (; skip && *skip; skip++)
        if (strcmp(name, *skip) == 0)
            return true;
    return false;
}

void facts_write(FILE *stream, const json_t *object, unsigned indent, const char *const *skip)
{
    const char *name;
    const json_t *value;

    json_object_foreach ((json_t *)object, name, value) {
        if (is_skipped(name, skip))
            continue;
        if (is_nested(value) && indent < FACT_INDENT * FACT_LEVELS)
            write_nested(stream, name, value, indent);
        else
            write_plain(stream, name, value, indent);
    }
}

void output_note(const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (r < 0) {
        text = NULL;
        return;
    }
    fputs("devregctl: note: ", stderr);
    text_write_safe(stderr, text);
    fputc('\n', stderr);
}

int output_finish(FILE *stream, struct failure *failure)
{
    bool failed = ferror(stream);

    errno = 0;
    if (fflush(stream) == 0 && !failed)
        return 0;
    return failure_set(failure, EXIT_CODE_OTHER, "standard output: %s",
            errno ? strerror(errno) : "not everything could be written");
}
