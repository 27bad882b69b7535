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
    char pointer[256]; /* JSON pointer (RFC 6901) of the present value */
};

/* Reports a mistake at the present value, or at its key. */
void config_report(struct config_reader *reader, bool at_key, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Reads the whole file into reader->config. */
void config_file_read(struct config_reader *reader);
