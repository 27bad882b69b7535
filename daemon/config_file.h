/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One configuration file: from its text to descriptions. */
#pragma once

#include <jansson.h>

#include "config.h"

/* A file while it is read, with the place that is being looked at. */
struct config_reader {
    const char *file;
    char *text;
    bool fragment; /* of devices.d: has devices alone */
    bool insecure;
    struct config *config;
    struct config_problems *problems;
    char **keep_text;  /* gets the text when the file was read; NULL: it is freed */
    char pointer[256]; /* JSON pointer (RFC 6901) of the present value */
};

/* A key of an object and where its value goes. */
struct config_key {
    const char *name;
    void (*take)(struct config_reader *reader, const json_t *value, void *field);
    size_t field;
    uint32_t bit; /* which of the keys that were given it is, for those of whom it matters */
};

/* Reports a mistake at the present value, or at its key. */
void config_report(struct config_reader *reader, bool at_key, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Notes at the present value what is no mistake, but hardly what was meant. */
void config_warn(struct config_reader *reader, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Steps into a member or an element; the returned length restores the pointer. */
size_t config_enter(struct config_reader *reader, const char *name);
size_t config_enter_element(struct config_reader *reader, size_t index);
void config_leave(struct config_reader *reader, size_t before);

/* Reads an object by its table. *ret_bits is what was given of the keys that have a bit. */
void config_read_object(struct config_reader *reader, const json_t *object, const struct config_key *keys,
        size_t count, void *target, uint32_t *ret_bits);

/* Values that several objects have: a text, the name of something, a switch. */
void config_take_string(struct config_reader *reader, const json_t *value, void *field);
void config_take_name(struct config_reader *reader, const json_t *value, void *field);
/* Reads a number, also with a unit. False after a report; then it is as it was. */
bool config_read_number(struct config_reader *reader, const json_t *value, uint64_t *number);
/* A register's bits: a number without a unit. False after a report. */
bool config_read_bits(struct config_reader *reader, const json_t *value, uint64_t *ret_bits);
void config_take_bool(struct config_reader *reader, const json_t *value, void *field);

/* What is read when the object's other keys were: say, because it refers to them. */
void config_take_later(struct config_reader *reader, const json_t *value, void *field);

/* Reads the whole file into reader->config. */
void config_file_read(struct config_reader *reader);
