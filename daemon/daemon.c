/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Brings everything up in order, runs the loop, and takes everything down: first no new connections, then
 * the requests that are under way and the writes of safe states, then the devices. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "api/event_text.h"
#include "backends/bus_guard.h"
#include "core/daemon.h"
#include "core/device_reset.h"
#include "core/dma_buffers.h"
#include "core/events.h"
#include "core/interrupts.h"
#include "core/streams.h"
#include "hotplug.h"
#include "http/listen.h"
#include "http/server.h"
#include "run.h"
#include "stores.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

enum {
    LISTENING_LIMIT = 64,

    /* After a signal, requests are answered and hardware is made safe for so long; then what waits for a
     * device is given up and slow clients are cut off. A device access that has not returned after the
     * second time is left behind. */
    DRAIN_US = 3000000,
    STUCK_US = 3000000,

    /* Those who listen to events get the last ones within this time, or do without. */
    STREAMS_US = 500000,

    /* What a thread that has nothing to do needs to notice that it is to end, on a busy machine. */
    WAKE_MS = 1000,
};

struct run {
    struct daemon daemon;
    struct listen_policy policy;
    struct server *server;
    struct hotplug *hotplug;
    struct stores stores;
    char *listening[LISTENING_LIMIT + 1];
    size_t listening_count;
    bool parting;  /* streams get their last events */
    bool refusing; /* the first time is over */
    bool stuck;    /* a worker does not end */
};

/* An event is that a device came or went, not that the reason is another one or that a region came. */
static void note_presence(struct run *run, struct device *device)
{
    const struct event event = {.kind = EVENT_DEVICE,
            .on = device->handle,
            .device = device,
            .text = device->handle ? NULL : device->absent.message};

    if (event.on == device->noted)
        return;
    device->noted = event.on;
    events_add(run->daemon.events, &event);
}

static void presence_changed(struct device *device, void *context)
{
    struct run *run = context;

    note_presence(run, device);
    stores_device_changed(&run->stores, device);
    if (!device->handle) {
        log_warning("%s is absent: %s", device_name(device), device->absent.message);
        return;
    }
    log_notice("%s is present%s%s, through %s", device_name(device),
            device->handle->address[0] ? " at " : "", device->handle->address, device->backend->name);
    for (size_t i = 0; i < device->region_count; i++) {
        if (!device->regions[i].handle)
            log_warning("region %s is absent: %s", region_name(&device->regions[i]),
                    device->regions[i].absent.message);
    }
    if (device->description->interrupt_count > 0 && !device->interrupts)
        log_warning(
                "interrupts of %s are absent: %s", device_name(device), device->interrupts_absent.message);
}

static int for_each_device(struct run *run, int (*function)(struct run *run, struct device *device))
{
    struct inventory *inventory = run->daemon.inventory;

    for (size_t i = 0; i < inventory->device_count; i++) {
        int r = function(run, &inventory->devices[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

static int cancel_device(struct run *run, struct device *device)
{
    (void)run;
    dispatch_cancel(device);
    return 0;
}

static bool is_idle(const struct run *run)
{
    return server_active(run->server) == 0 && stores_pending(&run->stores) == 0 &&
           (!run->parting || streams_count(run->daemon.streams) == 0);
}

static int handle_drain_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct run *run = userdata;

    if (run->refusing)
        return sd_event_exit(run->daemon.event, 0);
    if (stores_pending(&run->stores) > 0)
        log_error("hardware may not be safe: the time to stop is over, and %zu safe-state writes of "
                  "reservations that have ended are left",
                stores_pending(&run->stores));
    run->refusing = true;
    for_each_device(run, cancel_device);
    server_cut(run->server);
    sd_event_source_set_time(source, usec + STUCK_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* The round of the loop that it ends looks again whether all is done. */
static int handle_parting_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct run *run = userdata;

    (void)source;
    (void)usec;
    run->parting = false;
    return 0;
}

/* Runs after every round of the loop while it drains. */
static int handle_round(sd_event_source *source, void *userdata)
{
    struct run *run = userdata;

    (void)source;
    return is_idle(run) ? sd_event_exit(run->daemon.event, 0) : 0;
}

static int handle_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    struct run *run = userdata;
    sd_event *event = run->daemon.event;
    int r;

    (void)source;
    if (run->daemon.draining)
        return 0;
    log_info("stopping on %s, %zu requests and %zu safe-state writes under way",
            strsignal((int)info->ssi_signo), server_active(run->server), stores_pending(&run->stores));
    run->daemon.draining = true;
    events_add(run->daemon.events, &(struct event){.kind = EVENT_DAEMON, .on = false});
    sd_notify(false, "STOPPING=1");
    server_quiesce(run->server);
    stores_quiesce(&run->stores);
    streams_drain(run->daemon.streams);
    run->parting = sd_event_add_time(event, NULL, CLOCK_MONOTONIC, clock_now_us() + STREAMS_US, 0,
                           handle_parting_timer, run) >= 0;
    if (is_idle(run))
        return sd_event_exit(event, 0);
    r = sd_event_add_time(
            event, NULL, CLOCK_MONOTONIC, clock_now_us() + DRAIN_US, 0, handle_drain_timer, run);
    return r < 0 ? r : sd_event_add_post(event, NULL, handle_round, run);
}

static int start_loop(struct run *run, struct error *error)
{
    sigset_t signals;
    sd_event *event;
    int r;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    r = sd_event_new(&run->daemon.event);
    event = run->daemon.event;
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGTERM, handle_signal, run);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGINT, handle_signal, run);
    if (r >= 0)
        r = sd_event_set_watchdog(event, true);
    if (r >= 0)
        r = bus_guard_install();
    return r < 0 ? error_set(error, r, "event loop: %s", strerror(-r)) : 0;
}

static int open_device(struct run *run, struct device *device)
{
    dispatch_settle(run->daemon.dispatch, device);
    if (!device->handle)
        presence_changed(device, run);
    return 0;
}

static int open_devices(struct run *run, const struct config *config, struct error *error)
{
    const struct dispatch_limits limits = {config->limits.queue, config->limits.device_seconds * 1000000};
    int r = inventory_new(config->devices, config->device_count, &run->daemon.inventory, error);

    if (r < 0)
        return r;
    r = dispatch_new(run->daemon.event, &limits, presence_changed, run, &run->daemon.dispatch);
    if (r < 0)
        return error_set(error, r, "dispatch: %s", strerror(-r));
    r = interrupts_new(&run->daemon, &run->daemon.interrupts, error);
    if (r < 0)
        return r;
    r = dma_buffers_new(&run->daemon, &run->daemon.dma_buffers);
    if (r < 0)
        return error_set(error, r, "buffers for DMA: %s", strerror(-r));
    for_each_device(run, open_device);
    if (hotplug_new(&run->daemon, &run->hotplug) < 0)
        log_warning("no reports of devices that come and go: they are noticed when they are asked for");
    return 0;
}

static int start_events(struct run *run, struct error *error)
{
    struct daemon *daemon = &run->daemon;
    int r = events_new(daemon->event, daemon->limits.events, &daemon->events);

    if (r < 0)
        return error_set(error, r, "memory for %llu events: %s", (unsigned long long)daemon->limits.events,
                strerror(-r));
    r = event_texts_new(daemon, &daemon->event_texts);
    if (r >= 0)
        r = streams_new(daemon, &daemon->streams);
    if (r < 0)
        return error_set(error, r, "streams of events: %s", strerror(-r));
    events_add(daemon->events, &(struct event){.kind = EVENT_DAEMON, .on = true});
    return 0;
}

static int listen_on(struct run *run, const char *text, struct error *error)
{
    struct listen_socket listener;
    int r;

    if (run->listening_count == LISTENING_LIMIT)
        return error_set(error, -E2BIG, "more than %d places to listen at", LISTENING_LIMIT);
    r = listen_open(text, &run->policy, &listener, error);
    if (r < 0)
        return r;
    run->listening[run->listening_count] = strdup(listener.name);
    if (run->listening[run->listening_count])
        run->listening_count++;
    r = server_add(run->server, &listener, error);
    if (r < 0)
        return r;
    log_notice("listening on %s", listener.name);
    return 0;
}

/* Root's is below /run; other users have their own, which no other user may have made before them. */
static int default_socket(char *path, size_t size, struct error *error)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct stat information;
    char directory[64];

    if (geteuid() == 0 || (runtime && runtime[0] == '/')) {
        snprintf(path, size, "%s/devregd/devregd.sock", geteuid() == 0 ? "/run" : runtime);
        return 0;
    }
    snprintf(directory, sizeof(directory), "/tmp/devregd-%u", (unsigned)geteuid());
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return error_set(error, -errno, "%s: %s", directory, strerror(errno));
    if (lstat(directory, &information) < 0 || !S_ISDIR(information.st_mode) ||
            information.st_uid != geteuid() || information.st_mode & 022)
        return error_set(
                error, -EPERM, "%s is not a directory of this user alone: give --socket PATH", directory);
    snprintf(path, size, "%s/devregd.sock", directory);
    return 0;
}

/* --socket stands for the configured paths, --listen adds to the configured addresses. */
static int start_listening(
        struct run *run, const struct options *options, const struct config *config, struct error *error)
{
    const struct server_settings settings = {.tls = &config->tls, .origins = &config->origins};
    char path[LISTEN_NAME_SIZE];
    int r = server_new(&run->daemon, &settings, &run->server, error);

    for (size_t i = 0; r >= 0 && config->listen && config->listen[i]; i++) {
        if (!options->socket || !listen_is_path(config->listen[i]))
            r = listen_on(run, config->listen[i], error);
    }
    if (r >= 0 && options->socket)
        r = listen_on(run, options->socket, error);
    if (r >= 0 && !options->socket && !config->listen) {
        r = default_socket(path, sizeof(path), error);
        if (r >= 0)
            r = listen_on(run, path, error);
    }
    for (size_t i = 0; r >= 0 && options->listen[i]; i++)
        r = listen_on(run, options->listen[i], error);
    run->daemon.listening = run->listening;
    return r;
}

static const char *first_socket(const struct run *run)
{
    for (size_t i = 0; i < run->listening_count; i++) {
        if (listen_is_path(run->listening[i]))
            return run->listening[i];
    }
    return NULL;
}

static int serve(struct run *run, const struct options *options, struct config *config, struct error *error)
{
    int r = start_loop(run, error);

    if (r < 0)
        return r;
    if (run->daemon.insecure)
        log_warning("--insecure: whoever reaches its port can read and write every register");
    run->policy = config_listen_policy(config, run->daemon.insecure);
    if (getrandom(&run->daemon.identity, sizeof(run->daemon.identity), 0) < 0)
        return error_set(error, -errno, "random numbers: %s", strerror(errno));
    r = start_events(run, error);
    if (r == 0)
        r = open_devices(run, config, error);
    if (r < 0)
        return r;
    run->daemon.access = &config->access;
    r = start_listening(run, options, config, error);
    if (r < 0)
        return r;
    /* Nobody is served before the loop runs. */
    r = stores_open(&run->stores, &run->daemon, options, config, first_socket(run), error);
    if (r < 0)
        return r;
    sd_notifyf(false, "READY=1\nSTATUS=Serving %zu regions", run->daemon.inventory->region_count);
    r = sd_event_loop(run->daemon.event);
    return r < 0 ? error_set(error, r, "event loop: %s", strerror(-r)) : 0;
}

static int stop_device(struct run *run, struct device *device)
{
    dispatch_cancel(device);
    if (!dispatch_stop(device, run->refusing ? WAKE_MS : STUCK_US / 1000))
        run->stuck = true;
    return 0;
}

/* A thread that is inside a device access can't be ended, and what it uses can't be freed; nor can a request
 * that still waits for one, though the access has returned after the loop's end. The kernel clears up behind
 * the process. */
static void take_down(struct run *run)
{
    if (run->daemon.inventory)
        for_each_device(run, stop_device);
    device_resets_leave(&run->daemon);
    if (run->stuck || (run->server && server_active(run->server) > 0)) {
        log_warning("%s: leaving it behind",
                run->stuck ? "a device access does not return" : "a device access returned too late");
        for (size_t i = 0; i < run->listening_count; i++) {
            if (listen_is_path(run->listening[i]))
                unlink(run->listening[i]);
        }
        stores_save(&run->stores);
        _exit(EXIT_FAILURE);
    }
    server_free(run->server);
    streams_free(run->daemon.streams);
    event_texts_free(run->daemon.event_texts);
    hotplug_free(run->hotplug);
    dma_buffers_free(run->daemon.dma_buffers);
    stores_close(&run->stores);
    interrupts_free(run->daemon.interrupts);
    dispatch_free(run->daemon.dispatch);
    inventory_free(run->daemon.inventory);
    events_free(run->daemon.events);
    for (size_t i = 0; i < run->listening_count; i++)
        free(run->listening[i]);
    sd_event_unref(run->daemon.event);
}

int daemon_run(const struct options *options, struct config *config)
{
    struct run run = {.daemon = {.limits = config->limits,
                              .started_us = clock_now_us(),
                              .demo = options->demo,
                              .insecure = options->insecure}};
    struct error error = {0};
    int r = serve(&run, options, config, &error);

    if (r < 0)
        log_error("%s", error.message);
    take_down(&run);
    if (r >= 0)
        log_info("stopped");
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
