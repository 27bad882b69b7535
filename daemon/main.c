/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command line and configuration; the rest is daemon.c's. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "options.h"
#include "run.h"
#include "util/log.h"

enum {
    EXIT_USAGE = 2,

    /* Blocks up to this size stay with the process when they are freed: the page faults of a fresh one cost
     * more than reading it does. */
    KEPT_BLOCK_BYTES = 4 * 1024 * 1024,
};

/* Warnings of a configuration that is used are the log's. */
static void show_warnings(const struct config_problems *problems, bool check)
{
    const char *line = problems->warnings.data;
    size_t left = problems->warnings.size;

    while (left > 0) {
        size_t length = (size_t)((const char *)memchr(line, '\n', left) - line);

        if (check)
            fprintf(stderr, "%.*s\n", (int)length, line);
        else
            log_warning("%.*s", (int)length, line);
        line += length + 1;
        left -= length + 1;
    }
}

static int load(const struct options *options, struct config **ret_config)
{
    struct config_problems problems = {0};
    int r = options->demo ? config_demo(ret_config, &problems)
                          : config_load(options->config, options->insecure, ret_config, &problems);

    show_warnings(&problems, options->check_config);
    if (r < 0) {
        fwrite(problems.text.data, 1, problems.text.size, stderr);
        fprintf(stderr, "devregd: the configuration has %zu %s%s\n", problems.count,
                problems.count == 1 ? "mistake" : "mistakes",
                options->check_config ? "" : ": mend them, or try 'devregd --demo'");
    }
    config_problems_done(&problems);
    return r;
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    struct options options;
    int status = EXIT_SUCCESS;
    int r = options_parse(argc, argv, &options);

    if (r <= 0)
        return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
    mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES);
    mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BLOCK_BYTES);
    if (load(&options, &config) < 0)
        return EXIT_USAGE;
    if (options.check_config)
        printf("%s is valid: %zu devices\n", options.config, config->device_count);
    else
        status = daemon_run(&options, config);
    config_free(config);
    return status;
}
