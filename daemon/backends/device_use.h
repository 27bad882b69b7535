/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the running system has a device for, and would lose with its driver: mounted file systems, swap, the
 * last network link, the console. */
#pragma once

#include "backends/machine.h"
#include "util/error.h"

/* directory is the device's real one in sysfs, without links. Returns 0 when nothing is known that needs it,
 * -ETXTBSY with what does. What can't be found out counts as needed. */
int device_use_check(const struct machine *machine, const char *directory, struct error *error);

/* Whether other PCI functions are behind it: nobody may take those away. Returns 0, -EBUSY, -ENODEV. */
int device_use_check_bridge(const char *directory, struct error *error);
