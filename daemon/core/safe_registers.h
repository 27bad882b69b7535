/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The safe-state writes of reservations that are held, in the hands of those backends that make them when
 * this process ends without having done so: killed, say. core/safe_state.c makes them when a reservation
 * ends as it should. */
#pragma once

#include "core/daemon.h"

struct safe_registers;

/* not_set is called on the loop when a backend did not take a device's, once until it takes them again; the
 * message says what is made then. They are tried again at the next change. */
int safe_registers_new(struct daemon *daemon,
        void (*not_set)(struct device *device, const struct error *error, void *context), void *context,
        struct safe_registers **ret_safe_registers);

/* Only after all devices have stopped. */
void safe_registers_free(struct safe_registers *safe_registers);

/* To be called when other reservations are held than before. What is set is changed in order with the work
 * of each device: after the writes of one that has just ended. */
void safe_registers_update(struct safe_registers *safe_registers);

/* To be called when the device or a part of it came or went: nothing is set there now. */
void safe_registers_renew(struct safe_registers *safe_registers, struct device *device);
