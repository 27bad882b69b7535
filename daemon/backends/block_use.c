/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device numbers tell what is mounted, but not for all file systems: btrfs mounts have a number of their
 * own, so their sources and its members in sysfs are looked at too. Mounts in other namespaces, and file
 * systems that sysfs does not show, leave only one sign: somebody has the block device for himself. */
#include "backends/block_use.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backends/sysfs_path.h"
#include "util/cleanup.h"
#include "util/file.h"

enum {
    TABLE_LIMIT = 16 * 1024 * 1024, /* octets of mountinfo or swaps */
    STACK_LIMIT = 16,               /* devices on top of each other */
    NUMBER_SIZE = 32,               /* "254:1" */
};

struct search {
    const struct machine *machine;
    char *mounts, *first_mounts; /* as this process and as the first process sees them */
    char *swaps;
};

static void search_done(struct search *search)
{
    free(search->mounts);
    free(search->first_mounts);
    free(search->swaps);
}

static int read_table(const struct machine *machine, const char *name, char **ret_text)
{
    char path[PATH_MAX];
    size_t size;

    if (!sysfs_path(path, "%s/%s", machine->proc, name))
        return -ENAMETOOLONG;
    return file_read(path, TABLE_LIMIT, ret_text, &size);
}

/* A kernel without swap has no table of it, and another process's mounts need not be readable. */
static int search_init(struct search *search, const struct machine *machine, struct error *error)
{
    int r;

    search->machine = machine;
    r = read_table(machine, "self/mountinfo", &search->mounts);
    if (r < 0)
        return error_set(error, -ETXTBSY, "what is mounted can't be read (%s)", strerror(-r));
    read_table(machine, "1/mountinfo", &search->first_mounts);
    r = read_table(machine, "swaps", &search->swaps);
    if (r < 0 && r != -ENOENT)
        return error_set(error, -ETXTBSY, "what is swapped to can't be read (%s)", strerror(-r));
    return 0;
}

/* Tables of the kernel: fields between blanks, with blanks in them as "\040" (proc(5)) */

struct piece {
    const char *start;
    size_t size;
};

static struct piece take_line(const char **text)
{
    struct piece line = {*text, strcspn(*text, "\n")};

    *text += line.size + ((*text)[line.size] == '\n');
    return line;
}

/* The field of this number, counted from 0; one of no size when there is none. */
static struct piece find_field(struct piece line, unsigned number)
{
    struct piece field = {line.start, 0};
    const char *end = line.start + line.size;

    for (;;) {
        while (field.start < end && (*field.start == ' ' || *field.start == '\t'))
            field.start++;
        for (field.size = 0; field.start + field.size < end; field.size++) {
            if (field.start[field.size] == ' ' || field.start[field.size] == '\t')
                break;
        }
        if (number-- == 0)
            return field;
        field.start += field.size;
    }
}

static bool is_octal(const char *text)
{
    for (size_t i = 0; i < 3; i++) {
        if (text[i] < '0' || text[i] > '7')
            return false;
    }
    return true;
}

static const char *unescape(struct piece field, char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < field.size && used < size - 1; i++) {
        if (field.start[i] == '\\' && field.size - i > 3 && is_octal(field.start + i + 1)) {
            text[used++] = (char)((field.start[i + 1] - '0') * 64 + (field.start[i + 2] - '0') * 8 +
                                  (field.start[i + 3] - '0'));
            i += 3;
        } else {
            text[used++] = field.start[i];
        }
    }
    text[used] = 0;
    return text;
}

static bool is_text(struct piece field, const char *text)
{
    return field.size == strlen(text) && memcmp(field.start, text, field.size) == 0;
}

/* The node that udev and devtmpfs give it: sysfs has '!' where the name has '/'. */
static const char *node_of(const char *name, char node[PATH_MAX])
{
    snprintf(node, PATH_MAX, "/dev/%s", name);
    for (char *c = node; *c; c++) {
        if (*c == '!')
            *c = '/';
    }
    return node;
}

/* What uses one block device */

static bool find_mount(
        const char *table, const char *number, const char *node, char *mount_point, size_t size)
{
    char source[PATH_MAX];

    while (table && *table) {
        struct piece line = take_line(&table);
        const char *options_end = memmem(line.start, line.size, " - ", 3);
        bool hit = is_text(find_field(line, 2), number);

        if (!hit && options_end) {
            struct piece rest = {options_end + 3, line.size - (size_t)(options_end + 3 - line.start)};

            hit = strcmp(unescape(find_field(rest, 1), source, sizeof(source)), node) == 0;
        }
        if (hit) {
            unescape(find_field(line, 4), mount_point, size);
            return true;
        }
    }
    return false;
}

static bool has_number(const struct machine *machine, const char *path, const char *number)
{
    char found[NUMBER_SIZE], real[PATH_MAX];
    struct stat information;

    if (strncmp(path, "/dev/", 5) != 0 || !sysfs_path(real, "%s/%s", machine->dev, path + 5) ||
            stat(real, &information) < 0 || !S_ISBLK(information.st_mode))
        return false;
    snprintf(found, sizeof(found), "%u:%u", major(information.st_rdev), minor(information.st_rdev));
    return strcmp(found, number) == 0;
}

static bool is_swap(const struct search *search, const char *number, const char *node)
{
    const char *table = search->swaps;
    char path[PATH_MAX];

    while (table && *table) {
        unescape(find_field(take_line(&table), 0), path, sizeof(path));
        if (strcmp(path, node) == 0 || has_number(search->machine, path, number))
            return true;
    }
    return false;
}

static bool is_btrfs_member(const struct machine *machine, const char *name)
{
    _cleanup_closedir_ DIR *directory = NULL;
    const char *group;
    char path[PATH_MAX];

    if (sysfs_path(path, "%s/fs/btrfs", machine->sysfs))
        directory = opendir(path);
    while ((group = sysfs_next(directory))) {
        if (sysfs_path(path, "%s/fs/btrfs/%s/devices/%s", machine->sysfs, group, name) &&
                access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* Other failures tell nothing: there may be no node, or the daemon may be kept from all of them. */
static bool is_claimed(const struct machine *machine, const char *node)
{
    char path[PATH_MAX];
    int fd;

    if (!sysfs_path(path, "%s/%s", machine->dev, node + strlen("/dev/")))
        return false;
    if (machine->claim)
        return machine->claim(path) == -EBUSY;
    fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == EBUSY;
    close(fd);
    return false;
}

static int check_one(const struct search *search, const char *name, unsigned depth, struct error *error);

/* One that is stacked on it: needed by whoever needs that, and if nobody does, still held. */
static int check_holder(const struct search *search, const char *name, const char *holder, unsigned depth,
        struct error *error)
{
    if (depth == STACK_LIMIT)
        return error_set(error, -ETXTBSY, "%s carries more than %d layers", name, STACK_LIMIT);
    if (check_one(search, holder, depth + 1, error) < 0)
        return error_prefix(error, "%s carries %s", name, holder);
    return error_set(error, -ETXTBSY, "%s carries %s", name, holder);
}

static int check_holders(const struct search *search, const char *name, unsigned depth, struct error *error)
{
    _cleanup_closedir_ DIR *directory = NULL;
    const char *holder;
    char path[PATH_MAX];

    if (!sysfs_path(path, "%s/class/block/%s/holders", search->machine->sysfs, name))
        return 0;
    directory = opendir(path);
    holder = sysfs_next(directory);
    return holder ? check_holder(search, name, holder, depth, error) : 0;
}

/* A loop device on a block device is no holder of it. */
static int check_loops(
        const struct search *search, const char *name, const char *node, unsigned depth, struct error *error)
{
    const char *sysfs = search->machine->sysfs;
    _cleanup_closedir_ DIR *directory = NULL;
    const char *other;
    char path[PATH_MAX], file[PATH_MAX];

    if (sysfs_path(path, "%s/class/block", sysfs))
        directory = opendir(path);
    while ((other = sysfs_next(directory))) {
        if (strncmp(other, "loop", 4) == 0 &&
                sysfs_path(path, "%s/class/block/%s/loop/backing_file", sysfs, other) &&
                file_read_line_at(AT_FDCWD, path, file, sizeof(file)) == 0 && strcmp(file, node) == 0)
            return check_holder(search, name, other, depth, error);
    }
    return 0;
}

/* Those of what is below the device are found as it is; those of what is stacked on it are found here. */
static int check_partitions(
        const struct search *search, const char *name, unsigned depth, struct error *error)
{
    const char *sysfs = search->machine->sysfs;
    _cleanup_closedir_ DIR *directory = NULL;
    const char *partition;
    char path[PATH_MAX];

    if (depth == 0)
        return 0;
    if (sysfs_path(path, "%s/class/block/%s", sysfs, name))
        directory = opendir(path);
    while ((partition = sysfs_next(directory))) {
        if (!sysfs_path(path, "%s/class/block/%s/%s/partition", sysfs, name, partition) ||
                access(path, F_OK) < 0)
            continue;
        if (check_one(search, partition, depth, error) < 0)
            return -ETXTBSY;
    }
    return 0;
}

static int check_one(const struct search *search, const char *name, unsigned depth, struct error *error)
{
    char number[NUMBER_SIZE], node[PATH_MAX], mount_point[128], path[PATH_MAX];
    int r = -ENAMETOOLONG;

    node_of(name, node);
    if (sysfs_path(path, "%s/class/block/%s/dev", search->machine->sysfs, name))
        r = file_read_line_at(AT_FDCWD, path, number, sizeof(number));
    if (r < 0)
        return error_set(error, -ETXTBSY, "%s can't be looked at (%s)", name, strerror(-r));
    if (find_mount(search->mounts, number, node, mount_point, sizeof(mount_point)) ||
            find_mount(search->first_mounts, number, node, mount_point, sizeof(mount_point)))
        return error_set(error, -ETXTBSY, "%s is mounted at %s", name, mount_point);
    if (is_swap(search, number, node))
        return error_set(error, -ETXTBSY, "%s is swapped to", name);
    if (is_btrfs_member(search->machine, name))
        return error_set(error, -ETXTBSY, "%s is part of a mounted btrfs", name);
    r = check_holders(search, name, depth, error);
    if (r >= 0)
        r = check_loops(search, name, node, depth, error);
    if (r >= 0)
        r = check_partitions(search, name, depth, error);
    if (r >= 0 && depth == 0 && is_claimed(search->machine, node))
        return error_set(error, -ETXTBSY, "somebody has %s for himself", name);
    return r;
}

int block_use_check(const struct machine *machine, const char *directory, struct error *error)
{
    _cleanup_(search_done) struct search search = {0};
    _cleanup_closedir_ DIR *blocks = NULL;
    const char *name;
    char path[PATH_MAX];
    int r;

    if (sysfs_path(path, "%s/class/block", machine->sysfs))
        blocks = opendir(path);
    if (!blocks && errno == ENOENT)
        return 0; /* a kernel without block devices */
    if (!blocks)
        return error_set(error, -ETXTBSY, "its disks can't be looked for (%s)", strerror(errno));
    r = search_init(&search, machine, error);
    while (r >= 0 && (name = sysfs_next(blocks))) {
        if (sysfs_is_below(machine, "block", name, directory))
            r = check_one(&search, name, 0, error);
    }
    return r;
}
