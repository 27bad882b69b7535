// SPDX-License-Identifier: GPL-2.0-only
/* A device may write to memory while somebody has a buffer of it, or its messages for interrupts. Memory of
 * a buffer is freed when its program says that the device has let it go; any other is retained. Keeping the
 * device from the bus is not enough to free that: it goes on where it was when the next program lets it. It
 * has to be reset, or told to stop by the writes that its program left for that, or be taken from us: then
 * whoever gets it begins with resetting it. */
#include <linux/slab.h>

#include "internal.h"

static void set_master(struct devreg_device *device, bool on)
{
    if (device->bus->set_master)
        device->bus->set_master(device->device, on);
}

void device_add_master(struct devreg_device *device)
{
    lockdep_assert_held(&device->reset);
    if (device->masters++ == 0)
        set_master(device, true);
}

void device_drop_master(struct devreg_device *device)
{
    lockdep_assert_held(&device->reset);
    if (--device->masters == 0)
        set_master(device, false);
}

void device_restore_master(struct devreg_device *device)
{
    lockdep_assert_held(&device->reset);
    set_master(device, device->masters > 0);
}

void device_retain(struct devreg_device *device, struct memory *memory)
{
    lockdep_assert_held(&device->reset);
    list_add_tail(&memory->entry, &device->retained);
    device->retained_size += memory->taken;
}

void device_free_retained(struct devreg_device *device)
{
    struct memory *memory, *next;

    lockdep_assert_held(&device->reset);
    list_for_each_entry_safe(memory, next, &device->retained, entry)
    {
        list_del(&memory->entry);
        memory_free(memory);
    }
    device->retained_size = 0;
}

static void forget_retained(struct devreg_device *device)
{
    struct memory *memory, *next;

    list_for_each_entry_safe(memory, next, &device->retained, entry)
    {
        list_del(&memory->entry);
        memory_forget(memory);
    }
}

/* Waits for what the device was writing when it was kept from more. Where that can't be waited for, only
 * writes that stop it will do. */
static bool is_drained(struct devreg_device *device, bool told)
{
    return device->bus->drain ? device->bus->drain(device->device) : told;
}

void device_stop(struct devreg_device *device)
{
    bool told = safe_state_run(device);

    lockdep_assert_held(&device->reset);
    safe_state_drop(device);
    device->bus->quiet(device->device);
    if (list_empty(&device->retained) || device_reset_alone(device) == 0)
        return; /* a reset frees it */
    if (told && is_drained(device, told))
        device_free_retained(device);
    else
        dev_warn(device->device,
                "devreg: %llu octets of buffers are kept until it is unbound: "
                "it can't be reset, and nobody said how to stop it\n",
                device->retained_size);
}

bool device_stop_for_good(struct devreg_device *device)
{
    bool present = device->bus->is_present(device->device);
    bool told = present && safe_state_run(device);
    bool stopped;

    lockdep_assert_held(&device->reset);
    safe_state_drop(device);
    device->bus->quiet(device->device);
    stopped = !present || is_drained(device, told);
    if (stopped) {
        device_free_retained(device);
    } else if (device->retained_size > 0) {
        dev_err(device->device, "devreg: it may still write to memory: %llu octets are lost for good\n",
                device->retained_size);
        forget_retained(device);
    }
    device->retained_size = 0;
    return stopped;
}
