// SPDX-License-Identifier: LGPL-2.1-or-later
// Threads and processes that use what others close, unmap, unbind and remove at the same time. Each call may
// succeed or fail in the ways that its situation allows; what counts is that nothing is left and the log
// stays clean.
#include "kmodtest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RACE_MS 1500

static atomic_bool stop;

static void *access_again(void *argument)
{
    int region = *(int *)argument;
    uint32_t values[64], done;
    while (!stop)
        if (access_region(region, DEVREG_ACCESS_REPEAT, 0, 4, 64, values, &done) != 0)
            check(errno == EBADF || errno == ENODEV || errno == ENOTTY);
    return NULL;
}

static void *map_again(void *argument)
{
    int region = *(int *)argument;
    while (!stop) {
        void *map = mmap(NULL, 4 * page_size(), PROT_READ, MAP_SHARED, region, 0);
        if (map == MAP_FAILED) {
            check(errno == EBADF || errno == ENODEV);
            continue;
        }
        check(touch_read(map, NULL) != TOUCH_SEGV);
        fine(munmap(map, 4 * page_size()));
    }
    return NULL;
}

static void *ask_again(void *argument)
{
    int region = *(int *)argument;
    while (!stop) {
        struct devreg_region_info info;
        struct pollfd entry = {region, 0, 0};
        if (try_region_info(region, &info) != 0)
            check(errno == EBADF || errno == ENOTTY);
        check(poll(&entry, 1, 0) >= 0);
    }
    return NULL;
}

static void with_threads(int *region, void (*disturb)(int *region))
{
    static void *(*const functions[])(void *) = {access_again, access_again, map_again, ask_again};
    pthread_t threads[array_size(functions)];
    stop = false;
    for (size_t i = 0; i < array_size(functions); i++)
        check_equal(pthread_create(&threads[i], NULL, functions[i], region), 0);
    for (uint64_t end = now_ms() + RACE_MS; now_ms() < end;)
        disturb(region);
    stop = true;
    for (size_t i = 0; i < array_size(functions); i++)
        check_equal(pthread_join(threads[i], NULL), 0);
}

// The number of the descriptor always names a region or nothing.
static int race_control;

static void close_and_claim(int *region)
{
    close(*region);
    int fresh = claim(race_control, 0, bar_of(FREE_EDU, 0).start, 0x4000, "race", NULL);
    while (fresh < 0) {
        // A mapping or an access that is under way may keep it for a moment.
        check_error(fresh, EBUSY);
        fresh = claim(race_control, 0, bar_of(FREE_EDU, 0).start, 0x4000, "race", NULL);
    }
    if (fresh != *region) {
        check_equal(dup3(fresh, *region, O_CLOEXEC), *region);
        close(fresh);
    }
    sleep_ms(1);
}

static void closed_while_used(void)
{
    race_control = open_control();
    int region = fine(claim(race_control, 0, bar_of(FREE_EDU, 0).start, 0x4000, "race", NULL));
    with_threads(&region, close_and_claim);
}

static void unbind_and_bind(int *region)
{
    (void)region;
    unbind_device("pci", EDU);
    sleep_ms(2);
    bind_device("pci", EDU);
    sleep_ms(2);
}

static void unbound_while_used(void)
{
    struct opened edu = open_edu();
    int region = fine(claim_resource(edu.device, 0, 0, 0, 0, "race", NULL));
    with_threads(&region, unbind_and_bind);
}

// Takes the device whenever it is there.
static void use_again(void *argument)
{
    atomic_uint *uses = argument;
    int control = open_control();
    for (;;) {
        int device = open_device(control, DEVREG_DEVICE_PCI, EDU, NULL);
        if (device < 0) {
            check(errno == EBUSY || errno == ENXIO || errno == ENODEV);
            continue;
        }
        int region = claim_resource(device, 0, 0, 0, 4 * page_size(), "race", NULL);
        if (region < 0) {
            check_equal(errno, ENODEV);
            close(device);
            continue;
        }
        uint32_t values[64];
        void *map = mmap(NULL, 4 * page_size(), PROT_READ, MAP_SHARED, region, 0);
        if (map == MAP_FAILED)
            check_equal(errno, ENODEV);
        else
            check(touch_read(map, NULL) != TOUCH_SEGV);
        if (access_region(region, DEVREG_ACCESS_REPEAT, 0, 4, 64, values, NULL) != 0)
            check_equal(errno, ENODEV);
        if (map != MAP_FAILED)
            fine(munmap(map, 4 * page_size()));
        close(device);
        close(region);
        ++*uses;
    }
}

// At least so many times, and until the users have had it often enough: binding takes its time.
#define RACE_ROUNDS 5
#define RACE_USES   20

static void with_users(void (*disturb)(int *unused))
{
    atomic_uint *uses =
            mapped(mmap(NULL, sizeof(*uses), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t children[4];
    for (size_t i = 0; i < array_size(children); i++)
        children[i] = spawn(use_again, uses);
    for (int round = 0; round < RACE_ROUNDS || *uses < RACE_USES; round++)
        disturb(NULL);
    for (size_t i = 0; i < array_size(children); i++) {
        kill(children[i], SIGKILL);
        int status = wait_child(children[i]);
        check(WIFSIGNALED(status));
    }
    check_equal(count_all_claims(IOMEM), 0);
}

static void opened_while_unbound(void)
{
    with_users(unbind_and_bind);
}

static void remove_and_rescan(int *unused)
{
    (void)unused;
    remove_device(EDU);
    rescan_bus();
    bind_device("pci", EDU);
    sleep_ms(10);
}

static void opened_while_removed(void)
{
    with_users(remove_and_rescan);
}

const struct test_case race_cases[] = {
        {"races_closed_while_used", closed_while_used, 0},
        {"races_unbound_while_used", unbound_while_used, 0},
        {"races_opened_while_unbound", opened_while_unbound, 0},
        {"races_opened_while_removed", opened_while_removed, CASE_MOVES},
        {0},
};
