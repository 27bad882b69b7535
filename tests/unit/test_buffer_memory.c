/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/buffer_memory.c: what is copied, and that memory which is gone is an error of the copy alone. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/buffer_memory.h"
#include "backends/bus_guard.h"
#include "util/cleanup.h"

enum { PAGES = 64, SURVIVED = 3 };

/* A buffer in a file, which can be truncated underneath as a module takes a mapping back. */
struct fixture {
    struct backend_buffer buffer;
    int fd;
    size_t page;
};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.page = (size_t)sysconf(_SC_PAGESIZE)};
    fixture.fd = memfd_create("buffer", MFD_CLOEXEC);
    fixture.buffer.size = PAGES * fixture.page;
    assert_int_equal(ftruncate(fixture.fd, (off_t)fixture.buffer.size), 0);
    fixture.buffer.data = mmap(NULL, fixture.buffer.size, PROT_READ | PROT_WRITE, MAP_SHARED, fixture.fd, 0);
    assert_ptr_not_equal(fixture.buffer.data, MAP_FAILED);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    munmap(fixture->buffer.data, fixture->buffer.size);
    close(fixture->fd);
    return 0;
}

/* In each test: cmocka puts its own handler there before. */
static void install(void)
{
    assert_int_equal(bus_guard_install(), 0);
}

static void expect_file(const struct fixture *fixture, uint64_t offset, const void *expected, size_t size)
{
    _cleanup_free_ uint8_t *octets = malloc(size);

    assert_int_equal(pread(fixture->fd, octets, size, (off_t)offset), size);
    assert_memory_equal(octets, expected, size);
}

static void test_copies(void **state)
{
    struct fixture *fixture = *state;
    size_t size = fixture->buffer.size;
    _cleanup_free_ uint8_t *octets = malloc(size), *back = malloc(size);
    uint32_t seed = 6;

    for (size_t i = 0; i < size; i++)
        octets[i] = (uint8_t)test_random(&seed);
    assert_int_equal(buffer_memory_write(&fixture->buffer, 0, octets, size), 0);
    expect_file(fixture, 0, octets, size);
    memset(back, 0, size);
    assert_int_equal(buffer_memory_read(&fixture->buffer, 0, back, size), 0);
    assert_memory_equal(back, octets, size);
    /* At places that no width divides, and nothing beside them is touched. */
    assert_int_equal(buffer_memory_write(&fixture->buffer, 4093, "seven!!", 7), 0);
    memcpy(octets + 4093, "seven!!", 7);
    expect_file(fixture, 0, octets, size);
    assert_int_equal(buffer_memory_read(&fixture->buffer, 4095, back, 3), 0);
    assert_memory_equal(back, "ven", 3);
    assert_memory_equal(back + 3, octets + 3, 16);
    assert_int_equal(buffer_memory_write(&fixture->buffer, size, "", 0), 0);
    assert_int_equal(buffer_memory_read(&fixture->buffer, size, back, 0), 0);
}

static void test_fill(void **state)
{
    static const uint8_t pattern[] = {0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x04};
    struct fixture *fixture = *state;
    size_t size = fixture->buffer.size;
    _cleanup_free_ uint8_t *expected = malloc(size);

    for (size_t width = 1; width <= 8; width *= 2) {
        static const uint64_t places[][2] = {
                {0, 8}, {8, 0}, {4088, 16}, {16, 4096}, {24, 4104}, {40, 40960}};

        for (size_t i = 0; i < ELEMENTS(places); i++) {
            memset(expected, 0x55, size);
            assert_int_equal(buffer_memory_fill(&fixture->buffer, 0, size, "\x55", 1), 0);
            expect_file(fixture, 0, expected, size);
            for (size_t j = 0; j < places[i][1]; j++)
                expected[places[i][0] + j] = pattern[j % width];
            assert_int_equal(
                    buffer_memory_fill(&fixture->buffer, places[i][0], places[i][1], pattern, width), 0);
            expect_file(fixture, 0, expected, size);
        }
    }
}

/* The second half is gone: whatever touches it fails, all else still works, and again. */
static void test_gone(void **state)
{
    struct fixture *fixture = *state;
    size_t half = fixture->buffer.size / 2;
    _cleanup_free_ uint8_t *octets = malloc(2 * half);

    install();
    memset(octets, 0x77, 2 * half);
    assert_int_equal(ftruncate(fixture->fd, (off_t)half), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(buffer_memory_read(&fixture->buffer, half, octets, 1), -EFAULT);
        assert_int_equal(buffer_memory_read(&fixture->buffer, 0, octets, 2 * half), -EFAULT);
        assert_int_equal(buffer_memory_write(&fixture->buffer, 2 * half - 1, octets, 1), -EFAULT);
        assert_int_equal(buffer_memory_write(&fixture->buffer, half - 1, octets, 2), -EFAULT);
        assert_int_equal(buffer_memory_fill(&fixture->buffer, half, half, "x", 1), -EFAULT);
        assert_int_equal(buffer_memory_fill(&fixture->buffer, 0, 2 * half, "x", 1), -EFAULT);
        assert_int_equal(buffer_memory_write(&fixture->buffer, 0, "still there", 11), 0);
        assert_int_equal(buffer_memory_read(&fixture->buffer, 0, octets, half), 0);
        assert_memory_equal(octets, "still there", 11);
        assert_int_equal(octets[half - 1], 'x');
    }
    assert_int_equal(ftruncate(fixture->fd, (off_t)(2 * half)), 0);
    assert_int_equal(buffer_memory_read(&fixture->buffer, half, octets, half), 0);
    assert_int_equal(octets[0] | octets[half - 1], 0);
}

static void *read_until_gone(void *argument)
{
    struct fixture *fixture = argument;
    uint8_t octets[512];

    while (buffer_memory_read(&fixture->buffer, fixture->buffer.size - 512, octets, sizeof(octets)) == 0)
        ;
    return NULL;
}

/* Several threads copy when it goes: each has its own error. */
static void test_gone_while_copied(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[4];

    install();
    for (size_t i = 0; i < ELEMENTS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_gone, fixture), 0);
    usleep(10000);
    assert_int_equal(ftruncate(fixture->fd, 0), 0);
    for (size_t i = 0; i < ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
}

/* The guard is for the buffer alone: what is copied from or to is the caller's own affair. */
static void read_into_nothing(void *context)
{
    struct fixture *fixture = context;
    int fd = memfd_create("nothing", MFD_CLOEXEC);
    void *nothing = mmap(NULL, fixture->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    buffer_memory_read(&fixture->buffer, 0, nothing, fixture->page);
    _exit(SURVIVED);
}

static void test_only_the_buffer(void **state)
{
    int status;

    install();
    status = test_in_child(read_into_nothing, *state);
    test_that(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
            "the process ended with status 0x%x, not by SIGBUS", (unsigned)status);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_copies, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fill, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_gone_while_copied, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_only_the_buffer, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
