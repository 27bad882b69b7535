/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCI functions as sysfs shows them (Documentation/PCI/sysfs-pci.rst). The root directory is an argument so
 * that tests can bring their own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define PCI_SYSFS_ROOT "/sys/bus/pci/devices"

enum {
    PCI_BARS = 6,
    PCI_ADDRESS_SIZE = 16, /* "0000:00:07.0" and its end */
};

/* linux/ioport.h, as sysfs shows them in `resource` */
enum {
    PCI_RESOURCE_IO = 0x100,
    PCI_RESOURCE_MEMORY = 0x200,
    PCI_RESOURCE_PREFETCHABLE = 0x2000,
};

struct pci_resource {
    uint64_t start; /* physical address, or port */
    uint64_t size;  /* octets; 0: there is no such BAR */
    uint64_t flags;
};

/* Reads "0000:00:07.0", or "00:07.0" in domain 0, and writes the full form. Returns 0 or -EINVAL. */
int pci_address_parse(const char *text, char address[PCI_ADDRESS_SIZE]);

/* Reads "1234:11e8" or "1234:11e8:0", four hex digits each and a decimal index. Returns 0 or -EINVAL. */
int pci_id_parse(const char *text, unsigned *ret_vendor, unsigned *ret_device, unsigned *ret_index);

/* Finds the index-th function of that identification in the order of addresses. Returns 0, -ENODEV when
 * there is none, or another negative errno. */
int pci_find(
        const char *root, unsigned vendor, unsigned device, unsigned index, char address[PCI_ADDRESS_SIZE]);

/* Opens the function's directory. Returns a descriptor or a negative errno, -ENODEV when it is not there. */
int pci_open(const char *root, const char *address);

/* Reads one 4-digit attribute, `vendor` or `device`. Returns 0 or a negative errno. */
int pci_read_id(int directory, const char *attribute, unsigned *ret_id);

/* Reads one BAR's place. Returns 0 or a negative errno. */
int pci_read_resource(int directory, unsigned bar, struct pci_resource *ret_resource);

/* Makes the function decode its memory or port BARs when it does not yet. It stays so when the daemon ends:
 * others may have begun to rely on it. Returns 0 or a negative errno. */
int pci_enable_decoding(int directory, int config, bool ports, struct error *error);
