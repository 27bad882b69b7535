/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cases of kmodtest share: checks that say what was wrong where, the calls of the module, and what
 * the system says about claims and devices. A check that fails ends the case's process. */
#ifndef KMODTEST_H
#define KMODTEST_H

#include "devreg.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* What a case needs or does, beside devices as settle() leaves them. */
#define CASE_FAULTS   (1U << 0) /* a kernel with fault injection */
#define CASE_LOCKDOWN (1U << 1) /* a kernel that is locked down; the other cases need one that is not */
#define CASE_MOVES                                                                                          \
    (1U << 2) /* devices come back at other addresses: /proc/iomem is only looked at for claims */
#define CASE_OUTSIDE (1U << 3) /* somebody outside pulls EDU and FREE_EDU out when it says "# ready" */

#define CASE_ROUTES  (1U << 4) /* a kernel that routes interrupts as ACPI says */
#define CASE_RESERVE (1U << 5) /* memory that the module has set aside: reserve_count=3 reserve_mib=6 */
#define CASE_PC      (1U << 6) /* a PC: its ports, interrupt controllers and platform devices */
#define CASE_DISK    (1U << 7) /* a disk below /var/tmp */

struct test_case {
    const char *name;
    void (*run)(void);
    unsigned flags;
};

/* One table for each file of cases; the last row is empty. */
extern const struct test_case abi_cases[], argument_cases[], text_cases[], claim_cases[], foreign_cases[],
        access_cases[], port_cases[], mapping_cases[], vma_cases[], device_cases[], removal_cases[],
        right_cases[], load_cases[], race_cases[], fault_cases[], interrupt_cases[],
        interrupt_record_cases[], interrupt_end_cases[], vector_cases[], line_cases[], buffer_cases[],
        dma_cases[];

/* Holds the module by what `what` says until it is killed: for tests of rmmod. False when that is not known.
 */
bool hold(const char *what);

/* Prints sizes, offsets and numbers of the ABI, a line each. */
void print_layout(void);

/* The rig's devices, at fixed places. */
#define EDU      "0000:00:0b.0" /* bound to devreg unless a case unbinds it */
#define FREE_EDU "0000:00:07.0" /* without a driver, as the next three */
#define TESTDEV  "0000:00:08.0" /* BAR 0 4 KiB of memory, BAR 1 256 ports */
#define IVSHMEM  "0000:00:09.0" /* BAR 2 8 MiB of RAM, 64 bits wide, prefetchable */
#define NETWORK  "0000:00:04.0" /* bound to virtio-pci */
#define NIC      "0000:00:0d.0" /* e1000e, without a driver: five vectors of MSI-X */
#define FW_CFG   "QEMU0002:00"  /* a platform device: ports 0x510 to 0x51b */
#define SOUND    "DVRG0001:00"  /* a platform device: ports and interrupt of a sb16 */
#define UIO_EDU  "0000:00:0a.0" /* bound to uio_pci_generic in some rigs, without a driver in others */

/* Checks */

/* What the following checks are about, as printf; the failure's message has it. */
void context(const char *format, ...) __attribute__((format(printf, 1, 2)));

void fail_at(const char *file, int line, const char *format, ...)
        __attribute__((noreturn, format(printf, 3, 4)));
void check_equal_at(const char *file, int line, const char *left_text, const char *right_text,
        unsigned long long left, unsigned long long right);
void check_text_at(const char *file, int line, const char *text, const char *found, const char *expected);
void check_error_at(const char *file, int line, const char *text, long result, int expected);
int fine_at(const char *file, int line, const char *text, long result);
void *mapped_at(const char *file, int line, const char *text, void *address);

#define fail(...)        fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define check(condition) ((condition) ? (void)0 : fail_at(__FILE__, __LINE__, "not true: %s", #condition))
#define check_equal(left, right)                                                                            \
    check_equal_at(                                                                                         \
            __FILE__, __LINE__, #left, #right, (unsigned long long)(left), (unsigned long long)(right))
#define check_text(found, expected) check_text_at(__FILE__, __LINE__, #found, found, expected)
/* The call must return -1 with this errno; fine: something else, which is passed on. */
#define check_error(call, expected) check_error_at(__FILE__, __LINE__, #call, (long)(call), expected)
#define fine(call)                  fine_at(__FILE__, __LINE__, #call, (long)(call))
/* The mmap() or mremap() must have worked. */
#define mapped(call)      mapped_at(__FILE__, __LINE__, #call, call)

#define array_size(array) (sizeof(array) / sizeof((array)[0]))

size_t page_size(void);
/* Of this machine's kernel, however wide the words of this build are. */
bool kernel_has_64_bits(void);
/* The widest access in octets: one of 64 bits can't be made in one on a kernel of 32. */
uint32_t width_max(void);

/* Milliseconds of a clock that only runs forward. */
uint64_t now_ms(void);
void sleep_ms(unsigned ms);

/* Touching memory that may fault: by one access of 32 bits, from any thread. */
enum touch { TOUCH_FINE, TOUCH_BUS, TOUCH_SEGV };
enum touch touch_read(const volatile void *address, uint32_t *ret_value);
enum touch touch_write(volatile void *address, uint32_t value);

/* Runs the function in a child and returns the status of waitpid(); a check that fails there ends the child
 * with CHILD_FAILED. join_child() fails the case unless it ended with 0. */
#define CHILD_FAILED 99
pid_t spawn(void (*function)(void *), void *argument);
int wait_child(pid_t child);
void join_child(pid_t child);
void in_child(void (*function)(void *), void *argument);

/* The calls of the module. They are as the ioctls: -1 and errno on failure. `ret_owner` may be NULL. */

int open_control(void); /* must work */
int claim(int control, uint32_t flags, uint64_t start, uint64_t size, const char *name,
        char ret_owner[DEVREG_OWNER_SIZE]);
int open_device(int control, uint32_t flags, const char *name, char ret_owner[DEVREG_OWNER_SIZE]);
int claim_resource(int device, uint32_t flags, uint32_t index, uint64_t offset, uint64_t size,
        const char *name, char ret_owner[DEVREG_OWNER_SIZE]);
int access_region(int region, uint32_t flags, uint64_t offset, uint32_t width, uint32_t count, void *data,
        uint32_t *ret_done);
int reset_device(int device);
int try_region_info(int region, struct devreg_region_info *ret_info);
struct devreg_region_info region_info(int region); /* must work */
int try_device_info(int device, struct devreg_device_info *ret_info);
struct devreg_device_info device_info(int device);
int try_resource_info(int device, uint32_t index, struct devreg_resource_info *ret_info);

/* Interrupts: as the ioctls, but for those that say that they must work. */

struct devreg_interrupt_info interrupt_info(int device); /* must work */
int open_interrupts(int device, uint32_t kind, uint32_t count, uint32_t records);
int mask_interrupts(int interrupts, uint32_t flags, uint32_t vector, uint32_t count);
int set_acknowledge(int interrupts, struct devreg_acknowledge acknowledge);
/* Vector 0 alone; must work. */
void mask(int interrupts);
void unmask(int interrupts);

#define INTERRUPT_WAIT_MS 20000 /* for what must come; what must not is waited for much shorter */

bool is_readable(int interrupts, int wait_ms);
/* The next record, which must come; and that none comes, of a descriptor that does not wait. */
struct devreg_interrupt take_interrupt(int interrupts);
void check_no_interrupt(int interrupts);
/* How many have come, read or not. */
uint64_t interrupt_sequence(int interrupts);

/* One of QEMU's edus as a source of interrupts; all of it must work. */

struct source {
    int control, device, region, interrupts;
};

#define EDU_STATUS      0x24 /* its registers, in octets; QEMU's docs/specs/edu.txt */
#define EDU_RAISE       0x60
#define EDU_ACKNOWLEDGE 0x64

struct source open_source(const char *pci, uint32_t kind, uint32_t records);
void close_source(struct source *source);
void raise_it(const struct source *source, uint32_t status);
uint64_t status_of(const struct source *source);
/* edu's own: reads the status and writes it back to where it is acknowledged. */
struct devreg_acknowledge edu_acknowledge(void);

/* Buffers: likewise. */

/* Of one object or one piece, without alignment and boundary. ret_buffer may be NULL. */
int allocate(int device, uint32_t flags, uint32_t address_bits, uint64_t size,
        struct devreg_allocate_buffer *ret_buffer);
/* As the argument says, all but argsz; it is updated. */
int allocate_as(int device, struct devreg_allocate_buffer *buffer);
struct devreg_dma_info dma_info(int device); /* must work */
int sync_buffer(int buffer, uint32_t flags, uint64_t offset, uint64_t size);
int let_go(int buffer);
/* All segments, as an array that the caller frees; must work. */
struct devreg_segment *segments_of(int buffer, uint32_t *ret_count);
int set_safe_state(int device, const struct devreg_safe_write *writes, uint32_t count);

/* One access that must work. */
uint64_t read_value(int region, uint64_t offset, uint32_t width);
void write_value(int region, uint64_t offset, uint32_t width, uint64_t value);

/* Opens the control node and the device EDU, which must work. */
struct opened {
    int control, device;
};
struct opened open_edu(void);

/* Claims IVSHMEM's RAM from its start, mapped read-write. */
struct area {
    int control, region;
    uint64_t start;
    size_t size;
    uint8_t *map;
};
struct area ram_area(size_t pages, uint32_t flags);

/* What the system says */

#define IOMEM   "/proc/iomem"
#define IOPORTS "/proc/ioports"

/* The whole file as a text that the caller frees; fails the case when it can't be read. */
char *read_file(const char *path);
/* Writes a sysfs file: 0, or -1 with errno. */
int write_file(const char *path, const char *text);

/* A line of /proc/iomem or /proc/ioports. */
struct range {
    uint64_t start, end; /* the last one too */
    char name[96];
};
/* All lines, as an array that the caller frees. */
struct range *read_ranges(const char *path, size_t *ret_count);
/* How many lines are exactly this; `name` without "devreg:". */
int count_claims(const char *path, uint64_t start, uint64_t size, const char *name);
/* How many lines begin with "devreg:". */
int count_all_claims(const char *path);
/* Whether a line with this name overlaps the range. */
bool range_has_name(const char *path, uint64_t start, uint64_t size, const char *name);
/* The first line with this name; fails the case when there is none. */
struct range find_range(const char *path, const char *name);

#define BAR_PORTS    0x100UL
#define BAR_MEMORY   0x200UL
#define BAR_PREFETCH 0x2000UL
#define BAR_READONLY 0x4000UL
#define BAR_64       0x100000UL

/* A BAR as sysfs tells it. */
struct bar {
    uint64_t start, size, flags;
};
struct bar bar_of(const char *pci, unsigned index);

/* The driver that a device is bound to, "" when none. `bus` is "pci" or "platform". */
void driver_of(const char *bus, const char *device, char ret_driver[64]);
/* Binds to devreg through driver_override; 0 or -1 and errno. The other two must work. */
int try_bind(const char *bus, const char *device);
void bind_device(const char *bus, const char *device);
void unbind_device(const char *bus, const char *device);
/* Removes a PCI function as `echo 1 > remove` does, and lets the kernel find it again. */
void remove_device(const char *pci);
void rescan_bus(void);
/* Puts every device into the state that cases expect; -1 when that fails, with what on standard output. */
int settle(void);

/* The function that is alone behind one of the bridges, so that it can be reset; the rig is started with
 * them for these tests. */
#define BRIDGE_TO_TESTDEV "0000:00:10.0"
#define BRIDGE_TO_EDU     "0000:00:11.0"
void name_behind(const char *bridge, char ret_name[64]);
/* Unbinds it and lets the kernel choose its driver again. */
void give_up_device(const char *pci);

#define PCI_COMMAND   4 /* where that word is, and bits of it */
#define BUS_MASTER    4
#define LINE_DISABLED 0x400

/* The 16 bits of PCI configuration space at the offset. */
uint16_t config_word(const char *pci, unsigned offset);
void set_config_word(const char *pci, unsigned offset, uint16_t value);

/* How many descriptors this process has. */
int descriptor_count(void);

#endif
