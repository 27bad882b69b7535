/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resetting a PCI function: by the file `reset` that sysfs has of those for which the kernel knows a way. */
#pragma once

#include <stdbool.h>

#include "util/error.h"

/* Whether there is a way; directory is the function's own in sysfs. */
bool pci_can_reset(int directory);

/* Whether no virtual functions (SR-IOV) would be reset with it. Returns 0 or -EBUSY. */
int pci_reset_check_functions(int directory, const char *name, struct error *error);

/* Resets it and waits for the end; the kernel restores its configuration space. Refused while a driver has
 * it: but UIO's and pci-stub, which do nothing with it, may. `name` is what it is called in messages.
 * Returns 0, -EBUSY for a driver or for virtual functions, -ENODATA when the file can't be written to, or
 * what pci_reset_explain() does. */
int pci_reset(int directory, const char *name, struct error *error);

/* In words, what the kernel or the module has answered to an attempt; `memory` is a sentence about retained
 * memory for when there is no way, with a space behind it, or empty. Returns -EOPNOTSUPP for -EOPNOTSUPP,
 * there is no way; -ENODEV when the device is gone, -EAGAIN when it is not possible now, and -EIO for what
 * else can fail: also for -ENOTTY, by which the kernel means that the device did not come back. */
int pci_reset_explain(const char *name, const char *memory, int code, struct error *error);
