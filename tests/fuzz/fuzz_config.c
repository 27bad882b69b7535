/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config_file.c, config_check.c and config_access.c: a configuration that is taken can be served, one that
 * is not says why. The first octet chooses between a main file and a fragment. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/backend.h"
#include "config_file.h"
#include "fuzz.h"

/* What the layers below take for granted. */
static void check_device(const struct device_description *device)
{
    const struct backend *backend = NULL;
    struct error error = {0};
    char why[512];

    fuzz_assert(device->name && device->name[0] && device->region_count > 0);
    fuzz_assert(backend_choose(device, &backend, why, sizeof(why), &error) == 0);
    fuzz_assert(backend_fits(backend, device));
    fuzz_assert(!backend->check || backend->check(device, &error) == 0);
    for (size_t i = 0; i < device->region_count; i++) {
        const struct region_description *region = &device->regions[i];

        fuzz_assert(region->name && region->name[0]);
        fuzz_assert(region->bar <= 5);
        fuzz_assert((region->widths & ~15) == 0);
        fuzz_assert(!region->size || region->base <= UINT64_MAX - (region->size - 1));
    }
}

static void check_rule(const struct access_rule *rule)
{
    fuzz_assert(rule->name && rule->subject_count > 0 && rule->permissions);
    for (size_t i = 0; i < rule->subject_count; i++) {
        const struct access_subject *subject = &rule->subjects[i];

        fuzz_assert(subject->kind == SUBJECT_EVERYBODY || subject->kind == SUBJECT_ANONYMOUS ||
                    (subject->pattern && subject->pattern[0]));
    }
    fuzz_assert(!rule->regions || rule->regions[0]);
    fuzz_assert(rule->range_count <= ACCESS_RULE_RANGES && rule->value_count <= ACCESS_RULE_VALUES);
    for (size_t i = 0; i < rule->range_count; i++) {
        uint64_t size = rule->ranges[i].last - rule->ranges[i].first + 1;

        fuzz_assert(rule->ranges[i].first <= rule->ranges[i].last);
        if (rule->has_mask || rule->value_count)
            fuzz_assert(
                    (size == 1 || size == 2 || size == 4 || size == 8) && rule->ranges[i].first % size == 0);
    }
    if (rule->has_mask || rule->value_count)
        fuzz_assert(rule->range_count > 0 && rule->permissions == 1 << PERMISSION_WRITE && rule->mask);
    for (size_t i = 0; i < rule->value_count; i++)
        fuzz_assert(!(rule->values[i] & ~rule->mask));
}

static void check_problems(const struct config_problems *problems)
{
    size_t lines = 0;

    for (size_t i = 0; i < problems->text.size; i++) {
        unsigned char character = (unsigned char)problems->text.data[i];

        lines += character == '\n';
        fuzz_assert(character == '\n' || (character >= 0x20 && character != 0x7f));
    }
    fuzz_assert(problems->count > 0 && lines > 0 && lines <= problems->count);
    fuzz_assert(problems->text.data[problems->text.size - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct config *config = calloc(1, sizeof(*config));
    struct config_problems problems = {0};
    struct config_reader reader = {.file = path, .config = config, .problems = &problems};

    fuzz_assert(config);
    if (fd < 0) {
        fd = memfd_create("config", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    if (size > 0) {
        reader.fragment = data[0] & 1;
        data++;
        size--;
    }
    fuzz_assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    config->limits = limits_default;
    config_file_read(&reader);
    fuzz_assert(!reader.text && !reader.pointer[0]);
    if (problems.count)
        check_problems(&problems);
    for (size_t i = 0; problems.count == 0 && i < config->device_count; i++)
        check_device(&config->devices[i]);
    fuzz_assert(config->access.count <= ACCESS_RULES);
    for (size_t i = 0; problems.count == 0 && i < config->access.count; i++)
        check_rule(&config->access.rules[i]);
    config_problems_done(&problems);
    config_free(config);
    return 0;
}
