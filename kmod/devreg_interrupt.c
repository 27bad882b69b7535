// SPDX-License-Identifier: GPL-2.0-only
/* The descriptor of a device's interrupts: all its vectors of one kind, and the records of what came. It
 * ends like a region: its file is closed, or the device goes. */
#include <linux/device.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

#define DEFAULT_RECORDS 4096

/* Records are copied to the program from here, as that may fault and sleep. */
#define PIECE_RECORDS 8

static const u32 kinds[] = {DEVREG_INTERRUPT_LINE, DEVREG_INTERRUPT_MSI, DEVREG_INTERRUPT_MSIX};

void interrupts_end(struct interrupts *interrupts)
{
    struct devreg_device *device = interrupts->device;

    lockdep_assert_held(&device->reset);
    vectors_end(interrupts);
    device->interrupts = NULL;
    spin_lock_irq(&interrupts->lock);
    interrupts->ended = true;
    spin_unlock_irq(&interrupts->lock);
    wake_up_all(&interrupts->wait);
}

/* NULL when there is none of this number. */
static struct vector *find_vector(struct interrupts *interrupts, u32 index)
{
    return index < interrupts->count ? &interrupts->vectors[array_index_nospec(index, interrupts->count)]
                                     : NULL;
}

/* The old one is freed when no handler can be in it. */
static void replace_acknowledge(struct vector *vector, struct acknowledge *acknowledge)
{
    struct interrupts *interrupts = vector->interrupts;

    spin_lock_irq(&interrupts->lock);
    swap(vector->acknowledge, acknowledge);
    spin_unlock_irq(&interrupts->lock);
    acknowledge_free(acknowledge);
}

static int set_acknowledge(struct vector *vector, const struct devreg_acknowledge *wanted)
{
    struct interrupts *interrupts = vector->interrupts;
    struct acknowledge *acknowledge;

    if (interrupts->ended)
        return -ENODEV;
    mutex_lock(&devreg_lock);
    acknowledge = acknowledge_new(interrupts->device, wanted);
    mutex_unlock(&devreg_lock);
    if (IS_ERR(acknowledge))
        return PTR_ERR(acknowledge);
    replace_acknowledge(vector, acknowledge);
    return 0;
}

static int call_set_acknowledge(struct call *call, void *argument)
{
    struct interrupts *interrupts = call->file->private_data;
    struct devreg_acknowledge *wanted = argument;
    struct vector *vector = find_vector(interrupts, wanted->vector);
    int r;

    if (!vector)
        return -EINVAL;
    if (mutex_lock_killable(&interrupts->device->reset))
        return -EINTR;
    r = set_acknowledge(vector, wanted);
    mutex_unlock(&interrupts->device->reset);
    return r;
}

static int call_mask(struct call *call, void *argument)
{
    struct interrupts *interrupts = call->file->private_data;
    const struct devreg_mask_interrupts *mask = argument;
    int r = check_flags(mask->flags, DEVREG_MASK_SET);
    u32 i;

    if (r)
        return r;
    if (mask->count == 0 || mask->vector >= interrupts->count ||
            mask->count > interrupts->count - mask->vector)
        return -EINVAL;
    if (mutex_lock_killable(&interrupts->device->reset))
        return -EINTR;
    if (interrupts->ended)
        r = -ENODEV;
    for (i = 0; r == 0 && i < mask->count; i++) {
        vector_set_masked(find_vector(interrupts, mask->vector + i), mask->flags & DEVREG_MASK_SET);
    }
    mutex_unlock(&interrupts->device->reset);
    return r;
}

static const struct call_row calls[] = {
        {DEVREG_SET_ACKNOWLEDGE, sizeof(struct devreg_acknowledge), call_set_acknowledge},
        {DEVREG_MASK_INTERRUPTS, sizeof(struct devreg_mask_interrupts), call_mask},
};

static long interrupts_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
    return call_serve(calls, ARRAY_SIZE(calls), file, command, argument);
}

/* Moves up to `most` records out of the ring, oldest first; *ended when there are no more, and never will.
 */
static u32 take_records(struct interrupts *interrupts, struct devreg_interrupt *piece, u32 most, bool *ended)
{
    u32 count;

    spin_lock_irq(&interrupts->lock);
    for (count = 0; count < most && interrupts->used > 0; count++) {
        piece[count] = interrupts->records[interrupts->first];
        piece[count].dropped = interrupts->dropped;
        interrupts->dropped = 0;
        interrupts->first = (interrupts->first + 1) % interrupts->size;
        interrupts->used--;
    }
    *ended = interrupts->ended && interrupts->used == 0;
    spin_unlock_irq(&interrupts->lock);
    return count;
}

static bool has_records(struct interrupts *interrupts, bool *ended)
{
    bool has;

    spin_lock_irq(&interrupts->lock);
    has = interrupts->used > 0;
    *ended = interrupts->ended;
    spin_unlock_irq(&interrupts->lock);
    return has;
}

static bool is_over(struct interrupts *interrupts)
{
    bool ended;

    return has_records(interrupts, &ended) || ended;
}

/* Records that a program has no memory for are lost to it, as those of a pipe are. */
static ssize_t interrupts_read(struct file *file, char __user *to, size_t size, loff_t *position)
{
    struct interrupts *interrupts = file->private_data;
    struct devreg_interrupt piece[PIECE_RECORDS];
    size_t wanted = size / sizeof(piece[0]), done = 0;
    bool ended;
    u32 count;

    if (wanted == 0)
        return -EINVAL;
    while (done < wanted) {
        count = take_records(interrupts, piece, min_t(size_t, wanted - done, PIECE_RECORDS), &ended);
        if (count == 0 && done == 0) {
            if (ended)
                return -ENODEV;
            if (file->f_flags & O_NONBLOCK)
                return -EAGAIN;
            if (wait_event_interruptible(interrupts->wait, is_over(interrupts)))
                return -ERESTARTSYS;
            continue;
        }
        if (count == 0)
            break;
        if (copy_to_user(to + done * sizeof(piece[0]), piece, count * sizeof(piece[0])))
            return done ? done * sizeof(piece[0]) : -EFAULT;
        done += count;
        cond_resched();
    }
    return done * sizeof(piece[0]);
}

static __poll_t interrupts_poll(struct file *file, poll_table *table)
{
    struct interrupts *interrupts = file->private_data;
    __poll_t events = 0;
    bool ended;

    poll_wait(file, &interrupts->wait, table);
    if (has_records(interrupts, &ended))
        events |= EPOLLIN | EPOLLRDNORM;
    if (ended)
        events |= EPOLLHUP | EPOLLERR;
    return events;
}

static const char *kind_name(u32 kind)
{
    switch (kind) {
    case DEVREG_INTERRUPT_MSIX:
        return "MSI-X";
    case DEVREG_INTERRUPT_MSI:
        return "MSI";
    default:
        return "line";
    }
}

static void interrupts_show(struct seq_file *text, struct file *file)
{
    struct interrupts *interrupts = file->private_data;

    unsigned long long sequence;

    spin_lock_irq(&interrupts->lock);
    sequence = interrupts->sequence;
    spin_unlock_irq(&interrupts->lock);
    seq_printf(text, "devreg-interrupts:\t%s %s, %u vectors%s\n", dev_name(interrupts->device->device),
            kind_name(interrupts->kind), interrupts->count, READ_ONCE(interrupts->ended) ? ", gone" : "");
    seq_printf(text, "devreg-sequence:\t%llu\n", sequence);
}

static void interrupts_free(struct interrupts *interrupts)
{
    kvfree(interrupts->records);
    kvfree(interrupts);
}

static int interrupts_release(struct inode *inode, struct file *file)
{
    struct interrupts *interrupts = file->private_data;
    struct devreg_device *device = interrupts->device;

    if (device) {
        mutex_lock(&device->reset);
        if (device->interrupts == interrupts)
            interrupts_end(interrupts);
        mutex_unlock(&device->reset);
        device_unuse(device);
        device_unref(device);
    }
    interrupts_free(interrupts);
    file_released();
    return 0;
}

const struct file_operations interrupts_operations = {
        .owner = THIS_MODULE,
        .release = interrupts_release,
        .read = interrupts_read,
        .unlocked_ioctl = interrupts_ioctl,
        .compat_ioctl = compat_ptr_ioctl,
        .poll = interrupts_poll,
        .show_fdinfo = interrupts_show,
};

int interrupts_call_info(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    struct devreg_interrupt_info *info = argument;
    u32 counts[ARRAY_SIZE(kinds)] = {0};
    unsigned int i;
    int r = check_flags(info->flags, 0) ?: check_reserved(info->reserved);

    if (r)
        return r;
    mutex_lock(&devreg_lock);
    if (device->gone)
        r = -ENODEV;
    for (i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++) {
        counts[i] = device->bus->vector_count(device->device, kinds[i]);
        if (counts[i])
            info->flags |= kinds[i];
    }
    mutex_unlock(&devreg_lock);
    info->lines = counts[0];
    info->msi = counts[1];
    info->msix = counts[2];
    return r;
}

static struct interrupts *interrupts_new(const struct devreg_open_interrupts *open)
{
    struct interrupts *interrupts =
            kvzalloc(struct_size(interrupts, vectors, open->count), GFP_KERNEL_ACCOUNT);
    u32 i;

    if (!interrupts)
        return NULL;
    interrupts->kind = open->flags;
    interrupts->count = open->count;
    interrupts->size = open->records ?: DEFAULT_RECORDS;
    spin_lock_init(&interrupts->lock);
    init_waitqueue_head(&interrupts->wait);
    for (i = 0; i < open->count; i++) {
        interrupts->vectors[i].interrupts = interrupts;
        interrupts->vectors[i].index = i;
    }
    interrupts->records = kvcalloc(interrupts->size, sizeof(*interrupts->records), GFP_KERNEL_ACCOUNT);
    if (!interrupts->records) {
        interrupts_free(interrupts);
        return NULL;
    }
    return interrupts;
}

/* Under device->reset. */
static int begin(struct devreg_device *device, struct interrupts *interrupts)
{
    unsigned int count;
    int r;

    if (device->gone)
        return -ENODEV;
    if (device->interrupts)
        return -EBUSY;
    count = device->bus->vector_count(device->device, interrupts->kind);
    if (count == 0)
        return -EOPNOTSUPP;
    if (interrupts->count > count)
        return -ENOSPC;
    interrupts->device = device;
    r = vectors_begin(interrupts);
    if (r) {
        interrupts->device = NULL;
        return r;
    }
    kref_get(&device->references);
    mutex_lock(&devreg_lock);
    device_use(device);
    mutex_unlock(&devreg_lock);
    device->interrupts = interrupts;
    return 0;
}

static int check_open(const struct devreg_open_interrupts *open)
{
    if ((open->flags != DEVREG_INTERRUPT_LINE && open->flags != DEVREG_INTERRUPT_MSI &&
                open->flags != DEVREG_INTERRUPT_MSIX) ||
            open->count == 0 || open->count > DEVREG_VECTORS_MAX || open->records > DEVREG_RECORDS_MAX)
        return -EINVAL;
    return open->flags == DEVREG_INTERRUPT_LINE ? 0 : security_locked_down(LOCKDOWN_DEV_MEM);
}

int interrupts_call_open(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    const struct devreg_open_interrupts *open = argument;
    struct interrupts *interrupts;
    struct file *file;
    int r = check_open(open);

    if (r)
        return r;
    interrupts = interrupts_new(open);
    if (!interrupts)
        return -ENOMEM;
    file = file_new("devreg-interrupts", &interrupts_operations, interrupts, O_RDWR);
    if (IS_ERR(file)) {
        interrupts_free(interrupts);
        return PTR_ERR(file);
    }
    r = -EINTR;
    if (mutex_lock_killable(&device->reset) == 0) {
        r = begin(device, interrupts);
        mutex_unlock(&device->reset);
    }
    if (r)
        fput(file);
    else
        call->new_file = file;
    return r;
}
