/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UIO devices as sysfs shows them (Documentation/driver-api/uio-howto.rst). The directories are arguments so
 * that tests can bring their own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UIO_SYSFS_ROOT "/sys/class/uio"

enum { UIO_NODE_SIZE = 16 }; /* "uio0" and its end */

/* Memory of the device, which mmap() with the offset index * page size maps from `address` on. */
struct uio_map {
    uint64_t address; /* physical */
    uint64_t size;    /* octets */
    uint64_t offset;  /* of the device's memory in it, inside the first page */
};

struct uio_ports {
    uint64_t start, size;
    char type[16]; /* "port_x86" for those of in and out instructions */
};

/* Finds the UIO device of a name. Several of one name are told apart as "name:1", counted from 0 in the
 * order of their numbers. Returns 0, -ENODEV when there is none, or another negative errno. */
int uio_find_named(const char *root, const char *text, char node[UIO_NODE_SIZE]);

/* Finds the UIO device of a PCI function. Returns 0, -ENODEV when the function is not there, -ENOENT when no
 * UIO driver is bound to it, or another negative errno. */
int uio_find_function(const char *pci_root, const char *address, char node[UIO_NODE_SIZE]);

/* Opens the directory of a UIO device. Returns a descriptor or a negative errno, -ENODEV when it is not
 * there. */
int uio_open_directory(const char *root, const char *node);

/* Both return 0, -ENOENT when there is no such map or port range, or another negative errno. */
int uio_read_map(int directory, unsigned index, struct uio_map *ret_map);
int uio_read_ports(int directory, unsigned index, struct uio_ports *ret_ports);
