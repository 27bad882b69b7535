// SPDX-License-Identifier: LGPL-2.1-or-later
// What devices do with buffers: QEMU's edu copies between its own memory and them. And how they are stopped
// when those end: bus mastering, memory that is kept until nobody writes to it any more, safe-state writes.
#include "kmodtest.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define DMA_SOURCE      0x80
#define DMA_DESTINATION 0x88
#define DMA_COUNT       0x90
#define DMA_COMMAND     0x98
#define DMA_RUNNING     1
#define DMA_TO_MEMORY   2
#define LIVENESS        4

// The device's own memory; a transfer that leaves it, or reaches its last octet, ends QEMU 7.2.
#define OWN_MEMORY  0x40000
#define OWN_SIZE    4095

#define TRANSFER_MS 100 // that QEMU waits
#define WAIT_MS     20000

struct used {
    struct opened edu;
    int region;
};

static struct used use_edu(void)
{
    struct used used = {.edu = open_edu()};
    used.region = fine(claim_resource(used.edu.device, 0, 0, 0, 0, "dma", NULL));
    return used;
}

static void start(int region, uint64_t source, uint64_t destination, uint64_t count, uint64_t direction)
{
    write_value(region, DMA_SOURCE, width_max(), source);
    write_value(region, DMA_DESTINATION, width_max(), destination);
    write_value(region, DMA_COUNT, width_max(), count);
    write_value(region, DMA_COMMAND, width_max(), DMA_RUNNING | direction);
}

static void wait_until_done(int region)
{
    uint64_t limit = now_ms() + WAIT_MS;
    while (read_value(region, DMA_COMMAND, width_max()) & DMA_RUNNING) {
        check(now_ms() < limit);
        sleep_ms(5);
    }
}

static void to_device(int region, uint64_t bus_address, uint64_t at, uint64_t count)
{
    start(region, bus_address, OWN_MEMORY + at, count, 0);
    wait_until_done(region);
}

static void to_memory(int region, uint64_t bus_address, uint64_t at, uint64_t count)
{
    start(region, OWN_MEMORY + at, bus_address, count, DMA_TO_MEMORY);
    wait_until_done(region);
}

static bool is_master(const char *pci)
{
    return config_word(pci, PCI_COMMAND) & BUS_MASTER;
}

// One buffer out, another one in, at odd places.
static void round_trip(void)
{
    static const uint32_t kinds[] = {
            DEVREG_BUFFER_COHERENT, DEVREG_BUFFER_STREAMING, DEVREG_BUFFER_SCATTERED, DEVREG_BUFFER_POOL};
    struct used used = use_edu();
    check(!is_master(EDU));
    for (size_t k = 0; k < array_size(kinds); k++) {
        struct devreg_allocate_buffer from, to;
        context("kind %u", kinds[k]);
        int out = fine(allocate(used.edu.device, kinds[k], 28, 8192, &from));
        int in = fine(allocate(used.edu.device, kinds[k], 28, 8192, &to));
        check(is_master(EDU));
        uint8_t *data = mapped(mmap(NULL, from.mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED, out, 0));
        uint8_t *back = mapped(mmap(NULL, to.mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED, in, 0));
        for (size_t i = 0; i < 8192; i++)
            data[i] = (uint8_t)(i * 7 + k);
        fine(sync_buffer(out, DEVREG_SYNC_DEVICE, 0, 8192));
        fine(sync_buffer(in, DEVREG_SYNC_DEVICE, 0, 8192));
        to_device(used.region, from.bus_address + 3, 0, OWN_SIZE);
        to_memory(used.region, to.bus_address + 17, 5, 4000);
        fine(sync_buffer(in, DEVREG_SYNC_CPU, 0, 8192));
        for (size_t i = 0; i < 4000; i++)
            check_equal(back[17 + i], data[3 + 5 + i]);
        for (size_t i = 0; i < 17; i++)
            check_equal(back[i], 0);
        for (size_t i = 4017; i < 8192; i++)
            check_equal(back[i], 0);
        fine(let_go(out));
        fine(let_go(in));
        close(out);
        close(in);
        check(is_master(EDU)); // mappings keep them
        fine(munmap(data, from.mapped_size));
        fine(munmap(back, to.mapped_size));
        check(!is_master(EDU));
    }
}

// Every segment of a scattered buffer, and the objects of a pool, are where their bus addresses say.
static void each_segment(void)
{
    struct used used = use_edu();
    struct devreg_allocate_buffer buffers[2];
    int files[2];
    files[0] = fine(allocate(used.edu.device, DEVREG_BUFFER_SCATTERED, 28, 200000, &buffers[0]));
    buffers[1] = (struct devreg_allocate_buffer){
            .flags = DEVREG_BUFFER_POOL, .address_bits = 28, .count = 40, .size = 3000, .boundary = 4096};
    files[1] = fine(allocate_as(used.edu.device, &buffers[1]));
    for (size_t k = 0; k < 2; k++) {
        uint32_t count;
        struct devreg_segment *segments = segments_of(files[k], &count);
        uint8_t *map =
                mapped(mmap(NULL, buffers[k].mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED, files[k], 0));
        for (uint32_t i = 0; i < count; i += count / 8 + 1) {
            const struct devreg_segment *one = &segments[i];
            context("buffer %zu, segment %u of %u", k, i, count);
            memset(map + one->offset, 0x40 + (int)i, 64);
            fine(sync_buffer(files[k], DEVREG_SYNC_DEVICE, one->offset, one->size));
            to_device(used.region, one->bus_address, 0, 64);
            to_memory(used.region, one->bus_address + one->size - 64, 0, 64);
            fine(sync_buffer(files[k], DEVREG_SYNC_CPU, one->offset, one->size));
            check_equal(map[one->offset + one->size - 1], (uint8_t)(0x40 + i));
            check_equal(map[one->offset + one->size - 64], (uint8_t)(0x40 + i));
            check_equal(map[one->offset + one->size - 65], 0);
        }
        free(segments);
    }
}

static void mastering_is_shared(void)
{
    struct used used = use_edu();
    int first = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 1, NULL));
    int second = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 1, NULL));
    close(first);
    check(is_master(EDU));
    int interrupts = fine(open_interrupts(used.edu.device, DEVREG_INTERRUPT_MSI, 1, 0));
    close(second);
    check(is_master(EDU));
    // Closed without a word while the device may still write: kept until it can't.
    check_equal(dma_info(used.edu.device).retained, 2 * page_size());
    check_equal(dma_info(used.edu.device).total, 2 * page_size());
    check_equal(dma_info(used.edu.device).buffer_count, 0);
    int third = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 1, NULL));
    close(interrupts);
    check(is_master(EDU));
    fine(let_go(third));
    close(third);
    check(!is_master(EDU));
    // That it masters the bus no more is not enough: it may go on when it does again.
    check_equal(dma_info(used.edu.device).retained, 2 * page_size());
    check_equal(dma_info(used.edu.device).total, 2 * page_size());
    int line = fine(open_interrupts(used.edu.device, DEVREG_INTERRUPT_LINE, 1, 0));
    check(!is_master(EDU));
    int fourth = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 1, NULL));
    close(line);
    check(is_master(EDU));
    close(fourth);
    check(!is_master(EDU));
    check_equal(dma_info(used.edu.device).retained, 3 * page_size());
    unbind_device("pci", EDU);
    bind_device("pci", EDU);
    int device = fine(open_device(used.edu.control, DEVREG_DEVICE_PCI, EDU, NULL));
    check_equal(dma_info(device).retained, 0);
    check_equal(dma_info(device).total, 0);
}

// The device writes to a buffer that nobody has any more: to memory that nobody else got meanwhile.
static void closed_during_a_transfer(void)
{
    struct used used = use_edu();
    struct devreg_allocate_buffer other_buffer, buffer;
    int other = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 4096, &other_buffer));
    int file = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 4096, &buffer));
    uint8_t *map = mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0));
    memset(map, 0xee, 4096);
    to_device(used.region, other_buffer.bus_address, 0, OWN_SIZE);
    start(used.region, OWN_MEMORY, buffer.bus_address, OWN_SIZE, DMA_TO_MEMORY);
    close(file);
    check_equal(dma_info(used.edu.device).retained, page_size());
    int files[16];
    uint8_t *maps[16];
    for (size_t i = 0; i < array_size(files); i++) {
        struct devreg_allocate_buffer one;
        files[i] = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 4096, &one));
        check(one.bus_address != buffer.bus_address);
        maps[i] = mapped(mmap(NULL, 4096, PROT_READ, MAP_SHARED, files[i], 0));
    }
    wait_until_done(used.region);
    for (size_t i = 0; i < array_size(files); i++)
        for (size_t octet = 0; octet < 4096; octet++)
            check_equal(maps[i][octet], 0);
    check_equal(dma_info(used.edu.device).retained, page_size());
}

// Bus mastering ends with the last buffer, and goes on with the next one, and so does the device: the memory
// of the first is nobody's meanwhile.
static void last_closed_during_a_transfer(void)
{
    struct used used = use_edu();
    struct devreg_allocate_buffer buffer, next;
    int file = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 4096, &buffer));
    uint8_t *map = mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    memset(map, 0xee, 4096);
    to_device(used.region, buffer.bus_address, 0, OWN_SIZE);
    start(used.region, OWN_MEMORY, buffer.bus_address, OWN_SIZE, DMA_TO_MEMORY);
    fine(munmap(map, 4096));
    close(file);
    check(!is_master(EDU));
    check_equal(dma_info(used.edu.device).retained, page_size());
    file = fine(allocate(used.edu.device, DEVREG_BUFFER_COHERENT, 28, 4096, &next));
    check(is_master(EDU));
    check(next.bus_address != buffer.bus_address);
    map = mapped(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0));
    wait_until_done(used.region);
    for (size_t octet = 0; octet < 4096; octet++)
        check_equal(map[octet], 0);
}

// A program that ends and left no word how to stop the device, which can't be reset: the memory waits for
// somebody who takes the device away.
static void end_without_a_word(void *argument)
{
    struct used used = use_edu();
    (void)argument;
    fine(allocate(used.edu.device, DEVREG_BUFFER_SCATTERED, 28, 100000, NULL));
    _exit(0);
}

static void kept_when_nobody_stops_it(void)
{
    join_child(spawn(end_without_a_word, NULL));
    struct opened edu = open_edu();
    struct devreg_dma_info info = dma_info(edu.device);
    check(info.retained >= 100000);
    check_equal(info.total, info.retained);
    check_equal(info.buffer_count, 0);
    check(!is_master(EDU));
    close(edu.device);
    edu.device = fine(open_device(edu.control, DEVREG_DEVICE_PCI, EDU, NULL));
    check_equal(dma_info(edu.device).retained, info.retained);
}

static void leave_mid_transfer(void *argument)
{
    struct used used = use_edu();
    struct devreg_allocate_buffer buffer;
    struct devreg_safe_write writes[] = {
            {.width = 4, .offset = LIVENESS, .value = 0x12345678},
            {.width = width_max(), .offset = DMA_SOURCE, .value = 0x77},
    };
    (void)argument;
    fine(allocate(used.edu.device, DEVREG_BUFFER_STREAMING, 28, 4096, &buffer));
    fine(open_interrupts(used.edu.device, DEVREG_INTERRUPT_MSI, 1, 0));
    fine(set_safe_state(used.edu.device, writes, 2));
    start(used.region, OWN_MEMORY, buffer.bus_address, OWN_SIZE, DMA_TO_MEMORY);
    _exit(0);
}

static void check_left(uint64_t liveness)
{
    struct used used = use_edu();
    check(!is_master(EDU));
    struct devreg_dma_info info = dma_info(used.edu.device);
    check_equal(info.total, 0);
    check_equal(info.retained, 0);
    check_equal(read_value(used.region, LIVENESS, 4), liveness);
    wait_until_done(used.region);
    close(used.region);
    close(used.edu.device);
    close(used.edu.control);
}

// A program that ends while the device works: it is told to stop, can't write, and the memory is free.
static void program_ends_mid_transfer(void)
{
    for (unsigned round = 0; round < 5; round++) {
        join_child(spawn(leave_mid_transfer, NULL));
        check_left((uint32_t)~0x12345678);
        struct used used = use_edu();
        write_value(used.region, LIVENESS, 4, 0);
        close(used.region);
        close(used.edu.device);
        close(used.edu.control);
    }
}

// The last descriptor is closed by somebody who goes on: likewise.
static void safe_state_at_the_last_close(void)
{
    struct used used = use_edu();
    struct devreg_safe_write writes[] = {{.width = 4, .offset = LIVENESS, .value = 1},
            {.width = 4, .offset = LIVENESS, .value = 0xabcdef01}};
    write_value(used.region, LIVENESS, 4, 5);
    fine(set_safe_state(used.edu.device, writes, 2));
    int file = fine(allocate(used.edu.device, DEVREG_BUFFER_POOL, 28, 64, NULL));
    close(used.edu.device);
    close(file);
    check_equal(read_value(used.region, LIVENESS, 4), (uint32_t)~5);
    close(used.region);
    check_left((uint32_t)~0xabcdef01);
    context("they are made once");
    used = use_edu();
    write_value(used.region, LIVENESS, 4, 6);
    close(used.region);
    close(used.edu.device);
    check_left((uint32_t)~6);
    context("none any more");
    used = use_edu();
    fine(set_safe_state(used.edu.device, writes, 2));
    fine(set_safe_state(used.edu.device, NULL, 0));
    close(used.region);
    close(used.edu.device);
    check_left((uint32_t)~6);
}

static void wrong_safe_states(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0x1000, 0x1000, "part", NULL));
    int read_only = fine(claim_resource(edu.device, DEVREG_REGION_READ_ONLY, 0, 0x2000, 0x1000, "ro", NULL));
    const struct {
        struct devreg_safe_write write;
        int error;
    } all[] = {
            {{.width = 4, .offset = 0x1000}, 0},
            {{.width = width_max(), .offset = 0x1ff8}, 0},
            {{.width = 8, .offset = 0x1ff0}, kernel_has_64_bits() ? 0 : EINVAL},
            {{.width = 8, .offset = 0x1ff8}, kernel_has_64_bits() ? 0 : EINVAL},
            {{.width = 4, .offset = 0xffc}, EACCES},
            {{.width = 4, .offset = 0x2000}, EACCES},
            {{.width = 4, .offset = 0x1002}, EINVAL},
            {{.width = 3, .offset = 0x1000}, EINVAL},
            {{.width = 0, .offset = 0x1000}, EINVAL},
            {{.width = 16, .offset = 0x1000}, EINVAL},
            {{.width = 4, .offset = 0x100000}, ERANGE},
            {{.width = 4, .offset = UINT64_MAX - 3}, ERANGE},
            {{.width = 4, .index = 1, .offset = 0}, EINVAL},
            {{.width = 4, .index = UINT32_MAX, .offset = 0}, EINVAL},
    };
    for (size_t i = 0; i < array_size(all); i++) {
        context("write %zu", i);
        if (all[i].error)
            check_error(set_safe_state(edu.device, &all[i].write, 1), all[i].error);
        else
            fine(set_safe_state(edu.device, &all[i].write, 1));
    }
    struct devreg_safe_write many[DEVREG_SAFE_WRITES_MAX + 1];
    for (size_t i = 0; i < array_size(many); i++)
        many[i] = all[0].write;
    check_error(set_safe_state(edu.device, many, DEVREG_SAFE_WRITES_MAX + 1), EINVAL);
    fine(set_safe_state(edu.device, many, DEVREG_SAFE_WRITES_MAX));
    check_error(set_safe_state(edu.device, (void *)8, 1), EFAULT);
    close(region);
    close(read_only);
}

// A device that can be reset forgets where it was to write to: nothing of it is kept.
static void reset_frees(void)
{
    char name[64];
    name_behind(BRIDGE_TO_EDU, name);
    bind_device("pci", name);
    int device = fine(open_device(open_control(), DEVREG_DEVICE_PCI, name, NULL));
    check(device_info(device).flags & DEVREG_DEVICE_RESET);
    int region = fine(claim_resource(device, 0, 0, 0, 0, "reset", NULL));
    int interrupts = fine(open_interrupts(device, DEVREG_INTERRUPT_MSI, 1, 0));
    struct devreg_allocate_buffer buffer;
    int kept = fine(allocate(device, DEVREG_BUFFER_COHERENT, 28, 4096, &buffer));
    int file = fine(allocate(device, DEVREG_BUFFER_COHERENT, 28, 4096, NULL));
    close(file);
    check_equal(dma_info(device).retained, page_size());
    fine(reset_device(device));
    check_equal(dma_info(device).retained, 0);
    check(is_master(name)); // for the other one, which goes on
    uint8_t *map = mapped(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0));
    memset(map, 0x99, 4096);
    to_device(region, buffer.bus_address, 0, 64);
    memset(map, 0, 4096);
    to_memory(region, buffer.bus_address, 0, 64);
    check_equal(map[63], 0x99);
    check_equal(map[64], 0);
    fine(munmap(map, 4096));
    close(kept);
    close(interrupts);
    close(region);
    close(device);
    check(!is_master(name));
    give_up_device(name);
}

static short events_of(int descriptor)
{
    struct pollfd entry = {descriptor, POLLIN | POLLOUT, 0};
    check(poll(&entry, 1, 0) >= 0);
    return entry.revents;
}

static void check_gone(int device, int file, uint8_t *map, uint8_t *untouched)
{
    struct devreg_buffer_info info = {.argsz = sizeof(info)};
    struct devreg_segment segment;
    struct devreg_buffer_segments segments = {
            .argsz = sizeof(segments), .count = 1, .segments = (uintptr_t)&segment};
    fine(ioctl(file, DEVREG_BUFFER_INFO, &info));
    check(info.flags & DEVREG_BUFFER_GONE);
    check_equal(events_of(file), POLLHUP | POLLERR);
    check_equal(touch_read(map, NULL), TOUCH_BUS);
    check_equal(touch_write(map, 1), TOUCH_BUS);
    check_equal(touch_read(untouched, NULL), TOUCH_BUS);
    check_error(sync_buffer(file, DEVREG_SYNC_CPU, 0, 1), ENODEV);
    check_error(let_go(file), ENODEV);
    check_error(ioctl(file, DEVREG_BUFFER_SEGMENTS, &segments), ENODEV);
    check(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED && errno == ENODEV);
    check_error(allocate(device, DEVREG_BUFFER_COHERENT, 32, 1, NULL), ENODEV);
    check_error(set_safe_state(device, NULL, 0), ENODEV);
}

static void taken_away(bool pulled)
{
    static const uint32_t kinds[] = {
            DEVREG_BUFFER_COHERENT, DEVREG_BUFFER_STREAMING, DEVREG_BUFFER_SCATTERED, DEVREG_BUFFER_POOL};
    for (size_t k = 0; k < array_size(kinds); k++) {
        context("kind %u", kinds[k]);
        struct used used = use_edu();
        struct devreg_safe_write stop = {.width = 4, .offset = LIVENESS, .value = 42};
        struct devreg_allocate_buffer buffer;
        int file = fine(allocate(used.edu.device, kinds[k], 28, 100000, &buffer));
        int retained = fine(allocate(used.edu.device, kinds[k], 28, 100000, NULL));
        close(retained);
        fine(set_safe_state(used.edu.device, &stop, 1));
        uint8_t *map = mapped(mmap(NULL, buffer.mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
        uint8_t *untouched = mapped(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 8192));
        map[0] = 1;
        start(used.region, OWN_MEMORY, buffer.bus_address, OWN_SIZE, DMA_TO_MEMORY);
        if (pulled)
            remove_device(EDU);
        else
            unbind_device("pci", EDU);
        check_gone(used.edu.device, file, map, untouched);
        if (pulled)
            rescan_bus();
        bind_device("pci", EDU);
        // What is gone holds nothing: another one opens it, while the old mappings are there.
        int device = fine(open_device(used.edu.control, DEVREG_DEVICE_PCI, EDU, NULL));
        int region = fine(claim_resource(device, 0, 0, 0, 0, "again", NULL));
        check_equal(dma_info(device).total, 0);
        check_equal(read_value(region, LIVENESS, 4), (uint32_t)~42);
        wait_until_done(region);
        close(region);
        close(device);
        close(file);
        fine(munmap(map, buffer.mapped_size));
        fine(munmap(untouched, 4096));
        close(used.region);
        close(used.edu.device);
        close(used.edu.control);
    }
}

static void unbound(void)
{
    taken_away(false);
}

static void removed(void)
{
    taken_away(true);
}

// Nothing is known of how to stop a platform device, but by the writes that its program leaves.
static void platform_device(void)
{
    bind_device("platform", SOUND);
    for (unsigned told = 0; told < 2; told++) {
        int control = open_control();
        int device = fine(open_device(control, DEVREG_DEVICE_PLATFORM, SOUND, NULL));
        int region = fine(claim_resource(device, 0, 0, 0, 0, "sound", NULL));
        struct devreg_safe_write stop = {.width = 1, .offset = 6, .value = 0};
        context(told ? "it is told to stop" : "it is let go");
        int file = fine(allocate(device, DEVREG_BUFFER_COHERENT, 24, 65536, NULL));
        if (told)
            fine(set_safe_state(device, &stop, 1));
        else
            fine(let_go(file));
        close(file);
        check_equal(dma_info(device).retained, told ? 65536 : 0);
        close(region);
        close(device);
        device = fine(open_device(control, DEVREG_DEVICE_PLATFORM, SOUND, NULL));
        check_equal(dma_info(device).retained, 0);
        check_equal(dma_info(device).total, 0);
        close(device);
        close(control);
    }
}

const struct test_case dma_cases[] = {
        {"dma_round_trip", round_trip, 0},
        {"dma_each_segment", each_segment, 0},
        {"dma_mastering_is_shared", mastering_is_shared, CASE_MOVES},
        {"dma_closed_during_a_transfer", closed_during_a_transfer, 0},
        {"dma_last_closed_during_a_transfer", last_closed_during_a_transfer, 0},
        {"dma_kept_when_nobody_stops_it", kept_when_nobody_stops_it, 0},
        {"dma_program_ends_mid_transfer", program_ends_mid_transfer, 0},
        {"dma_safe_state_at_the_last_close", safe_state_at_the_last_close, 0},
        {"dma_wrong_safe_states", wrong_safe_states, 0},
        {"dma_reset_frees", reset_frees, 0},
        {"dma_unbound", unbound, CASE_MOVES},
        {"dma_removed", removed, CASE_MOVES},
        {"dma_platform_device", platform_device, CASE_PC},
        {0},
};
