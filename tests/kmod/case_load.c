// SPDX-License-Identifier: LGPL-2.1-or-later
// Processes that are killed at any moment, many that want the same at once, and one that just holds
// something.
#include "kmodtest.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_ROUNDS 200
#define PROCESSES   16

// Memory that parent and children share.
static void *shared(size_t size)
{
    return mapped(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1103515245 + 12345;
    return *state >> 16;
}

// Takes everything that can be taken, uses it and gives it back, for ever. None of it may fail: whoever had
// it before was killed.
static void take_everything(void *argument)
{
    atomic_uint *loops = argument;
    struct bar ram = bar_of(IVSHMEM, 2), edu_bar = bar_of(FREE_EDU, 0);
    for (;;) {
        struct opened edu = open_edu();
        int window = fine(claim_resource(edu.device, 0, 0, 0, 0, "window", NULL));
        int memory =
                fine(claim(edu.control, DEVREG_REGION_WRITE_COMBINING, ram.start, ram.size, "memory", NULL));
        int registers = fine(claim(edu.control, 0, edu_bar.start, 0x1000, "registers", NULL));
        int ports = fine(claim(edu.control, DEVREG_REGION_PORTS, 0x510, 12, "ports", NULL));
        uint8_t *map = mapped(mmap(NULL, ram.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0));
        uint8_t *more = mapped(mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, window, 0));
        uint32_t values[256];
        check_equal(touch_write(map, 1), TOUCH_FINE);
        check_equal(touch_read(more, values), TOUCH_FINE);
        fine(access_region(registers, DEVREG_ACCESS_REPEAT, 0, 4, 256, values, NULL));
        fine(access_region(ports, DEVREG_ACCESS_REPEAT, 1, 1, 64, values, NULL));
        fine(munmap(map, ram.size));
        fine(munmap(more, 0x1000));
        close(window);
        close(memory);
        close(registers);
        close(ports);
        close(edu.device);
        close(edu.control);
        ++*loops;
    }
}

// How long one loop takes here, in microseconds: kernels that check everything are many times slower.
static unsigned loop_time(atomic_uint *loops)
{
    uint64_t start = now_ms();
    pid_t child = spawn(take_everything, loops);
    while (*loops < 4)
        sleep_ms(1);
    unsigned elapsed = (unsigned)(now_ms() - start) * 1000 / 4;
    kill(child, SIGKILL);
    wait_child(child);
    return elapsed;
}

static void killed(void)
{
    atomic_uint *loops = shared(sizeof(*loops));
    unsigned span = 15000 + 2 * loop_time(loops);
    char *iomem = read_file(IOMEM), *ioports = read_file(IOPORTS);
    unsigned random = 1, with_claims = 0;
    for (int round = 0; round < KILL_ROUNDS; round++) {
        context("round %d", round);
        pid_t child = spawn(take_everything, loops);
        unsigned microseconds = next_random(&random) % span;
        usleep(microseconds);
        with_claims += count_all_claims(IOMEM) > 0;
        kill(child, SIGKILL);
        int status = wait_child(child);
        check(WIFSIGNALED(status)); // not by itself, because something was still taken
        char *iomem_now = read_file(IOMEM), *ioports_now = read_file(IOPORTS);
        check_text(iomem_now, iomem);
        check_text(ioports_now, ioports);
        free(iomem_now);
        free(ioports_now);
    }
    context("all rounds");
    check(with_claims > KILL_ROUNDS / 10); // else the kills came too early to mean anything
}

struct contest {
    atomic_uint ready, go, won, busy, done;
    uint64_t start;
    atomic_int owners[64];
};

static void wait_for_go(struct contest *contest)
{
    contest->ready++;
    while (!contest->go)
        usleep(100);
}

static void run_contest(struct contest *contest, void (*function)(void *))
{
    pid_t children[PROCESSES];
    for (size_t i = 0; i < PROCESSES; i++)
        children[i] = spawn(function, contest);
    while (contest->ready < PROCESSES)
        sleep_ms(1);
    contest->go = 1;
    for (size_t i = 0; i < PROCESSES; i++)
        join_child(children[i]);
}

static void count_result(struct contest *contest, int result)
{
    if (result >= 0)
        contest->won++;
    else if (errno == EBUSY)
        contest->busy++;
    else
        fail("it failed with %s", strerrorname_np(errno));
    // The winner keeps it until all have tried.
    contest->done++;
    while (contest->done < PROCESSES)
        usleep(100);
}

static void claim_the_same(void *argument)
{
    struct contest *contest = argument;
    int control = open_control();
    wait_for_go(contest);
    count_result(contest, claim(control, 0, contest->start, 0x1000, "contest", NULL));
}

static void open_the_same(void *argument)
{
    struct contest *contest = argument;
    int control = open_control();
    wait_for_go(contest);
    count_result(contest, open_device(control, DEVREG_DEVICE_PCI, EDU, NULL));
}

static void claim_another(void *argument)
{
    struct contest *contest = argument;
    int control = open_control();
    wait_for_go(contest);
    static atomic_uint *next;
    next = (atomic_uint *)&contest->owners[0];
    unsigned number = (*next)++;
    count_result(contest, claim(control, 0, contest->start + number * 0x1000, 0x1000, "contest", NULL));
}

static void many_for_one(void (*function)(void *), unsigned winners, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        struct contest *contest = shared(sizeof(*contest));
        context("round %d", round);
        contest->start = bar_of(IVSHMEM, 2).start;
        run_contest(contest, function);
        check_equal(contest->won, winners);
        check_equal(contest->busy, PROCESSES - winners);
        check_equal(count_all_claims(IOMEM), 0);
        fine(munmap(contest, sizeof(*contest)));
    }
}

static void same_range(void)
{
    many_for_one(claim_the_same, 1, 20);
}

static void same_device(void)
{
    many_for_one(open_the_same, 1, 20);
}

static void different_ranges(void)
{
    many_for_one(claim_another, PROCESSES, 5);
}

// Random ranges of 64 pages: nobody ever has a page that another has too.
static void claim_at_random(void *argument)
{
    struct contest *contest = argument;
    int control = open_control();
    unsigned random = (unsigned)getpid();
    wait_for_go(contest);
    for (int i = 0; i < 200; i++) {
        unsigned first = next_random(&random) % 64, count = 1 + next_random(&random) % 8;
        if (first + count > 64)
            count = 64 - first;
        uint64_t size = count * page_size();
        int region = claim(control, 0, contest->start + first * page_size(), size, "random", NULL);
        if (region < 0) {
            check_error(region, EBUSY);
            contest->busy++;
            continue;
        }
        contest->won++;
        for (unsigned page = first; page < first + count; page++)
            check_equal(contest->owners[page]++, 0);
        uint32_t *map = mapped(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region, 0));
        check_equal(touch_write(map, (uint32_t)getpid()), TOUCH_FINE);
        usleep(next_random(&random) % 300);
        check_equal(read_value(region, 0, 4), (uint32_t)getpid());
        fine(munmap(map, size));
        for (unsigned page = first; page < first + count; page++)
            check_equal(contest->owners[page]--, 1);
        close(region);
    }
}

static void random_ranges(void)
{
    struct contest *contest = shared(sizeof(*contest));
    contest->start = bar_of(IVSHMEM, 2).start;
    run_contest(contest, claim_at_random);
    check(contest->won > 100 && contest->busy > 100);
}

bool hold(const char *what)
{
    int control = open_control();
    if (strcmp(what, "control") != 0) {
        int device = fine(open_device(control, DEVREG_DEVICE_PCI, EDU, NULL));
        close(control);
        if (strcmp(what, "device") != 0) {
            int region = fine(claim_resource(device, 0, 0, 0, 0, "held", NULL));
            close(device);
            if (strcmp(what, "mapping") == 0) {
                mapped(mmap(NULL, page_size(), PROT_READ, MAP_SHARED, region, 0));
                close(region);
            } else if (strcmp(what, "region") != 0) {
                return false;
            }
        }
    }
    printf("held\n");
    fflush(stdout);
    pause();
    return true;
}

const struct test_case load_cases[] = {
        {"load_killed", killed, 0},
        {"load_same_range", same_range, 0},
        {"load_same_device", same_device, 0},
        {"load_different_ranges", different_ranges, 0},
        {"load_random_ranges", random_ranges, 0},
        {0},
};
