// SPDX-License-Identifier: GPL-2.0-only
/* Register writes that stop a device, made when its holder is no more. They are checked and mapped when they
 * are set, so that then nothing can fail. */
#include <linux/io.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

struct safe_register {
    bool ports;
    u32 width;
    u64 value;
    void __iomem *at;
};

struct safe_state {
    u32 count;
    struct safe_register registers[];
};

static void safe_state_free(struct safe_state *safe_state)
{
    u32 i;

    if (!safe_state)
        return;
    for (i = 0; i < safe_state->count; i++)
        register_unmap(safe_state->registers[i].ports, safe_state->registers[i].at);
    kfree(safe_state);
}

bool safe_state_run(struct devreg_device *device)
{
    struct safe_state *safe_state = device->safe_state;
    u32 i;

    lockdep_assert_held(&device->reset);
    if (!safe_state)
        return false;
    for (i = 0; i < safe_state->count; i++) {
        const struct safe_register *one = &safe_state->registers[i];

        register_write(one->at, one->width, one->value);
    }
    return true;
}

void safe_state_drop(struct devreg_device *device)
{
    lockdep_assert_held(&device->reset);
    safe_state_free(device->safe_state);
    device->safe_state = NULL;
}

static int set_up(
        struct devreg_device *device, struct safe_register *one, const struct devreg_safe_write *wanted)
{
    const struct resource *resource = device_resource(device, wanted->index);
    int r = register_check(device, resource, wanted->offset, wanted->width, true);

    if (r)
        return r;
    one->ports = resource->flags & IORESOURCE_IO;
    one->width = wanted->width;
    one->value = wanted->value;
    one->at = register_map(one->ports, resource->start + wanted->offset, wanted->width);
    return one->at ? 0 : -ENOMEM;
}

static struct safe_state *safe_state_new(
        struct devreg_device *device, const struct devreg_safe_write *writes, u32 count)
{
    struct safe_state *safe_state = kzalloc(struct_size(safe_state, registers, count), GFP_KERNEL_ACCOUNT);
    int r = safe_state ? 0 : -ENOMEM;

    mutex_lock(&devreg_lock);
    for (; r == 0 && safe_state->count < count; safe_state->count++) {
        r = set_up(device, &safe_state->registers[safe_state->count], &writes[safe_state->count]);
        if (r)
            break;
    }
    mutex_unlock(&devreg_lock);
    if (r) {
        safe_state_free(safe_state);
        return ERR_PTR(r);
    }
    return safe_state;
}

/* Under device->reset. */
static int replace(struct devreg_device *device, const struct devreg_safe_write *writes, u32 count)
{
    struct safe_state *safe_state = NULL;

    if (device->gone)
        return -ENODEV;
    if (count > 0)
        safe_state = safe_state_new(device, writes, count);
    if (IS_ERR(safe_state))
        return PTR_ERR(safe_state);
    safe_state_drop(device);
    device->safe_state = safe_state;
    return 0;
}

int safe_state_call(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    const struct devreg_safe_state *wanted = argument;
    struct devreg_safe_write *writes = NULL;
    int r = check_flags(wanted->flags, 0) ?: check_reserved(wanted->reserved);

    if (r || wanted->count > DEVREG_SAFE_WRITES_MAX)
        return -EINVAL;
    r = check_pointer(wanted->writes);
    if (r)
        return r;
    if (wanted->count > 0)
        writes = memdup_user(u64_to_user_ptr(wanted->writes), wanted->count * sizeof(*writes));
    if (IS_ERR(writes))
        return PTR_ERR(writes);
    r = -EINTR;
    if (mutex_lock_killable(&device->reset) == 0) {
        r = replace(device, writes, wanted->count);
        mutex_unlock(&device->reset);
    }
    kfree(writes);
    return r;
}
