// SPDX-License-Identifier: LGPL-2.1-or-later
// What every ioctl must do with arguments that are wrong in the ways that all share: on the wrong
// descriptor, of the wrong size, with bits that nobody knows, at addresses that lead nowhere.
#include "kmodtest.h"

#include <asm/ioctls.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

enum kind { CONTROL, DEVICE, REGION, INTERRUPTS, BUFFER, KINDS };
static const char *const kind_names[KINDS] = {"control", "device", "region", "interrupts", "buffer"};

// A descriptor of each kind. TESTDEV is bound to devreg too, and not open.
struct desk {
    int descriptors[KINDS];
};

union argument {
    uint32_t argsz;
    struct {
        uint32_t argsz, flags;
    } head;
    struct devreg_info info;
    struct devreg_claim claim;
    struct devreg_open_device open_device;
    struct devreg_device_info device_info;
    struct devreg_resource_info resource_info;
    struct devreg_claim_resource claim_resource;
    struct devreg_reset reset;
    struct devreg_region_info region_info;
    struct devreg_access access;
    struct devreg_interrupt_info interrupt_info;
    struct devreg_open_interrupts open_interrupts;
    struct devreg_acknowledge acknowledge;
    struct devreg_mask_interrupts mask_interrupts;
    struct devreg_safe_state safe_state;
    struct devreg_dma_info dma_info;
    struct devreg_allocate_buffer allocate_buffer;
    struct devreg_buffer_info buffer_info;
    struct devreg_buffer_segments buffer_segments;
    struct devreg_sync_buffer sync_buffer;
    struct devreg_let_go let_go;
};

static uint32_t access_value;

static void fill_nothing(union argument *argument)
{
    (void)argument;
}

static void fill_claim(union argument *argument)
{
    argument->claim.start = bar_of(FREE_EDU, 0).start + 0x1000;
    argument->claim.size = 0x1000;
    strcpy(argument->claim.name, "argument");
}

static void fill_open_device(union argument *argument)
{
    argument->open_device.flags = DEVREG_DEVICE_PCI;
    strcpy(argument->open_device.name, TESTDEV);
}

static void fill_claim_resource(union argument *argument)
{
    argument->claim_resource.offset = 0x2000;
    argument->claim_resource.size = 0x1000;
    strcpy(argument->claim_resource.name, "argument");
}

static void fill_access(union argument *argument)
{
    argument->access.width = 4;
    argument->access.count = 1;
    argument->access.data = (uintptr_t)&access_value;
}

static void fill_open_interrupts(union argument *argument)
{
    argument->open_interrupts.flags = DEVREG_INTERRUPT_MSI;
    argument->open_interrupts.count = 1;
}

static void fill_acknowledge(union argument *argument)
{
    argument->acknowledge.flags = DEVREG_ACKNOWLEDGE_READ;
    argument->acknowledge.width = 4;
}

static void fill_mask(union argument *argument)
{
    argument->mask_interrupts.count = 1;
}

static struct devreg_safe_write safe_write = {.width = 4, .offset = 4};

static void fill_safe_state(union argument *argument)
{
    argument->safe_state.count = 1;
    argument->safe_state.writes = (uintptr_t)&safe_write;
}

static void fill_allocate(union argument *argument)
{
    argument->allocate_buffer.flags = DEVREG_BUFFER_STREAMING;
    argument->allocate_buffer.address_bits = 28;
    argument->allocate_buffer.count = 1;
    argument->allocate_buffer.size = 1;
}

static struct devreg_segment segments[2];

static void fill_segments(union argument *argument)
{
    argument->buffer_segments.count = 2;
    argument->buffer_segments.segments = (uintptr_t)segments;
}

static void fill_sync(union argument *argument)
{
    argument->sync_buffer.flags = DEVREG_SYNC_DEVICE;
    argument->sync_buffer.size = 1;
}

// A call that works as it is filled (`error` 0), or fails with `error` after its argument was found good.
struct call {
    const char *name;
    unsigned long number;
    size_t size;
    enum kind kind;
    int error;
    uint32_t flags;  // that may be set beside those that fill() sets
    size_t reserved; // offset of its reserved field, 0 for none
    void (*fill)(union argument *argument);
    bool makes_descriptor, tells; // tells: it writes something back that it did not get
};

#define CALL(number, type) #number, number, sizeof(struct type)

static const struct call calls[] = {
        {CALL(DEVREG_GET_INFO, devreg_info), CONTROL, 0, 0, 0, fill_nothing, false, true},
        // Flags that are not wrong in themselves; what they do is the claims' topic.
        {CALL(DEVREG_CLAIM_REGION, devreg_claim), CONTROL, 0,
                DEVREG_REGION_PORTS | DEVREG_REGION_READ_ONLY | DEVREG_REGION_WRITE_COMBINING, 0, fill_claim,
                true, true},
        {CALL(DEVREG_OPEN_DEVICE, devreg_open_device), CONTROL, 0, 0, 0, fill_open_device, true, true},
        {CALL(DEVREG_DEVICE_INFO, devreg_device_info), DEVICE, 0, 0, 0, fill_nothing, false, true},
        {CALL(DEVREG_RESOURCE_INFO, devreg_resource_info), DEVICE, 0, 0,
                offsetof(struct devreg_resource_info, reserved), fill_nothing, false, true},
        {CALL(DEVREG_CLAIM_RESOURCE, devreg_claim_resource), DEVICE, 0,
                DEVREG_REGION_READ_ONLY | DEVREG_REGION_WRITE_COMBINING,
                offsetof(struct devreg_claim_resource, reserved), fill_claim_resource, true, true},
        {CALL(DEVREG_RESET, devreg_reset), DEVICE, EOPNOTSUPP, 0, 0, fill_nothing, false, false},
        {CALL(DEVREG_REGION_INFO, devreg_region_info), REGION, 0, 0,
                offsetof(struct devreg_region_info, reserved), fill_nothing, false, true},
        {CALL(DEVREG_ACCESS, devreg_access), REGION, 0, DEVREG_ACCESS_WRITE | DEVREG_ACCESS_REPEAT,
                offsetof(struct devreg_access, reserved), fill_access, false, true},
        {CALL(DEVREG_INTERRUPT_INFO, devreg_interrupt_info), DEVICE, 0, 0,
                offsetof(struct devreg_interrupt_info, reserved), fill_nothing, false, true},
        // The desk has them open.
        {CALL(DEVREG_OPEN_INTERRUPTS, devreg_open_interrupts), DEVICE, EBUSY, 0, 0, fill_open_interrupts,
                true, false},
        {CALL(DEVREG_SET_ACKNOWLEDGE, devreg_acknowledge), INTERRUPTS, 0,
                DEVREG_ACKNOWLEDGE_WRITE | DEVREG_ACKNOWLEDGE_CONSTANT,
                offsetof(struct devreg_acknowledge, reserved), fill_acknowledge, false, false},
        {CALL(DEVREG_MASK_INTERRUPTS, devreg_mask_interrupts), INTERRUPTS, 0, DEVREG_MASK_SET, 0, fill_mask,
                false, false},
        {CALL(DEVREG_SET_SAFE_STATE, devreg_safe_state), DEVICE, 0, 0,
                offsetof(struct devreg_safe_state, reserved), fill_safe_state, false, false},
        {CALL(DEVREG_DMA_INFO, devreg_dma_info), DEVICE, 0, 0, 0, fill_nothing, false, true},
        {CALL(DEVREG_ALLOCATE_BUFFER, devreg_allocate_buffer), DEVICE, 0,
                DEVREG_BUFFER_TO_DEVICE | DEVREG_BUFFER_FROM_DEVICE | DEVREG_BUFFER_RESERVED,
                offsetof(struct devreg_allocate_buffer, reserved), fill_allocate, true, true},
        {CALL(DEVREG_BUFFER_INFO, devreg_buffer_info), BUFFER, 0, 0,
                offsetof(struct devreg_buffer_info, reserved), fill_nothing, false, true},
        {CALL(DEVREG_BUFFER_SEGMENTS, devreg_buffer_segments), BUFFER, 0, 0, 0, fill_segments, false, true},
        {CALL(DEVREG_SYNC_BUFFER, devreg_sync_buffer), BUFFER, 0, 0, 0, fill_sync, false, false},
        {CALL(DEVREG_LET_GO, devreg_let_go), BUFFER, 0, 0, 0, fill_nothing, false, false},
};

static struct desk set_desk(void)
{
    struct opened edu = open_edu();
    struct desk desk = {{edu.control, edu.device, 0, 0, 0}};
    struct devreg_open_interrupts open = {.argsz = sizeof(open), .flags = DEVREG_INTERRUPT_MSI, .count = 1};
    desk.descriptors[REGION] = fine(claim_resource(edu.device, 0, 0, 0, 0x1000, "desk", NULL));
    desk.descriptors[INTERRUPTS] = fine(ioctl(edu.device, DEVREG_OPEN_INTERRUPTS, &open));
    desk.descriptors[BUFFER] = fine(allocate(edu.device, DEVREG_BUFFER_COHERENT, 28, 1, NULL));
    bind_device("pci", TESTDEV);
    return desk;
}

static void fill(const struct call *call, void *place)
{
    union argument argument = {0};
    argument.argsz = (uint32_t)call->size;
    call->fill(&argument);
    memcpy(place, &argument, call->size);
}

static long issue(const struct desk *desk, const struct call *call, void *argument)
{
    return ioctl(desk->descriptors[call->kind], call->number, argument);
}

// The call must do what it does with a good argument; a descriptor that it makes is closed.
static void check_good(const struct desk *desk, const struct call *call, void *argument)
{
    if (call->error) {
        check_error(issue(desk, call, argument), call->error);
        return;
    }
    int result = fine(issue(desk, call, argument));
    if (call->makes_descriptor)
        check_equal(close(result), 0);
    else
        check_equal(result, 0);
}

// Nothing of a failed call stays: the next one with a good argument works.
static void check_bad(const struct desk *desk, const struct call *call, void *argument, int error)
{
    int before = descriptor_count();
    check_error(issue(desk, call, argument), error);
    check_equal(descriptor_count(), before);
    char good[sizeof(union argument)];
    fill(call, good);
    check_good(desk, call, good);
}

// Memory of `good` octets that ends where nothing is mapped (or what may not be written to).
static char *before_the_end(size_t good)
{
    size_t page = page_size();
    char *pages = mapped(mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fine(munmap(pages + 2 * page, page));
    return pages + 2 * page - good;
}

static void on_the_right_descriptor(void)
{
    struct desk desk = set_desk();
    for (size_t i = 0; i < array_size(calls); i++) {
        union argument argument = {0};
        context("%s", calls[i].name);
        fill(&calls[i], &argument);
        check_good(&desk, &calls[i], &argument);
        check_equal(argument.argsz, calls[i].size);
    }
}

static void on_the_wrong_descriptor(void)
{
    struct desk desk = set_desk();
    for (size_t i = 0; i < array_size(calls); i++)
        for (enum kind kind = 0; kind < KINDS; kind++) {
            if (kind == calls[i].kind)
                continue;
            union argument argument = {0};
            context("%s on a %s descriptor", calls[i].name, kind_names[kind]);
            fill(&calls[i], &argument);
            check_error(ioctl(desk.descriptors[kind], calls[i].number, &argument), ENOTTY);
        }
}

static void unknown_numbers(void)
{
    struct desk desk = set_desk();
    unsigned char argument[16384] = {0};
    for (enum kind kind = 0; kind < KINDS; kind++) {
        unsigned long others[] = {TCGETS, FIONREAD, 0, 0xffffffff, _IO(0xD5, 0),
                _IOW(0xD5, 0, struct devreg_info), _IOR(0xD5, 0, struct devreg_info),
                _IOWR(0xD4, 0, struct devreg_info), _IOWR(0xD6, 0, struct devreg_info), _IO(0xD5, 8),
                _IOR(0xD5, 7, struct devreg_region_info)};
        for (size_t i = 0; i < array_size(others); i++) {
            context("ioctl %#lx on a %s descriptor", others[i], kind_names[kind]);
            check_error(ioctl(desk.descriptors[kind], others[i], argument), ENOTTY);
        }
        for (unsigned nr = array_size(calls); nr < 256; nr++)
            for (size_t i = 0; i < array_size(calls); i++) {
                unsigned long number = _IOC(_IOC_READ | _IOC_WRITE, 0xD5, nr, calls[i].size);
                context("ioctl %#lx on a %s descriptor", number, kind_names[kind]);
                *(uint32_t *)argument = (uint32_t)calls[i].size;
                check_error(ioctl(desk.descriptors[kind], number, argument), ENOTTY);
            }
    }
}

// A program that was built with a longer structure has its size in the call's number; argsz is what counts.
static void numbers_with_other_sizes(void)
{
    struct desk desk = set_desk();
    for (size_t i = 0; i < array_size(calls); i++) {
        unsigned nr = _IOC_NR(calls[i].number);
        char argument[sizeof(union argument) + 8] = {0};
        struct call longer = calls[i];
        context("%s of a later version", calls[i].name);
        longer.number = _IOC(_IOC_READ | _IOC_WRITE, 0xD5, nr, calls[i].size + 8);
        fill(&calls[i], argument);
        *(uint32_t *)(void *)argument = (uint32_t)calls[i].size + 8;
        check_good(&desk, &longer, argument);
    }
}

static void too_small(void)
{
    struct desk desk = set_desk();
    for (size_t i = 0; i < array_size(calls); i++) {
        uint32_t sizes[] = {0, 1, 4, (uint32_t)calls[i].size / 2, (uint32_t)calls[i].size - 1};
        for (size_t j = 0; j < array_size(sizes); j++) {
            union argument argument = {0};
            context("%s with argsz %u", calls[i].name, sizes[j]);
            fill(&calls[i], &argument);
            argument.argsz = sizes[j];
            check_bad(&desk, &calls[i], &argument, EINVAL);
        }
        // Nothing behind the octets that the caller says to have is looked at.
        context("%s with argsz 4 and no more memory than that", calls[i].name);
        char *four = before_the_end(4);
        memcpy(four, &(uint32_t){4}, 4);
        check_bad(&desk, &calls[i], four, EINVAL);
    }
}

static void larger_with_zeros(void)
{
    struct desk desk = set_desk();
    static const size_t more[] = {1, 4, 8, 1000};
    for (size_t i = 0; i < array_size(calls); i++)
        for (size_t j = 0; j < array_size(more); j++) {
            context("%s with argsz %zu", calls[i].name, calls[i].size + more[j]);
            size_t size = calls[i].size + more[j];
            char *argument = before_the_end(size);
            memset(argument, 0, size);
            fill(&calls[i], argument);
            *(uint32_t *)(void *)argument = (uint32_t)size;
            check_good(&desk, &calls[i], argument);
            for (size_t k = calls[i].size; k < size; k++)
                check_equal(argument[k], 0);
        }
}

static void larger_with_something(void)
{
    struct desk desk = set_desk();
    for (size_t i = 0; i < array_size(calls); i++)
        for (size_t more = 1; more <= 64; more *= 4)
            for (int last = 0; last < 2; last++) {
                context("%s with argsz %zu, something in the %s octet", calls[i].name, calls[i].size + more,
                        last ? "last" : "first unknown");
                char argument[sizeof(union argument) + 64] = {0};
                fill(&calls[i], argument);
                *(uint32_t *)(void *)argument = (uint32_t)(calls[i].size + more);
                argument[last ? calls[i].size + more - 1 : calls[i].size] = 1;
                check_bad(&desk, &calls[i], argument, E2BIG);
            }
}

static void huge(void)
{
    struct desk desk = set_desk();
    static const uint32_t sizes[] = {1U << 20, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < array_size(calls); i++)
        for (size_t j = 0; j < array_size(sizes); j++) {
            // What follows is not zero, as far as there is something.
            char argument[4096];
            memset(argument, 0x55, sizeof(argument));
            context("%s with argsz %#x", calls[i].name, sizes[j]);
            fill(&calls[i], argument);
            *(uint32_t *)(void *)argument = sizes[j];
            check_bad(&desk, &calls[i], argument, E2BIG);
        }
}

static void nothing_behind_is_written(void)
{
    struct desk desk = set_desk();
    for (size_t i = 0; i < array_size(calls); i++) {
        char argument[sizeof(union argument) + 64];
        context("%s", calls[i].name);
        memset(argument, 0x55, sizeof(argument));
        fill(&calls[i], argument);
        check_good(&desk, &calls[i], argument);
        for (size_t j = calls[i].size; j < sizeof(argument); j++)
            check_equal(argument[j], 0x55);
    }
}

static void unknown_flags(void)
{
    struct desk desk = set_desk();
    for (size_t i = 0; i < array_size(calls); i++)
        for (unsigned bit = 0; bit < 32; bit++) {
            union argument argument = {0};
            fill(&calls[i], &argument);
            if (((calls[i].flags | argument.head.flags) >> bit) & 1)
                continue;
            context("%s with bit %u of flags", calls[i].name, bit);
            argument.head.flags |= 1U << bit;
            check_bad(&desk, &calls[i], &argument, EINVAL);
        }
}

static void reserved_fields(void)
{
    struct desk desk = set_desk();
    static const uint32_t values[] = {1, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < array_size(calls); i++)
        for (size_t j = 0; calls[i].reserved && j < array_size(values); j++) {
            union argument argument = {0};
            context("%s with reserved %#x", calls[i].name, values[j]);
            fill(&calls[i], &argument);
            memcpy((char *)&argument + calls[i].reserved, &values[j], sizeof(values[j]));
            check_bad(&desk, &calls[i], &argument, EINVAL);
        }
}

static void bad_pointers(void)
{
    struct desk desk = set_desk();
    char *gone = before_the_end(0);
    uintptr_t pointers[] = {
        0,
        1,
        (uintptr_t)gone,
        UINTPTR_MAX,
        UINTPTR_MAX - 3,
        UINTPTR_MAX - 4095,
#if UINTPTR_MAX > UINT32_MAX
        0xffff888000000000,
        0xffffffff81000000,
        0x800000000000,
        0x8000000000000000
#endif
    };
    for (size_t i = 0; i < array_size(calls); i++)
        for (size_t j = 0; j < array_size(pointers); j++) {
            context("%s at address %#llx", calls[i].name, (unsigned long long)pointers[j]);
            check_bad(&desk, &calls[i], (void *)pointers[j], EFAULT);
        }
}

static void into_an_unmapped_page(void)
{
    struct desk desk = set_desk();
    for (size_t i = 0; i < array_size(calls); i++) {
        for (size_t there = 1; there < calls[i].size; there = there < 8 ? there * 2 : there + 4) {
            union argument argument = {0};
            context("%s with %zu octets there", calls[i].name, there);
            fill(&calls[i], &argument);
            char *place = before_the_end(there);
            memcpy(place, &argument, there);
            check_bad(&desk, &calls[i], place, EFAULT);
        }
        context("%s with unmapped octets that only a later version knows", calls[i].name);
        char *place = before_the_end(calls[i].size + 8);
        memset(place, 0, calls[i].size + 8);
        fill(&calls[i], place);
        *(uint32_t *)(void *)place = (uint32_t)calls[i].size + 16;
        check_bad(&desk, &calls[i], place, EFAULT);
    }
}

// What can be read but not written back to: the call fails and nothing stays of what it has made.
static void read_only_memory(void)
{
    struct desk desk = set_desk();
    int memory = count_all_claims(IOMEM);
    for (size_t i = 0; i < array_size(calls); i++) {
        if (!calls[i].tells)
            continue;
        context("%s in memory that can't be written to", calls[i].name);
        char *page =
                mapped(mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        fill(&calls[i], page);
        fine(mprotect(page, page_size(), PROT_READ));
        check_bad(&desk, &calls[i], page, EFAULT);
        check_equal(count_all_claims(IOMEM), memory);
    }
}

// The structure may lie at any address, and span two pages.
static void anywhere(void)
{
    struct desk desk = set_desk();
    size_t page = page_size();
    char *pages = mapped(mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t i = 0; i < array_size(calls); i++)
        for (size_t before = 0; before <= calls[i].size; before++) {
            context("%s with %zu octets in the first page", calls[i].name, before);
            fill(&calls[i], pages + page - before);
            check_good(&desk, &calls[i], pages + page - before);
        }
}

static void other_file_operations(void)
{
    struct desk desk = set_desk();
    for (enum kind kind = 0; kind < KINDS; kind++) {
        int descriptor = desk.descriptors[kind];
        char octets[8] = {0};
        context("a %s descriptor", kind_names[kind]);
        check_error(read(descriptor, octets, sizeof(octets)), EINVAL);
        check_error(write(descriptor, octets, sizeof(octets)), EINVAL);
        check(pread(descriptor, octets, sizeof(octets), 0) == -1);
        check(pwrite(descriptor, octets, sizeof(octets), 0) == -1);
        check_equal(ftruncate(descriptor, 0), -1);
        if (kind != REGION && kind != BUFFER)
            check(mmap(NULL, page_size(), PROT_READ, MAP_SHARED, descriptor, 0) == MAP_FAILED &&
                    errno == ENODEV);
    }
}

const struct test_case argument_cases[] = {
        {"arguments_right_descriptor", on_the_right_descriptor, 0},
        {"arguments_wrong_descriptor", on_the_wrong_descriptor, 0},
        {"arguments_unknown_numbers", unknown_numbers, 0},
        {"arguments_numbers_with_other_sizes", numbers_with_other_sizes, 0},
        {"arguments_too_small", too_small, 0},
        {"arguments_larger_with_zeros", larger_with_zeros, 0},
        {"arguments_larger_with_something", larger_with_something, 0},
        {"arguments_huge", huge, 0},
        {"arguments_nothing_behind_is_written", nothing_behind_is_written, 0},
        {"arguments_unknown_flags", unknown_flags, 0},
        {"arguments_reserved_fields", reserved_fields, 0},
        {"arguments_bad_pointers", bad_pointers, 0},
        {"arguments_into_an_unmapped_page", into_an_unmapped_page, 0},
        {"arguments_read_only_memory", read_only_memory, 0},
        {"arguments_anywhere", anywhere, 0},
        {"arguments_other_file_operations", other_file_operations, 0},
        {0},
};
