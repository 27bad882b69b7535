/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Interrupts of a device that is bound to devreg.ko. The module times them and acknowledges them; here they
 * are opened as described and read. */
#pragma once

#include "backends/backend.h"

/* device is the module's descriptor of it, line_name what its line is called: "intx" or "line". */
int kmod_interrupts_open(int device, const struct device_description *description, const char *line_name,
        struct backend_interrupts **ret_interrupts, struct error *error);
void kmod_interrupts_close(struct backend_interrupts *interrupts);
int kmod_interrupts_read(struct backend_interrupts *interrupts, struct interrupt_record *records,
        size_t count, size_t *ret_count);
int kmod_interrupts_mask(struct backend_interrupts *interrupts, unsigned source, bool masked);
