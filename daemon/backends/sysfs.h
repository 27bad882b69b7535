/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sysfs shows alike for devices of every bus. The directory of the bus's devices is an argument so that
 * tests can bring their own. */
#pragma once

#include <stddef.h>

#include "util/error.h"

#define PLATFORM_SYSFS_ROOT "/sys/bus/platform/devices"

/* Writes the name of the driver that the device is bound to. Returns 0, -ENOENT when it is bound to none,
 * -ENODEV when there is no such device, or another negative errno. */
int sysfs_read_driver(const char *root, const char *device, char *driver, size_t size);

/* Whether the device is bound to devreg.ko. `name` is what the configuration calls it. Returns 0; -ENODEV
 * when it is not there or bound to no driver, -EBUSY when to another, with what to do. */
int sysfs_check_bound(const char *root, const char *device, const char *name, struct error *error);
