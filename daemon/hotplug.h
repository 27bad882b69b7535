/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's reports of devices that come and go, as udev passes them on. */
#pragma once

#include "core/daemon.h"

struct hotplug;

/* Returns 0 or a negative errno. */
int hotplug_new(struct daemon *daemon, struct hotplug **ret_hotplug);
void hotplug_free(struct hotplug *hotplug);
