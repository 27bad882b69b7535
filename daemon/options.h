/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of devregd. */
#pragma once

#include <stdbool.h>

enum { OPTIONS_LISTEN = 8 };

struct options {
    const char *config;
    const char *socket; /* NULL: as configured */
    const char *listen[OPTIONS_LISTEN + 1];
    const char *state; /* NULL: as configured */
    bool demo;
    bool insecure;
    bool check_config;
};

/* Returns 1 to go on, 0 after --help or --version, -EINVAL after a message on standard error. */
int options_parse(int argc, char **argv, struct options *ret_options);
