/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files make a configuration, and the one that --demo brings. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_access.h"
#include "config_access_check.h"
#include "config_file.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct config *, config_free)

static struct config *config_new(struct config_problems *problems)
{
    struct config *config = calloc(1, sizeof(*config));

    if (!config) {
        buffer_append_string(&problems->text, "out of memory\n");
        problems->count++;
        return NULL;
    }
    config->limits = limits_default;
    config->limits.data_principal_bytes = 0; /* not given */
    return config;
}

static int is_fragment(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && end && strcmp(end, ".json") == 0;
}

/* Files beside the main one, in the order of their names. That there is no such directory is fine. */
static void read_fragments(struct config_reader *reader, const char *main_path)
{
    char copy[PATH_MAX], directory[PATH_MAX + 16], path[PATH_MAX + 300];
    struct dirent **entries = NULL;
    int count;

    snprintf(copy, sizeof(copy), "%s", main_path);
    snprintf(directory, sizeof(directory), "%s/devices.d", dirname(copy));
    count = scandir(directory, &entries, is_fragment, alphasort);
    if (count < 0 && errno != ENOENT) {
        int code = errno;

        reader->file = directory;
        config_report(reader, false, "can't be read: %s", strerror(code));
    }
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
        reader->file = path;
        reader->fragment = true;
        config_file_read(reader);
        free(entries[i]);
    }
    free(entries);
}

static int out_of_memory(struct config_problems *problems)
{
    buffer_append_string(&problems->text, "out of memory\n");
    problems->count++;
    return -EINVAL;
}

/* What concerns rules and devices alike, when all have been read. */
static int complete_access(struct config_reader *reader, char *main_text, const char *path)
{
    struct config *config = reader->config;

    if (!config->has_access)
        return config_access_built_in(&config->access);
    reader->file = path;
    reader->text = main_text;
    config_access_check(reader);
    reader->text = NULL;
    return 0;
}

/* Whoever may move much at once may have that much. */
static void complete_limits(struct limits *limits)
{
    if (limits->data_principal_bytes)
        return;
    limits->data_principal_bytes = limits_default.data_principal_bytes;
    if (limits->data_principal_bytes < limits->data_bytes)
        limits->data_principal_bytes = limits->data_bytes;
}

struct listen_policy config_listen_policy(const struct config *config, bool insecure)
{
    return (struct listen_policy){.insecure = insecure,
            .has_certificate = config->tls.certificate != NULL,
            .has_key = config->tls.key != NULL,
            .authenticates = config->tls.client_ca != NULL || !config->has_access ||
                             access_rules_name_tokens(&config->access)};
}

int config_load(
        const char *path, bool insecure, struct config **ret_config, struct config_problems *problems)
{
    _cleanup_(config_freep) struct config *config = config_new(problems);
    _cleanup_free_ char *main_text = NULL;
    struct config_reader reader = {.file = path,
            .insecure = insecure,
            .config = config,
            .problems = problems,
            .keep_text = &main_text};

    if (!config)
        return -EINVAL;
    config_file_read(&reader);
    reader.keep_text = NULL;
    read_fragments(&reader, path);
    if (problems->count == 0 && config->limits.data_bytes > config->limits.data_total_bytes) {
        reader.file = path;
        config_report(&reader, false, "limits: data_bytes is larger than data_total_bytes");
    }
    complete_limits(&config->limits);
    if (problems->count == 0 && config->limits.data_bytes > config->limits.data_principal_bytes) {
        reader.file = path;
        config_report(&reader, false, "limits: data_bytes is larger than data_principal_bytes");
    }
    if (problems->count == 0 && complete_access(&reader, main_text, path) < 0)
        return out_of_memory(problems);
    if (problems->count)
        return -EINVAL;
    *ret_config = take_ptr(config);
    return 0;
}

static bool add_demo_board(struct device_description *device, const char *name, const char *description)
{
    device->regions = calloc(1, sizeof(*device->regions));
    if (!device->regions)
        return false;
    device->region_count = 1;
    device->keys = KEY_MODEL;
    device->name = strdup(name);
    device->model = strdup(name);
    device->description = strdup(description);
    device->regions[0].name = strdup(name);
    return device->name && device->model && device->description && device->regions[0].name;
}

static bool add_demo_interrupt(struct device_description *device)
{
    device->interrupts = calloc(1, sizeof(*device->interrupts));
    if (!device->interrupts)
        return false;
    device->interrupt_count = 1;
    device->interrupts[0].name = strdup(device->name);
    return device->interrupts[0].name;
}

/* Reads the interrupt status and writes it to the interrupt acknowledge register. */
static const struct acknowledge_description edu_acknowledge = {
        .width = 4, .read = 0x24, .writes = true, .write = 0x64, .mask = UINT32_MAX};

static bool add_demo_interrupts(struct device_description *edu, struct device_description *odd)
{
    if (!add_demo_interrupt(edu) || !add_demo_interrupt(odd))
        return false;
    edu->interrupts[0].acknowledged = true;
    edu->interrupts[0].acknowledge = edu_acknowledge;
    return true;
}

int config_demo(struct config **ret_config, struct config_problems *problems)
{
    _cleanup_(config_freep) struct config *config = config_new(problems);

    if (!config)
        return -EINVAL;
    complete_limits(&config->limits);
    config->devices = calloc(2, sizeof(*config->devices));
    config->device_count = config->devices ? 2 : 0;
    if (!config->devices ||
            !add_demo_board(&config->devices[0], "edu", "simulated: QEMU's educational device") ||
            !add_demo_board(&config->devices[1], "odd", "simulated: registers that misbehave") ||
            !add_demo_interrupts(&config->devices[0], &config->devices[1]) ||
            config_access_demo(&config->access) < 0)
        return out_of_memory(problems);
    *ret_config = take_ptr(config);
    return 0;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    free_list(config->listen);
    free_list(config->origins.hosts);
    free_list(config->origins.origins);
    free(config->tls.certificate);
    free(config->tls.key);
    free(config->tls.client_ca);
    free(config->state);
    for (size_t i = 0; i < config->device_count; i++)
        device_description_done(&config->devices[i]);
    free(config->devices);
    access_rules_done(&config->access);
    free(config);
}

void config_problems_done(struct config_problems *problems)
{
    buffer_done(&problems->text);
    buffer_done(&problems->warnings);
}
