/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls of /dev/devreg (kmod/uapi/devreg.h), with their errors in words. Descriptors that are returned
 * are the caller's to close. */
#pragma once

#include <errno.h>
#include <sys/ioctl.h>

#include "backends/backend.h"
#include "uapi/devreg.h"

/* Returns what the ioctl does, or a negative errno. */
static inline int kmod_call(int file, unsigned long request, void *argument)
{
    int r = ioctl(file, request, argument);

    return r < 0 ? -errno : r;
}

/* Which resource of the device a region is a window of. */
static inline uint32_t kmod_resource_index(
        const struct device_description *device, const struct region_description *region)
{
    return device->platform ? region->resource : region->bar;
}

/* Opens /dev/devreg and sees that the module speaks this daemon's ABI. ret_capabilities may be NULL. Returns
 * a descriptor or a negative errno. */
int kmod_open(uint64_t *ret_capabilities, struct error *error);

/* Opens a device that is bound to devreg; kind is DEVREG_DEVICE_PCI or _PLATFORM, description_name what the
 * configuration calls it. Returns a descriptor or a negative errno: -ENODEV when it is not there or bound to
 * no driver, -EBUSY when to another or when somebody has it open. */
int kmod_open_device(
        int module, uint32_t kind, const char *device, const char *description_name, struct error *error);

/* Both return 0 or a negative errno. */
int kmod_get_device_info(int device, struct devreg_device_info *ret_info);
int kmod_get_resource_info(int device, unsigned index, struct devreg_resource_info *ret_info);

/* Claim what the description says: `base` and `size`, or `size` octets of the resource from its `offset` on.
 * What can't be write-combining is claimed without. Both return a descriptor and fill ret_info, or a
 * negative errno: -EBUSY when somebody else holds some of it. */
int kmod_claim_region(int module, const struct region_description *description,
        struct devreg_region_info *ret_info, struct error *error);
int kmod_claim_resource(int device, const struct devreg_resource_info *resource,
        const struct region_description *description, uint64_t size, struct devreg_region_info *ret_info,
        struct error *error);

/* Whether what is behind a device or region is gone for good. */
bool kmod_is_gone(int file);

/* The accesses of a vector. Returns 0 or a negative errno: -ENODEV when the device is gone, -EIO for
 * whatever else; *ret_done is how many were completed. */
int kmod_access(int region, const struct access *access, bool write, void *values, size_t *ret_done);
