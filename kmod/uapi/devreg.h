/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* What /dev/devreg offers to programs: the ABI of the module devreg.ko.
 *
 * There is one file descriptor per resource. Closing the last copy of one, or dying, releases what it stands
 * for:
 *
 * - /dev/devreg, whose open() needs CAP_SYS_RAWIO: DEVREG_GET_INFO, DEVREG_CLAIM_REGION, DEVREG_OPEN_DEVICE
 * - a device, from DEVREG_OPEN_DEVICE: DEVREG_DEVICE_INFO, DEVREG_RESOURCE_INFO, DEVREG_CLAIM_RESOURCE,
 *   DEVREG_RESET, DEVREG_INTERRUPT_INFO, DEVREG_OPEN_INTERRUPTS, DEVREG_SET_SAFE_STATE, DEVREG_DMA_INFO,
 *   DEVREG_ALLOCATE_BUFFER, poll()
 * - a region, from one of the two claims: DEVREG_REGION_INFO, DEVREG_ACCESS, mmap(), poll()
 * - interrupts, from DEVREG_OPEN_INTERRUPTS: DEVREG_SET_ACKNOWLEDGE, DEVREG_MASK_INTERRUPTS, read(), poll()
 * - a buffer, from DEVREG_ALLOCATE_BUFFER: DEVREG_BUFFER_INFO, DEVREG_BUFFER_SEGMENTS, DEVREG_SYNC_BUFFER,
 *   DEVREG_LET_GO, mmap(), poll()
 *
 * Descriptors are born close-on-exec; they may be passed to other processes, which then need no capability.
 *
 * Rules of all structures. They are the same for 32-bit and 64-bit programs. `argsz` is the size in octets
 * that the caller knows the structure to have: at least that of ABI 1, below (otherwise EINVAL), at most a
 * page. Larger ones are taken when what this module does not know is zero, otherwise the call fails with
 * E2BIG. No more than `argsz` octets are written back. `flags` has the bits that are named here; others, and
 * whatever is named `reserved`, must be zero, otherwise EINVAL. Texts have at least one character, and end
 * with a zero octet inside their array, otherwise EINVAL.
 *
 * An ioctl is known by the type, direction and number in its command; the size there is not looked at. One
 * that is not known, or is another descriptor's, gives ENOTTY.
 *
 * Errors of all calls: EFAULT (a pointer leads nowhere), EINVAL (see above), ENOMEM, ENODEV (the device was
 * removed, or unbound from the driver devreg: this descriptor has nothing behind it any more, and never will
 * again). */
#ifndef DEVREG_UAPI_H
#define DEVREG_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Changes when a program that was made for the old one would no longer work. What only adds to it is a
 * capability. */
#ifndef DEVREG_ABI
#define DEVREG_ABI 1
#endif

#define DEVREG_PATH        "/dev/devreg"
#define DEVREG_DRIVER      "devreg" /* what to write into driver_override */

#define DEVREG_NAME_SIZE   32 /* with the zero octet */
#define DEVREG_OWNER_SIZE  64 /* likewise */
#define DEVREG_DEVICE_SIZE 64 /* likewise */

/* On /dev/devreg: what the module is and can do. */
struct devreg_info {
    __u32 argsz;
    __u32 flags; /* zero */
    __u32 abi;   /* out: DEVREG_ABI of the module */
    __u32 page_size;
    __aligned_u64 capabilities; /* out: DEVREG_CAPABILITY_* */
    char version[16];           /* out: of the release */
};

#define DEVREG_CAPABILITY_MEMORY     (1ULL << 0) /* DEVREG_CLAIM_REGION of memory */
#define DEVREG_CAPABILITY_PORTS      (1ULL << 1) /* and of ports: this machine has some */
#define DEVREG_CAPABILITY_PCI        (1ULL << 2) /* DEVREG_OPEN_DEVICE of PCI functions */
#define DEVREG_CAPABILITY_PLATFORM   (1ULL << 3) /* and of platform devices */
#define DEVREG_CAPABILITY_ACCESS_64  (1ULL << 4) /* DEVREG_ACCESS of 64 bits, in memory regions */
#define DEVREG_CAPABILITY_INTERRUPTS (1ULL << 5) /* DEVREG_OPEN_INTERRUPTS */
#define DEVREG_CAPABILITY_DMA        (1ULL << 6) /* DEVREG_ALLOCATE_BUFFER */
#define DEVREG_CAPABILITY_SAFE_STATE (1ULL << 7) /* DEVREG_SET_SAFE_STATE */

#define DEVREG_GET_INFO              _IOWR(0xD5, 0x00, struct devreg_info)

/* How a region is claimed, and what it is. The last two are told, not asked for. */
#define DEVREG_REGION_PORTS     (1U << 0) /* I/O ports; otherwise memory */
#define DEVREG_REGION_READ_ONLY (1U << 1) /* neither written to nor mapped for writing */
/* Writes may be merged and delayed; otherwise uncached. For memory that fills its pages. */
#define DEVREG_REGION_WRITE_COMBINING (1U << 2)
#define DEVREG_REGION_MAPPABLE        (1U << 3) /* mmap() works: it begins and ends at page boundaries */
#define DEVREG_REGION_GONE            (1U << 4) /* its device is: nothing works any more */

#define DEVREG_REGIONS_MAX            4096 /* in all */
#define DEVREG_DEVICE_REGIONS_MAX     256  /* of one device */

/* On /dev/devreg: takes a range of physical addresses or of I/O ports for the caller alone. It is in
 * /proc/iomem or /proc/ioports as "devreg:NAME" until it is released. The kernel takes back what /dev/mem
 * and sysfs have mapped of it.
 *
 * When the range is inside a PCI function or platform device without a driver, the region is gone with the
 * device.
 *
 * Returns a region descriptor, or -1 with
 *
 * - EBUSY: part of it is claimed or owned already; `owner` says by whom, when that can be found out
 * - EPERM: part of it is memory, and `owner` "System RAM" or "Persistent Memory"; or kernel lockdown forbids
 *   it, and `owner` is empty
 * - ERANGE: it is empty, wraps around, or is beyond what this machine can address
 * - EAGAIN: a device that has part of it is being bound or unbound right now
 * - ENOSPC: there are DEVREG_REGIONS_MAX regions already */
struct devreg_claim {
    __u32 argsz;
    __u32 flags;                   /* DEVREG_REGION_* */
    __aligned_u64 start;           /* physical address, or number of the first port */
    __aligned_u64 size;            /* octets, or ports */
    char name[DEVREG_NAME_SIZE];   /* printable, without blanks and slashes */
    char owner[DEVREG_OWNER_SIZE]; /* out, also on failure; empty when not known */
};

#define DEVREG_CLAIM_REGION _IOWR(0xD5, 0x01, struct devreg_claim)

/* Kinds of devices, and what is told of one. */
#define DEVREG_DEVICE_PCI      (1U << 0)
#define DEVREG_DEVICE_PLATFORM (1U << 1)
#define DEVREG_DEVICE_RESET    (1U << 2) /* DEVREG_RESET works */
#define DEVREG_DEVICE_GONE     (1U << 3)

/* On /dev/devreg: opens a device that is bound to the driver devreg, through its driver_override. One opener
 * at a time: the device is free again when this descriptor and those of all its regions, interrupts and
 * buffers are closed. A PCI function neither masters the bus (it can't write to memory) before it has a
 * buffer or messages for interrupts, nor raises its interrupt line before its interrupts are opened; so
 * kernel lockdown does not forbid to open one. It does forbid platform devices, which can't be held back
 * like that.
 *
 * When the last of these descriptors is closed, by whatever end of the program too: the writes of
 * DEVREG_SET_SAFE_STATE are made, bus mastering ends, and if there is memory of buffers that were not let
 * go, the device is reset, if it can be. A device that was neither reset nor told to stop by such writes
 * keeps that memory until it is unbound.
 *
 * Returns a device descriptor, or -1 with
 *
 * - ENODEV: there is no such device
 * - ENXIO: it is there, but not bound to devreg; `owner` is its driver, empty when it has none
 * - EBUSY: it is open already; `owner` is the process, as "devregd[1234]"
 * - EPERM: kernel lockdown forbids it */
struct devreg_open_device {
    __u32 argsz;
    __u32 flags;                   /* DEVREG_DEVICE_PCI or DEVREG_DEVICE_PLATFORM */
    char name[DEVREG_DEVICE_SIZE]; /* of its folder in sysfs, as "0000:00:07.0" */
    char owner[DEVREG_OWNER_SIZE]; /* out, also on failure */
};

#define DEVREG_OPEN_DEVICE _IOWR(0xD5, 0x02, struct devreg_open_device)

/* On a device. */
struct devreg_device_info {
    __u32 argsz;
    __u32 flags;          /* out: DEVREG_DEVICE_*; in: zero */
    __u32 resource_count; /* out: indexes of DEVREG_RESOURCE_INFO are below it; some may be empty */
    __u32 vendor;         /* out: of PCI, as in its configuration space, otherwise 0 */
    __u32 device;
    __u32 class_code; /* base class, subclass, interface */
};

#define DEVREG_DEVICE_INFO           _IOWR(0xD5, 0x03, struct devreg_device_info)

#define DEVREG_RESOURCE_PORTS        (1U << 0) /* otherwise memory */
#define DEVREG_RESOURCE_PREFETCHABLE (1U << 1)
#define DEVREG_RESOURCE_READ_ONLY    (1U << 2)
#define DEVREG_RESOURCE_64           (1U << 3) /* a 64-bit BAR, which takes the next index too */

/* On a device: one of its BARs (PCI: index 0 to 5), or of its memory and port resources (platform, in the
 * order in which the kernel lists them). EINVAL: there is no such index. */
struct devreg_resource_info {
    __u32 argsz;
    __u32 flags; /* out: DEVREG_RESOURCE_*; in: zero */
    __u32 index; /* in */
    __u32 reserved;
    __aligned_u64 start;         /* out: physical address or port */
    __aligned_u64 size;          /* out: 0 when nothing is there */
    char name[DEVREG_NAME_SIZE]; /* out: the kernel's, cut */
};

#define DEVREG_RESOURCE_INFO _IOWR(0xD5, 0x04, struct devreg_resource_info)

/* On a device: as DEVREG_CLAIM_REGION, for a window of a resource. DEVREG_REGION_WRITE_COMBINING is for
 * prefetchable BARs and platform memory (otherwise EINVAL), DEVREG_REGION_PORTS must not be given: the
 * resource knows.
 *
 * Further errors: EINVAL there is no such resource, or it is empty; ERANGE the window is not inside it;
 * ENOSPC the device has DEVREG_DEVICE_REGIONS_MAX already. */
struct devreg_claim_resource {
    __u32 argsz;
    __u32 flags; /* DEVREG_REGION_* */
    __u32 index;
    __u32 reserved;
    __aligned_u64 offset; /* of the window in the resource, octets or ports */
    __aligned_u64 size;   /* of the window; 0: to the end of the resource */
    char name[DEVREG_NAME_SIZE];
    char owner[DEVREG_OWNER_SIZE]; /* out, also on failure */
};

#define DEVREG_CLAIM_RESOURCE _IOWR(0xD5, 0x05, struct devreg_claim_resource)

/* On a device: sets it back to what it is after power-on and restores its configuration space. Mappings
 * stay; who touches them or accesses registers meanwhile waits.
 *
 * Errors: EOPNOTSUPP this device can't; EAGAIN the kernel is doing something else with it; EINTR a signal
 * that ends the process came. */
struct devreg_reset {
    __u32 argsz;
    __u32 flags; /* zero */
};

#define DEVREG_RESET _IOWR(0xD5, 0x06, struct devreg_reset)

/* On a region. */
struct devreg_region_info {
    __u32 argsz;
    __u32 flags;         /* out: DEVREG_REGION_*; in: zero */
    __aligned_u64 start; /* out: physical address or port */
    __aligned_u64 size;  /* out */
    __u32 widths;        /* out: of DEVREG_ACCESS, a set: 1, 2, 4 and 8 octets are their own bits */
    __u32 reserved;
    char name[DEVREG_NAME_SIZE]; /* out: as it was claimed */
};

#define DEVREG_REGION_INFO      _IOWR(0xD5, 0x07, struct devreg_region_info)

#define DEVREG_ACCESS_WRITE     (1U << 0) /* otherwise read */
#define DEVREG_ACCESS_REPEAT    (1U << 1) /* all at `offset` (a FIFO); otherwise each at the next register */

#define DEVREG_ACCESS_COUNT_MAX (1U << 20)

/* On a region: `count` accesses of `width` octets, one after the other, each naturally aligned and in one
 * piece. Values are in the memory at `data` in the order of octets in which the device has them:
 * little-endian for what the device takes for a number.
 *
 * Errors: EINVAL width not among the region's, offset not a multiple of it, count 0 or too large; ERANGE not
 * inside the region; EACCES written to, but claimed as read-only; EINTR a signal that ends the process came;
 * EFAULT `data` can't be read or written to.
 * On failure `done` says how many accesses were made whose values came from `data`, or are there: all before
 * that one. Where `data` can't be written to, up to 256 octets more have been read from the device. The
 * kernel copies in steps, of up to 64 octets but on x86-64: what is in the same step as the place where
 * `data` ends may be missing too. */
struct devreg_access {
    __u32 argsz;
    __u32 flags;          /* DEVREG_ACCESS_* */
    __aligned_u64 offset; /* octets or ports from the region's start */
    __u32 width;          /* octets */
    __u32 count;
    __aligned_u64 data; /* address of count * width octets in the caller's memory */
    __u32 done;         /* out, also on failure */
    __u32 reserved;
};

#define DEVREG_ACCESS _IOWR(0xD5, 0x08, struct devreg_access)

/* How a device tells of its interrupts. */
#define DEVREG_INTERRUPT_LINE (1U << 0) /* INTx of a PCI function, or a platform device's */
#define DEVREG_INTERRUPT_MSI  (1U << 1)
#define DEVREG_INTERRUPT_MSIX (1U << 2)

/* On a device: which interrupts it has. */
struct devreg_interrupt_info {
    __u32 argsz;
    __u32 flags; /* out: DEVREG_INTERRUPT_*, those that it has; in: zero */
    __u32 lines; /* out: how many vectors there are of each */
    __u32 msi;
    __u32 msix;
    __u32 reserved;
};

#define DEVREG_INTERRUPT_INFO _IOWR(0xD5, 0x09, struct devreg_interrupt_info)

#define DEVREG_VECTORS_MAX    2048
#define DEVREG_RECORDS_MAX    65536

/* On a device: lets its interrupts come. They are masked at first: set what acknowledges them, then unmask.
 * The device is free for another opener when this descriptor is closed, too.
 *
 * With MSI and MSI-X the device masters the bus while the descriptor is open, as such an interrupt is a
 * write to memory.
 *
 * Returns an interrupt descriptor, or -1 with
 *
 * - EOPNOTSUPP: the device has no interrupts of this kind
 * - ENOSPC: it has fewer vectors, or the machine has no more of them
 * - EBUSY: its interrupts are open already, or its line can't be shared and is another driver's
 * - EPERM: kernel lockdown forbids bus mastering; a line can be had */
struct devreg_open_interrupts {
    __u32 argsz;
    __u32 flags;   /* one of DEVREG_INTERRUPT_* */
    __u32 count;   /* of vectors: 0 to count - 1, at most DEVREG_VECTORS_MAX */
    __u32 records; /* that are kept until they are read, at most DEVREG_RECORDS_MAX; 0: 4096 */
};

#define DEVREG_OPEN_INTERRUPTS      _IOWR(0xD5, 0x0A, struct devreg_open_interrupts)

#define DEVREG_ACKNOWLEDGE_READ     (1U << 0) /* read `status`; without it nothing is done any more */
#define DEVREG_ACKNOWLEDGE_WRITE    (1U << 1) /* then write to `acknowledge` what was read */
#define DEVREG_ACKNOWLEDGE_CONSTANT (1U << 2) /* or `value` */

/* On interrupts: what is done at once when this vector comes, so that the device is quiet again: a register
 * is read, and, when it has any of the bits of `mask`, another one written. The record has what was read.
 *
 * The registers are in a resource of the device, and inside a region that is claimed of it (writable, to
 * write); they are used also after that region is closed. Values are what the registers have in the device's
 * order of octets, taken as little-endian numbers.
 *
 * Errors: EINVAL there is no such vector, resource or width, or an offset is not a multiple of the width;
 * ERANGE not inside the resource; EACCES no region of the device that is claimed has it. */
struct devreg_acknowledge {
    __u32 argsz;
    __u32 flags; /* DEVREG_ACKNOWLEDGE_* */
    __u32 vector;
    __u32 index; /* of the resource */
    __u32 width; /* octets: 1, 2, 4, and 8 where DEVREG_ACCESS has it */
    __u32 reserved;
    __aligned_u64 status;      /* offsets in the resource */
    __aligned_u64 acknowledge; /* DEVREG_ACKNOWLEDGE_WRITE */
    __aligned_u64 value;       /* DEVREG_ACKNOWLEDGE_CONSTANT */
    __aligned_u64 mask;
};

#define DEVREG_SET_ACKNOWLEDGE _IOWR(0xD5, 0x0B, struct devreg_acknowledge)

#define DEVREG_MASK_SET        (1U << 0) /* otherwise unmask */

/* On interrupts: keeps vectors from coming, or lets them come again. What pends when it is unmasked comes
 * then. Errors: EINVAL there are no such vectors. */
struct devreg_mask_interrupts {
    __u32 argsz;
    __u32 flags;  /* DEVREG_MASK_SET */
    __u32 vector; /* the first */
    __u32 count;
};

#define DEVREG_MASK_INTERRUPTS _IOWR(0xD5, 0x0C, struct devreg_mask_interrupts)

#define DEVREG_SAFE_WRITES_MAX 64

/* A register write, as by DEVREG_ACCESS. */
struct devreg_safe_write {
    __u32 index;          /* of the resource */
    __u32 width;          /* octets: 1, 2, 4, and 8 where DEVREG_ACCESS has it */
    __aligned_u64 offset; /* in the resource */
    __aligned_u64 value;  /* a number that the device takes as little-endian */
};

/* On a device: what is written, in this order, when nobody has it open any more, or when it is unbound: so
 * that it stops. Replaces what was set before; none with `count` 0.
 *
 * Registers are inside regions that are claimed of the device, writable; they are written to also after
 * those are closed. Errors: EINVAL there is no such resource or width, an offset is not a multiple of the
 * width, too many; ERANGE not inside the resource; EACCES no region of the device that is claimed has it.
 * Then nothing has changed. */
struct devreg_safe_state {
    __u32 argsz;
    __u32 flags; /* zero */
    __u32 count; /* at most DEVREG_SAFE_WRITES_MAX */
    __u32 reserved;
    __aligned_u64 writes; /* address of `count` struct devreg_safe_write */
};

#define DEVREG_SET_SAFE_STATE _IOWR(0xD5, 0x0D, struct devreg_safe_state)

/* Memory that a device reaches by DMA. One of the first four says what it is like; direction is for
 * streaming and scattered ones, where none means both. The last four are told, not asked for. */
#define DEVREG_BUFFER_COHERENT (1U << 0) /* in one piece; each side sees at once what the other writes */
#define DEVREG_BUFFER_STREAMING                                                                             \
    (1U << 1)                               /* in one piece; for one side at a time, see DEVREG_SYNC_BUFFER \
                                             */
#define DEVREG_BUFFER_SCATTERED   (1U << 2) /* likewise, but for the device in segments */
#define DEVREG_BUFFER_POOL        (1U << 3) /* `count` coherent objects of `size` octets */
#define DEVREG_BUFFER_TO_DEVICE   (1U << 4)
#define DEVREG_BUFFER_FROM_DEVICE (1U << 5)
#define DEVREG_BUFFER_RESERVED    (1U << 6) /* in: only of what was set aside; out: it is */
#define DEVREG_BUFFER_SYNC        (1U << 7) /* DEVREG_SYNC_BUFFER does something on this machine */
#define DEVREG_BUFFER_TRANSLATED  (1U << 8) /* an IOMMU leads from bus addresses to memory */
#define DEVREG_BUFFER_GONE        (1U << 9) /* its device is, and its memory */

#define DEVREG_ADDRESS_BITS_MIN   24
#define DEVREG_ADDRESS_BITS_MAX   64
#define DEVREG_BUFFERS_MAX        4096       /* of one device */
#define DEVREG_OBJECTS_MAX        (1U << 20) /* of one pool */

/* On a device: what DMA there is. All sizes in octets. */
struct devreg_dma_info {
    __u32 argsz;
    __u32 flags;             /* out: DEVREG_BUFFER_TRANSLATED; in: zero */
    __u32 address_bits;      /* out: a device that reaches fewer does not reach all memory of this machine */
    __u32 buffer_count;      /* out: of this device */
    __aligned_u64 size_max;  /* out: of one buffer */
    __aligned_u64 total_max; /* out: of all buffers of all devices */
    __aligned_u64 total;     /* out: that they take now, retained memory included */
    __aligned_u64 retained;  /* out: of this device: closed, but it may still write there */
    __aligned_u64 reserved;  /* out: set aside when the module was loaded */
    __aligned_u64 reserved_free; /* out: and not in use */
};

#define DEVREG_DMA_INFO _IOWR(0xD5, 0x0E, struct devreg_dma_info)

/* On a device: allocates a buffer, zeroed, and lets the device master the bus. The device is free for
 * another opener when this descriptor is closed, too.
 *
 * A bus address is what the device is told, and nothing else: behind an IOMMU it is no physical address. Its
 * alignment is at least a page's, of objects 8.
 *
 * When the descriptor is closed, and DEVREG_LET_GO was not called, the device may still write to the memory,
 * so it is retained until it can't: the device is reset by DEVREG_RESET, or unbound, or stopped as
 * DEVREG_OPEN_DEVICE says.
 *
 * Returns a buffer descriptor, or -1 with
 *
 * - EINVAL: size or count 0; count not 1 but of a pool; alignment or boundary no power of two; boundary
 *   smaller than the object, or, but of scattered ones, the buffer, or smaller than a page; address bits out
 *   of range
 * - E2BIG: larger than size_max, or in all more than total_max
 * - ENOSPC: the device has DEVREG_BUFFERS_MAX, or a pool DEVREG_OBJECTS_MAX already
 * - ENOMEM: there is no such memory now; of pieces that are large or that few address bits reach there may
 *   be none although much memory is free
 * - EOPNOTSUPP: the device has no DMA, or not with so few address bits
 * - EPERM: kernel lockdown forbids it */
struct devreg_allocate_buffer {
    __u32 argsz;
    __u32 flags;               /* DEVREG_BUFFER_*; out: what it is */
    __u32 address_bits;        /* the device reaches bus addresses below 2^this */
    __u32 count;               /* of objects of a pool, otherwise 1 */
    __aligned_u64 size;        /* octets, of a pool of one object */
    __aligned_u64 alignment;   /* of bus addresses; 0: see above */
    __aligned_u64 boundary;    /* no segment and no object crosses a multiple of it; 0: none */
    __aligned_u64 bus_address; /* out: of the first segment */
    __aligned_u64 mapped_size; /* out: octets of mmap(), whole pages */
    __u32 segment_count;       /* out: of a pool: its objects */
    __u32 reserved;
};

#define DEVREG_ALLOCATE_BUFFER _IOWR(0xD5, 0x0F, struct devreg_allocate_buffer)

/* On a buffer: what it is, for whoever was given the descriptor. */
struct devreg_buffer_info {
    __u32 argsz;
    __u32 flags; /* out: DEVREG_BUFFER_*; in: zero */
    __u32 address_bits;
    __u32 count;
    __aligned_u64 size; /* all out, as in struct devreg_allocate_buffer */
    __aligned_u64 bus_address;
    __aligned_u64 mapped_size;
    __u32 segment_count;
    __u32 reserved;
};

#define DEVREG_BUFFER_INFO _IOWR(0xD5, 0x10, struct devreg_buffer_info)

/* What is one piece for the device; of a pool: an object. */
struct devreg_segment {
    __aligned_u64 bus_address;
    __aligned_u64 offset; /* in what mmap() gives */
    __aligned_u64 size;   /* octets */
};

/* On a buffer: its segments, in the order of their offsets. Errors: EINVAL `first` is beyond the last one;
 * ENODEV. */
struct devreg_buffer_segments {
    __u32 argsz;
    __u32 flags;            /* zero */
    __u32 first;            /* index */
    __u32 count;            /* in: room at `segments`; out: how many were given */
    __aligned_u64 segments; /* address of `count` struct devreg_segment */
};

#define DEVREG_BUFFER_SEGMENTS _IOWR(0xD5, 0x11, struct devreg_buffer_segments)

#define DEVREG_SYNC_DEVICE     (1U << 0)
#define DEVREG_SYNC_CPU        (1U << 1)

/* On a buffer: hands octets over. Before the device is told to read or write them: to the device; before the
 * program touches them again: to the CPU. Of coherent ones and pools it only orders accesses. Errors: EINVAL
 * not one of the two; ERANGE not inside the buffer. */
struct devreg_sync_buffer {
    __u32 argsz;
    __u32 flags; /* DEVREG_SYNC_* */
    __aligned_u64 offset;
    __aligned_u64 size;
};

#define DEVREG_SYNC_BUFFER _IOWR(0xD5, 0x12, struct devreg_sync_buffer)

/* On a buffer: the program says that the device was told not to use it any more, and has obeyed. It is freed
 * at once then when the descriptor is closed, whatever else the device does. */
struct devreg_let_go {
    __u32 argsz;
    __u32 flags; /* zero */
};

#define DEVREG_LET_GO          _IOWR(0xD5, 0x13, struct devreg_let_go)

#define DEVREG_INTERRUPT_VALUE (1U << 0) /* `value` was read */
#define DEVREG_INTERRUPT_MASKED                                                                             \
    (1U << 1) /* the vector is masked now: quieten the device, then unmask it                               \
               */

/* What read() of interrupts gives: whole records, as many as there are and fit. It waits for the first one,
 * unless O_NONBLOCK is set (EAGAIN). When more come than are kept until they are read, the oldest are
 * dropped.
 *
 * A line that is not acknowledged by the module, or is still up afterwards, is masked when it comes: nobody
 * else could be served by the processor otherwise. And whatever comes is masked when as many records are
 * kept as there may be, until they have been read and it is unmasked.
 *
 * Errors of read(): EINVAL there is no room for one record; ENODEV the device is gone, and all its records
 * were read. */
struct devreg_interrupt {
    __aligned_u64 sequence; /* of this descriptor's interrupts, from 1, dropped ones included */
    __aligned_u64 number;   /* of this vector's, likewise */
    __aligned_u64 time;     /* CLOCK_MONOTONIC when it was taken, nanoseconds */
    __aligned_u64 value;    /* of the status register */
    __u32 vector;
    __u32 flags;   /* DEVREG_INTERRUPT_VALUE, DEVREG_INTERRUPT_MASKED */
    __u32 dropped; /* records, of any vector, between the one that was read before and this one */
    __u32 reserved;
};

/* mmap() of a region or buffer: `offset` 0 is its start. MAP_SHARED only, not executable, at most to its
 * end; it can't be split (munmap() or mprotect() of a part fails with EINVAL) and fork() does not copy it.
 * When the region is gone, touching it gives SIGBUS.
 *
 * poll() of a device, region or buffer: POLLHUP and POLLERR when it is gone, otherwise nothing. Of
 * interrupts: POLLIN when there are records, and likewise. */

#endif
