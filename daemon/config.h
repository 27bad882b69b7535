/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration: /etc/devregd/devregd.json and, beside it, devices.d/ (files ending in .json, in the
 * order of their names, with devices alone). Its form is published as devregd.schema.json; this reader
 * checks more than a schema can, and reports every mistake, not the first. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "backends/description.h"
#include "core/daemon.h"
#include "http/listen.h"
#include "http/origin.h"
#include "http/tls.h"
#include "util/buffer.h"

#define CONFIG_DEFAULT_PATH "/etc/devregd/devregd.json"

struct config {
    char **listen; /* ended by NULL; NULL when the configuration has none */
    struct tls_settings tls;
    struct origin_settings origins;
    char *state; /* the state directory; NULL when the configuration has none */
    struct limits limits;
    bool has_access; /* otherwise the rules are the built-in ones */
    struct access_rules access;
    struct device_description *devices;
    size_t device_count;
};

/* All that is wrong, a line each: "FILE:LINE:COLUMN: POINTER: what, and what was expected". What is not
 * wrong, but hardly meant, is a warning: a line likewise, after "warning: ". */
struct config_problems {
    struct buffer text;
    size_t count;
    struct buffer warnings;
    size_t warning_count;
};

/* Both return 0 and a configuration for config_free(), or -EINVAL with at least one problem. There may be
 * warnings either way. */
int config_load(
        const char *path, bool insecure, struct config **ret_config, struct config_problems *problems);
int config_demo(struct config **ret_config, struct config_problems *problems);

/* Where may be listened with this configuration. */
struct listen_policy config_listen_policy(const struct config *config, bool insecure);

void config_free(struct config *config);
void config_problems_done(struct config_problems *problems);
