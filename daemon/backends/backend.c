/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of backends, in order of preference, and the choice among them. */
#include "backends/backend.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"

extern const struct backend backend_kmod;
extern const struct backend backend_uio;
extern const struct backend backend_pci;
extern const struct backend backend_devmem;
extern const struct backend backend_ioport;
extern const struct backend backend_sim;

const struct backend *const backends[] = {
        &backend_kmod,
        &backend_uio,
        &backend_pci,
        &backend_devmem,
        &backend_ioport,
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

bool backend_is_preferred(const struct backend *backend, const struct backend *other)
{
    for (size_t i = 0; backends[i]; i++) {
        if (backends[i] == other)
            return false;
        if (backends[i] == backend)
            return true;
    }
    return false;
}

static unsigned count_mistakes(uint32_t given, uint32_t needs, uint32_t needs_one, uint32_t takes)
{
    unsigned ones = (unsigned)__builtin_popcount(given & needs_one);

    return (unsigned)__builtin_popcount(given & ~(needs | needs_one | takes)) +
           (unsigned)__builtin_popcount(needs & ~given) + (needs_one ? (ones > 1 ? ones - 1 : 1 - ones) : 0);
}

unsigned backend_form_mistakes(const struct backend_form *form, const struct device_description *description)
{
    unsigned mistakes = 2 * count_mistakes(description->keys, form->device_needs, form->device_needs_one,
                                    form->device_takes);

    for (size_t i = 0; i < description->region_count; i++) {
        const struct region_description *region = &description->regions[i];

        mistakes +=
                count_mistakes(region->keys, form->region_needs, form->region_needs_one, form->region_takes);
        if (form->region_types && !(form->region_types & REGION_TYPE_SET(region->type)))
            mistakes++;
    }
    return mistakes;
}

const struct backend_form *backend_nearest_form(
        const struct backend *backend, const struct device_description *description)
{
    const struct backend_form *nearest = backend->forms;

    assert(backend->form_count > 0);
    for (size_t i = 1; i < backend->form_count; i++) {
        const struct backend_form *form = &backend->forms[i];

        if (backend_form_mistakes(form, description) < backend_form_mistakes(nearest, description))
            nearest = form;
    }
    return nearest;
}

bool backend_fits(const struct backend *backend, const struct device_description *description)
{
    return backend_form_mistakes(backend_nearest_form(backend, description), description) == 0;
}

int backend_judge(
        const struct backend *backend, const struct device_description *description, struct error *error)
{
    int r = backend->check ? backend->check(description, error) : 0;

    if (r == 0)
        r = backend->usable(error);
    if (r == 0 && backend->suits)
        r = backend->suits(description, error);
    return r;
}

/* The end is cut where there is no room for it: whole reasons are in the API's list of candidates. */
static void explain_choice(
        const struct backend *chosen, bool usable, struct buffer *refusals, char *why, size_t why_size)
{
    buffer_append_char(refusals, '\0');
    if (buffer_failed(refusals))
        snprintf(why, why_size, "the best usable one");
    else if (refusals->size == 1)
        snprintf(why, why_size, "the best one for a device described like this");
    else if (usable)
        snprintf(why, why_size, "the best usable one: %s", refusals->data);
    else
        snprintf(why, why_size, "none is usable now, and %s asks for the least: %s", chosen->name,
                refusals->data);
}

/* When none is usable: the last whose values are right, too, so that its reason is about the machine. */
static const struct backend *find_least(const struct device_description *description)
{
    const struct backend *least = NULL;
    bool checked = false;

    for (size_t i = 0; backends[i]; i++) {
        bool right = !backends[i]->check;

        if (!backend_fits(backends[i], description))
            continue;
        right = right || backends[i]->check(description, NULL) == 0;
        if (right || !checked)
            least = backends[i];
        checked = checked || right;
    }
    return least;
}

static int choose_by_keys(const struct device_description *description, const struct backend **ret_backend,
        char *why, size_t why_size, struct error *error)
{
    const struct backend *chosen = find_least(description);
    _cleanup_buffer_ struct buffer refusals = {0};
    bool usable = false;

    if (!chosen)
        return error_set(error, -EINVAL,
                "no backend works from these keys: give model (sim), address or id (kmod, uio, pci), "
                "platform (kmod), uio (uio), or base (kmod, devmem, ioport)");
    for (size_t i = 0; backends[i] && !usable; i++) {
        struct error reason = {0};

        if (!backend_fits(backends[i], description))
            continue;
        usable = backend_judge(backends[i], description, &reason) == 0;
        if (usable)
            chosen = backends[i];
        else
            buffer_append_format(&refusals, "%s%s is not (%s)", refusals.size ? ", " : "", backends[i]->name,
                    reason.message);
    }
    *ret_backend = chosen;
    explain_choice(chosen, usable, &refusals, why, why_size);
    return 0;
}

int backend_choose(const struct device_description *description, const struct backend **ret_backend,
        char *why, size_t why_size, struct error *error)
{
    if (!description->backend)
        return choose_by_keys(description, ret_backend, why, why_size, error);
    *ret_backend = backend_find(description->backend);
    if (!*ret_backend)
        return error_set(error, -EINVAL, "there is no backend %s", description->backend);
    snprintf(why, why_size, "named by the configuration");
    return 0;
}

void device_description_done(struct device_description *description)
{
    for (size_t i = 0; i < description->region_count; i++) {
        free(description->regions[i].name);
        free(description->regions[i].description);
    }
    free(description->regions);
    for (size_t i = 0; i < description->interrupt_count; i++) {
        free(description->interrupts[i].name);
        free(description->interrupts[i].description);
    }
    free(description->interrupts);
    free(description->name);
    free(description->description);
    free(description->backend);
    free(description->address);
    free(description->id);
    free(description->model);
    free(description->trace);
    free(description->path);
    free(description->platform);
    free(description->uio);
    *description = (struct device_description){0};
}
