/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report only says that it is time to look: what is there is decided by looking. */
#include "hotplug.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-device.h>

#include "util/cleanup.h"

/* Where devices, the drivers of devices, and what drivers make of them come and go: of the last, UIO devices
 * and /dev/devreg. */
static const char *const subsystems[] = {"pci", "platform", "uio", "misc"};

struct hotplug {
    struct daemon *daemon;
    sd_device_monitor *monitor;
};

static int handle_report(sd_device_monitor *monitor, sd_device *reported, void *userdata)
{
    struct daemon *daemon = ((struct hotplug *)userdata)->daemon;

    (void)monitor;
    (void)reported;
    for (size_t i = 0; i < daemon->inventory->device_count; i++)
        dispatch_recheck(daemon->dispatch, &daemon->inventory->devices[i]);
    return 0;
}

int hotplug_new(struct daemon *daemon, struct hotplug **ret_hotplug)
{
    struct hotplug *hotplug = calloc(1, sizeof(*hotplug));
    int r;

    if (!hotplug)
        return -ENOMEM;
    hotplug->daemon = daemon;
    r = sd_device_monitor_new(&hotplug->monitor);
    for (size_t i = 0; r >= 0 && i < ELEMENTS(subsystems); i++)
        r = sd_device_monitor_filter_add_match_subsystem_devtype(hotplug->monitor, subsystems[i], NULL);
    if (r >= 0)
        r = sd_device_monitor_attach_event(hotplug->monitor, daemon->event);
    if (r >= 0)
        r = sd_device_monitor_start(hotplug->monitor, handle_report, hotplug);
    if (r < 0) {
        hotplug_free(hotplug);
        return r;
    }
    *ret_hotplug = hotplug;
    return 0;
}

void hotplug_free(struct hotplug *hotplug)
{
    if (!hotplug)
        return;
    sd_device_monitor_unref(hotplug->monitor);
    free(hotplug);
}
