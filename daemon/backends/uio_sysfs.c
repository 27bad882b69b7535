/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See uio_sysfs.h. */
#include "backends/uio_sysfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/pci_sysfs.h"
#include "util/cleanup.h"
#include "util/file.h"

static int is_node(const struct dirent *entry)
{
    const char *number = entry->d_name + 3;

    return strncmp(entry->d_name, "uio", 3) == 0 && isdigit((unsigned char)*number) &&
           number[strspn(number, "0123456789")] == 0 && strlen(entry->d_name) < UIO_NODE_SIZE;
}

static bool has_name(const char *root, const char *node, const char *name, size_t length)
{
    char path[PATH_MAX], line[128];

    snprintf(path, sizeof(path), "%s/%s/name", root, node);
    return file_read_line_at(AT_FDCWD, path, line, sizeof(line)) == 0 && strlen(line) == length &&
           strncmp(line, name, length) == 0;
}

/* The index-th of the nodes whose name this is. */
static int find_among(const char *root, struct dirent **nodes, int count, const char *name, size_t length,
        unsigned long index, char node[UIO_NODE_SIZE])
{
    for (int i = 0; i < count; i++) {
        if (has_name(root, nodes[i]->d_name, name, length) && index-- == 0) {
            strcpy(node, nodes[i]->d_name);
            return 0;
        }
    }
    return -ENODEV;
}

int uio_find_named(const char *root, const char *text, char node[UIO_NODE_SIZE])
{
    const char *colon = strrchr(text, ':');
    struct dirent **nodes = NULL;
    int count = scandir(root, &nodes, is_node, versionsort);
    int r;

    if (count < 0)
        return errno == ENOENT ? -ENODEV : -errno;
    /* A name may have a colon of its own. */
    r = find_among(root, nodes, count, text, strlen(text), 0, node);
    if (r < 0 && colon && isdigit((unsigned char)colon[1]) &&
            colon[1 + strspn(colon + 1, "0123456789")] == 0)
        r = find_among(root, nodes, count, text, (size_t)(colon - text), strtoul(colon + 1, NULL, 10), node);
    for (int i = 0; i < count; i++)
        free(nodes[i]);
    free(nodes);
    return r;
}

int uio_find_function(const char *pci_root, const char *address, char node[UIO_NODE_SIZE])
{
    _cleanup_close_ int function = pci_open(pci_root, address);
    char path[PATH_MAX];
    struct dirent **nodes = NULL;
    int count;

    if (function < 0)
        return function;
    snprintf(path, sizeof(path), "%s/%s/uio", pci_root, address);
    count = scandir(path, &nodes, is_node, versionsort);
    if (count < 0)
        return -errno;
    if (count > 0)
        strcpy(node, nodes[0]->d_name);
    for (int i = 0; i < count; i++)
        free(nodes[i]);
    free(nodes);
    return count > 0 ? 0 : -ENOENT;
}

int uio_open_directory(const char *root, const char *node)
{
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", root, node);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENODEV : -errno;
    return fd;
}

static int read_number(int directory, const char *folder, const char *attribute, uint64_t *ret_number)
{
    char path[64], line[32];
    char *end;
    int r;

    snprintf(path, sizeof(path), "%s/%s", folder, attribute);
    r = file_read_line_at(directory, path, line, sizeof(line));
    if (r < 0)
        return r;
    errno = 0;
    *ret_number = strtoull(line, &end, 0);
    return end == line || *end || errno ? -EIO : 0;
}

int uio_read_map(int directory, unsigned index, struct uio_map *ret_map)
{
    struct uio_map map = {0};
    char folder[32];
    int r;

    snprintf(folder, sizeof(folder), "maps/map%u", index);
    r = read_number(directory, folder, "addr", &map.address);
    if (r == 0)
        r = read_number(directory, folder, "size", &map.size);
    if (r == 0)
        r = read_number(directory, folder, "offset", &map.offset);
    if (r == 0)
        *ret_map = map;
    return r;
}

int uio_read_ports(int directory, unsigned index, struct uio_ports *ret_ports)
{
    struct uio_ports ports = {0};
    char folder[32], path[64];
    int r;

    snprintf(folder, sizeof(folder), "portio/port%u", index);
    snprintf(path, sizeof(path), "%s/porttype", folder);
    r = read_number(directory, folder, "start", &ports.start);
    if (r == 0)
        r = read_number(directory, folder, "size", &ports.size);
    if (r == 0)
        r = file_read_line_at(directory, path, ports.type, sizeof(ports.type));
    if (r == 0)
        *ret_ports = ports;
    return r;
}
