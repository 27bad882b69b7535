/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The register writes that the module makes when nobody has a device open any more. */
#pragma once

#include "backends/backend.h"

/* See safe_state_set of struct backend; device is a descriptor. */
int kmod_safe_state_set(int device, const struct device_description *description,
        const struct safe_register *writes, size_t count, struct error *error);
