/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/mapping.c: which loads and stores it makes, and what becomes of one that faults. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "backends/bus_guard.h"
#include "backends/mapping.h"
#include "util/cleanup.h"

#if defined(__x86_64__) || defined(__i386__)
#define X86
#endif

static size_t page;

static int set_up(void **state)
{
    (void)state;
    page = (size_t)sysconf(_SC_PAGESIZE);
    return 0;
}

/* A file of so many pages, mapped from an offset on. Octet i of the file is i modulo 251. */
static int open_pages(size_t pages, uint64_t offset, uint64_t size, struct mapping *ret_mapping)
{
    int fd = memfd_create("mapping", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(bus_guard_install(), 0); /* in each test: cmocka puts its own handler there before */
    for (size_t i = 0; i < pages * page; i++) {
        uint8_t octet = (uint8_t)(i % 251);

        assert_int_equal(pwrite(fd, &octet, 1, (off_t)i), 1);
    }
    assert_int_equal(mapping_open(fd, offset, size, true, ret_mapping), 0);
    return fd;
}

static uint64_t pattern(uint64_t offset, unsigned width)
{
    uint8_t octets[8] = {0};
    uint64_t value;

    for (unsigned i = 0; i < width; i++)
        octets[i] = (uint8_t)((offset + i) % 251);
    memcpy(&value, octets, sizeof(value));
    return value;
}

static void test_window(void **state)
{
    static const struct {
        uint64_t offset, size;
    } windows[] = {{0, 16}, {16, 64}, {4000, 8}, {4088, 16}, {4096, 4096}, {5000, 8}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(windows); i++) {
        struct mapping mapping;
        struct access access = {.offset = 0, .width = 8, .count = 1};
        uint64_t value = 0;
        size_t done = 77;
        int fd = open_pages(3, windows[i].offset, windows[i].size, &mapping);

        close(fd); /* the mapping does not need it */
        assert_int_equal(mapping.length % page, 0);
        test_that((uint8_t *)mapping.window + windows[i].size <= (uint8_t *)mapping.start + mapping.length,
                "the window 0x%" PRIx64 " + 0x%" PRIx64 " is not covered", windows[i].offset,
                windows[i].size);
        assert_int_equal(mapping_read(&mapping, &access, &value, &done), 0);
        assert_int_equal(done, 1);
        test_that(value == pattern(windows[i].offset, 8), "window at 0x%" PRIx64 " begins with 0x%" PRIx64,
                windows[i].offset, value);
        mapping_close(&mapping);
        assert_null(mapping.start);
        mapping_close(&mapping);
    }
}

static void test_impossible_windows(void **state)
{
    _cleanup_close_ int fd = memfd_create("mapping", MFD_CLOEXEC);
    struct mapping mapping;

    (void)state;
    assert_int_equal(mapping_open(fd, 0, 0, true, &mapping), -EOVERFLOW);
    assert_int_equal(mapping_open(fd, 1, UINT64_MAX, true, &mapping), -EOVERFLOW);
    assert_int_equal(mapping_open(fd, 0, UINT64_MAX, true, &mapping), -EOVERFLOW);
    assert_int_equal(mapping_open(fd, UINT64_MAX - 4095, 4096, true, &mapping), -EOVERFLOW);
    assert_true(mapping_open(fd, INT64_MAX - 4095, 8192, true, &mapping) < 0);
    assert_int_equal(mapping_open(-1, 0, 4096, true, &mapping), -EBADF);
    if (sizeof(void *) >= 8)
        return;
    assert_int_equal(mapping_open(fd, 0, UINT64_C(1) << 32, true, &mapping), -EOVERFLOW);
    assert_int_equal(mapping_open(fd, 0, (UINT64_C(1) << 32) + 4096, true, &mapping), -EOVERFLOW);
    assert_int_equal(mapping_open(fd, UINT64_C(1) << 44, 4096, true, &mapping), -EOVERFLOW);
    assert_non_null(strstr(mapping_strerror(-EOVERFLOW), "32 bits"));
}

/* Far beyond what one word counts, as the addresses of devices are. */
static void test_far_window(void **state)
{
    const uint64_t far = (UINT64_C(1) << 40) + 16;
    _cleanup_close_ int fd = memfd_create("mapping", MFD_CLOEXEC);
    struct access access = {.offset = 4, .width = 4, .count = 1};
    uint32_t value = 0x12345678, found = 0;
    struct mapping mapping;
    size_t done;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)far + 64), 0);
    assert_int_equal(mapping_open(fd, far, 64, true, &mapping), 0);
    assert_int_equal(mapping_write(&mapping, &access, &value, &done), 0);
    assert_int_equal(pread(fd, &found, 4, (off_t)far + 4), 4);
    assert_int_equal(found, value);
    mapping_close(&mapping);
}

static void test_values(void **state)
{
    struct mapping mapping;
    _cleanup_close_ int fd = open_pages(1, 0, page, &mapping);

    (void)state;
    for (unsigned width = 1; width <= 8; width *= 2) {
        struct access access = {.offset = 24, .width = width, .count = 5};
        union {
            uint8_t octets[40];
            uint64_t aligned;
        } values = {{0}};
        uint8_t file[56];
        size_t done = 0;

        assert_int_equal(mapping_read(&mapping, &access, &values, &done), 0);
        assert_int_equal(done, 5);
        assert_int_equal(pread(fd, file, sizeof(file), 24), sizeof(file));
        assert_memory_equal(values.octets, file, 5 * width);

        access.fixed = true;
        assert_int_equal(mapping_read(&mapping, &access, &values, &done), 0);
        for (unsigned i = 0; i < 5; i++)
            assert_memory_equal(values.octets + i * width, file, width);

        /* Nothing but the registers that were named changes. */
        access = (struct access){.offset = 512, .width = width, .count = 3};
        memset(&values, 0xa5, sizeof(values));
        assert_int_equal(mapping_write(&mapping, &access, &values, &done), 0);
        assert_int_equal(done, 3);
        assert_int_equal(pread(fd, file, sizeof(file), 504), sizeof(file));
        for (unsigned i = 0; i < sizeof(file); i++) {
            bool written = i >= 8 && i < 8 + 3 * width;

            test_that(file[i] == (written ? 0xa5 : pattern(504 + i, 1)), "width %u: octet %u is 0x%02x",
                    width, i, file[i]);
        }
        for (unsigned i = 0; i < sizeof(file); i++)
            file[i] = (uint8_t)pattern(504 + i, 1);
        assert_int_equal(pwrite(fd, file, sizeof(file), 504), sizeof(file));
    }
    mapping_close(&mapping);
}

static void test_widths(void **state)
{
    (void)state;
    assert_int_equal(mapping_widths(), sizeof(void *) == 8 ? 1 | 2 | 4 | 8 : 1 | 2 | 4);
}

static void test_no_accesses(void **state)
{
    struct mapping mapping;
    _cleanup_close_ int fd = open_pages(1, 0, page, &mapping);
    struct access access = {.width = 4};
    uint32_t value = 5;
    size_t done = 77;

    (void)state;
    assert_int_equal(mapping_read(&mapping, &access, &value, &done), 0);
    assert_int_equal(done, 0);
    assert_int_equal(value, 5);
    mapping_close(&mapping);
}

#ifdef X86
/* Each instruction that touches the watched window traps: it is recorded, let through by one step, and the
 * window is closed again. So what the hardware would see is counted, not what the C text suggests. */
enum {
    WATCH_ACCESSES = 64,
    TRAP_FLAG = 0x100,
    ERROR_WRITE = 2,
};

static struct {
    uint8_t *start;
    size_t length;
    size_t count;
    struct {
        uint64_t offset;
        bool write;
    } seen[WATCH_ACCESSES];
} watch;

static void handle_touch(int number, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;
    uint64_t offset = (uint64_t)((uint8_t *)info->si_addr - watch.start);

    if (offset >= watch.length || watch.count == WATCH_ACCESSES) {
        signal(number, SIG_DFL);
        return;
    }
    watch.seen[watch.count].offset = offset;
    watch.seen[watch.count].write = machine->uc_mcontext.gregs[REG_ERR] & ERROR_WRITE;
    watch.count++;
    mprotect(watch.start, watch.length, PROT_READ | PROT_WRITE);
    machine->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void handle_step(int number, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;

    (void)number;
    (void)info;
    mprotect(watch.start, watch.length, PROT_NONE);
    machine->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void check_accesses(struct mapping *mapping, const struct access *access, bool write)
{
    const struct sigaction touch = {.sa_sigaction = handle_touch, .sa_flags = SA_SIGINFO};
    const struct sigaction step = {.sa_sigaction = handle_step, .sa_flags = SA_SIGINFO};
    struct sigaction old_touch, old_step;
    uint64_t values[WATCH_ACCESSES] = {0};
    size_t done;
    int r;

    watch.start = mapping->start;
    watch.length = mapping->length;
    watch.count = 0;
    sigaction(SIGSEGV, &touch, &old_touch);
    sigaction(SIGTRAP, &step, &old_step);
    mprotect(mapping->start, mapping->length, PROT_NONE);
    r = write ? mapping_write(mapping, access, values, &done) : mapping_read(mapping, access, values, &done);
    mprotect(mapping->start, mapping->length, PROT_READ | PROT_WRITE);
    sigaction(SIGSEGV, &old_touch, NULL);
    sigaction(SIGTRAP, &old_step, NULL);

    test_that(r == 0 && done == access->count, "it failed: %d, %zu done", r, done);
    test_that(watch.count == access->count, "%s %u bits, fixed %d: %zu instructions for %zu accesses",
            write ? "writing" : "reading", access->width * 8, access->fixed, watch.count, access->count);
    for (size_t i = 0; i < watch.count; i++) {
        test_that(watch.seen[i].write == write, "access %zu is in the wrong direction", i);
        test_that(watch.seen[i].offset == access_offset(access, i),
                "access %zu is at 0x%" PRIx64 ", not 0x%" PRIx64, i, watch.seen[i].offset,
                access_offset(access, i));
    }
}

static void test_one_instruction_an_access(void **state)
{
    static const size_t counts[] = {1, 2, 3, 7, 16, 33};
    struct mapping mapping;
    _cleanup_close_ int fd = open_pages(1, 0, page, &mapping);

    (void)state;
    for (unsigned width = 1; width <= 8 && mapping_widths() & width; width *= 2) {
        for (size_t i = 0; i < 2 * ELEMENTS(counts); i++) {
            struct access access = {.offset = 64, .width = width, .count = counts[i / 2], .fixed = i % 2};

            check_accesses(&mapping, &access, false);
            check_accesses(&mapping, &access, true);
        }
    }
    mapping_close(&mapping);
}
#endif

/* The last register before a hole: an access that is wider than it should be reaches into the hole. */
static void test_not_wider(void **state)
{
    struct mapping mapping;
    _cleanup_close_ int fd = open_pages(2, 0, 2 * page, &mapping);

    (void)state;
    assert_int_equal(mprotect((uint8_t *)mapping.start + page, page, PROT_NONE), 0);
    for (unsigned width = 1; width <= 8; width *= 2) {
        struct access access = {.offset = page - 3 * width, .width = width, .count = 3};
        uint64_t values[3] = {0};
        size_t done;

        assert_int_equal(mapping_read(&mapping, &access, values, &done), 0);
        assert_int_equal(mapping_write(&mapping, &access, values, &done), 0);
    }
    mapping_close(&mapping);
}

static void test_truncated(void **state)
{
    struct mapping mapping;
    _cleanup_close_ int fd = open_pages(2, 0, 2 * page, &mapping);

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)page), 0);
    for (unsigned width = 1; width <= 8; width *= 2) {
        for (size_t good = 0; good < 3; good++) {
            struct access access = {.offset = page - good * width, .width = width, .count = 4};
            uint64_t values[4];
            uint8_t *octets = (uint8_t *)values;
            size_t done = 77;

            memset(values, 0x5a, sizeof(values));
            test_that(mapping_read(&mapping, &access, values, &done) == -EFAULT, "no fault at width %u",
                    width);
            test_that(done == good, "width %u: %zu were done, expected %zu", width, done, good);
            for (size_t i = good * width; i < sizeof(values); i++)
                test_that(octets[i] == 0x5a, "width %u: octet %zu was changed by a read that failed", width,
                        i);
            done = 77;
            test_that(mapping_write(&mapping, &access, values, &done) == -EFAULT, "no fault at width %u",
                    width);
            test_that(done == good, "width %u: %zu were written, expected %zu", width, done, good);

            access.fixed = true;
            access.offset = page;
            assert_int_equal(mapping_read(&mapping, &access, values, &done), -EFAULT);
            assert_int_equal(done, 0);

            /* A fault leaves nothing behind. */
            access = (struct access){.offset = 0, .width = width, .count = 1};
            assert_int_equal(mapping_read(&mapping, &access, values, &done), 0);
            assert_int_equal(done, 1);
        }
    }
    assert_int_equal(ftruncate(fd, (off_t)(2 * page)), 0);
    {
        struct access access = {.offset = page, .width = 4, .count = 1};
        uint32_t value = 1;
        size_t done;

        assert_int_equal(mapping_read(&mapping, &access, &value, &done), 0);
        assert_int_equal(value, 0);
    }
    mapping_close(&mapping);
}

enum {
    FAULTING_THREADS = 2,
    FAULTS = 2000,
};

struct faulting {
    pthread_t thread;
    pthread_barrier_t *together;
    struct mapping mapping;
    unsigned wrong;
};

static void *fault_often(void *argument)
{
    struct faulting *faulting = argument;

    pthread_barrier_wait(faulting->together);
    for (unsigned i = 0; i < FAULTS; i++) {
        struct access access = {.offset = page - 8, .width = 4, .count = 8};
        uint32_t values[8];
        size_t done = 77;

        if (mapping_read(&faulting->mapping, &access, values, &done) != -EFAULT || done != 2)
            faulting->wrong++;
        access = (struct access){.offset = 0, .width = 8, .count = 1};
        if (mapping_read(&faulting->mapping, &access, values, &done) != 0 || done != 1)
            faulting->wrong++;
    }
    return NULL;
}

static void test_threads_fault_at_once(void **state)
{
    struct faulting faulting[FAULTING_THREADS] = {{0}};
    pthread_barrier_t together;

    (void)state;
    pthread_barrier_init(&together, NULL, FAULTING_THREADS);
    for (size_t i = 0; i < FAULTING_THREADS; i++) {
        int fd = open_pages(2, 0, 2 * page, &faulting[i].mapping);

        assert_int_equal(ftruncate(fd, (off_t)page), 0);
        close(fd);
        faulting[i].together = &together;
        assert_int_equal(pthread_create(&faulting[i].thread, NULL, fault_often, &faulting[i]), 0);
    }
    for (size_t i = 0; i < FAULTING_THREADS; i++) {
        pthread_join(faulting[i].thread, NULL);
        test_that(faulting[i].wrong == 0, "thread %zu had %u wrong results", i, faulting[i].wrong);
        mapping_close(&faulting[i].mapping);
    }
    pthread_barrier_destroy(&together);
}

/* An access through one mapping that ends in another: the guard is for the first alone. */
static void fault_elsewhere(void *context)
{
    struct mapping mapping = *(struct mapping *)context;
    struct access access = {.offset = 0, .width = 4, .count = 1};
    uint32_t value;
    size_t done;

    mapping.length = page / 2; /* as if the fault were behind its end */
    access.offset = page;
    mapping_read(&mapping, &access, &value, &done);
}

static void test_fault_outside_kills(void **state)
{
    struct mapping mapping;
    _cleanup_close_ int fd = open_pages(2, 0, 2 * page, &mapping);
    int status;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)page), 0);
    status = test_in_child(fault_elsewhere, &mapping);
    test_that(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
            "the child ended with status 0x%x, not by SIGBUS", status);
    mapping_close(&mapping);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_window),
            cmocka_unit_test(test_impossible_windows),
            cmocka_unit_test(test_far_window),
            cmocka_unit_test(test_values),
            cmocka_unit_test(test_widths),
            cmocka_unit_test(test_no_accesses),
#ifdef X86
            cmocka_unit_test(test_one_instruction_an_access),
#endif
            cmocka_unit_test(test_not_wider),
            cmocka_unit_test(test_truncated),
            cmocka_unit_test(test_threads_fault_at_once),
            cmocka_unit_test(test_fault_outside_kills),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
