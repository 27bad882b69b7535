/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* While a device is reset it may answer nothing, and the kernel holds up whoever looks at it or masks its
 * interrupts. The loop does neither then: it asks here before, and what it wanted is done when the silence
 * is over. */
#pragma once

#include "core/device.h"

/* By the device's worker, right around what makes it silent. begin waits for whoever asks it something just
 * now; end has the watch do what it owes, before anybody can ask again. */
void silence_begin(struct device *device);
void silence_end(struct device *device);

/* By the loop, around a short call to the device: returns whether it may be made now, and keeps that so
 * until silence_leave(), which must follow either way. */
bool silence_enter(struct device *device);
void silence_leave(struct device *device);

enum silence_look {
    SILENCE_PRESENT,
    SILENCE_GONE,  /* removed */
    SILENCE_HOLDS, /* it can't be told now */
};

/* By the loop: whether the device, which is open, is still there. */
enum silence_look silence_look(struct device *device);
