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
    OPTION_HOST = 1u << 0,
    OPTION_JSON = 1u << 1,
    OPTION_TIMEOUT = 1u << 2,
    OPTION_HELP = 1u << 3,
    OPTION_VERSION = 1u << 4,
    OPTION_LIST_VERBS = 1u << 5,
    OPTION_LIST_OPTIONS = 1u << 6,
    OPTION_WIDTH = 1u << 7,
    OPTION_COUNT = 1u << 8,
    OPTION_MASK = 1u << 9,
    OPTION_FIXED = 1u << 10,
    OPTION_HEX = 1u << 11,
    OPTION_OUTPUT = 1u << 12,

    OPTIONS_GLOBAL = OPTION_HOST | OPTION_JSON | OPTION_TIMEOUT | OPTION_HELP | OPTION_VERSION,
    /* For the shell completion; not in any help. */
    OPTIONS_HIDDEN = OPTION_LIST_VERBS | OPTION_LIST_OPTIONS,
};

struct options {
    unsigned given; /* the set of those that were on the command line */
    const char *host;
    const char *output;
    const char *listed_verb; /* --list-options */
    unsigned timeout_ms;
    unsigned width; /* bits; 0: the region's default */
    uint64_t count;
    uint64_t mask;
};

void options_init(struct options *options);

static inline bool options_have(const struct options *options, enum option_set option)
{
    return options->given & (unsigned)option;
}

/* Reads the options of `allowed` in argv[1..], up to the first operand, or, with `everywhere`, wherever
 * they are: the operands are moved to the end. *ret_operands is the index of the first operand. `verb` is
 * for messages, NULL before it is known. Returns 0, or -1 with the failure filled. */
int options_parse(struct options *options, int argc, char **argv, unsigned allowed, bool everywhere,
        const char *verb, int *ret_operands, struct failure *failure);

/* The lines of a help text for these options. */
void options_write_help(FILE *stream, unsigned set);

/* One "--name" or "-x" a line, with "=" at the end when an argument follows. */
void options_write_list(FILE *stream, unsigned set);

/* " [--width BITS] [--count N]", for a usage line. */
void options_write_usage(FILE *stream, unsigned set);
