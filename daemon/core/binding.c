/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device's worker does the change: a driver may take for ever to let go. It touches the driver_change
 * and nothing else. */
#include "core/binding.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/pci_sysfs.h"
#include "core/admission.h"
#include "core/dma_buffers.h"
#include "core/events.h"
#include "util/cleanup.h"

static const struct machine *machine_of(const struct daemon *daemon)
{
    return daemon->machine ? daemon->machine : &machine_here;
}

/* The kernel has one device, under however many names it is configured here. */
static int check_alone(const struct daemon *daemon, const struct binding *binding, struct error *error)
{
    for (const struct binding *other = daemon->bindings; other; other = other->next) {
        if (bus_place_equal(&other->change.place, &binding->change.place))
            return error_set(error, -EAGAIN, "this hardware is being bound to a driver: try again soon");
    }
    return 0;
}

/* Where the daemon has found it counts, if it has: an identification may mean another one by now, and the
 * name of a UIO device does not say which function it is. */
int binding_find_place(const struct daemon *daemon, const struct device *device, struct bus_place *ret_place,
        struct error *error)
{
    struct device_description description = *device->description;
    const struct backend_device *handle = device->handle;
    char address[PCI_ADDRESS_SIZE];

    if (handle && !description.platform && pci_address_parse(handle->address, address) == 0)
        description.address = address;
    return driver_binding_find(machine_of(daemon), &description, ret_place, error);
}

/* What is asked and closed before the change is one device of the daemon's. */
int binding_check_one_name(const struct daemon *daemon, const struct device *device,
        const struct bus_place *place, struct error *error)
{
    const struct inventory *inventory = daemon->inventory;

    for (size_t i = 0; i < inventory->device_count; i++) {
        const struct device *other = &inventory->devices[i];
        struct bus_place other_place;

        if (other != device && binding_find_place(daemon, other, &other_place, NULL) == 0 &&
                bus_place_equal(&other_place, place))
            return error_set(error, -EBUSY,
                    "another device of the configuration is the same hardware: its users "
                    "would lose it too, so make one device with the regions of both");
    }
    return 0;
}

/* A UIO device that is described by its name could not be found any more with another driver. */
static int find_to_bind(const struct daemon *daemon, const struct device *device,
        struct bus_place *ret_place, struct error *error)
{
    const struct device_description *description = device->description;

    if (description->address || description->id || description->platform)
        return binding_find_place(daemon, device, ret_place, error);
    return driver_binding_find(machine_of(daemon), description, ret_place, error);
}

static void run(struct work *work)
{
    struct binding *binding = container_of(work, struct binding, work);

    binding->result = driver_binding_change(&binding->change, &binding->error);
    if (binding->result < 0)
        error_prefix(&binding->error, "%s", device_name(binding->device));
}

void binding_forget(struct binding *binding)
{
    if (!binding->link)
        return;
    *binding->link = binding->next;
    if (binding->next)
        binding->next->link = binding->link;
    binding->link = NULL;
}

static void note_driver(const struct binding *binding)
{
    const char *now = binding->change.now;
    const struct event event = {.kind = EVENT_DRIVER,
            .on = now[0],
            .device = binding->device,
            .text = now[0] ? (char *)now : NULL};

    if (binding->daemon->events && strcmp(binding->change.before, now) != 0)
        events_add(binding->daemon->events, &event);
}

static void done(struct work *work)
{
    struct binding *binding = container_of(work, struct binding, work);

    binding_forget(binding);
    if (work->end == WORK_STOPPED)
        binding->result =
                error_set(&binding->error, -EAGAIN, "devregd is stopping: no driver was bound or unbound");
    if (work->end == WORK_EXPIRED)
        binding->result = error_set(&binding->error, -ETIMEDOUT,
                "%s was busy for too long with requests before this one: no driver was bound or unbound",
                device_name(binding->device));
    if (binding->result == -EUSERS) /* who has it now */
        admission_ask_device(binding->daemon, binding->principal, binding->reservation, binding->device,
                binding->change.force, &binding->blocking, NULL);
    if (work->end == WORK_RAN)
        note_driver(binding);
    binding->completed(binding);
}

static void note_reservation(struct driver_change *change, const struct reservation *blocking)
{
    char text[PRINCIPAL_NAME_SIZE + 32];

    if (!blocking)
        return;
    snprintf(text, sizeof(text), "it is reserved by %s", blocking->holder);
    driver_binding_note(change, text);
}

/* Their owners would lose them, and the device may still use them. Whoever binds administers the device, so
 * may know whose they are. */
static int check_buffers(const struct daemon *daemon, struct binding *binding, struct error *error)
{
    const struct device *device = binding->device;
    char owners[128], text[192];
    size_t count = dma_buffers_of_device(daemon, device, owners, sizeof(owners));

    if (count == 0)
        return 0;
    snprintf(text, sizeof(text), "it has %zu DMA buffer%s: %s", count, count == 1 ? "" : "s", owners);
    if (!binding->change.force)
        return error_set(
                error, -ETXTBSY, "%s: %s: have that freed first, or force it", device_name(device), text);
    driver_binding_note(&binding->change, text);
    return 0;
}

static void join(struct daemon *daemon, struct binding *binding)
{
    binding->next = daemon->bindings;
    binding->link = &daemon->bindings;
    if (binding->next)
        binding->next->link = &binding->next;
    daemon->bindings = binding;
}

int binding_start(struct daemon *daemon, struct binding *binding, const struct reservation **ret_blocking,
        struct error *error)
{
    struct driver_change *change = &binding->change;
    int r = admission_ask_device(daemon, binding->principal, binding->reservation, binding->device,
            change->force, ret_blocking, error);

    if (r < 0)
        return r;
    note_reservation(change, take_ptr(*ret_blocking));
    if (daemon->draining)
        return error_set(error, -EAGAIN, "devregd is stopping: no driver was bound or unbound");
    change->machine = machine_of(daemon);
    r = find_to_bind(daemon, binding->device, &change->place, error);
    if (r == 0)
        r = check_alone(daemon, binding, error);
    if (r == 0)
        r = binding_check_one_name(daemon, binding->device, &change->place, error);
    if (r == 0)
        r = driver_binding_look(change, error);
    if (r < 0)
        return r;
    if (r > 0) {
        change->despite[0] = 0;
        binding->completed(binding);
        return 0;
    }
    r = check_buffers(daemon, binding, error);
    if (r < 0)
        return r;
    binding->daemon = daemon;
    join(daemon, binding);
    binding->work.run = run;
    binding->work.done = done;
    r = dispatch_submit_closed(
            daemon->dispatch, binding->device, &binding->work, "is being bound to a driver", error);
    if (r < 0)
        binding_forget(binding);
    return r;
}

void binding_recheck(struct daemon *daemon)
{
    const struct reservation *blocking;

    for (struct binding *binding = daemon->bindings; binding; binding = binding->next) {
        if (binding->principal->scope == 0 ||
                admission_ask_device(daemon, binding->principal, binding->reservation, binding->device,
                        binding->change.force, &blocking, NULL) < 0)
            atomic_store(&binding->change.revoked, true);
    }
}
