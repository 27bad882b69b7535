/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See kmod_safe_state.h. The module knows resources, not our regions, and little-endian numbers. */
#include "backends/kmod_safe_state.h"

#include <endian.h>
#include <string.h>

#include "backends/kmod_ioctl.h"

static struct devreg_safe_write translate(
        const struct device_description *description, const struct safe_register *from)
{
    const struct region_description *region = &description->regions[from->region];

    return (struct devreg_safe_write){.index = kmod_resource_index(description, region),
            .width = from->width,
            .offset = region->offset + from->offset,
            .value = le64toh(from->value)};
}

int kmod_safe_state_set(int device, const struct device_description *description,
        const struct safe_register *writes, size_t count, struct error *error)
{
    struct devreg_safe_write translated[DEVREG_SAFE_WRITES_MAX];
    struct devreg_safe_state state = {
            .argsz = sizeof(state), .count = (uint32_t)count, .writes = (uintptr_t)translated};
    int r;

    if (count > DEVREG_SAFE_WRITES_MAX)
        return error_set(error, -ENOSPC,
                "the reservations of %s have %zu safe-state writes, and the module takes %d",
                description->name, count, DEVREG_SAFE_WRITES_MAX);
    for (size_t i = 0; i < count; i++)
        translated[i] = translate(description, &writes[i]);
    r = kmod_call(device, DEVREG_SET_SAFE_STATE, &state);
    if (r == -EACCES)
        return error_set(error, r,
                "a safe-state write of %s is in a region that is absent now, or may only be read",
                description->name);
    return r < 0 ? error_set(error, r, "safe-state writes of %s: %s", description->name, strerror(-r)) : 0;
}
