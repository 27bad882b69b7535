/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* getopt_long() does the parsing; the table says what it gets and what is done with it. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <string.h>

#include "duration.h"
#include "size.h"
#include "util/number.h"
#include "values.h"

enum {
    DEFAULT_TIMEOUT_MS = 30000,
    TIMEOUT_LIMIT_SECONDS = 86400,
    DEFAULT_HEARTBEAT_SECONDS = 15,
    HEARTBEAT_LIMIT_SECONDS = 300,
    ADDRESS_BITS_LEAST = 24,
    ADDRESS_BITS_MOST = 64,
    USAGE_COLUMNS = 100,
    USAGE_INDENT = 8,
};

struct option_row {
    enum option_set bit;
    char letter; /* 0: none */
    const char *name;
    const char *argument; /* NULL: none; "[TIME]": it may be left out, as in --wait and --wait=TIME */
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
    uint64_t whole;

    if (end == argument)
        seconds = 0;
    else if (strcmp(end, "s") != 0 && *end)
        seconds = duration_parse(argument, &whole, NULL) == 0 ? (double)whole : 0;
    if (!isfinite(seconds) || seconds < 0.001 || seconds > TIMEOUT_LIMIT_SECONDS)
        return error_set(error, -EINVAL,
                "\"%s\" is not a time in seconds, from 0.001 to %d; 5s, 2m and 1h are times, too", argument,
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

static int take_events(struct options *options, const char *argument, struct error *error)
{
    if (number_parse(argument, &options->count) < 0 || options->count == 0)
        return error_set(error, -EINVAL, "\"%s\" is not a number of interrupts, from 1 on", argument);
    return 0;
}

static int take_heartbeat(struct options *options, const char *argument, struct error *error)
{
    uint64_t seconds;

    if (number_parse(argument, &seconds) < 0 || seconds < 1 || seconds > HEARTBEAT_LIMIT_SECONDS)
        return error_set(error, -EINVAL, "\"%s\" is not a number of seconds, from 1 to %d", argument,
                HEARTBEAT_LIMIT_SECONDS);
    options->heartbeat_seconds = (unsigned)seconds;
    return 0;
}

static int take_mask(struct options *options, const char *argument, struct error *error)
{
    return value_parse(argument, &options->mask, error);
}

/* Texts that would mean nothing when they are empty: more likely a script's variable that was not set. */
static int take_text(const char **text, const char *argument, struct error *error)
{
    if (*argument == '\0')
        return error_set(error, -EINVAL, "an empty text");
    *text = argument;
    return 0;
}

static int take_file(const char **file, const char *argument, struct error *error)
{
    if (*argument == '\0')
        return error_set(error, -EINVAL, "an empty file name");
    *file = argument;
    return 0;
}

static int take_word(struct option_words *words, const char *argument, struct error *error)
{
    if (words->count == OPTION_WORDS)
        return error_set(error, -EINVAL, "given more than %d times", OPTION_WORDS);
    return take_text(&words->words[words->count++], argument, error);
}

static int take_output(struct options *options, const char *argument, struct error *error)
{
    return take_file(&options->output, argument, error);
}

static int take_cacert(struct options *options, const char *argument, struct error *error)
{
    return take_file(&options->cacert, argument, error);
}

static int take_cert(struct options *options, const char *argument, struct error *error)
{
    return take_file(&options->cert, argument, error);
}

static int take_key(struct options *options, const char *argument, struct error *error)
{
    return take_file(&options->key, argument, error);
}

static int take_note(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->note, argument, error);
}

static int take_contact(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->contact, argument, error);
}

static int take_takeover(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->takeover, argument, error);
}

static int take_since(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->since, argument, error);
}

static int take_until(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->until, argument, error);
}

static int take_principal(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->principal, argument, error);
}

static int take_region(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->region, argument, error);
}

static int take_action(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->action, argument, error);
}

static int take_result(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->result, argument, error);
}

static int take_permissions(struct options *options, const char *argument, struct error *error)
{
    return take_word(&options->permissions, argument, error);
}

static int take_regions(struct options *options, const char *argument, struct error *error)
{
    return take_word(&options->regions, argument, error);
}

static int take_kind(struct options *options, const char *argument, struct error *error)
{
    return take_word(&options->kinds, argument, error);
}

static int take_safe(struct options *options, const char *argument, struct error *error)
{
    return take_word(&options->safes, argument, error);
}

static int take_permission(struct options *options, const char *argument, struct error *error)
{
    options->permissions.count = 0;
    return take_word(&options->permissions, argument, error);
}

static int take_value(struct options *options, const char *argument, struct error *error)
{
    return value_parse(argument, &options->value, error);
}

static int take_for(struct options *options, const char *argument, struct error *error)
{
    return duration_parse(argument, &options->for_seconds, error);
}

static int take_wait(struct options *options, const char *argument, struct error *error)
{
    options->wait_seconds = 0;
    return argument ? duration_parse(argument, &options->wait_seconds, error) : 0;
}

static int take_driver(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->driver, argument, error);
}

static int take_limit(struct options *options, const char *argument, struct error *error)
{
    if (number_parse(argument, &options->limit) < 0 || options->limit == 0)
        return error_set(error, -EINVAL, "\"%s\" is not a number of records, from 1 on", argument);
    return 0;
}

static int take_lifetime(struct options *options, const char *argument, struct error *error)
{
    options->for_seconds = 0;
    if (strcmp(argument, "never") == 0)
        return 0;
    return duration_parse(argument, &options->for_seconds, error);
}

static int take_buffer_kind(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->buffer_kind, argument, error);
}

static int take_direction(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->direction, argument, error);
}

static int take_reservation(struct options *options, const char *argument, struct error *error)
{
    return take_text(&options->reservation, argument, error);
}

static int take_bits(struct options *options, const char *argument, struct error *error)
{
    uint64_t bits;

    if (number_parse(argument, &bits) < 0 || bits < ADDRESS_BITS_LEAST || bits > ADDRESS_BITS_MOST)
        return error_set(error, -EINVAL, "\"%s\" is not a number of address bits, from %d to %d", argument,
                ADDRESS_BITS_LEAST, ADDRESS_BITS_MOST);
    options->bits = (unsigned)bits;
    return 0;
}

static int take_objects(struct options *options, const char *argument, struct error *error)
{
    if (number_parse(argument, &options->count) < 0 || options->count == 0)
        return error_set(error, -EINVAL, "\"%s\" is not a number of objects, from 1 on", argument);
    return 0;
}

static int take_power(uint64_t *size, const char *argument, struct error *error)
{
    int r = size_parse(argument, size, error);

    if (r < 0)
        return r;
    if (*size == 0 || (*size & (*size - 1)) != 0)
        return error_set(error, -EINVAL, "%s is no power of two", argument);
    return 0;
}

static int take_alignment(struct options *options, const char *argument, struct error *error)
{
    return take_power(&options->alignment, argument, error);
}

static int take_boundary(struct options *options, const char *argument, struct error *error)
{
    return take_power(&options->boundary, argument, error);
}

static int take_offset(struct options *options, const char *argument, struct error *error)
{
    return size_parse(argument, &options->offset, error);
}

static int take_length(struct options *options, const char *argument, struct error *error)
{
    int r = size_parse(argument, &options->length, error);

    if (r == 0 && options->length == 0)
        return error_set(error, -EINVAL, "at least one octet");
    return r;
}

static const struct option_row rows[] = {
        {OPTION_HOST, 'H', "host", "HOST", "the daemon: a socket's path, a URL, or a name from hosts.json",
                take_host},
        {OPTION_CACERT, 0, "cacert", "FILE", "trust the authorities in FILE to say who an https daemon is",
                take_cacert},
        {OPTION_CERT, 0, "cert", "FILE", "the certificate to show to an https daemon", take_cert},
        {OPTION_KEY, 0, "key", "FILE", "its key (default: in the same FILE)", take_key},
        {OPTION_JSON, 0, "json", NULL, "print the result (and errors, on standard error) as JSON", NULL},
        {OPTION_TIMEOUT, 0, "timeout", "SECONDS", "wait at most this long for an answer (default: 30)",
                take_timeout},
        {OPTION_PATIENCE, 0, "timeout", "TIME", "give up when nothing came for so long, as 5s or 0.5",
                take_timeout},
        {OPTION_EVENTS, 0, "count", "N", "end after N interrupts", take_events},
        {OPTION_POSITION, 0, "since", "ID", "from behind this event on; 0: from the oldest that is kept",
                take_since},
        {OPTION_KINDS, 0, "kind", "KIND",
                "interrupt, mask, storm, device, driver, reset or daemon (may be repeated)", take_kind},
        {OPTION_HEARTBEAT, 0, "heartbeat", "SECONDS",
                "how often the daemon says that it is there (default: 15)", take_heartbeat},
        {OPTION_NO_RECONNECT, 0, "no-reconnect", NULL, "end when the connection is lost", NULL},
        {OPTION_WIDTH, 0, "width", "BITS", "access width: 8, 16, 32 or 64 (default: the region's)",
                take_width},
        {OPTION_COUNT, 0, "count", "N", "read N registers, one after the other", take_count},
        {OPTION_MASK, 0, "mask", "MASK", "change only these bits, in one atomic step", take_mask},
        {OPTION_FIXED, 0, "fixed", NULL, "every access goes to the same offset, as for a FIFO", NULL},
        {OPTION_HEX, 0, "hex", NULL, "print a hex dump, also to a pipe or file", NULL},
        {OPTION_OUTPUT, 'o', "output", "FILE", "write the octets to FILE", take_output},
        {OPTION_FOR, 0, "for", "TIME", "how long it lasts, as 90s, 10m, 2h or 30d", take_for},
        {OPTION_LIFETIME, 0, "for", "TIME", "free it after this time, as 90s, 10m or 2h; never: not at all",
                take_lifetime},
        {OPTION_SHARED, 0, "shared", NULL, "let others hold it too, if they share it as well", NULL},
        {OPTION_WAIT, 0, "wait", "[TIME]", "wait in the queue until it is free, at most TIME", take_wait},
        {OPTION_NOTE, 0, "note", "TEXT", "tell others what it is held for", take_note},
        {OPTION_BUFFER_NOTE, 0, "note", "TEXT", "what it is for, in the list of buffers", take_note},
        {OPTION_CONTACT, 0, "contact", "TEXT", "tell others how to reach you", take_contact},
        {OPTION_TAKEOVER, 0, "takeover", "REASON", "take it from who holds it, who is told the REASON",
                take_takeover},
        {OPTION_SAFE, 0, "safe", "PLACE=VALUE", "write this when the hold ends (may be repeated)",
                take_safe},
        {OPTION_PERMISSIONS, 0, "permission", "PERMISSION",
                "list, read, write, interrupt, dma, reserve or admin (may be repeated)", take_permissions},
        {OPTION_PERMISSION, 0, "permission", "PERMISSION", "explain this one only", take_permission},
        {OPTION_REGIONS, 0, "region", "GLOB", "only for regions of such names (may be repeated)",
                take_regions},
        {OPTION_VALUE, 0, "value", "VALUE", "explain the writing of this value", take_value},
        {OPTION_SINCE, 0, "since", "TIME", "from this time on: 2h for two hours ago, or a date and time",
                take_since},
        {OPTION_UNTIL, 0, "until", "TIME", "up to this time", take_until},
        {OPTION_PRINCIPAL, 0, "principal", "PRINCIPAL", "only what this principal did, as user:alice",
                take_principal},
        {OPTION_REGION, 0, "region", "REGION", "only what was done with this region", take_region},
        {OPTION_ACTION, 0, "action", "ACTION", "only this, as write or token.create", take_action},
        {OPTION_RESULT, 0, "result", "RESULT", "only ok, refused or failed", take_result},
        {OPTION_LIMIT, 'n', "limit", "N", "at most the newest N (default: 100)", take_limit},
        {OPTION_DRIVER, 0, "driver", "NAME", "the kernel driver (default: devreg)", take_driver},
        {OPTION_FORCE, 0, "force", NULL, "do it also when the system or somebody else needs the device",
                NULL},
        {OPTION_BUFFER_KIND, 0, "kind", "KIND", "coherent, streaming, scattered or pool (default: coherent)",
                take_buffer_kind},
        {OPTION_BITS, 0, "bits", "N", "of bus addresses that the device reaches, 24 to 64 (default: 32)",
                take_bits},
        {OPTION_ALIGNMENT, 0, "alignment", "SIZE", "of its bus addresses (default: a page; objects: 8)",
                take_alignment},
        {OPTION_BOUNDARY, 0, "boundary", "SIZE", "no segment or object crosses a multiple of it",
                take_boundary},
        {OPTION_DIRECTION, 0, "direction", "WAY", "both, to_device or from_device (default: both)",
                take_direction},
        {OPTION_OBJECTS, 0, "count", "N", "the number of objects of a pool", take_objects},
        {OPTION_RESERVATION, 0, "reservation", "ID", "free it when this reservation ends", take_reservation},
        {OPTION_OFFSET, 0, "offset", "SIZE", "where in the buffer, as 0x1000 or 4k (default: its start)",
                take_offset},
        {OPTION_LENGTH, 0, "length", "SIZE", "how much, as 0x1000 or 4k (default: all the rest)",
                take_length},
        {OPTION_VALUE_WIDTH, 0, "width", "BITS", "of the value: 8, 16, 32 or 64 (default: 8)", take_width},
        {OPTION_HELP, 'h', "help", NULL, "explain devregctl or the verb", NULL},
        {OPTION_VERSION, 0, "version", NULL, "print the version", NULL},
        {OPTION_LIST_VERBS, 0, "list-verbs", NULL, "", NULL},
        {OPTION_LIST_OPTIONS, 0, "list-options", "VERB", "", take_list_options},
};

void options_init(struct options *options)
{
    *options = (struct options){
            .timeout_ms = DEFAULT_TIMEOUT_MS, .heartbeat_seconds = DEFAULT_HEARTBEAT_SECONDS};
}

/* What getopt_long() wants: its two tables of the allowed rows. */
struct getopt_tables {
    char letters[2 * ELEMENTS(rows) + 3];
    struct option names[ELEMENTS(rows) + 1];
};

static bool may_be_left_out(const char *argument)
{
    return argument && *argument == '[';
}

static int has_argument(const struct option_row *row)
{
    if (may_be_left_out(row->argument))
        return optional_argument;
    return row->argument ? required_argument : no_argument;
}

static void fill_tables(struct getopt_tables *tables, uint64_t allowed, bool everywhere)
{
    char *letter = tables->letters;
    struct option *name = tables->names;

    if (!everywhere)
        *letter++ = '+';
    *letter++ = ':';
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        if (!(allowed & rows[i].bit))
            continue;
        if (rows[i].letter)
            *letter++ = rows[i].letter;
        if (rows[i].letter && rows[i].argument)
            *letter++ = ':';
        *name++ = (struct option){
                .name = rows[i].name, .has_arg = has_argument(&rows[i]), .val = 256 + (int)i};
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

    options->given |= row->bit;
    if (row->take && row->take(options, optarg, &error) < 0)
        return failure_set(failure, EXIT_CODE_USAGE, "--%s: %s", row->name, error.message);
    return 0;
}

int options_parse(struct options *options, int argc, char **argv, uint64_t allowed, bool everywhere,
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

/* "--width BITS", "--wait[=TIME]", "-n N" when there is a letter and it is wanted. */
static void format_words(const struct option_row *row, bool letter, char *ret_words, size_t size)
{
    const char *argument = row->argument ? row->argument : "";
    bool optional = may_be_left_out(argument);
    int used;

    if (letter && row->letter)
        used = snprintf(ret_words, size, "-%c", row->letter);
    else
        used = snprintf(ret_words, size, "--%s", row->name);
    snprintf(ret_words + used, size - (size_t)used, "%s%s",
            optional    ? "[="
            : *argument ? " "
                        : "",
            optional ? argument + 1 : argument);
}

void options_write_help(FILE *stream, uint64_t set)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char letter[] = "    ";
        char words[64];

        if (!(set & rows[i].bit))
            continue;
        if (rows[i].letter)
            snprintf(letter, sizeof(letter), "-%c, ", rows[i].letter);
        format_words(&rows[i], false, words, sizeof(words));
        fprintf(stream, "  %s%-23s  %s\n", letter, words, rows[i].summary);
    }
}

void options_write_list(FILE *stream, uint64_t set)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        const char *equals = has_argument(&rows[i]) == required_argument ? "=" : "";

        if (!(set & rows[i].bit))
            continue;
        fprintf(stream, "--%s%s\n", rows[i].name, equals);
        if (rows[i].letter)
            fprintf(stream, "-%c%s\n", rows[i].letter, equals);
    }
}

void options_write_usage(FILE *stream, uint64_t set, unsigned columns)
{
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char words[64];

        if (!(set & rows[i].bit))
            continue;
        format_words(&rows[i], true, words, sizeof(words));
        if (columns + strlen(words) + 3 > USAGE_COLUMNS) {
            fprintf(stream, "\n%*s", USAGE_INDENT - 1, "");
            columns = USAGE_INDENT - 1;
        }
        columns += (unsigned)fprintf(stream, " [%s]", words);
    }
    if (set & OPTION_COMMAND)
        fputs(" [-- COMMAND...]", stream);
}
