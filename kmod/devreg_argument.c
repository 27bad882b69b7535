// SPDX-License-Identifier: GPL-2.0-only
/* The rules that hold for every ioctl (uapi/devreg.h), in one place. */
#include <linux/file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "internal.h"

/* The largest argument of any ioctl. */
union argument {
    u32 argsz;
    struct devreg_info info;
    struct devreg_claim claim;
    struct devreg_open_device open_device;
    struct devreg_device_info device_info;
    struct devreg_resource_info resource_info;
    struct devreg_claim_resource claim_resource;
    struct devreg_reset reset;
    struct devreg_region_info region_info;
    struct devreg_access access;
    struct devreg_interrupt_info interrupt_info;
    struct devreg_open_interrupts open_interrupts;
    struct devreg_acknowledge acknowledge;
    struct devreg_mask_interrupts mask_interrupts;
    struct devreg_safe_state safe_state;
    struct devreg_dma_info dma_info;
    struct devreg_allocate_buffer allocate_buffer;
    struct devreg_buffer_info buffer_info;
    struct devreg_buffer_segments buffer_segments;
    struct devreg_sync_buffer sync_buffer;
    struct devreg_let_go let_go;
};

/* The size in a command's number is the caller's, which may know a longer structure than this module does.
 */
static const struct call_row *find_row(const struct call_row *rows, size_t count, unsigned int command)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (_IOC_TYPE(command) == _IOC_TYPE(rows[i].command) &&
                _IOC_NR(command) == _IOC_NR(rows[i].command) &&
                _IOC_DIR(command) == _IOC_DIR(rows[i].command))
            return &rows[i];
    }
    return NULL;
}

static int read_argument(const struct call_row *row, const void __user *from, union argument *argument)
{
    u32 size;
    int r;

    if (get_user(size, (const u32 __user *)from))
        return -EFAULT;
    if (size < row->size)
        return -EINVAL;
    if (size > PAGE_SIZE)
        return -E2BIG;
    r = copy_struct_from_user(argument, row->size, from, size);
    /* Another thread may have changed it since. */
    argument->argsz = size;
    return r;
}

/* The descriptor becomes the program's when nothing can fail any more. */
static int hand_over(
        struct file *file, const struct call_row *row, void __user *to, const union argument *argument)
{
    int fd = get_unused_fd_flags(O_CLOEXEC);

    if (fd >= 0 && copy_to_user(to, argument, row->size)) {
        put_unused_fd(fd);
        fd = -EFAULT;
    }
    if (fd < 0)
        fput(file);
    else
        fd_install(fd, file);
    return fd;
}

long call_serve(const struct call_row *rows, size_t count, struct file *file, unsigned int command,
        unsigned long pointer)
{
    void __user *user = (void __user *)pointer;
    const struct call_row *row = find_row(rows, count, command);
    struct call call = {.file = file};
    union argument argument;
    int r;

    if (!row)
        return -ENOTTY;
    r = read_argument(row, user, &argument);
    if (r)
        return r;
    r = row->function(&call, &argument);
    if (call.new_file)
        return hand_over(call.new_file, row, user, &argument);
    if (copy_to_user(user, &argument, row->size))
        return -EFAULT;
    return r;
}

int check_reserved(u32 value)
{
    return value ? -EINVAL : 0;
}

int check_flags(u32 flags, u32 allowed)
{
    return flags & ~allowed ? -EINVAL : 0;
}

int check_pointer(u64 address)
{
    return (u64)(uintptr_t)address == address ? 0 : -EFAULT;
}

int check_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    size_t i;

    if (length == 0 || length == size)
        return -EINVAL;
    for (i = 0; i < length; i++) {
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '/')
            return -EINVAL;
    }
    return 0;
}
