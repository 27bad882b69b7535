/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The choice of a backend, as a test says (the link options --wrap=backend_choose and
 * --wrap=backend_is_preferred). */
#include <stdio.h>

#include "fault_backend.h"

const struct backend *fault_choice;

int __real_backend_choose(const struct device_description *description, const struct backend **ret_backend,
        char *why, size_t why_size, struct error *error);
int __wrap_backend_choose(const struct device_description *description, const struct backend **ret_backend,
        char *why, size_t why_size, struct error *error);
bool __real_backend_is_preferred(const struct backend *backend, const struct backend *other);
bool __wrap_backend_is_preferred(const struct backend *backend, const struct backend *other);

int __wrap_backend_choose(const struct device_description *description, const struct backend **ret_backend,
        char *why, size_t why_size, struct error *error)
{
    if (!fault_choice)
        return __real_backend_choose(description, ret_backend, why, why_size, error);
    *ret_backend = fault_choice;
    snprintf(why, why_size, "%s was chosen", fault_choice->name);
    return 0;
}

bool __wrap_backend_is_preferred(const struct backend *backend, const struct backend *other)
{
    if (!fault_choice)
        return __real_backend_is_preferred(backend, other);
    return backend == &fault_backend_better && other != backend;
}
