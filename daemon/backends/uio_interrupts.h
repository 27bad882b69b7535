/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The interrupt of a UIO device: UIO counts it and tells the count, no more. */
#pragma once

#include "backends/backend.h"
#include "backends/uio_sysfs.h"

/* directory is the UIO device's in sysfs, function the PCI function's there or -1; both stay the caller's
 * and open. */
int uio_interrupts_open(const struct device_description *description, const char *node, int directory,
        int function, struct backend_interrupts **ret_interrupts, struct error *error);
void uio_interrupts_close(struct backend_interrupts *interrupts);
int uio_interrupts_read(struct backend_interrupts *interrupts, struct interrupt_record *records,
        size_t count, size_t *ret_count);
int uio_interrupts_mask(struct backend_interrupts *interrupts, unsigned source, bool masked);
