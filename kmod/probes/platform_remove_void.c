// SPDX-License-Identifier: GPL-2.0-only
/* Whether a platform driver's remove returns nothing. */
#include <linux/platform_device.h>

static void probe_remove(struct platform_device *device)
{
    (void)device;
}

extern struct platform_driver probe;
struct platform_driver probe = {.remove = probe_remove};
