/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be said with --words on the command line: one table, from which parsing, help and completion
 * come. Global options may stand anywhere, also after the verb. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "failure.h"

/* Each option is a bit, so that a verb lists its own as a set. */
enum option_set {
    OPTION_HOST = UINT64_C(1) << 0,
    OPTION_JSON = UINT64_C(1) << 1,
    OPTION_TIMEOUT = UINT64_C(1) << 2,
    OPTION_HELP = UINT64_C(1) << 3,
    OPTION_VERSION = UINT64_C(1) << 4,
    OPTION_LIST_VERBS = UINT64_C(1) << 5,
    OPTION_LIST_OPTIONS = UINT64_C(1) << 6,
    OPTION_WIDTH = UINT64_C(1) << 7,
    OPTION_COUNT = UINT64_C(1) << 8,
    OPTION_MASK = UINT64_C(1) << 9,
    OPTION_FIXED = UINT64_C(1) << 10,
    OPTION_HEX = UINT64_C(1) << 11,
    OPTION_OUTPUT = UINT64_C(1) << 12,
    OPTION_CACERT = UINT64_C(1) << 13,
    OPTION_CERT = UINT64_C(1) << 14,
    OPTION_KEY = UINT64_C(1) << 15,
    OPTION_FOR = UINT64_C(1) << 16,
    OPTION_PERMISSIONS = UINT64_C(1) << 17,
    OPTION_PERMISSION = UINT64_C(1) << 18,
    OPTION_REGIONS = UINT64_C(1) << 19,
    OPTION_REGION = UINT64_C(1) << 20,
    OPTION_VALUE = UINT64_C(1) << 21,
    OPTION_SHARED = UINT64_C(1) << 22,
    OPTION_WAIT = UINT64_C(1) << 23,
    OPTION_NOTE = UINT64_C(1) << 24,
    OPTION_CONTACT = UINT64_C(1) << 25,
    OPTION_TAKEOVER = UINT64_C(1) << 26,
    OPTION_SAFE = UINT64_C(1) << 27,
    OPTION_SINCE = UINT64_C(1) << 28,
    OPTION_UNTIL = UINT64_C(1) << 29,
    OPTION_PRINCIPAL = UINT64_C(1) << 30,
    OPTION_ACTION = UINT64_C(1) << 31,
    OPTION_RESULT = UINT64_C(1) << 32,
    OPTION_LIMIT = UINT64_C(1) << 33,
    OPTION_DRIVER = UINT64_C(1) << 35,
    OPTION_FORCE = UINT64_C(1) << 36,
    OPTION_PATIENCE = UINT64_C(1) << 37, /* --timeout with another meaning: it replaces the global one */
    OPTION_EVENTS = UINT64_C(1) << 38,
    OPTION_POSITION = UINT64_C(1) << 39,
    OPTION_KINDS = UINT64_C(1) << 40,
    OPTION_NO_RECONNECT = UINT64_C(1) << 41,
    OPTION_HEARTBEAT = UINT64_C(1) << 42,
    OPTION_BUFFER_KIND = UINT64_C(1) << 43,
    OPTION_BITS = UINT64_C(1) << 44,
    OPTION_ALIGNMENT = UINT64_C(1) << 45,
    OPTION_BOUNDARY = UINT64_C(1) << 46,
    OPTION_DIRECTION = UINT64_C(1) << 47,
    OPTION_OBJECTS = UINT64_C(1) << 48,
    OPTION_BUFFER_NOTE = UINT64_C(1) << 49,
    OPTION_LIFETIME = UINT64_C(1) << 50, /* --for that knows never, too */
    OPTION_RESERVATION = UINT64_C(1) << 51,
    OPTION_OFFSET = UINT64_C(1) << 52,
    OPTION_LENGTH = UINT64_C(1) << 53,
    OPTION_VALUE_WIDTH = UINT64_C(1) << 54,
    OPTION_COMMAND = UINT64_C(1) << 34, /* "--", and a command with options of its own after it */

    OPTIONS_GLOBAL = OPTION_HOST | OPTION_CACERT | OPTION_CERT | OPTION_KEY | OPTION_JSON | OPTION_TIMEOUT |
                     OPTION_HELP | OPTION_VERSION,
    /* For the shell completion; not in any help. */
    OPTIONS_HIDDEN = OPTION_LIST_VERBS | OPTION_LIST_OPTIONS,
};

enum { OPTION_WORDS = 64 };

/* The arguments of an option that may be repeated. */
struct option_words {
    const char *words[OPTION_WORDS];
    unsigned count;
};

/* Texts are those of the command line, NULL when they were not there. */
struct options {
    uint64_t given; /* the set of those that were on the command line */
    const char *host;
    const char *cacert;
    const char *cert;
    const char *key;
    const char *output;
    const char *listed_verb; /* --list-options */
    unsigned timeout_ms;
    unsigned width; /* bits; 0: the region's default */
    uint64_t count; /* of registers, interrupts or objects */
    uint64_t mask;
    uint64_t value;
    uint64_t for_seconds;  /* --for; 0: not given, or never */
    uint64_t wait_seconds; /* --wait=TIME; 0: without a limit */
    const char *note;
    const char *contact;
    const char *takeover;
    struct option_words permissions;
    struct option_words regions;
    struct option_words safes; /* PLACE=VALUE */
    struct option_words kinds; /* of events */
    unsigned heartbeat_seconds;
    const char *since; /* of the audit trail, see cmd_audit.c; of events, their id */
    const char *until;
    const char *principal;
    const char *region;
    const char *action;
    const char *result;
    uint64_t limit;
    const char *driver; /* --driver of bind */
    const char *buffer_kind;
    const char *direction;
    const char *reservation; /* --reservation: an id */
    unsigned bits;
    uint64_t alignment, boundary, offset, length; /* octets */
};

void options_init(struct options *options);

static inline bool options_have(const struct options *options, enum option_set option)
{
    return options->given & option;
}

/* Reads the options of `allowed` in argv[1..], up to the first operand, or, with `everywhere`, wherever
 * they are: the operands are moved to the end. *ret_operands is the index of the first operand. `verb` is
 * for messages, NULL before it is known. Returns 0, or -1 with the failure filled. */
int options_parse(struct options *options, int argc, char **argv, uint64_t allowed, bool everywhere,
        const char *verb, int *ret_operands, struct failure *failure);

/* The lines of a help text for these options. */
void options_write_help(FILE *stream, uint64_t set);

/* One "--name" or "-x" a line, with "=" at the end when an argument follows. */
void options_write_list(FILE *stream, uint64_t set);

/* " [--width BITS] [--count N]", for a usage line that is `columns` long already; it is broken where it gets
 * too long. */
void options_write_usage(FILE *stream, uint64_t set, unsigned columns);
