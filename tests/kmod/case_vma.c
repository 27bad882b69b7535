// SPDX-License-Identifier: LGPL-2.1-or-later
// What user space may do to a mapping once it has it, and who can't get at it: splits, moves, fork, other
// processes, the kernel's own accesses to user memory.
#include "kmodtest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 4

static struct area marked_area(void)
{
    struct area area = ram_area(PAGES, 0);
    for (uint32_t i = 0; i < PAGES; i++)
        check_equal(touch_write(area.map + i * page_size(), 0xc0de0000 + i), TOUCH_FINE);
    return area;
}

static void check_whole(const uint8_t *map)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        uint32_t value;
        check_equal(touch_read(map + i * page_size(), &value), TOUCH_FINE);
        check_equal(value, 0xc0de0000 + i);
    }
}

static void unmapping_parts(void)
{
    struct area area = marked_area();
    size_t page = page_size();
    check_error(munmap(area.map, 2 * page), EINVAL);
    check_error(munmap(area.map + 2 * page, 2 * page), EINVAL);
    check_error(munmap(area.map + page, page), EINVAL);
    check_error(munmap(area.map, page), EINVAL);
    check_error(munmap(area.map + 3 * page, page), EINVAL);
    check_whole(area.map);
    context("mapping something else over a part");
    check(mmap(area.map + page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
            MAP_FAILED);
    check_whole(area.map);
    context("mapping something else over the whole");
    mapped(mmap(area.map, area.size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    close(area.region);
    check_equal(count_all_claims(IOMEM), 0);
}

static void protecting_parts(void)
{
    struct area area = marked_area();
    size_t page = page_size();
    check_error(mprotect(area.map, page, PROT_READ), EINVAL);
    check_error(mprotect(area.map + page, page, PROT_READ), EINVAL);
    check_error(mprotect(area.map + 3 * page, page, PROT_NONE), EINVAL);
    check_whole(area.map);
    for (uint32_t i = 0; i < PAGES; i++)
        check_equal(touch_write(area.map + i * page, 0xc0de0000 + i), TOUCH_FINE);
}

static void advising_parts(void)
{
    struct area area = marked_area();
    size_t page = page_size();
    // Advice that would have to split it.
    check_error(madvise(area.map, page, MADV_RANDOM), EINVAL);
    check_error(madvise(area.map + page, page, MADV_SEQUENTIAL), EINVAL);
    check(mlock(area.map + page, page) == 0 || errno == EINVAL || errno == ENOMEM || errno == EAGAIN);
    check_whole(area.map);
}

static void advising(void)
{
    for (int advice = 0; advice < 32; advice++) {
        struct area area = marked_area();
        context("madvise() %d", advice);
        madvise(area.map, area.size, advice);
        check_whole(area.map);
        mlock(area.map, area.size);
        check_whole(area.map);
        munlock(area.map, area.size);
        check(msync(area.map, area.size, MS_SYNC) == 0 || errno == EINVAL || errno == EIO);
        check_whole(area.map);
        fine(munmap(area.map, area.size));
        close(area.region);
        close(area.control);
    }
}

// What it dropped with MADV_DONTFORK's opposite, fork() still does not copy.
static void forking_by_advice(void)
{
    struct area area = marked_area();
    check_error(madvise(area.map, area.size, MADV_DOFORK), EINVAL);
    check_error(madvise(area.map, area.size, MADV_DODUMP), EINVAL);
}

static void growing(void)
{
    struct area area = marked_area();
    size_t page = page_size();
    for (int flags = 0; flags <= MREMAP_MAYMOVE; flags += MREMAP_MAYMOVE) {
        check(mremap(area.map, area.size, area.size + page, flags) == MAP_FAILED);
        check(mremap(area.map, area.size, 1024 * page, flags) == MAP_FAILED);
        check(mremap(area.map, 0, area.size, flags) == MAP_FAILED);
        check(mremap(area.map, 0, 2 * area.size, flags) == MAP_FAILED);
        check_whole(area.map);
    }
}

static void shrinking(void)
{
    struct area area = marked_area();
    size_t page = page_size();
    check(mremap(area.map, area.size, area.size - page, 0) == MAP_FAILED);
    check(mremap(area.map, area.size, page, MREMAP_MAYMOVE) == MAP_FAILED);
    check_whole(area.map);
}

static uint8_t *free_place(size_t size)
{
    uint8_t *place = mapped(mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fine(munmap(place, size));
    return place;
}

static void moving(void)
{
    struct area area = marked_area();
    uint8_t *place = free_place(area.size);
    uint8_t *moved = mapped(mremap(area.map, area.size, area.size, MREMAP_MAYMOVE | MREMAP_FIXED, place));
    check(moved == place);
    check_whole(moved);
    check_equal(touch_read(area.map, NULL), TOUCH_SEGV);
    context("moved before it was touched");
    uint8_t *fresh = mapped(mmap(NULL, area.size, PROT_READ, MAP_SHARED, area.region, 0));
    place = free_place(area.size);
    fresh = mapped(mremap(fresh, area.size, area.size, MREMAP_MAYMOVE | MREMAP_FIXED, place));
    check_whole(fresh);
    context("the claim ends with the moved mappings");
    close(area.region);
    fine(munmap(moved, area.size));
    check_equal(count_all_claims(IOMEM), 1);
    fine(munmap(fresh, area.size));
    check_equal(count_all_claims(IOMEM), 0);
}

static void moving_parts(void)
{
    struct area area = marked_area();
    size_t page = page_size();
    uint8_t *place = free_place(area.size);
    check(mremap(area.map, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED);
    check(mremap(area.map + page, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED);
    check(mremap(area.map + 3 * page, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED);
    check(mremap(area.map, area.size, area.size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL) == MAP_FAILED);
    check_whole(area.map);
}

static void touch_copy(void *argument)
{
    check_equal(touch_read(argument, NULL), TOUCH_SEGV);
    check_equal(touch_write(argument, 1), TOUCH_SEGV);
}

static void use_descriptor(void *argument)
{
    struct area *area = argument;
    check_equal(read_value(area->region, 0, 4), 0xc0de0000);
    uint8_t *map = mapped(mmap(NULL, area->size, PROT_READ | PROT_WRITE, MAP_SHARED, area->region, 0));
    check_whole(map);
}

static void forking(void)
{
    struct area area = marked_area();
    in_child(touch_copy, area.map);
    check_whole(area.map);
    context("the child maps it itself");
    in_child(use_descriptor, &area);
    check_whole(area.map);
    context("the child keeps the claim after the parent's descriptor is closed");
    int pipes[2];
    fine(pipe(pipes));
    pid_t child = fine(fork());
    if (child == 0) {
        char octet;
        close(pipes[1]);
        _exit(read(pipes[0], &octet, 1) == 0 ? 0 : CHILD_FAILED);
    }
    fine(munmap(area.map, area.size));
    close(area.region);
    check_equal(count_claims(IOMEM, area.start, area.size, "ram"), 1);
    close(pipes[1]);
    join_child(child);
    check_equal(count_all_claims(IOMEM), 0);
}

static void flags_in_smaps(void)
{
    struct area area = marked_area();
    char *text = read_file("/proc/self/smaps"), wanted[32];
    snprintf(wanted, sizeof(wanted), "%lx-", (unsigned long)(uintptr_t)area.map);
    char *entry = strncmp(text, wanted, strlen(wanted)) == 0 ? text : NULL;
    if (!entry) {
        char line[34];
        snprintf(line, sizeof(line), "\n%s", wanted);
        entry = strstr(text, line);
    }
    if (!entry) { // addresses have at least eight digits
        snprintf(wanted, sizeof(wanted), "\n%08lx-", (unsigned long)(uintptr_t)area.map);
        entry = strstr(text, wanted);
    }
    check(entry != NULL);
    char *flags = strstr(entry, "VmFlags:");
    check(flags != NULL);
    flags[strcspn(flags, "\n")] = 0;
    char padded[256];
    snprintf(padded, sizeof(padded), "%s ", flags + strlen("VmFlags:"));
    static const char *const needed[] = {" sh ", " io ", " pf ", " de ", " dd ", " dc "};
    for (size_t i = 0; i < array_size(needed); i++)
        if (!strstr(padded, needed[i]))
            fail("no \"%s\" in VmFlags:%s", needed[i], padded);
    static const char *const forbidden[] = {" ex ", " me ", " mm "};
    for (size_t i = 0; i < array_size(forbidden); i++)
        if (strstr(padded, forbidden[i]))
            fail("\"%s\" in VmFlags:%s", forbidden[i], padded);
    free(text);
}

static void remote_copies(void)
{
    struct area area = marked_area();
    char octets[64];
    struct iovec local = {octets, sizeof(octets)}, remote = {area.map, sizeof(octets)};
    check_error(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), EFAULT);
    check_error(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), EFAULT);
    int memory = fine(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
    check_equal(pread(memory, octets, sizeof(octets), (off_t)(uintptr_t)area.map), -1);
    check(errno == EIO || errno == EFAULT);
    check_equal(pwrite(memory, octets, sizeof(octets), (off_t)(uintptr_t)area.map), -1);
    check_whole(area.map);
}

static void traced_child(void *argument)
{
    struct area *area = argument;
    mapped(mmap(area->map, area->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, area->region, 0));
    check_whole(area->map);
    fine(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    raise(SIGSTOP);
}

// A debugger gets an error, not the device.
static void traced_by_a_debugger(void)
{
    struct area area = marked_area();
    pid_t child = spawn(traced_child, &area);
    int status = wait_child(child);
    check(WIFSTOPPED(status));
    errno = 0;
    check_error(ptrace(PTRACE_PEEKDATA, child, area.map, NULL), EIO);
    check_error(ptrace(PTRACE_POKEDATA, child, area.map, NULL), EIO);
    check_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
    join_child(child);
    check_whole(area.map);
}

// The mapping as the memory of other system calls: they may work by plain loads and stores, or fail; never
// crash, and nobody may keep the pages.
static void memory_of_system_calls(void)
{
    struct area area = marked_area();
    int pipes[2];
    char octets[64];
    fine(pipe(pipes));
    ssize_t length = write(pipes[1], area.map, sizeof(octets));
    if (length >= 0) {
        check_equal(length, sizeof(octets));
        check_equal(read(pipes[0], octets, sizeof(octets)), sizeof(octets));
        check_equal(memcmp(octets, area.map, sizeof(octets)), 0);
    } else {
        check_equal(errno, EFAULT);
    }
    struct iovec vector = {area.map, page_size()};
    check_error(vmsplice(pipes[1], &vector, 1, 0), EFAULT);
    const char *path = "/var/tmp/kmodtest-direct";
    int file = fine(open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600));
    char *page = mapped(mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    check_equal(pwrite(file, page, page_size(), 0), page_size()); // so that it is not O_DIRECT that fails
    fine(fsync(file));
    check_error(pwrite(file, area.map, page_size(), 0), EFAULT);
    check_error(pread(file, area.map, page_size(), 0), EFAULT);
    close(file);
    fine(unlink(path));
    check_whole(area.map);
}

// Two regions beside each other are two mappings, also where their addresses meet.
static void neighbours_do_not_merge(void)
{
    size_t page = page_size();
    struct area area = marked_area();
    uint8_t *place = free_place(2 * area.size);
    uint8_t *first = mapped(mmap(place, 2 * page, PROT_READ, MAP_SHARED | MAP_FIXED, area.region, 0));
    uint8_t *second = mapped(mmap(
            place + 2 * page, 2 * page, PROT_READ, MAP_SHARED | MAP_FIXED, area.region, (off_t)(2 * page)));
    check_whole(first);
    fine(munmap(second, 2 * page));
    check_equal(touch_read(first + page, NULL), TOUCH_FINE);
    check_equal(touch_read(second, NULL), TOUCH_SEGV);
    fine(munmap(first, 2 * page));
}

const struct test_case vma_cases[] = {
        {"vma_unmapping_parts", unmapping_parts, 0},
        {"vma_protecting_parts", protecting_parts, 0},
        {"vma_advising_parts", advising_parts, 0},
        {"vma_advising", advising, 0},
        {"vma_forking_by_advice", forking_by_advice, 0},
        {"vma_growing", growing, 0},
        {"vma_shrinking", shrinking, 0},
        {"vma_moving", moving, 0},
        {"vma_moving_parts", moving_parts, 0},
        {"vma_forking", forking, 0},
        {"vma_flags_in_smaps", flags_in_smaps, 0},
        {"vma_remote_copies", remote_copies, 0},
        {"vma_traced_by_a_debugger", traced_by_a_debugger, 0},
        {"vma_memory_of_system_calls", memory_of_system_calls, CASE_DISK},
        {"vma_neighbours_do_not_merge", neighbours_do_not_merge, 0},
        {0},
};
