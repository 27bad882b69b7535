/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* getopt_long() does the parsing; the table says what it gets and what is done with it. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <string.h>

#include "util/number.h"
#include "values.h"

enum { DEFAULT_TIMEOUT_MS = 30000, TIMEOUT_LIMIT_SECONDS = 86400 };

struct option_row {
    enum option_set bit;
    char letter; /* 0: none */
    const char *name;
    const char *argument; /* NULL: none */
    const char *summary;
    int (*take)(struct options *options, const char *argument, struct error *error);
};

static int take_host(struct options *options, const char *argument, struct error *error)
{
    (void)error;
    options->host = argument;
    return 0;
}

static int take_timeout(struct options *options, const char *argument, struct error *error)
{
    char *end;
    double seconds = strtod(argument, &end);

    if (end == argument || *end || !isfinite(seconds) || seconds < 0.001 || seconds > TIMEOUT_LIMIT_SECONDS)
        return error_set(error, -EINVAL, "\"%s\" is not a time in seconds, from 0.001 to %d", argument,
                TIMEOUT_LIMIT_SECONDS);
    options->timeout_ms = (unsigned)(seconds * 1000);
    return 0;
}

static int take_list_options(struct options *options, const char *argument, struct error *error)
{
    (void)error;
    options->listed_verb = argument;
    return 0;
}

static int take_width(struct options *options, const char *argument, struct error *error)
{
    return width_parse(argument, &options->width, error);
}

static int take_count(struct options *options, const char *argument, struct error *error)
{
    if (number_parse(argument, &options->count) < 0 || options->count == 0)
        return error_set(error, -EINVAL, "\"%s\" is not a count of registers, from 1 on", argument);
    return 0;
}

static int take_mask(struct options *options, const char *argument, struct error *error)
{
    return value_parse(argument, &options->mask, error);
}

static int take_output(struct options *options, const char *argument, struct error *error)
{
    if (*argument == '\0')
        return error_set(error, -EINVAL, "an empty file name");
    options->output = argument;
    return 0;
}

static const struct option_row rows[] = {
        {OPTION_HOST, 'H', "host", "HOST", "the daemon: a socket's path, a URL, or a name from hosts.json",
                take_host},
        {OPTION_JSON, 0, "json", NULL, "print the result (and errors, on standard error) as JSON", NULL},
        {OPTION_TIMEOUT, 0, "timeout", "SECONDS", "wait at most this long for an answer (default: 30)",
                take_timeout},
        {OPTION_WIDTH, 0, "width", "BITS", "access width: 8, 16, 32 or 64 (default: the region's)",
                take_width},
        {OPTION_COUNT, 0, "count", "N", "read N registers, one after the other", take_count},
        {OPTION_MASK, 0, "mask", "MASK", "change only these bits, in one atomic step", take_mask},
        {OPTION_FIXED, 0, "fixed", NULL, "every access goes to the same offset, as for a FIFO", NULL},
        {OPTION_HEX, 0, "hex", NULL, "print a hex dump, also to a pipe or file", NULL},
        {OPTION_OUTPUT, 'o', "output", "FILE", "write the octets to FILE", take_output},
        {OPTION_HELP, 'h', "help", NULL, "explain devregctl or the verb", NULL},
        {OPTION_VERSION, 0, "version", NULL, "print the version", NULL},
        {OPTION_LIST_VERBS, 0, "list-verbs", NULL, "", NULL},
        {OPTION_LIST_OPTIONS, 0, "list-options", "VERB", "", take_list_options},
};

void options_init(struct options *options)
{
    *options = (struct options){.timeout_ms = DEFAULT_TIMEOUT_MS};
}

/* What getopt_long() wants: its two tables of the allowed rows. */
struct getopt_tables {
    char letters[2 * ELEMENTS(rows) + 3];
    struct option names[ELEMENTS(rows) + 1];
};

static void fill_tables(struct getopt_tables *tables, unsigned allowed, bool everywhere)
{
    char *letter = tables->letters;
    struct option *name = tables->names;

    if (!everywhere)
        *letter++ = '+';
    *letter++ = ':';
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        if (!(allowed & (unsigned)rows[i].bit))
            continue;
        if (rows[i].letter)
            *letter++ = rows[i].letter;
        if (rows[i].letter && rows[i].argument)
            *letter++ = ':';
        *name++ = (struct option){.name = rows[i].name,
                .has_arg = rows[i].argument ? required_argument : no_argument,
                .val = 256 + (int)i};
    }
    *letter = '\0';
    *name = (struct option){0};
}

static const struct option_row *find_row(int value)
{
    if (value >= 256)
        return &rows[value - 256];
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        if (rows[i].letter && rows[i].letter == value)
            return &rows[i];
    return NULL;
}

static int fail_unknown(const char *word, int value, const char *verb, struct failure *failure)
{
    char letter[] = {'-', (char)value, '\0'};

    /* getopt_long() also ends here for "--json=yes": the option is known, and takes nothing. */
    if (value >= 256)
        return failure_set(failure, EXIT_CODE_USAGE, "--%s takes no argument", rows[value - 256].name);
    if (value >= '0' && value <= '9')
        return failure_set(failure, EXIT_CODE_USAGE, "values have no sign: write the bits, as 0xffffffff");
    if (value != 0)
        word = letter;
    if (verb)
        return failure_set(
                failure, EXIT_CODE_USAGE, "%s has no option %s; see devregctl %s --help", verb, word, verb);
    return failure_set(failure, EXIT_CODE_USAGE, "devregctl has no option %s; see devregctl --help", word);
}

static int take(struct options *options, const struct option_row *row, struct failure *failure)
{
    struct error error;

    options->given |= (unsigned)row->bit;
    if (row->take && row->take(options, optarg, &error) < 0)
        return failure_set(failure, EXIT_CODE_USAGE, "--%s: %s", row->name, error.message);
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, unsigned allowed, bool everywhere,
        const char *verb, int *ret_operands, struct failure *failure)
{
    struct getopt_tables tables;
    int value;
    int r = 0;

    fill_tables(&tables, allowed, everywhere);
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while (r == 0 && (value = getopt_long(argc, argv, tables.letters, tables.names, NULL)) != -1) {
        if (value == ':')
            r = failure_set(failure, EXIT_CODE_USAGE, "%s needs an argument", argv[optind - 1]);
        else if (value == '?')
            r = fail_unknown(argv[optind - 1], optopt, verb, failure);
        else
            r = take(options, find_row(value), failure);
    }
    *ret_operands = optind;
    return r;
}

void options_write_help(FILE *stream, unsigned set)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        const char *argument = rows[i].argument ? rows[i].argument : "";
        char letter[] = "    ";
        char words[64];

        if (!(set & (unsigned)rows[i].bit))
            continue;
        if (rows[i].letter)
            snprintf(letter, sizeof(letter), "-%c, ", rows[i].letter);
        snprintf(words, sizeof(words), "--%s%s%s", rows[i].name, *argument ? " " : "", argument);
        fprintf(stream, "  %s%-18s  %s\n", letter, words, rows[i].summary);
    }
}

void options_write_list(FILE *stream, unsigned set)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        const char *equals = rows[i].argument ? "=" : "";

        if (!(set & (unsigned)rows[i].bit))
            continue;
        fprintf(stream, "--%s%s\n", rows[i].name, equals);
        if (rows[i].letter)
            fprintf(stream, "-%c%s\n", rows[i].letter, equals);
    }
}

void options_write_usage(FILE *stream, unsigned set)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        const struct option_row *row = &rows[i];

        if (!(set & (unsigned)row->bit))
            continue;
        if (row->letter)
            fprintf(stream, " [-%c%s%s]", row->letter, row->argument ? " " : "",
                    row->argument ? row->argument : "");
        else
            fprintf(stream, " [--%s%s%s]", row->name, row->argument ? " " : "",
                    row->argument ? row->argument : "");
    }
}
