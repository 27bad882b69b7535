// SPDX-License-Identifier: GPL-2.0-only
/* Files for devices and regions, in a file system of their own that nobody can mount. It exists while there
 * are such files: mounted all the time it would hold the module, which could never be unloaded. */
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "internal.h"

#define DEVREG_MAGIC 0x64767267 /* "dvrg" */

static struct vfsmount *mount;
static int mount_count;

static int devreg_init_fs_context(struct fs_context *context)
{
    if (!init_pseudo(context, DEVREG_MAGIC))
        return -ENOMEM;
    context->s_iflags |= SB_I_NOEXEC; /* registers are no programs */
    return 0;
}

static struct file_system_type file_system = {
        .name = "devreg",
        .owner = THIS_MODULE,
        .init_fs_context = devreg_init_fs_context,
        .kill_sb = kill_anon_super,
};

struct file *file_new(const char *name, const struct file_operations *operations, void *data, int flags)
{
    struct inode *inode;
    struct file *file;
    int r = simple_pin_fs(&file_system, &mount, &mount_count);

    if (r)
        return ERR_PTR(r);
    inode = alloc_anon_inode(mount->mnt_sb);
    if (IS_ERR(inode)) {
        file_released();
        return ERR_CAST(inode);
    }
    file = alloc_file_pseudo(inode, mount, name, flags, fops_get(operations));
    if (IS_ERR(file)) {
        iput(inode);
        fops_put(operations);
        file_released();
        return file;
    }
    file->private_data = data;
    return file;
}

void file_released(void)
{
    simple_release_fs(&mount, &mount_count);
}
