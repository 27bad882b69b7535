// SPDX-License-Identifier: GPL-2.0-only
/* The descriptor of a buffer. It ends like a region: its file is closed, or the device goes. */
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/file.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

#define KINDS                                                                                               \
    (DEVREG_BUFFER_COHERENT | DEVREG_BUFFER_STREAMING | DEVREG_BUFFER_SCATTERED | DEVREG_BUFFER_POOL)
#define DIRECTIONS (DEVREG_BUFFER_TO_DEVICE | DEVREG_BUFFER_FROM_DEVICE)
#define IN_ONE     (DEVREG_BUFFER_COHERENT | DEVREG_BUFFER_STREAMING)
#define WITH_SYNC  (DEVREG_BUFFER_STREAMING | DEVREG_BUFFER_SCATTERED)

struct buffer {
    struct list_head entry;        /* of its device's, or empty; under device->reset */
    struct devreg_device *device;  /* with a reference, and a use; NULL: it never began */
    struct address_space *mapping; /* of its file */
    struct devreg_buffer_info info;
    wait_queue_head_t wait;
    bool let_go; /* under device->reset */

    struct rw_semaphore lock; /* for reading: the memory is in use */
    bool gone;                /* under lock */
    struct memory *memory;    /* while it is not gone */
};

/* Programs lose it first. Under device->reset. */
static struct memory *take_memory(struct buffer *buffer)
{
    struct memory *memory;

    down_write(&buffer->lock);
    WRITE_ONCE(buffer->gone, true);
    memory = buffer->memory;
    buffer->memory = NULL;
    up_write(&buffer->lock);
    /* No fault puts back what is zapped here, as it would find the buffer gone. */
    unmap_mapping_range(buffer->mapping, 0, 0, 1);
    list_del_init(&buffer->entry);
    buffer->device->buffer_count--;
    return memory;
}

void buffers_end(struct devreg_device *device, bool freed)
{
    struct buffer *buffer, *next;
    u64 lost = 0;

    lockdep_assert_held(&device->reset);
    list_for_each_entry_safe(buffer, next, &device->buffers, entry)
    {
        struct memory *memory = take_memory(buffer);

        if (freed) {
            memory_free(memory);
        } else {
            lost += memory->taken;
            memory_forget(memory);
        }
        device_drop_master(device);
        wake_up_all(&buffer->wait);
    }
    if (lost > 0)
        dev_err(device->device, "devreg: it may still write to memory: %llu octets are lost for good\n",
                lost);
}

/* Memory that was let go can be freed at once. Other memory is kept behind an IOMMU too: it could reach no
 * other, but the next buffer may have the same bus address. */
static void end(struct buffer *buffer)
{
    struct devreg_device *device = buffer->device;
    struct memory *memory;

    lockdep_assert_held(&device->reset);
    if (buffer->gone)
        return;
    memory = take_memory(buffer);
    if (buffer->let_go)
        memory_free(memory);
    else
        device_retain(device, memory);
    device_drop_master(device);
}

static int buffer_release(struct inode *inode, struct file *file)
{
    struct buffer *buffer = file->private_data;
    struct devreg_device *device = buffer->device;

    if (device) {
        mutex_lock(&device->reset);
        end(buffer);
        mutex_unlock(&device->reset);
        device_unuse(device);
        device_unref(device);
    }
    kfree(buffer);
    file_released();
    return 0;
}

static vm_fault_t buffer_fault(struct vm_fault *fault)
{
    struct buffer *buffer = fault->vma->vm_private_data;
    vm_fault_t result = VM_FAULT_SIGBUS;

    down_read(&buffer->lock);
    if (!buffer->gone)
        result = map_insert_around(fault->vma, fault->pgoff, memory_pfn, buffer->memory);
    up_read(&buffer->lock);
    return result;
}

static const struct vm_operations_struct mapping_operations = {
        .fault = buffer_fault,
        .MAP_SPLIT = map_refuse_split,
};

static int buffer_mmap(struct file *file, struct vm_area_struct *vma)
{
    struct buffer *buffer = file->private_data;
    int r = map_check(vma, buffer->info.mapped_size);

    if (r)
        return r;
    down_read(&buffer->lock);
    r = buffer->gone ? -ENODEV : 0;
    /* Where caches know nothing of devices, coherent memory is not cached. */
    if (r == 0 && !(buffer->info.flags & WITH_SYNC) && !dev_is_dma_coherent(buffer->device->device))
        vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
    up_read(&buffer->lock);
    if (r == 0)
        map_begin(vma, 0, &mapping_operations, buffer);
    return r;
}

/* --- Calls on a buffer --- */

static u32 current_flags(const struct buffer *buffer)
{
    return buffer->info.flags | (READ_ONCE(buffer->gone) ? DEVREG_BUFFER_GONE : 0);
}

static int call_info(struct call *call, void *argument)
{
    struct buffer *buffer = call->file->private_data;
    struct devreg_buffer_info *info = argument;
    u32 argsz = info->argsz;
    int r = check_flags(info->flags, 0) ?: check_reserved(info->reserved);

    if (r)
        return r;
    *info = buffer->info;
    info->argsz = argsz;
    info->flags = current_flags(buffer);
    return 0;
}

static int call_segments(struct call *call, void *argument)
{
    struct buffer *buffer = call->file->private_data;
    struct devreg_buffer_segments *wanted = argument;
    u32 room = wanted->count;
    int r = check_flags(wanted->flags, 0);

    wanted->count = 0;
    if (r || wanted->first >= buffer->info.segment_count)
        return -EINVAL;
    r = check_pointer(wanted->segments);
    room = min(room, buffer->info.segment_count - wanted->first);
    while (r == 0 && wanted->count < room) {
        /* Taken anew for each: what is copied may fault, and that waits for this lock. */
        struct devreg_segment segment;

        down_read(&buffer->lock);
        r = buffer->gone ? -ENODEV : 0;
        if (r == 0)
            memory_segment(buffer->memory,
                    array_index_nospec(wanted->first + wanted->count, buffer->info.segment_count), &segment);
        up_read(&buffer->lock);
        if (r == 0 &&
                copy_to_user(u64_to_user_ptr(wanted->segments) + (size_t)wanted->count * sizeof(segment),
                        &segment, sizeof(segment)))
            r = -EFAULT;
        if (r == 0)
            wanted->count++;
    }
    return r;
}

static int call_sync(struct call *call, void *argument)
{
    struct buffer *buffer = call->file->private_data;
    const struct devreg_sync_buffer *sync = argument;
    int r;

    if (sync->flags != DEVREG_SYNC_DEVICE && sync->flags != DEVREG_SYNC_CPU)
        return -EINVAL;
    if (sync->size > buffer->info.mapped_size || sync->offset > buffer->info.mapped_size - sync->size)
        return -ERANGE;
    down_read(&buffer->lock);
    r = buffer->gone ? -ENODEV : 0;
    if (r == 0)
        memory_sync(buffer->memory, sync->offset, sync->size, sync->flags == DEVREG_SYNC_DEVICE);
    up_read(&buffer->lock);
    return r;
}

static int call_let_go(struct call *call, void *argument)
{
    struct buffer *buffer = call->file->private_data;
    const struct devreg_let_go *let_go = argument;
    int r = check_flags(let_go->flags, 0);

    if (r)
        return r;
    if (mutex_lock_killable(&buffer->device->reset))
        return -EINTR;
    r = buffer->gone ? -ENODEV : 0;
    if (r == 0)
        buffer->let_go = true;
    mutex_unlock(&buffer->device->reset);
    return r;
}

static const struct call_row calls[] = {
        {DEVREG_BUFFER_INFO, sizeof(struct devreg_buffer_info), call_info},
        {DEVREG_BUFFER_SEGMENTS, sizeof(struct devreg_buffer_segments), call_segments},
        {DEVREG_SYNC_BUFFER, sizeof(struct devreg_sync_buffer), call_sync},
        {DEVREG_LET_GO, sizeof(struct devreg_let_go), call_let_go},
};

static long buffer_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
    return call_serve(calls, ARRAY_SIZE(calls), file, command, argument);
}

static __poll_t buffer_poll(struct file *file, poll_table *table)
{
    struct buffer *buffer = file->private_data;

    poll_wait(file, &buffer->wait, table);
    return READ_ONCE(buffer->gone) ? EPOLLHUP | EPOLLERR : 0;
}

static void buffer_show(struct seq_file *text, struct file *file)
{
    struct buffer *buffer = file->private_data;

    seq_printf(text, "devreg-buffer:\t%s 0x%llx + 0x%llx%s\n", dev_name(buffer->device->device),
            buffer->info.bus_address, buffer->info.mapped_size, READ_ONCE(buffer->gone) ? ", gone" : "");
}

static const struct file_operations buffer_operations = {
        .owner = THIS_MODULE,
        .release = buffer_release,
        .unlocked_ioctl = buffer_ioctl,
        .compat_ioctl = compat_ptr_ioctl,
        .mmap = buffer_mmap,
        .poll = buffer_poll,
        .show_fdinfo = buffer_show,
};

/* --- Calls on a device --- */

int buffer_call_info(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    struct devreg_dma_info *info = argument;
    int r = check_flags(info->flags, 0);

    if (r)
        return r;
    if (mutex_lock_killable(&device->reset))
        return -EINTR;
    if (device->gone) {
        r = -ENODEV;
    } else {
        if (device_is_translated(device->device))
            info->flags |= DEVREG_BUFFER_TRANSLATED;
        info->address_bits = fls64(dma_get_required_mask(device->device));
        info->buffer_count = device->buffer_count;
        info->retained = device->retained_size;
    }
    mutex_unlock(&device->reset);
    info->size_max = memory_size_max();
    info->total_max = memory_total_max();
    info->total = memory_total();
    reserve_describe(&info->reserved, &info->reserved_free);
    return r;
}

static bool is_power(u64 value)
{
    return (value & (value - 1)) == 0;
}

static int check_kind(const struct devreg_allocate_buffer *wanted)
{
    u32 kind = wanted->flags & KINDS;

    if (hweight32(kind) != 1 || (wanted->flags & DIRECTIONS && !(kind & WITH_SYNC)) ||
            (wanted->flags & DEVREG_BUFFER_RESERVED && !(kind & IN_ONE)))
        return -EINVAL;
    if (wanted->count == 0 || (wanted->count != 1 && kind != DEVREG_BUFFER_POOL))
        return -EINVAL;
    return wanted->count > DEVREG_OBJECTS_MAX ? -ENOSPC : 0;
}

static int check_sizes(const struct devreg_allocate_buffer *wanted)
{
    u64 most = memory_size_max();
    u64 piece = wanted->flags & DEVREG_BUFFER_SCATTERED ? PAGE_SIZE : wanted->size;
    u64 all;

    if (wanted->size == 0 || !is_power(wanted->alignment) || !is_power(wanted->boundary))
        return -EINVAL;
    if (wanted->alignment > most || wanted->size > most ||
            check_mul_overflow(wanted->size, (u64)wanted->count, &all) || all > most ||
            ALIGN(wanted->size, wanted->alignment ?: 1) > div_u64(most, wanted->count))
        return -E2BIG;
    if (wanted->boundary &&
            (wanted->boundary < PAGE_SIZE || wanted->boundary < max(piece, wanted->alignment)))
        return -EINVAL;
    return 0;
}

static int check_wanted(const struct devreg_allocate_buffer *wanted)
{
    int r = check_flags(wanted->flags, KINDS | DIRECTIONS | DEVREG_BUFFER_RESERVED)
                    ?: check_reserved(wanted->reserved);

    if (r)
        return r;
    if (wanted->address_bits < DEVREG_ADDRESS_BITS_MIN || wanted->address_bits > DEVREG_ADDRESS_BITS_MAX)
        return -EINVAL;
    return check_kind(wanted) ?: check_sizes(wanted) ?: security_locked_down(LOCKDOWN_DEV_MEM);
}

static void describe(struct buffer *buffer, const struct devreg_allocate_buffer *wanted)
{
    const struct memory *memory = buffer->memory;
    struct devreg_segment first;

    memory_segment(memory, 0, &first);
    buffer->info = (struct devreg_buffer_info){
            .flags = memory->flags,
            .address_bits = wanted->address_bits,
            .count = wanted->count,
            .size = wanted->size,
            .bus_address = first.bus_address,
            .mapped_size = memory->size,
            .segment_count = memory->segment_count,
    };
}

/* Under device->reset. */
static int begin(
        struct devreg_device *device, struct buffer *buffer, const struct devreg_allocate_buffer *wanted)
{
    int r;

    if (device->gone)
        return -ENODEV;
    if (device->buffer_count >= DEVREG_BUFFERS_MAX)
        return -ENOSPC;
    r = memory_new(device->device, wanted, &buffer->memory);
    if (r)
        return r;
    describe(buffer, wanted);
    buffer->device = device;
    kref_get(&device->references);
    mutex_lock(&devreg_lock);
    device_use(device);
    mutex_unlock(&devreg_lock);
    list_add_tail(&buffer->entry, &device->buffers);
    device->buffer_count++;
    device_add_master(device);
    return 0;
}

static struct buffer *buffer_new(void)
{
    struct buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);

    if (!buffer)
        return NULL;
    INIT_LIST_HEAD(&buffer->entry);
    init_rwsem(&buffer->lock);
    init_waitqueue_head(&buffer->wait);
    return buffer;
}

static void tell(const struct buffer *buffer, struct devreg_allocate_buffer *wanted)
{
    wanted->flags = buffer->info.flags;
    wanted->bus_address = buffer->info.bus_address;
    wanted->mapped_size = buffer->info.mapped_size;
    wanted->segment_count = buffer->info.segment_count;
}

int buffer_call_allocate(struct call *call, void *argument)
{
    struct devreg_device *device = call->file->private_data;
    struct devreg_allocate_buffer *wanted = argument;
    struct buffer *buffer;
    struct file *file;
    int r = check_wanted(wanted);

    if (r)
        return r;
    buffer = buffer_new();
    if (!buffer)
        return -ENOMEM;
    file = file_new("devreg-buffer", &buffer_operations, buffer, O_RDWR);
    if (IS_ERR(file)) {
        kfree(buffer);
        return PTR_ERR(file);
    }
    buffer->mapping = file->f_mapping;
    r = -EINTR;
    if (mutex_lock_killable(&device->reset) == 0) {
        r = begin(device, buffer, wanted);
        mutex_unlock(&device->reset);
    }
    if (r) {
        fput(file);
        return r;
    }
    tell(buffer, wanted);
    call->new_file = file;
    return 0;
}
