/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PCI function that a description means, by `address` or `id`: for every backend that reaches some. */
#pragma once

#include "backends/description.h"
#include "backends/pci_sysfs.h"

/* Whether address and id, where they are given, are well-formed. Returns 0 or -EINVAL. */
int pci_function_check(const struct device_description *description, struct error *error);

/* Finds the function's address. Returns 0; -ENODEV when no function of that identification is there, while
 * one that is described by its address is not looked for; or another negative errno. */
int pci_function_find(const char *root, const struct device_description *description,
        char address[PCI_ADDRESS_SIZE], struct error *error);
