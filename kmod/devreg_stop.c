// SPDX-License-Identifier: GPL-2.0-only
/* A device may write to memory while somebody has a buffer of it, or its messages for interrupts. Memory of
 * a buffer is freed when nobody can write to it any more: its program says that the device has let it go; or
 * the device was kept from writing, and what was on its way has arrived; or it was reset; or it was told to
 * stop by the writes that its program left for that. */
#include <linux/sched.h>
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
    /* Nothing wrote while nobody was there: this is the last moment to be sure of that. */
    if (device->masters == 0)
        device_settle(device);
    if (device->masters++ == 0)
        set_master(device, true);
}

void device_drop_master(struct devreg_device *device)
{
    lockdep_assert_held(&device->reset);
    if (--device->masters > 0)
        return;
    set_master(device, false);
    /* Of a program that ends, all goes: the device is told to stop first, see device_stop(). */
    if (!(current->flags & PF_EXITING))
        device_settle(device);
}

void device_restore_master(struct devreg_device *device)
{
    lockdep_assert_held(&device->reset);
    if (device->masters > 0)
        set_master(device, true);
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

/* told: writes were made that stop it. Where nothing can be waited for, they have to do. */
static bool has_stopped(struct devreg_device *device, bool told)
{
    return device->bus->drain ? device->bus->drain(device->device) : told;
}

void device_settle(struct devreg_device *device)
{
    lockdep_assert_held(&device->reset);
    if (device->masters > 0 || list_empty(&device->retained))
        return;
    if (has_stopped(device, false))
        device_free_retained(device);
    else
        dev_warn_ratelimited(device->device,
                "devreg: it may still write to memory: %llu octets of closed buffers are kept\n",
                device->retained_size);
}

void device_stop(struct devreg_device *device)
{
    bool told = safe_state_run(device);

    lockdep_assert_held(&device->reset);
    safe_state_drop(device);
    device->bus->quiet(device->device);
    if (list_empty(&device->retained))
        return;
    /* Otherwise it goes on where it was as soon as the next program lets it. */
    if (device_reset_alone(device) == 0 || has_stopped(device, told))
        device_free_retained(device);
    else
        device_settle(device); /* and says so */
}

bool device_stop_for_good(struct devreg_device *device)
{
    bool present = device->bus->is_present(device->device);
    bool told = present && safe_state_run(device);
    bool stopped;

    lockdep_assert_held(&device->reset);
    safe_state_drop(device);
    device->bus->quiet(device->device);
    stopped = !present || has_stopped(device, told);
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
