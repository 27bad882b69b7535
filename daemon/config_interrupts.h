/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device's keys interrupts and interrupt_type. */
#pragma once

#include "config_file.h"

void config_take_interrupt_type(struct config_reader *reader, const json_t *value, void *field);

/* Reads the key interrupts of the device's object, when all its other keys were read. */
void config_read_interrupts(
        struct config_reader *reader, const json_t *object, struct device_description *device);

/* Checks those of devices[index], beside each other and those read before; the reader stands on the device.
 */
void config_check_interrupts(struct config_reader *reader, size_t index);
