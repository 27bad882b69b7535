/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of backends, in order of preference, and the choice among them. */
#include "backends/backend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct backend backend_pci;
extern const struct backend backend_devmem;
extern const struct backend backend_sim;

const struct backend *const backends[] = {
        &backend_pci,
        &backend_devmem,
        &backend_sim,
        NULL,
};

const struct backend *backend_find(const char *name)
{
    for (size_t i = 0; backends[i]; i++) {
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    }
    return NULL;
}

static bool has_exactly_one(uint32_t keys)
{
    return keys && (keys & (keys - 1)) == 0;
}

bool backend_fits(const struct backend *backend, const struct device_description *description)
{
    uint32_t known = backend->device_needs | backend->device_needs_one | backend->device_takes;

    if ((description->keys & backend->device_needs) != backend->device_needs || description->keys & ~known)
        return false;
    if (backend->device_needs_one && !has_exactly_one(description->keys & backend->device_needs_one))
        return false;
    for (size_t i = 0; i < description->region_count; i++) {
        uint32_t keys = description->regions[i].keys;

        if ((keys & backend->region_needs) != backend->region_needs ||
                keys & ~(backend->region_needs | backend->region_takes))
            return false;
    }
    return true;
}

int backend_choose(const struct device_description *description, const struct backend **ret_backend,
        char *why, size_t why_size, struct error *error)
{
    const struct backend *first = NULL;
    struct error reason = {0};

    if (description->backend) {
        *ret_backend = backend_find(description->backend);
        if (!*ret_backend)
            return error_set(error, -EINVAL, "there is no backend %s", description->backend);
        snprintf(why, why_size, "named by the configuration");
        return 0;
    }
    for (size_t i = 0; backends[i]; i++) {
        if (!backend_fits(backends[i], description))
            continue;
        if (backends[i]->usable(first ? NULL : &reason) == 0) {
            *ret_backend = backends[i];
            if (first)
                snprintf(why, why_size, "the best usable one: %s is not (%s)", first->name, reason.message);
            else
                snprintf(why, why_size, "the best one for a device described like this");
            return 0;
        }
        if (!first)
            first = backends[i];
    }
    if (!first)
        return error_set(error, -EINVAL,
                "no backend works from these keys: give model (sim), address or id (pci), or base (devmem)");
    *ret_backend = first;
    snprintf(why, why_size, "the only one for a device described like this; not usable now: %s",
            reason.message);
    return 0;
}

void device_description_done(struct device_description *description)
{
    for (size_t i = 0; i < description->region_count; i++) {
        free(description->regions[i].name);
        free(description->regions[i].description);
    }
    free(description->regions);
    free(description->name);
    free(description->description);
    free(description->backend);
    free(description->address);
    free(description->id);
    free(description->model);
    free(description->trace);
    free(description->path);
    *description = (struct device_description){0};
}
