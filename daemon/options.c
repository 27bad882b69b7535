/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options are a table, from which the parser and the help both come. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "util/cleanup.h"

static const struct option_row {
    const char *name;
    const char *argument;
    const char *help;
} rows[] = {
        {"config", "FILE", "read this configuration (default: " CONFIG_DEFAULT_PATH ")"},
        {"socket", "PATH", "listen on this Unix socket instead of the configured ones"},
        {"listen", "ADDRESS:PORT", "listen there too (may be given several times; port 0: any free one)"},
        {"state", "DIR",
                "keep tokens and reservations in this directory (default: /var/lib/devregd for root)"},
        {"demo", NULL, "serve the simulated boards edu and odd: needs no configuration and no privileges"},
        {"insecure", NULL,
                "allow addresses that are not on loopback: whoever reaches them may do everything"},
        {"check-config", NULL, "check the configuration, report every mistake, and exit"},
        {"version", NULL, "print the version and exit"},
        {"help", NULL, "print this and exit"},
};

static void print_help(void)
{
    printf("Usage: devregd [OPTIONS]\n\nServes device registers over HTTP.\n\nOptions:\n");
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char left[64];

        snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
                rows[i].argument ? rows[i].argument : "");
        printf("  %-24s  %s\n", left, rows[i].help);
    }
    printf("\nExit status: 0 stopped by a signal, 1 failed, 2 wrong command line or configuration.\n");
}

static int add_listen(struct options *options, const char *text)
{
    for (size_t i = 0; i < OPTIONS_LISTEN; i++) {
        if (!options->listen[i]) {
            options->listen[i] = text;
            return 1;
        }
    }
    fprintf(stderr, "devregd: --listen can be given %d times at most\n", OPTIONS_LISTEN);
    return -EINVAL;
}

static int take(struct options *options, const char *name, const char *argument)
{
    if (strcmp(name, "listen") == 0)
        return add_listen(options, argument);
    if (strcmp(name, "help") == 0) {
        print_help();
        return 0;
    }
    if (strcmp(name, "version") == 0) {
        puts("devregd " DEVREG_VERSION);
        return 0;
    }
    if (strcmp(name, "config") == 0)
        options->config = argument;
    else if (strcmp(name, "socket") == 0)
        options->socket = argument;
    else if (strcmp(name, "state") == 0)
        options->state = argument;
    else if (strcmp(name, "demo") == 0)
        options->demo = true;
    else if (strcmp(name, "insecure") == 0)
        options->insecure = true;
    else
        options->check_config = true;
    return 1;
}

static int usage(void)
{
    fprintf(stderr, "Try 'devregd --help'.\n");
    return -EINVAL;
}

static int check(const struct options *options)
{
    if (options->demo && (options->config || options->check_config)) {
        fprintf(stderr,
                "devregd: --demo brings its own configuration: leave out --config and --check-config\n");
        return usage();
    }
    if (options->socket && options->socket[0] != '/' && options->socket[0] != '.') {
        fprintf(stderr, "devregd: --socket %s: expected a path that begins with / or ./\n", options->socket);
        return usage();
    }
    if (options->state && options->state[0] != '/' && options->state[0] != '.') {
        fprintf(stderr, "devregd: --state %s: expected a path that begins with / or ./\n", options->state);
        return usage();
    }
    return 1;
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
    struct option table[ELEMENTS(rows) + 1] = {0};
    struct options options = {0};
    int index, character, r;

    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        table[i].name = rows[i].name;
        table[i].has_arg = rows[i].argument ? required_argument : no_argument;
    }
    while ((character = getopt_long(argc, argv, "", table, &index)) != -1) {
        if (character == '?')
            return usage();
        r = take(&options, rows[index].name, optarg);
        if (r <= 0)
            return r;
    }
    if (optind < argc) {
        fprintf(stderr, "devregd: unexpected argument '%s'\n", argv[optind]);
        return usage();
    }
    r = check(&options);
    if (r < 0)
        return r;
    if (!options.config)
        options.config = CONFIG_DEFAULT_PATH;
    *ret_options = options;
    return 1;
}
