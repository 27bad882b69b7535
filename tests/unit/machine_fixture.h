/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A machine in a scratch directory: PCI functions, drivers, disks and network interfaces as sysfs and proc
 * show them, and something that does with drivers what the kernel does when sysfs is written to. */
#pragma once

#include "backends/machine.h"
#include "test.h"

/* Functions on the bus "pci", without drivers. */
#define MACHINE_EDU    "0000:00:07.0"
#define MACHINE_DISK   "0000:00:03.0" /* its own driver is virtio-pci */
#define MACHINE_NET    "0000:00:04.0" /* likewise */
#define MACHINE_BRIDGE "0000:00:02.0"

/* Where they really are, below the machine's directory. */
#define MACHINE_HOME "sys/devices/pci0000:00/"

/* What goes wrong, or otherwise than asked for. */
struct machine_orders {
    const char *fail_on; /* part of an attribute's path: writing it fails */
    int failure;         /* with this */
    int fail_after;      /* but so often it succeeds before */
    bool keeps_driver;   /* unbinding does nothing, and says that it has worked */
    const char *refuses; /* a driver that takes no device */
    const char *greedy;  /* a driver that takes the device whatever the override says */
    int claim_result;    /* of opening a disk for oneself alone */
    void (*on_store)(const char *path, const char *value); /* on the thread that writes */
};

extern struct machine_orders machine_orders;

/* With the drivers devreg, uio_pci_generic and virtio-pci. What was ordered before is forgotten. */
const struct machine *machine_open(void);
void machine_close(void);

/* Files and links below its directory; the folders on the way are made. Both paths are below it. */
void machine_write(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void machine_link(const char *target, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A device on a bus; its own driver is whom the kernel chooses, NULL: nobody. */
void machine_add(const char *bus, const char *name, unsigned header, const char *own_driver);
void machine_add_driver(const char *bus, const char *driver);

/* Without any questions. NULL: no driver. */
void machine_set_driver(const char *bus, const char *name, const char *driver);

/* "" without a driver, "(null)" without an override; valid until the next call. */
const char *machine_driver(const char *bus, const char *name);
const char *machine_override(const char *bus, const char *name);

/* A block device whose home is below a folder ("sys/devices/virtual/block", MACHINE_HOME MACHINE_DISK); it
 * is a partition when that is a disk's home. */
void machine_add_disk(const char *folder, const char *name, const char *number, bool partition);
void machine_add_holder(const char *below, const char *holder);

/* One more line of mountinfo, of swaps. */
void machine_mount(const char *number, const char *mount_point, const char *source);
void machine_swap(const char *path);

/* A network interface whose home is below a folder. */
void machine_add_interface(const char *folder, const char *name, bool up, bool carrier);

/* What was written, each attribute with its value and "; ". */
const char *machine_log(void);
