/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shapes in which results are printed: JSON, a table, and a list of facts. Strings are neutralised
 * (see text.h), whoever they come from. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "failure.h"
#include "util/buffer.h"

/* One document: indented on a terminal, one line elsewhere. */
void output_json(FILE *stream, const json_t *value);

/* Columns that are as wide as they need to be. The last one is not padded and never cut. */
struct table {
    unsigned columns;
    bool cut;            /* cut what is too long for looking over */
    struct buffer cells; /* neutralised, each with its NUL, row after row */
    size_t rows;
};

void table_done(struct table *table);
#define _cleanup_table_ _cleanup_(table_done)

/* The first row is that of the titles. NULL makes an empty cell. */
void table_add_row(struct table *table, const char *const *cells);
void table_write(FILE *stream, const struct table *table);

/* An object's members, one a line; whatever is in it. Members named in `skip` (NULL-terminated) are left
 * out. */
void facts_write(FILE *stream, const json_t *object, unsigned indent, const char *const *skip);

/* One fact: the name, then the value in the same column as facts_write() has it. */
void fact_write(FILE *stream, unsigned indent, const char *name, const char *value);

/* "0x100000" as "1 MiB"; text that is no number stays. Appends. */
void size_append(struct buffer *buffer, const char *text);

/* A string member, or `otherwise` when it is not there. */
const char *member_text(const json_t *object, const char *name, const char *otherwise);

/* An array of strings or numbers as "32, 64", anything else as text. Appends. */
void words_append(struct buffer *buffer, const json_t *value, const char *separator);

/* The same of a member, as a table's cell with its NUL: "-" when there is nothing. Appends. */
void member_words(struct buffer *buffer, const json_t *object, const char *name);

/* What was written to a buffer with its NUL. */
const char *buffer_text(const struct buffer *buffer);

/* "devregctl: note: TEXT" on standard error. */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Flushes. Returns 0, or -1 with the failure filled when not everything could be written. */
int output_finish(FILE *stream, struct failure *failure);
