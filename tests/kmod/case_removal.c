// SPDX-License-Identifier: LGPL-2.1-or-later
// Devices that go away under their users: unbound, removed, come back. What is behind the descriptors ends
// at once; they and their mappings stay as shells that harm nobody.
#include "kmodtest.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct used {
    struct opened edu;
    int region, read_only;
    uint8_t *map; /* 4 pages; only the first was ever touched */
};

static struct used use_edu(void)
{
    struct used used = {.edu = open_edu()};
    used.region = fine(claim_resource(used.edu.device, 0, 0, 0, 4 * page_size(), "used", NULL));
    used.read_only =
            fine(claim_resource(used.edu.device, DEVREG_REGION_READ_ONLY, 0, 0x10000, 8, "small", NULL));
    used.map = mapped(mmap(NULL, 4 * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, used.region, 0));
    uint32_t value;
    check_equal(touch_read(used.map, &value), TOUCH_FINE);
    check_equal(value, 0x010000ed);
    return used;
}

static short events_of(int descriptor)
{
    struct pollfd entry = {descriptor, POLLIN | POLLOUT | POLLPRI, 0};
    check(poll(&entry, 1, 0) >= 0);
    return entry.revents;
}

// All of it is dead, and says so.
static void check_gone(const struct used *used)
{
    uint32_t value, done;
    check_equal(count_all_claims(IOMEM), 0);
    check_equal(touch_read(used->map, &value), TOUCH_BUS);
    check_equal(touch_write(used->map, 1), TOUCH_BUS);
    check_equal(touch_read(used->map + 3 * page_size(), &value), TOUCH_BUS);
    check_error(access_region(used->region, 0, 0, 4, 1, &value, &done), ENODEV);
    check_equal(done, 0);
    check_error(access_region(used->region, DEVREG_ACCESS_WRITE, 4, 4, 1, &value, &done), ENODEV);
    check_error(access_region(used->read_only, 0, 0, 4, 1, &value, &done), ENODEV);
    check_equal(events_of(used->region), POLLHUP | POLLERR);
    check_equal(events_of(used->read_only), POLLHUP | POLLERR);
    check_equal(events_of(used->edu.device), POLLHUP | POLLERR);
    check_equal(events_of(used->edu.control) & (POLLHUP | POLLERR), 0);
    check_equal(region_info(used->region).flags & DEVREG_REGION_GONE, DEVREG_REGION_GONE);
    check_text(region_info(used->region).name, "used");
    check_equal(device_info(used->edu.device).flags & DEVREG_DEVICE_GONE, DEVREG_DEVICE_GONE);
    check_error(claim_resource(used->edu.device, 0, 0, 0, 0, "late", NULL), ENODEV);
    check_error(reset_device(used->edu.device), ENODEV);
    check(mmap(NULL, page_size(), PROT_READ, MAP_SHARED, used->region, 0) == MAP_FAILED && errno == ENODEV);
}

static void release(const struct used *used)
{
    fine(munmap(used->map, 4 * page_size()));
    close(used->region);
    close(used->read_only);
    close(used->edu.device);
    close(used->edu.control);
}

static void unbound(void)
{
    struct used used = use_edu();
    check_equal(events_of(used.region), 0);
    check_equal(events_of(used.edu.device), 0);
    unbind_device("pci", EDU);
    check_gone(&used);
    uint8_t *place = mapped(mmap(NULL, 4 * page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    used.map =
            mapped(mremap(used.map, 4 * page_size(), 4 * page_size(), MREMAP_MAYMOVE | MREMAP_FIXED, place));
    check_gone(&used);
    release(&used);
}

// Bound again while old descriptors are open: the new ones work, the old ones stay dead and take nothing
// along.
static void bound_again(void)
{
    struct used old = use_edu();
    unbind_device("pci", EDU);
    bind_device("pci", EDU);
    check_gone(&old);
    struct used used = use_edu();
    uint32_t value;
    check_equal(touch_read(old.map, &value), TOUCH_BUS);
    check_error(access_region(old.region, 0, 0, 4, 1, &value, NULL), ENODEV);
    check_equal(events_of(old.region), POLLHUP | POLLERR);
    check_equal(events_of(used.region), 0);
    check_equal(count_all_claims(IOMEM), 2);
    release(&old);
    check_equal(count_all_claims(IOMEM), 2);
    check_equal(touch_read(used.map, &value), TOUCH_FINE);
    check_equal(value, 0x010000ed);
    check_error(open_device(used.edu.control, DEVREG_DEVICE_PCI, EDU, NULL), EBUSY);
    release(&used);
}

static void bound_to_another(void)
{
    struct used used = use_edu();
    unbind_device("pci", EDU);
    char owner[DEVREG_OWNER_SIZE];
    check_error(open_device(used.edu.control, DEVREG_DEVICE_PCI, EDU, owner), ENXIO);
    check_text(owner, "");
    // What it had is free for others at once.
    struct bar bar = bar_of(EDU, 0);
    int raw = fine(claim(used.edu.control, 0, bar.start, bar.size, "others", NULL));
    check_equal(read_value(raw, 0, 4), 0x010000ed);
    check_equal(touch_read(used.map, NULL), TOUCH_BUS);
    close(raw);
    release(&used);
}

static void removed(void)
{
    struct used used = use_edu();
    remove_device(EDU);
    check_gone(&used);
    check_error(open_device(used.edu.control, DEVREG_DEVICE_PCI, EDU, NULL), ENODEV);
    rescan_bus();
    check_gone(&used);
    bind_device("pci", EDU);
    struct used again = use_edu();
    check_equal(touch_read(used.map, NULL), TOUCH_BUS);
    release(&used);
    check_equal(touch_read(again.map, NULL), TOUCH_FINE);
    release(&again);
}

static void platform_device_unbound(void)
{
    bind_device("platform", FW_CFG);
    int device = fine(open_device(open_control(), DEVREG_DEVICE_PLATFORM, FW_CFG, NULL));
    int region = fine(claim_resource(device, 0, 0, 0, 0, "fwcfg", NULL));
    for (int round = 0; round < 3; round++) {
        unbind_device("platform", FW_CFG);
        uint32_t value;
        check_error(access_region(region, 0, 0, 2, 1, &value, NULL), ENODEV);
        check_equal(events_of(device), POLLHUP | POLLERR);
        check_equal(count_all_claims(IOPORTS), 0);
        bind_device("platform", FW_CFG);
    }
}

// A claim by address inside a BAR of a function that nobody has bound ends with the function; one elsewhere
// does not.
static void raw_claim_in_a_removed_device(void)
{
    int control = open_control();
    struct bar bar = bar_of(FREE_EDU, 0);
    int inside = fine(claim(control, 0, bar.start + 0x1000, 0x1000, "inside", NULL));
    int elsewhere = fine(claim(control, 0, bar_of(IVSHMEM, 2).start, 0x1000, "elsewhere", NULL));
    uint8_t *map = mapped(mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, inside, 0));
    check_equal(touch_read(map, NULL), TOUCH_FINE);
    remove_device(FREE_EDU);
    uint32_t value;
    check_equal(touch_read(map, &value), TOUCH_BUS);
    check_error(access_region(inside, 0, 0, 4, 1, &value, NULL), ENODEV);
    check_equal(region_info(inside).flags & DEVREG_REGION_GONE, DEVREG_REGION_GONE);
    check_equal(events_of(inside), POLLHUP | POLLERR);
    check_equal(count_all_claims(IOMEM), 1);
    check_equal(events_of(elsewhere), 0);
    fine(access_region(elsewhere, 0, 0, 4, 1, &value, NULL));
    rescan_bus();
    bar = bar_of(FREE_EDU, 0);
    int again = fine(claim(control, 0, bar.start, bar.size, "again", NULL));
    check_equal(read_value(again, 0, 4), 0x010000ed);
    check_error(access_region(inside, 0, 0, 4, 1, &value, NULL), ENODEV);
    close(inside);
    check_equal(count_claims(IOMEM, bar.start, bar.size, "again"), 1);
    fine(munmap(map, 0x1000));
}

static void raw_ports_in_a_removed_device(void)
{
    int control = open_control();
    struct bar bar = bar_of(TESTDEV, 1);
    int inside = fine(claim(control, DEVREG_REGION_PORTS, bar.start, 16, "inside", NULL));
    uint32_t value;
    fine(access_region(inside, 0, 0, 1, 1, &value, NULL));
    remove_device(TESTDEV);
    check_error(access_region(inside, 0, 0, 1, 1, &value, NULL), ENODEV);
    check_equal(events_of(inside), POLLHUP | POLLERR);
    check_equal(count_all_claims(IOPORTS), 0);
    rescan_bus();
}

// A raw claim is no part of a driver's life: the function is bound and unbound beside it.
static void raw_claim_and_unbind(void)
{
    int control = open_control();
    struct bar bar = bar_of(IVSHMEM, 2);
    int raw = fine(claim(control, 0, bar.start, 0x1000, "raw", NULL));
    unbind_device("pci", EDU);
    check_equal(events_of(raw), 0);
    uint32_t value;
    fine(access_region(raw, 0, 0, 4, 1, &value, NULL));
}

struct hammered {
    struct used used;
    atomic_uint touched, accessed, woken;
};

static void *touch_until_gone(void *argument)
{
    struct hammered *hammered = argument;
    uint32_t value;
    enum touch touch;
    while ((touch = touch_read(hammered->used.map, &value)) == TOUCH_FINE) {
        check_equal(value, 0x010000ed);
        hammered->touched++;
    }
    check_equal(touch, TOUCH_BUS);
    return NULL;
}

static void *access_until_gone(void *argument)
{
    struct hammered *hammered = argument;
    uint32_t values[512], done;
    int result;
    while ((result = access_region(hammered->used.region, DEVREG_ACCESS_REPEAT, 0, 4, 512, values, &done)) ==
            0) {
        check_equal(done, 512);
        hammered->accessed++;
    }
    check_error(result, ENODEV);
    check(done < 512);
    for (uint32_t i = 0; i < done; i++)
        check_equal(values[i], 0x010000ed);
    return NULL;
}

static void *sleep_until_gone(void *argument)
{
    struct hammered *hammered = argument;
    struct pollfd entries[] = {{hammered->used.region, POLLIN, 0}, {hammered->used.edu.device, 0, 0},
            {hammered->used.edu.control, 0, 0}};
    check(poll(entries, 2, -1) > 0);
    check_equal(entries[0].revents | entries[1].revents, POLLHUP | POLLERR);
    hammered->woken++;
    return NULL;
}

// Until the kernel has taken EDU away, at somebody else's wish.
static void wait_for_the_end(void)
{
    char path[] = "/sys/bus/pci/devices/" EDU;
    printf("# ready\n");
    fflush(stdout);
    while (access(path, F_OK) == 0)
        sleep_ms(1);
}

// Taken away while threads touch, access and sleep: each of them ends by itself, at once.
static void hammered(void (*take_away)(void), void (*bring_back)(void), int rounds)
{
    for (int round = 0; round < rounds; round++) {
        static void *(*const functions[])(void *) = {
                touch_until_gone, touch_until_gone, access_until_gone, access_until_gone, sleep_until_gone};
        struct hammered hammered = {.used = use_edu()};
        pthread_t threads[array_size(functions)];
        context("round %d", round);
        for (size_t i = 0; i < array_size(functions); i++)
            check_equal(pthread_create(&threads[i], NULL, functions[i], &hammered), 0);
        while (hammered.touched < 10 || hammered.accessed < 2)
            sleep_ms(1);
        sleep_ms((unsigned)round * 3);
        take_away();
        check_equal(count_all_claims(IOMEM), 0);
        for (size_t i = 0; i < array_size(functions); i++)
            check_equal(pthread_join(threads[i], NULL), 0);
        check_equal(hammered.woken, 1);
        check_gone(&hammered.used);
        release(&hammered.used);
        bring_back();
    }
}

static void unbind_edu(void)
{
    unbind_device("pci", EDU);
}

static void bind_edu(void)
{
    bind_device("pci", EDU);
}

static void remove_edu(void)
{
    remove_device(EDU);
}

static void rescan_edu(void)
{
    rescan_bus();
    bind_device("pci", EDU);
}

static void unbound_while_hammered(void)
{
    hammered(unbind_edu, bind_edu, 10);
}

static void removed_while_hammered(void)
{
    hammered(remove_edu, rescan_edu, 4);
}

static void leave_it(void)
{
}

static void unplugged_while_hammered(void)
{
    hammered(wait_for_the_end, leave_it, 1);
}

static void raw_claim_in_an_unplugged_device(void)
{
    int control = open_control();
    int raw = fine(claim(control, 0, bar_of(FREE_EDU, 0).start, 0x1000, "raw", NULL));
    uint8_t *map = mapped(mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, raw, 0));
    check_equal(touch_read(map, NULL), TOUCH_FINE);
    printf("# ready\n");
    fflush(stdout);
    struct pollfd entry = {raw, 0, 0};
    check_equal(poll(&entry, 1, -1), 1);
    check_equal(entry.revents, POLLHUP | POLLERR);
    check_equal(touch_read(map, NULL), TOUCH_BUS);
    check_equal(count_all_claims(IOMEM), 0);
}

const struct test_case removal_cases[] = {
        {"removal_unbound", unbound, 0},
        {"removal_bound_again", bound_again, 0},
        {"removal_free_for_others", bound_to_another, 0},
        {"removal_removed", removed, CASE_MOVES},
        {"removal_platform_device_unbound", platform_device_unbound, CASE_PC},
        {"removal_raw_claim_in_a_removed_device", raw_claim_in_a_removed_device, CASE_MOVES},
        {"removal_raw_ports_in_a_removed_device", raw_ports_in_a_removed_device, CASE_MOVES},
        {"removal_raw_claim_and_unbind", raw_claim_and_unbind, 0},
        {"removal_unbound_while_hammered", unbound_while_hammered, 0},
        {"removal_removed_while_hammered", removed_while_hammered, CASE_MOVES},
        {"removal_unplugged_while_hammered", unplugged_while_hammered, CASE_MOVES | CASE_OUTSIDE},
        {"removal_raw_claim_in_an_unplugged_device", raw_claim_in_an_unplugged_device,
                CASE_MOVES | CASE_OUTSIDE},
        {0},
};
