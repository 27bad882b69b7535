/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the module share.
 *
 * Locks, outermost first:
 *
 * - a task's mmap_lock, held by the kernel around mmap() and page faults
 * - devreg_device.reset: a device is being reset, stopped or taken away, or its interrupts and buffers are
 *   set up
 * - devreg_lock: which devices and regions there are, who holds them
 * - *region.lock, one for all regions of a device; for reading: the hardware is being touched, so it must
 *   stay; for writing: it goes, or is being reset
 * - buffer.lock; for reading: its memory is being mapped or synced, so it must stay
 * - interrupts.lock, with interrupts off: one is being taken
 *
 * Nothing is copied from or to a program, and no lock of the driver core is waited for, under all but the
 * first two. */
#ifndef DEVREG_INTERNAL_H
#define DEVREG_INTERNAL_H

#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/ioport.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/rwsem.h>
#include <linux/wait.h>

#include "uapi/devreg.h"

extern struct mutex devreg_lock;

/* devreg_argument.c: ioctls as tables. */

/* One call while it is served. A handler that makes a descriptor leaves its file here. */
struct call {
    struct file *file;
    struct file *new_file;
};

struct call_row {
    unsigned int command;
    size_t size; /* of the argument, in ABI 1 */
    int (*function)(struct call *call, void *argument);
};

/* Copies the argument in, calls the row's function, and copies the argument out, also after a failure.
 * Returns the new descriptor, 0, or a negative errno. */
long call_serve(const struct call_row *rows, size_t count, struct file *file, unsigned int command,
        unsigned long argument);

int check_reserved(u32 value);
int check_flags(u32 flags, u32 allowed);
/* That it does not become another address where pointers have 32 bits. */
int check_pointer(u64 address);
int check_text(const char *text, size_t size);

/* devreg_file.c: files that are in no folder. */

/* A file with an inode, and so a mapping, of its own: other anonymous files share one, and what is unmapped
 * in one would be unmapped in all of them. On success the file owns `data`; its release must call
 * file_released(). */
struct file *file_new(const char *name, const struct file_operations *operations, void *data, int flags);
void file_released(void);

/* devreg_owner.c: who has what we were refused. */

/* The innermost owner of any part of the range, as /proc/iomem and /proc/ioports name it; empty when
 * unknown. */
void owner_of_range(bool ports, u64 start, u64 last, char owner[DEVREG_OWNER_SIZE]);

/* Whether a PCI function or platform device that has any part of the range is bound to a driver: 1 or 0, or
 * -EAGAIN when it is being bound or unbound right now. */
int owner_is_driver(bool ports, u64 start, u64 last, char owner[DEVREG_OWNER_SIZE]);

/* Whether any part of the range is this resource's. */
bool resource_has_part(const struct resource *resource, bool ports, u64 start, u64 last);

/* What a PCI function itself decodes: BARs, the ROM, BARs of its virtual functions. Behind them are the
 * windows of a bridge, which are other functions'. */
#define PCI_OWN_RESOURCES PCI_BRIDGE_RESOURCES

/* devreg_region.c, devreg_claim.c, devreg_access.c, devreg_map.c: a claimed range. */

#define REGION_LABEL_SIZE (sizeof("devreg:") - 1 + DEVREG_NAME_SIZE)

struct region {
    struct list_head entry;        /* of region_list, or empty; under devreg_lock */
    struct devreg_device *device;  /* NULL: a range of addresses alone */
    struct address_space *mapping; /* of its file */
    u32 flags;                     /* DEVREG_REGION_* */
    u64 start, size;
    char label[REGION_LABEL_SIZE]; /* as /proc/iomem shows it */
    bool claimed;                  /* there is something to give back; under devreg_lock */

    struct rw_semaphore *lock;    /* its device's, or its own */
    struct rw_semaphore own_lock; /* of one without a device */
    bool gone;                    /* under lock */
    struct mutex mapped;          /* around making `base` */
    void __iomem *base;           /* of what is not large, when it was needed */
    wait_queue_head_t wait;
};

extern const struct file_operations region_operations;
extern unsigned int region_count;    /* in the list; likewise */
extern struct list_head region_list; /* all that are claimed; under devreg_lock */

static inline const char *region_name(const struct region *region)
{
    return region->label + sizeof("devreg:") - 1;
}

/* Makes a region with a file, which owns it and holds nothing yet. */
struct region *region_new(const char *name, u32 flags, struct devreg_device *device, struct file **ret_file);

/* Takes the range for it. On -EBUSY and -EPERM owner says whose it is. */
int region_claim(struct region *region, u64 start, u64 size, char owner[DEVREG_OWNER_SIZE]);

/* Gives back what it holds. Under devreg_lock, when nothing touches it any more. */
void region_give_back(struct region *region);

/* Takes the hardware away from it: mappings are zapped, accesses under way have ended. Under devreg_lock. */
void region_revoke(struct region *region);

/* Unmaps the regions of a device from their programs. Their next touches wait for device->lock, which the
 * caller has for writing, beside devreg_lock. */
void region_unmap_all(const struct devreg_device *device);

/* Handlers of ioctls. */
int region_call_claim(struct call *call, void *argument);
int region_call_claim_resource(struct call *call, void *argument);
int region_call_access(struct call *call, void *argument);

u32 region_widths(const struct region *region);
int region_mmap(struct file *file, struct vm_area_struct *vma);

/* devreg_map.c, for buffers too. */

/* The number of the physical page that is at this page of the file. */
typedef unsigned long (*find_pfn)(const void *owner, unsigned long page);

/* On a fault: the page, and those around it. */
vm_fault_t map_insert_around(
        struct vm_area_struct *vma, unsigned long page, find_pfn find, const void *owner);

/* Whether a file of this size, whole pages, can be mapped so. */
int map_check(struct vm_area_struct *vma, u64 size);

/* never: flags that mprotect() may not set either. */
void map_begin(struct vm_area_struct *vma, unsigned long never,
        const struct vm_operations_struct *operations, void *owner);
int map_refuse_split(struct vm_area_struct *vma, unsigned long address);

#ifdef HAVE_MAY_SPLIT
#define MAP_SPLIT may_split
#else
#define MAP_SPLIT split
#endif

/* devreg_device.c: a device that is bound to this driver. */

/* What differs between buses. */
struct device_bus {
    u32 kind;      /* DEVREG_DEVICE_PCI or DEVREG_DEVICE_PLATFORM */
    bool lockdown; /* its devices may write to memory when a register says so, which lockdown forbids */
    struct device *(*find)(const char *name); /* with a reference, or NULL */
    unsigned int (*resource_count)(struct device *device);
    struct resource *(*resource)(
            struct device *device, unsigned int index); /* NULL or empty: nothing there */
    void (*describe)(struct device *device, struct devreg_device_info *info);
    int (*reset)(struct device *device);
    void (*quiet)(struct device *device); /* neither DMA nor interrupts any more */

    /* Lets it write to memory, or keeps it from that. NULL: nothing keeps it. */
    void (*set_master)(struct device *device, bool on);
    /* Waits for what it is writing after it was kept from more; returns whether that has ended. NULL: that
     * can't be known. */
    bool (*drain)(struct device *device);
    bool (*is_present)(struct device *device); /* it has not been pulled out */

    /* How many vectors of a kind (DEVREG_INTERRUPT_*) it has. */
    unsigned int (*vector_count)(struct device *device, u32 kind);
    /* Between these two it may raise vectors 0 to count - 1. The first returns 0 or a negative errno. */
    int (*vectors_begin)(struct device *device, u32 kind, unsigned int count);
    void (*vectors_end)(struct device *device, u32 kind);
    /* The kernel's number of a vector, or a negative errno. */
    int (*vector_number)(struct device *device, u32 kind, unsigned int vector);

    /* A line that the device itself can be told to keep silent, so that it may be shared: */
    bool (*can_hold_line)(struct device *device);
    void (*hold_line)(struct device *device);
    void (*release_line)(struct device *device);
    /* If it is up: holds it, and returns whether it was. */
    bool (*hold_line_if_up)(struct device *device);
    /* Unless it is up: lets it go, and returns whether it did. */
    bool (*release_line_unless_up)(struct device *device);
};

struct devreg_device {
    struct kref references; /* of the driver, and of each descriptor */
    struct list_head entry; /* of all; under devreg_lock */
    const struct device_bus *bus;
    struct device *device; /* with a reference */
    struct mutex reset;
    struct task_struct *resetter;   /* that is in bus->reset(); under reset, read by itself without it */
    bool gone;                      /* written under reset and devreg_lock */
    struct rw_semaphore lock;       /* its regions' */
    unsigned int region_count;      /* under devreg_lock */
    unsigned int users;             /* descriptors, its own and its regions'; under devreg_lock */
    char holder[DEVREG_OWNER_SIZE]; /* while users is not 0; under devreg_lock */
    wait_queue_head_t wait;
    struct interrupts *interrupts; /* that are open, and have not ended; under reset */

    /* Likewise. */
    unsigned int masters;     /* its buffers, and messages for interrupts: what it must write to */
    struct list_head buffers; /* that are open */
    unsigned int buffer_count;
    struct list_head retained; /* memory that it may still write to, of buffers that are closed */
    u64 retained_size;
    struct safe_state *safe_state;
};

extern const struct file_operations device_operations;

/* For the drivers: begins and ends a device's time. After device_remove() nothing touches it any more. */
int device_add_bound(struct device *device, const struct device_bus *bus);
void device_remove_bound(struct device *device);

/* Under devreg_lock. */
void device_use(struct devreg_device *device);

/* The last one stops it. Takes device->reset. */
void device_unuse(struct devreg_device *device);

/* While nobody touches its registers. Under device->reset. */
int device_reset_alone(struct devreg_device *device);

/* For the drivers: the kernel resets the device, or has done so, or an error on its bus keeps it from being
 * reached, or is over. */
void device_pause_bound(struct device *device);
void device_resume_bound(struct device *device);

void device_unref(struct devreg_device *device);

/* NULL when there is no such index, or nothing at it. Under devreg_lock, of one that is not gone. */
const struct resource *device_resource(const struct devreg_device *device, u32 index);

int device_call_open(struct call *call, void *argument);

/* devreg_stop.c: who lets a device write to memory, and how it is kept from it. All under device->reset. */

void device_add_master(struct devreg_device *device);
void device_drop_master(struct devreg_device *device);

/* After a reset, which may have changed it either way. */
void device_restore_master(struct devreg_device *device);

struct memory;

/* Keeps memory of a buffer that is closed until the device can't write to it any more. */
void device_retain(struct devreg_device *device, struct memory *memory);

/* Frees it all: the device was reset. */
void device_free_retained(struct devreg_device *device);

/* Nobody has it open any more. */
void device_stop(struct devreg_device *device);

/* It is taken away: what is told to it is told for the last time. Returns whether memory can be freed. */
bool device_stop_for_good(struct devreg_device *device);

/* devreg_safe_state.c: what is written to a device so that it stops. */

struct safe_state;

int safe_state_call(struct call *call, void *argument);

/* Under device->reset; returns whether there was anything to write. */
bool safe_state_run(struct devreg_device *device);
void safe_state_drop(struct devreg_device *device);

/* devreg_memory.c: memory that a device reaches. */

/* What is in one piece for the device. */
struct chunk {
    void *address;     /* of coherent memory, otherwise NULL */
    struct page *page; /* of other memory */
    dma_addr_t bus;
    size_t size;
    u64 offset; /* in the buffer */
};

struct memory {
    struct list_head entry; /* of a device's that it retains */
    struct device *device;  /* which maps it */
    u32 flags;              /* DEVREG_BUFFER_* */
    enum dma_data_direction direction;
    u64 size;              /* that is shown to programs, whole pages */
    u64 taken;             /* that it is counted for */
    struct extent *extent; /* that it is, or NULL */
    u32 chunk_count;
    struct chunk *chunks;
    u32 segment_count;
    struct devreg_segment *segments; /* NULL of a pool, whose objects are computed */
    u32 address_bits;
    u64 alignment, boundary; /* of chunks; boundary 0: none */

    /* Of a pool. */
    u64 object_size, stride, block; /* no object crosses a multiple of `block` in a chunk */
    u32 per_block, per_chunk;
};

/* Allocates what `wanted`, which was checked, asks for. Under device->reset of the device. */
int memory_new(
        struct device *device, const struct devreg_allocate_buffer *wanted, struct memory **ret_memory);
void memory_free(struct memory *memory);

/* For the next driver: as it was before the first buffer. */
void memory_restore_mask(struct device *device);

/* It can never be freed: as if it were no longer ours. */
void memory_forget(struct memory *memory);

unsigned long memory_pfn(const void *memory, unsigned long page);
void memory_segment(const struct memory *memory, u32 index, struct devreg_segment *segment);
void memory_sync(const struct memory *memory, u64 offset, u64 size, bool for_device);

u64 memory_total(void);
u64 memory_total_max(void);
u64 memory_size_max(void);

/* Whether an IOMMU leads from the device to memory. */
bool device_is_translated(struct device *device);

/* devreg_reserve.c: large pieces that were set aside when there were some. */

struct extent;

int __init reserve_init(void);
void reserve_done(void);

/* One of at least `size` octets, below `limit`, at a multiple of `alignment`, zeroed; NULL: there is none,
 * or that is too little for one and it was not asked for. */
struct extent *reserve_take(u64 size, u64 alignment, u64 limit, bool asked);
void reserve_give_back(struct extent *extent);
struct page *extent_page(const struct extent *extent);
void reserve_describe(u64 *size, u64 *free);

/* devreg_buffer.c: the descriptor of a buffer. */

/* Takes the memory away from all of a device's. Under device->reset. freed: nothing writes to it any more;
 * otherwise it is lost for good. */
void buffers_end(struct devreg_device *device, bool freed);

int buffer_call_info(struct call *call, void *argument);
int buffer_call_allocate(struct call *call, void *argument);

/* devreg_register.c: single registers that the module itself uses. */

void __iomem *register_map(bool ports, u64 at, u32 width);
void register_unmap(bool ports, void __iomem *base);
u64 register_read(const void __iomem *from, u32 width);
void register_write(void __iomem *to, u32 width, u64 value);

/* Whether the program may have the module use this register: 0, -EINVAL, -ERANGE, -EACCES. Under
 * devreg_lock, of a device that is not gone; resource NULL: there is no such. */
int register_check(const struct devreg_device *device, const struct resource *resource, u64 offset,
        u32 width, bool write);

/* devreg_acknowledge.c: what quietens a device inside the handler of its interrupt. */

struct acknowledge;

/* Checks and maps. NULL when the argument asks for none; otherwise an error pointer. Under devreg_lock, of a
 * device that is not gone. */
struct acknowledge *acknowledge_new(struct devreg_device *device, const struct devreg_acknowledge *wanted);
void acknowledge_free(struct acknowledge *acknowledge);

/* Reads the status, and acknowledges it when it has any bit of the mask; returns whether it had. */
bool acknowledge_run(const struct acknowledge *acknowledge, u64 *status);

/* devreg_vector.c: from the wire to a record. */

struct interrupts;

struct vector {
    struct interrupts *interrupts;
    unsigned int index;
    int irq;     /* the kernel's number */
    bool owned;  /* there is a handler to be freed; under device->reset */
    bool wanted; /* while paused: it is to be unmasked afterwards; likewise */

    /* Under interrupts->lock. */
    bool masked;
    bool pending; /* it came when it was masked already */
    u64 number;
    struct acknowledge *acknowledge;
};

struct interrupts {
    struct devreg_device *device; /* with a reference, and a use */
    u32 kind;                     /* DEVREG_INTERRUPT_* */
    unsigned int count;
    bool shared; /* a line that the device can hold, see device_bus */
    bool paused; /* under device->reset */
    wait_queue_head_t wait;

    spinlock_t lock;
    bool ended;
    struct devreg_interrupt *records; /* a ring */
    u32 size, first, used;
    u64 sequence;
    u32 dropped; /* right before the first */

    struct vector vectors[];
};

/* Under device->reset. */
int vectors_begin(struct interrupts *interrupts);
void vectors_end(struct interrupts *interrupts);
void vector_set_masked(struct vector *vector, bool masked);
/* While the device is being reset nobody looks at it, and none comes. */
void vectors_pause(struct interrupts *interrupts);
void vectors_resume(struct interrupts *interrupts);

/* devreg_interrupt.c: the descriptor of a device's interrupts. */

extern const struct file_operations interrupts_operations;

/* Takes them away from their descriptor. Under device->reset. */
void interrupts_end(struct interrupts *interrupts);

int interrupts_call_info(struct call *call, void *argument);
int interrupts_call_open(struct call *call, void *argument);

/* devreg_pci.c, devreg_platform.c */

#ifdef CONFIG_PCI
int __init pci_init(void);
void pci_done(void);
#else
static inline int pci_init(void)
{
    return 0;
}
static inline void pci_done(void)
{
}
#endif
extern const struct device_bus device_bus_pci;

int __init platform_init(void);
void platform_done(void);
extern const struct device_bus device_bus_platform;

#endif
