// SPDX-License-Identifier: LGPL-2.1-or-later
// Fault injection: every allocation of a call fails once. The call is made again and again, each time the
// next allocation fails (/proc/thread-self/fail-nth), until none was left to fail. After each, what the call
// would have made is not there; and when nothing fails any more it works.
#include "kmodtest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST_ALLOCATIONS 500

// Which allocations may fail: all that wait for memory too, of any size; and no stack trace for each.
static void prepare(void)
{
    static const char *const settings[][2] = {
            {"failslab/ignore-gfp-wait", "N"},
            {"failslab/verbose", "0"},
            {"fail_page_alloc/ignore-gfp-wait", "N"},
            {"fail_page_alloc/ignore-gfp-highmem", "N"},
            {"fail_page_alloc/min-order", "0"},
            {"fail_page_alloc/verbose", "0"},
    };
    for (size_t i = 0; i < array_size(settings); i++) {
        char path[128];
        snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
        context("%s", path);
        fine(write_file(path, settings[i][1]));
    }
    context("%s", "");
}

static int fail_nth;

static void arm(int number)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", number);
    check_equal(pwrite(fail_nth, text, (size_t)length, 0), length);
}

// Whether the allocation was reached, and failed.
static bool disarm(void)
{
    char text[16] = "";
    check(pread(fail_nth, text, sizeof(text) - 1, 0) > 0);
    arm(0);
    return atoi(text) == 0;
}

// One attempt: 0 or -1 and errno. Its fruits are given back by undo() when it worked.
struct attempt {
    int (*make)(void);
    void (*undo)(void);
    const int *errors; // that it may fail with, until 0
};

static const int no_memory[] = {ENOMEM, 0};
// The kernel does not say why it did not reserve a range.
static const int no_memory_or_busy[] = {ENOMEM, EBUSY, 0};

static bool allowed(const int *errors, int error)
{
    for (; *errors; errors++)
        if (*errors == error)
            return true;
    return false;
}

static int with_faults(const struct attempt *attempt)
{
    prepare();
    fail_nth = fine(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
    char *iomem = read_file(IOMEM), *ioports = read_file(IOPORTS);
    int descriptors = descriptor_count(), failures = 0;
    // The first time would have allocations that the next do not: caches that are filled.
    check_equal(attempt->make(), 0);
    attempt->undo();
    for (int number = 1;; number++) {
        context("allocation %d", number);
        check(number < MOST_ALLOCATIONS);
        arm(number);
        int result = attempt->make(), error = errno;
        bool failed = disarm();
        if (result == 0) {
            attempt->undo();
        } else {
            if (!failed)
                fail("it failed with %s though no allocation did", strerrorname_np(error));
            if (!allowed(attempt->errors, error))
                fail("it failed with %s", strerrorname_np(error));
            failures++;
        }
        char *iomem_now = read_file(IOMEM), *ioports_now = read_file(IOPORTS);
        check_text(iomem_now, iomem);
        check_text(ioports_now, ioports);
        free(iomem_now);
        free(ioports_now);
        check_equal(descriptor_count(), descriptors);
        if (!failed)
            break;
    }
    context("%s", "");
    printf("# %d of its allocations made it fail\n", failures);
    return failures;
}

static int control, device, made;
static uint64_t memory_start;

static void close_made(void)
{
    close(made);
}

static int make_control(void)
{
    made = open(DEVREG_PATH, O_RDWR | O_CLOEXEC);
    return made < 0 ? -1 : 0;
}

static int make_memory(void)
{
    made = claim(control, 0, memory_start, 0x1000, "fault", NULL);
    return made < 0 ? -1 : 0;
}

static int make_write_combining(void)
{
    made = claim(control, DEVREG_REGION_WRITE_COMBINING, memory_start, 0x1000, "fault", NULL);
    return made < 0 ? -1 : 0;
}

static int make_ports(void)
{
    made = claim(control, DEVREG_REGION_PORTS, 0x510, 12, "fault", NULL);
    return made < 0 ? -1 : 0;
}

static int make_device(void)
{
    made = open_device(control, DEVREG_DEVICE_PCI, EDU, NULL);
    return made < 0 ? -1 : 0;
}

static int make_window(void)
{
    made = claim_resource(device, 0, 0, 0, 0, "fault", NULL);
    return made < 0 ? -1 : 0;
}

static void open_node(void)
{
    check(with_faults(&(struct attempt){make_control, close_made, no_memory}) > 0);
}

static void claim_memory(void)
{
    control = open_control();
    memory_start = bar_of(FREE_EDU, 0).start;
    check(with_faults(&(struct attempt){make_memory, close_made, no_memory_or_busy}) > 0);
}

static void claim_write_combining(void)
{
    control = open_control();
    memory_start = bar_of(IVSHMEM, 2).start;
    check(with_faults(&(struct attempt){make_write_combining, close_made, no_memory_or_busy}) > 0);
}

static void claim_ports(void)
{
    control = open_control();
    check(with_faults(&(struct attempt){make_ports, close_made, no_memory_or_busy}) > 0);
}

static void opening_device(void)
{
    control = open_control();
    check(with_faults(&(struct attempt){make_device, close_made, no_memory}) > 0);
}

static void claim_window(void)
{
    struct opened edu = open_edu();
    device = edu.device;
    check(with_faults(&(struct attempt){make_window, close_made, no_memory_or_busy}) > 0);
}

// Its line: for a message the kernel makes entries in /proc and sysfs, and warns of itself when it can't.
static int make_interrupts(void)
{
    struct devreg_open_interrupts open = {
            .argsz = sizeof(open), .flags = DEVREG_INTERRUPT_LINE, .count = 1, .records = 1024};
    made = ioctl(device, DEVREG_OPEN_INTERRUPTS, &open);
    return made < 0 ? -1 : 0;
}

static void opening_interrupts(void)
{
    struct opened edu = open_edu();
    device = edu.device;
    check(with_faults(&(struct attempt){make_interrupts, close_made, no_memory}) > 0);
}

static int interrupts;

static int make_acknowledge(void)
{
    struct devreg_acknowledge acknowledge = {.argsz = sizeof(acknowledge),
            .flags = DEVREG_ACKNOWLEDGE_READ | DEVREG_ACKNOWLEDGE_WRITE,
            .width = 4,
            .status = EDU_STATUS,
            .acknowledge = EDU_ACKNOWLEDGE};
    return ioctl(interrupts, DEVREG_SET_ACKNOWLEDGE, &acknowledge);
}

static void undo_acknowledge(void)
{
    struct devreg_acknowledge none = {.argsz = sizeof(none)};
    fine(ioctl(interrupts, DEVREG_SET_ACKNOWLEDGE, &none));
}

static void acknowledging(void)
{
    struct opened edu = open_edu();
    device = edu.device;
    fine(claim_resource(device, 0, 0, 0, 0, "fault", NULL));
    fine(make_interrupts());
    interrupts = made;
    check(with_faults(&(struct attempt){make_acknowledge, undo_acknowledge, no_memory}) > 0);
}

static struct area area;
static void *fresh_map;

// The pages are touched with the fault armed too.
static int make_mapping(void)
{
    fresh_map = mmap(NULL, area.size, PROT_READ | PROT_WRITE, MAP_SHARED, area.region, 0);
    if (fresh_map == MAP_FAILED)
        return -1;
    for (size_t offset = 0; offset < area.size; offset += page_size()) {
        uint32_t value;
        check_equal(touch_read((uint8_t *)fresh_map + offset, &value), TOUCH_FINE);
    }
    return 0;
}

static void unmap_made(void)
{
    fine(munmap(fresh_map, area.size));
}

static void mapping(void)
{
    area = ram_area(8, 0);
    check(with_faults(&(struct attempt){make_mapping, unmap_made, no_memory}) > 0);
}

static uint8_t big_data[1 << 16];

static int make_access(void)
{
    uint32_t done;
    int result = access_region(area.region, 0, 0, 1, sizeof(big_data), big_data, &done);
    if (result == 0)
        check_equal(done, sizeof(big_data));
    return result;
}

static void undo_nothing(void)
{
}

static void accessing(void)
{
    area = ram_area(16, 0);
    with_faults(&(struct attempt){make_access, undo_nothing, no_memory});
}

static int make_bound(void)
{
    // The first write is for the override, and not what is tested.
    return write_file("/sys/bus/pci/drivers/" DEVREG_DRIVER "/bind", FREE_EDU);
}

static void undo_bound(void)
{
    unbind_device("pci", FREE_EDU);
}

static void binding(void)
{
    bind_device("pci", FREE_EDU); // sets the override
    unbind_device("pci", FREE_EDU);
    // The kernel gives ENODEV when its own part of binding fails.
    static const int errors[] = {ENOMEM, ENODEV, 0};
    check(with_faults(&(struct attempt){make_bound, undo_bound, errors}) > 0);
}

// Giving back must work without memory: nobody could handle its failure.
static int make_closed(void)
{
    close(made);
    return 0;
}

static void undo_closed(void)
{
    made = claim_resource(device, 0, 0, 0, 0, "fault", NULL);
}

static void closing(void)
{
    struct opened edu = open_edu();
    device = edu.device;
    undo_closed();
    fine(made);
    with_faults(&(struct attempt){make_closed, undo_closed, no_memory});
    close(made);
    check_equal(count_all_claims(IOMEM), 0);
}

static int make_unbound(void)
{
    return write_file("/sys/bus/pci/drivers/" DEVREG_DRIVER "/unbind", EDU);
}

static void undo_unbound(void)
{
    char driver[64];
    driver_of("pci", EDU, driver);
    check_text(driver, "");
    check_equal(count_all_claims(IOMEM), 1); // what is left is the area
    fine(try_bind("pci", EDU));
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0, "fault", NULL));
    // Both are closed right away: the mapping alone keeps the window and the device.
    fresh_map = mapped(mmap(NULL, page_size(), PROT_READ, MAP_SHARED, region, 0));
    check_equal(touch_read(fresh_map, NULL), TOUCH_FINE);
    fine(munmap(fresh_map, page_size()));
    close(region);
    close(edu.device);
    close(edu.control);
}

static void unbinding(void)
{
    area = ram_area(1, 0);
    with_faults(&(struct attempt){make_unbound, undo_unbound, no_memory});
}

static uint32_t buffer_kind;

static int make_buffer(void)
{
    made = allocate(device, buffer_kind, 32, 300000, NULL);
    return made < 0 ? -1 : 0;
}

static void undo_buffer(void)
{
    fine(let_go(made));
    close(made);
}

static void allocating(void)
{
    static const uint32_t kinds[] = {
            DEVREG_BUFFER_COHERENT, DEVREG_BUFFER_STREAMING, DEVREG_BUFFER_SCATTERED, DEVREG_BUFFER_POOL};
    struct opened edu = open_edu();
    device = edu.device;
    for (size_t i = 0; i < array_size(kinds); i++) {
        buffer_kind = kinds[i];
        uint64_t before = dma_info(device).total;
        check(with_faults(&(struct attempt){make_buffer, undo_buffer, no_memory}) > 0);
        check_equal(dma_info(device).total, before);
    }
}

static struct devreg_safe_write safe_writes[3] = {
        {.width = 4, .offset = 4}, {.width = 4, .offset = 0x64}, {.width = 8, .offset = 0x80}};

static int make_safe_state(void)
{
    return set_safe_state(device, safe_writes, 3);
}

static void setting_safe_state(void)
{
    struct opened edu = open_edu();
    device = edu.device;
    fine(claim_resource(device, 0, 0, 0, 0, "fault", NULL));
    check(with_faults(&(struct attempt){make_safe_state, undo_nothing, no_memory}) > 0);
}

const struct test_case fault_cases[] = {
        {"faults_open_node", open_node, CASE_FAULTS},
        {"faults_claim_memory", claim_memory, CASE_FAULTS},
        {"faults_claim_write_combining", claim_write_combining, CASE_FAULTS},
        {"faults_claim_ports", claim_ports, CASE_FAULTS},
        {"faults_opening_device", opening_device, CASE_FAULTS},
        {"faults_claim_window", claim_window, CASE_FAULTS},
        {"faults_opening_interrupts", opening_interrupts, CASE_FAULTS},
        {"faults_acknowledging", acknowledging, CASE_FAULTS},
        {"faults_setting_safe_state", setting_safe_state, CASE_FAULTS},
        {"faults_mapping", mapping, CASE_FAULTS},
        {"faults_accessing", accessing, CASE_FAULTS},
        {"faults_binding", binding, CASE_FAULTS},
        {"faults_closing", closing, CASE_FAULTS},
        {"faults_unbinding", unbinding, CASE_FAULTS},
        // Last, as it ends the kernel's own checks of DMA, which need memory too.
        {"faults_allocating", allocating, CASE_FAULTS},
        {0},
};
