/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report only says that it is time to look: what is there is decided by looking. */
#include "hotplug.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-device.h>

#include "util/cleanup.h"
#include "util/clock.h"

enum {
    /* Reports come by the hundred, when a card with virtual functions is set up. Each round looks at all
     * devices. */
    ROUND_US = 50000,
    BUFFER_BYTES = 16 * 1024 * 1024, /* a report that found no room would be lost */
};

/* Where devices, the drivers of devices, and what drivers make of them come and go: of the last, UIO devices
 * and /dev/devreg. */
static const char *const subsystems[] = {"pci", "platform", "uio", "misc"};

struct hotplug {
    struct daemon *daemon;
    sd_device_monitor *monitor;
    sd_event_source *round; /* on when reports wait for the next round */
    uint64_t looked_us;     /* when the last round was */
};

static void look(struct hotplug *hotplug)
{
    struct daemon *daemon = hotplug->daemon;

    for (size_t i = 0; i < daemon->inventory->device_count; i++)
        dispatch_recheck(daemon->dispatch, &daemon->inventory->devices[i]);
    hotplug->looked_us = clock_now_us();
}

static int handle_round(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    look(userdata);
    return 0;
}

/* The first report is acted on at once, those right behind it together. */
static int handle_report(sd_device_monitor *monitor, sd_device *reported, void *userdata)
{
    struct hotplug *hotplug = userdata;
    uint64_t next_us = hotplug->looked_us + ROUND_US;
    int armed;

    (void)monitor;
    (void)reported;
    if (clock_now_us() >= next_us) {
        look(hotplug);
        return 0;
    }
    if (sd_event_source_get_enabled(hotplug->round, &armed) >= 0 && armed == SD_EVENT_OFF) {
        sd_event_source_set_time(hotplug->round, next_us);
        sd_event_source_set_enabled(hotplug->round, SD_EVENT_ONESHOT);
    }
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
        r = sd_event_add_time(daemon->event, &hotplug->round, CLOCK_MONOTONIC, 0, 0, handle_round, hotplug);
    if (r >= 0)
        r = sd_event_source_set_enabled(hotplug->round, SD_EVENT_OFF);
    if (r >= 0) /* more than it may have without privileges: then it has what it has */
        sd_device_monitor_set_receive_buffer_size(hotplug->monitor, BUFFER_BYTES);
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
    sd_event_source_disable_unref(hotplug->round);
    free(hotplug);
}
