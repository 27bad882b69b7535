/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/bus_guard.c: what it catches, and that everything else still ends the process. */
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/bus_guard.h"

enum { SURVIVED = 3, CAUGHT = 4 };

static size_t page;

static int set_up(void **state)
{
    (void)state;
    page = (size_t)sysconf(_SC_PAGESIZE);
    return 0;
}

/* A page behind the end of its file: touching it is a bus fault. */
static volatile uint8_t *map_nothing(void)
{
    int fd = memfd_create("nothing", MFD_CLOEXEC);
    void *start = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    close(fd);
    return start == MAP_FAILED ? NULL : start;
}

/* In each test: cmocka puts its own handler there before. */
static void install(void)
{
    assert_int_equal(bus_guard_install(), 0);
}

static void expect_killed(void (*function)(void *context), const char *what)
{
    int status = test_in_child(function, NULL);

    test_that(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
            "%s: the process ended with status 0x%x, not by SIGBUS", what, status);
}

static void test_caught(void **state)
{
    volatile uint8_t *nothing = map_nothing();
    struct bus_guard guard = {.start = nothing, .size = page};
    volatile unsigned faults = 0;

    (void)state;
    install();
    assert_non_null((const void *)nothing);
    for (unsigned i = 0; i < 100; i++) {
        if (BUS_GUARD(&guard)) {
            nothing[i] = 1;
            bus_guard_disarm();
        } else {
            faults++;
        }
    }
    assert_int_equal(faults, 100);
    munmap((void *)nothing, page);
}

static void fault_without_guard(void *context)
{
    volatile uint8_t *nothing = map_nothing();

    (void)context;
    (void)nothing[0];
    _exit(SURVIVED);
}

static void fault_after_disarm(void *context)
{
    volatile uint8_t *nothing = map_nothing();
    struct bus_guard guard = {.start = nothing, .size = page};

    (void)context;
    if (BUS_GUARD(&guard))
        bus_guard_disarm();
    (void)nothing[0];
    _exit(SURVIVED);
}

static void fault_after_fault(void *context)
{
    volatile uint8_t *nothing = map_nothing();
    struct bus_guard guard = {.start = nothing, .size = page};

    (void)context;
    if (BUS_GUARD(&guard)) {
        (void)nothing[0];
        bus_guard_disarm();
    } else {
        (void)nothing[0]; /* the guard was used up */
    }
    _exit(SURVIVED);
}

static void fault_elsewhere(void *context)
{
    volatile uint8_t *nothing = map_nothing(), *other = map_nothing();
    struct bus_guard guard = {.start = nothing, .size = page};

    (void)context;
    if (BUS_GUARD(&guard)) {
        (void)other[0];
        _exit(SURVIVED);
    }
    _exit(CAUGHT);
}

/* The first octet behind the guarded window, in the same mapping. */
static void fault_just_behind(void *context)
{
    volatile uint8_t *nothing = map_nothing();
    struct bus_guard guard = {.start = nothing, .size = 16};

    (void)context;
    if (BUS_GUARD(&guard)) {
        (void)nothing[16];
        _exit(SURVIVED);
    }
    _exit(CAUGHT);
}

static void *touch(void *argument)
{
    (void)*(volatile uint8_t *)argument;
    _exit(SURVIVED);
}

static void fault_on_other_thread(void *context)
{
    volatile uint8_t *nothing = map_nothing();
    struct bus_guard guard = {.start = nothing, .size = page};
    pthread_t thread;

    (void)context;
    if (BUS_GUARD(&guard)) {
        pthread_create(&thread, NULL, touch, (void *)nothing);
        pthread_join(thread, NULL);
        _exit(SURVIVED);
    }
    _exit(CAUGHT);
}

static void test_not_caught(void **state)
{
    (void)state;
    install();
    expect_killed(fault_without_guard, "a fault without a guard");
    expect_killed(fault_after_disarm, "a fault after disarming");
    expect_killed(fault_after_fault, "a second fault");
    expect_killed(fault_elsewhere, "a fault outside the mapping");
    expect_killed(fault_just_behind, "a fault just behind the window");
    expect_killed(fault_on_other_thread, "a fault on a thread without a guard");
}

static void send_plain(void *context)
{
    (void)context;
    kill(getpid(), SIGBUS);
    _exit(SURVIVED);
}

static void send_while_armed(void *context)
{
    volatile uint8_t *nothing = map_nothing();
    struct bus_guard guard = {.start = nothing, .size = page};

    (void)context;
    if (BUS_GUARD(&guard)) {
        kill(getpid(), SIGBUS);
        _exit(SURVIVED);
    }
    _exit(CAUGHT);
}

/* A process may send itself what looks as if it came from the kernel (rt_tgsigqueueinfo(2)). */
static void send_code(int code)
{
    volatile uint8_t *nothing = map_nothing();
    struct bus_guard guard = {.start = nothing, .size = page};
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = SIGBUS;
    info.si_code = code;
    info.si_addr = (void *)nothing;
    if (BUS_GUARD(&guard)) {
        syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info);
        bus_guard_disarm();
        _exit(SURVIVED);
    }
    _exit(CAUGHT);
}

static void send_address_error(void *context)
{
    (void)context;
    send_code(BUS_ADRERR);
}

static void send_alignment_error(void *context)
{
    (void)context;
    send_code(BUS_ADRALN);
}

static void send_object_error(void *context)
{
    (void)context;
    send_code(BUS_OBJERR);
}

/* The kernel's early warning that some page of the process is lost: no access failed, so nothing comes again
 * when the handler returns. */
static void send_memory_failure(void *context)
{
    (void)context;
    send_code(BUS_MCEERR_AO);
}

static void test_sent_signals_kill(void **state)
{
    (void)state;
    install();
    expect_killed(send_plain, "kill()");
    expect_killed(send_while_armed, "kill() while armed");
}

static void test_codes(void **state)
{
    int status;

    (void)state;
    install();
    status = test_in_child(send_address_error, NULL);
    test_that(WIFEXITED(status) && WEXITSTATUS(status) == CAUGHT, "BUS_ADRERR was not caught: 0x%x", status);
    status = test_in_child(send_alignment_error, NULL);
    test_that(WIFEXITED(status) && WEXITSTATUS(status) == CAUGHT, "BUS_ADRALN was not caught: 0x%x", status);
    status = test_in_child(send_object_error, NULL);
    test_that(WIFEXITED(status) && WEXITSTATUS(status) == CAUGHT, "BUS_OBJERR was not caught: 0x%x", status);
    expect_killed(send_memory_failure, "BUS_MCEERR_AO");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_caught),
            cmocka_unit_test(test_not_caught),
            cmocka_unit_test(test_sent_signals_kill),
            cmocka_unit_test(test_codes),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
