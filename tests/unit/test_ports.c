/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/ports.c and backends/ioport.c. Permission is given by a stand-in for ioperm(2) (the link option
 * --wrap), and the instructions, which fault without the kernel's, are carried out by the fault's handler:
 * so each is seen, with the thread that made it, on every x86 machine. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "backends/ports.h"
#include "util/cleanup.h"

/* A register of the processor, by the part of its name that all of the word sizes have. */
#if defined(__x86_64__)
#define X86(name) REG_R##name
#elif defined(__i386__)
#define X86(name) REG_E##name
#endif

static int ioperm_result; /* a negative errno */
static unsigned ioperm_calls;
static _Thread_local struct {
    unsigned long from, count;
} granted[64];
static _Thread_local unsigned grants;

static char *port_file; /* stands for /dev/port; NULL: there is none */

int __wrap_ioperm(unsigned long from, unsigned long count, int on);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_ioperm(unsigned long from, unsigned long count, int on)
{
    ioperm_calls++;
    if (ioperm_result < 0) {
        errno = -ioperm_result;
        return -1;
    }
    if (on && grants < ELEMENTS(granted)) {
        granted[grants].from = from;
        granted[grants++].count = count;
    }
    for (unsigned i = 0; !on && i < grants; i++) {
        if (from < granted[i].from + granted[i].count && granted[i].from < from + count)
            granted[i].count = 0; /* more than the kernel takes back: it shows that it was given again */
    }
    return 0;
}

int __wrap_open64(const char *path, int flags, ...)
{
    if (strcmp(path, "/dev/port") != 0)
        return __real_open64(path, flags, 0600);
    if (port_file)
        return __real_open64(port_file, flags);
    errno = ENOENT;
    return -1;
}

#ifdef X86

enum { TRACE = 32 };

static struct {
    char access[24]; /* "R 8 0x70" */
    pthread_t thread;
} trace[TRACE];
static size_t traced;
static uint8_t ports_memory[PORTS_LIMIT];

static bool is_granted(uint16_t port, unsigned width)
{
    for (unsigned i = 0; i < grants; i++) {
        if (port >= granted[i].from && port + width <= granted[i].from + granted[i].count)
            return true;
    }
    return false;
}

/* "in" and "out" with the port in dx (Intel's manual, volume 2): 0xec to 0xef, after 0x66 of 16 bits. */
static void handle_instruction(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)registers[X86(IP)];
    bool half = *code == 0x66;
    uint8_t instruction = half ? code[1] : code[0];
    unsigned width = !(instruction & 1) ? 1 : (half ? 2 : 4);
    uint16_t port = (uint16_t)registers[X86(DX)];
    uint32_t value = (uint32_t)registers[X86(AX)];

    (void)info;
    if ((instruction & 0xfc) != 0xec || !is_granted(port, width) || traced == TRACE) {
        signal(number, SIG_DFL);
        return;
    }
    if (instruction & 2) {
        memcpy(&ports_memory[port], &value, width);
    } else {
        memcpy(&value, &ports_memory[port], width);
        registers[X86(AX)] = width == 4 ? (greg_t)value : (registers[X86(AX)] & ~0xff) | (greg_t)value;
        if (width == 2)
            registers[X86(AX)] = (registers[X86(AX)] & ~0xffff) | (greg_t)value;
    }
    snprintf(trace[traced].access, sizeof(trace[traced].access), "%c %u 0x%x", instruction & 2 ? 'W' : 'R',
            width * 8, port);
    trace[traced++].thread = pthread_self();
    registers[X86(IP)] += half ? 2 : 1;
}

/* In each test: cmocka puts its own handler there before. */
static void catch_instructions(void)
{
    struct sigaction action = {.sa_sigaction = handle_instruction, .sa_flags = SA_SIGINFO | SA_NODEFER};

    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
}

static int set_up(void **state)
{
    (void)state;
    traced = 0;
    ioperm_result = 0;
    ioperm_calls = 0;
    grants = 0;
    port_file = NULL;
    for (size_t i = 0; i < sizeof(ports_memory); i++)
        ports_memory[i] = (uint8_t)(i ^ i >> 8);
    assert_int_equal(ports_usable(NULL), 0); /* this thread forgets what it was allowed in earlier tests */
    ioperm_calls = 0;
    grants = 0;
    return 0;
}

static void expect_trace(const char *const *expected)
{
    size_t i = 0;

    for (; expected[i]; i++)
        test_that(i < traced && strcmp(trace[i].access, expected[i]) == 0,
                "access %zu was '%s', expected %s", i, i < traced ? trace[i].access : "none", expected[i]);
    test_that(i == traced, "%zu accesses, expected %zu", traced, i);
}

/* One instruction of that width for each access, in order. */
static void test_exact_accesses(void **state)
{
    static const char *const expected[] = {"R 8 0x511", "R 8 0x511", "R 8 0x511", "R 16 0x512", "R 16 0x514",
            "R 32 0x514", "R 32 0x518", "W 8 0x510", "W 8 0x511", "W 16 0x510", "W 32 0x514", "W 32 0x514",
            NULL};
    struct ports ports;
    uint32_t words[2] = {0};
    uint16_t halves[2] = {0};
    uint8_t octets[3] = {0};
    struct access fifo = {.offset = 1, .width = 1, .count = 3, .fixed = true};
    struct access two_halves = {.offset = 2, .width = 2, .count = 2};
    struct access two_words = {.offset = 4, .width = 4, .count = 2};
    struct access two_octets = {.offset = 0, .width = 1, .count = 2};
    struct access one_half = {.offset = 0, .width = 2, .count = 1};
    struct access same_word = {.offset = 4, .width = 4, .count = 2, .fixed = true};
    size_t done;

    (void)state;
    catch_instructions();
    assert_int_equal(ports_open(0x510, 12, &ports, NULL), 0);
    assert_int_equal(ports_widths(&ports), 1 | 2 | 4);
    assert_int_equal(ports_read(&ports, &fifo, octets, &done), 0);
    assert_int_equal(done, 3);
    assert_true(octets[0] == (0x11 ^ 5) && octets[1] == octets[0] && octets[2] == octets[0]);
    assert_int_equal(ports_read(&ports, &two_halves, halves, &done), 0);
    assert_memory_equal(halves, &ports_memory[0x512], 4);
    assert_int_equal(ports_read(&ports, &two_words, words, &done), 0);
    assert_int_equal(done, 2);
    assert_memory_equal(words, &ports_memory[0x514], 8);
    assert_int_equal(ports_write(&ports, &two_octets, "\x12\x34", &done), 0);
    assert_memory_equal(&ports_memory[0x510], "\x12\x34", 2);
    halves[0] = 0xabcd;
    assert_int_equal(ports_write(&ports, &one_half, halves, &done), 0);
    assert_memory_equal(&ports_memory[0x510], halves, 2);
    words[1] = 0x12345678;
    assert_int_equal(ports_write(&ports, &same_word, words, &done), 0);
    assert_int_equal(done, 2);
    assert_memory_equal(&ports_memory[0x514], &words[1], 4);
    expect_trace(expected);
    ports_close(&ports);
}

static void read_octet(const struct ports *ports)
{
    struct access access = {.width = 1, .count = 1};
    uint8_t octet;
    size_t done = 0;
    int r = ports_read(ports, &access, &octet, &done);

    if (r < 0 || done != 1)
        abort(); /* not cmocka's: it may be on another thread */
}

static void *use_twice(void *ports)
{
    read_octet(ports);
    read_octet(ports);
    return NULL;
}

/* Permission is a thread's own: each asks the kernel once for what it uses. */
static void test_permission_of_threads(void **state)
{
    struct ports ports, other;
    pthread_t thread;

    (void)state;
    catch_instructions();
    assert_int_equal(ports_open(0x70, 2, &ports, NULL), 0);
    assert_int_equal(ports_open(0x80, 1, &other, NULL), 0);
    ioperm_calls = 0;
    use_twice(&ports);
    assert_int_equal(ioperm_calls, 1);
    assert_int_equal(pthread_create(&thread, NULL, use_twice, &ports), 0);
    pthread_join(thread, NULL);
    assert_int_equal(ioperm_calls, 2);
    assert_int_equal(traced, 4);
    assert_true(pthread_equal(trace[1].thread, pthread_self()));
    assert_true(pthread_equal(trace[2].thread, thread));
    use_twice(&ports);
    assert_int_equal(ioperm_calls, 2); /* the other thread changed nothing */
    use_twice(&other);
    assert_int_equal(ioperm_calls, 3);
    use_twice(&ports); /* they may take turns */
    use_twice(&other);
    assert_int_equal(ioperm_calls, 3);
    ports_close(&ports);
    ports_close(&other);
}

/* More ranges than a thread remembers are asked for again, never touched without. */
static void test_many_ranges(void **state)
{
    struct ports ports[12];

    (void)state;
    catch_instructions();
    for (size_t i = 0; i < ELEMENTS(ports); i++)
        assert_int_equal(ports_open(0x100 + i * 2, 2, &ports[i], NULL), 0);
    ioperm_calls = 0;
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < ELEMENTS(ports); i++)
            read_octet(&ports[i]);
    }
    assert_int_equal(traced, 2 * ELEMENTS(ports));
    assert_int_equal(ioperm_calls, 2 * ELEMENTS(ports));
    for (size_t i = 0; i < ELEMENTS(ports); i++)
        ports_close(&ports[i]);
}

/* Looking whether ports can be used at all takes a port back that a region may have. */
static void test_usable_takes_nothing_away(void **state)
{
    struct ports ports;

    (void)state;
    catch_instructions();
    assert_int_equal(ports_open(0x80, 4, &ports, NULL), 0);
    read_octet(&ports);
    assert_int_equal(ports_usable(NULL), 0);
    read_octet(&ports);
    assert_int_equal(traced, 2);
    ports_close(&ports);
}

static void test_refused(void **state)
{
    struct access access = {.width = 1, .count = 2};
    struct error error = {0};
    struct ports ports;
    uint8_t octets[2];
    size_t done = 7;

    (void)state;
    assert_int_equal(ports_open(0x70, 2, &ports, NULL), 0);
    ioperm_result = -EPERM; /* from now on: lockdown can come at any time */
    assert_int_equal(ports_read(&ports, &access, octets, &done), -EPERM);
    assert_int_equal(done, 0);
    done = 7;
    assert_int_equal(ports_write(&ports, &access, octets, &done), -EPERM);
    assert_int_equal(done, 0);
    assert_int_equal(traced, 0);
    assert_int_equal(ports_usable(&error), -EPERM);
    test_that(strstr(error.message, "CAP_SYS_RAWIO") || strstr(error.message, "lockdown"), "%s",
            error.message);
    check_error(ports_open(0x70, 2, &ports, &error), -EPERM, &error, "");
    ioperm_result = -ENOMEM;
    check_error(ports_usable(&error), -ENOMEM, &error, "I/O ports: ");
}

#else

static int set_up(void **state)
{
    (void)state;
    ioperm_result = -ENOSYS;
    port_file = NULL;
    return 0;
}

#endif

static void test_ranges(void **state)
{
    static const struct {
        uint64_t first, size;
    } rows[] = {{0, 0}, {0xffff, 2}, {0x10000, 1}, {1, UINT64_MAX}, {UINT64_MAX, 1}, {0, 0x10001}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct error error = {0};
        struct ports ports;

        check_error(ports_open(rows[i].first, rows[i].size, &ports, &error), -ERANGE, &error,
                "I/O ports are 0 to 0xffff");
    }
}

/* Without the instructions: single octets of /dev/port. */
static void test_file(void **state)
{
    char *directory = test_directory_new();
    struct access access = {.offset = 1, .width = 1, .count = 2};
    struct access fifo = {.offset = 1, .width = 1, .count = 3, .fixed = true};
    struct error error = {0};
    struct ports ports;
    uint8_t octets[3] = {0};
    size_t done;
    char *text;

    (void)state;
    ioperm_result = -ENOSYS;
    check_error(ports_usable(&error), -ENOENT, &error, "neither ioperm nor /dev/port");
    port_file = strdup(test_path(directory, "port"));
    test_write_text(port_file, "0123456789");
    assert_int_equal(ports_usable(&error), 0);
    assert_int_equal(ports_open(4, 4, &ports, &error), 0);
    assert_int_equal(ports_widths(&ports), 1);
    assert_int_equal(ports_read(&ports, &access, octets, &done), 0);
    assert_int_equal(done, 2);
    assert_memory_equal(octets, "56", 2);
    assert_int_equal(ports_read(&ports, &fifo, octets, &done), 0);
    assert_memory_equal(octets, "555", 3);
    assert_int_equal(ports_write(&ports, &access, "ab", &done), 0);
    assert_int_equal(done, 2);
    ports_close(&ports);
    assert_int_equal(ports.file, -1);
    text = test_read_text(port_file);
    assert_string_equal(text, "01234ab789");
    free(text);

    assert_int_equal(ports_open(8, 4, &ports, &error), 0); /* the file ends in the middle of it */
    assert_int_equal(ports_read(&ports, &access, octets, &done), -EIO);
    assert_int_equal(done, 1);
    ports_close(&ports);
    free(port_file);
    port_file = NULL;
    test_directory_remove(directory);
}

static void test_backend(void **state)
{
    const struct backend *backend = backend_find("ioport");
    struct region_description regions[] = {
            {.name = (char *)"cmos", .type = REGION_IOPORT, .base = 0x70, .size = 2}};
    struct device_description description = {.name = (char *)"cmos", .regions = regions, .region_count = 1};
    struct access access = {.offset = 1, .width = 1, .count = 1};
    struct backend_device *device;
    struct backend_region *region;
    struct error error = {0};
    char *directory = test_directory_new();
    char memory[0x72] = {0};
    uint8_t octet = 0;
    size_t done;

    (void)state;
    ioperm_result = -ENOSYS;
    check_error(backend->device_open(&description, &device, &error), -ENOENT, &error, "/dev/port");
    port_file = strdup(test_path(directory, "port"));
    memory[0x71] = 0x26;
    test_write_file(port_file, memory, sizeof(memory));
    assert_int_equal(backend->check(&description, &error), 0);
    assert_int_equal(backend->device_open(&description, &device, &error), 0);
    assert_int_equal(backend->region_open(device, regions, &region, &error), 0);
    assert_int_equal(region->type, REGION_IOPORT);
    assert_int_equal(region->size, 2);
    assert_int_equal(region->address, 0x70);
    assert_int_equal(region->widths, 1);
    assert_int_equal(backend->read(region, &access, &octet, &done), 0);
    assert_int_equal(octet, 0x26);
    octet = 0x51;
    assert_int_equal(backend->write(region, &access, &octet, &done), 0);
    octet = 0;
    assert_int_equal(backend->read(region, &access, &octet, &done), 0);
    assert_int_equal(octet, 0x51);
    backend->region_close(region);
    backend->device_close(device);
    regions[0].size = 0xff91;
    check_error(backend->check(&description, &error), -EINVAL, &error, "beyond the last port");
    free(port_file);
    port_file = NULL;
    test_directory_remove(directory);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#ifdef X86
            cmocka_unit_test_setup(test_exact_accesses, set_up),
            cmocka_unit_test_setup(test_permission_of_threads, set_up),
            cmocka_unit_test_setup(test_many_ranges, set_up),
            cmocka_unit_test_setup(test_usable_takes_nothing_away, set_up),
            cmocka_unit_test_setup(test_refused, set_up),
#endif
            cmocka_unit_test_setup(test_ranges, set_up),
            cmocka_unit_test_setup(test_file, set_up),
            cmocka_unit_test_setup(test_backend, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
