// SPDX-License-Identifier: LGPL-2.1-or-later
// Checks, faults that are caught, and child processes. A failed check prints one line and ends the process
// with CHILD_FAILED, from whatever thread.
#include "kmodtest.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static __thread char about[160];

static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t armed;

void context(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(about, sizeof(about), format, arguments);
    va_end(arguments);
}

void fail_at(const char *file, int line, const char *format, ...)
{
    const char *slash = strrchr(file, '/');
    // One write, as children and threads may fail at the same time.
    char text[1024];
    int length = snprintf(
            text, sizeof(text), "# %s:%d: %s%s", slash ? slash + 1 : file, line, about, *about ? ": " : "");
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(text + length, sizeof(text) - (size_t)length - 1, format, arguments);
    va_end(arguments);
    if ((size_t)length > sizeof(text) - 2)
        length = sizeof(text) - 2;
    text[length++] = '\n';
    if (write(STDOUT_FILENO, text, (size_t)length) < 0)
        _exit(CHILD_FAILED);
    _exit(CHILD_FAILED);
}

void check_equal_at(const char *file, int line, const char *left_text, const char *right_text,
        unsigned long long left, unsigned long long right)
{
    if (left != right)
        fail_at(file, line, "%s is %#llx, not %s (%#llx)", left_text, left, right_text, right);
}

void check_text_at(const char *file, int line, const char *text, const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0)
        fail_at(file, line, "%s is \"%s\", not \"%s\"", text, found, expected);
}

void check_error_at(const char *file, int line, const char *text, long result, int expected)
{
    int error = errno;
    if (result != -1)
        fail_at(file, line, "%s gave %ld, not %s", text, result, strerrorname_np(expected));
    if (error != expected)
        fail_at(file, line, "%s failed with %s, not %s", text, strerrorname_np(error),
                strerrorname_np(expected));
}

int fine_at(const char *file, int line, const char *text, long result)
{
    if (result == -1)
        fail_at(file, line, "%s failed with %s", text, strerrorname_np(errno));
    return (int)result;
}

void *mapped_at(const char *file, int line, const char *text, void *address)
{
    if (address == MAP_FAILED)
        fail_at(file, line, "%s failed with %s", text, strerrorname_np(errno));
    return address;
}

bool kernel_has_64_bits(void)
{
    struct utsname names;
    fine(uname(&names));
    return strstr(names.machine, "64") != NULL;
}

uint32_t width_max(void)
{
    return kernel_has_64_bits() ? 8 : 4;
}

size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
}

static void caught(int number)
{
    if (armed)
        siglongjmp(back, number);
    fail("signal %d (%s) outside a guarded access", number, strsignal(number));
}

static void catch_faults(void)
{
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_NODEFER};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

enum touch touch_read(const volatile void *address, uint32_t *ret_value)
{
    catch_faults();
    int number = sigsetjmp(back, 0);
    if (number == 0) {
        armed = 1;
        uint32_t value = *(const volatile uint32_t *)address;
        armed = 0;
        if (ret_value)
            *ret_value = value;
        return TOUCH_FINE;
    }
    armed = 0;
    return number == SIGBUS ? TOUCH_BUS : TOUCH_SEGV;
}

enum touch touch_write(volatile void *address, uint32_t value)
{
    catch_faults();
    int number = sigsetjmp(back, 0);
    if (number == 0) {
        armed = 1;
        *(volatile uint32_t *)address = value;
        armed = 0;
        return TOUCH_FINE;
    }
    armed = 0;
    return number == SIGBUS ? TOUCH_BUS : TOUCH_SEGV;
}

pid_t spawn(void (*function)(void *), void *argument)
{
    pid_t child = fine(fork());
    if (child == 0) {
        function(argument);
        _exit(0);
    }
    return child;
}

int wait_child(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        check(errno == EINTR);
    return status;
}

void join_child(pid_t child)
{
    int status = wait_child(child);
    if (WIFSIGNALED(status))
        fail("the child ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == CHILD_FAILED)
        _exit(CHILD_FAILED); // it has said why
    check_equal(WEXITSTATUS(status), 0);
}

void in_child(void (*function)(void *), void *argument)
{
    join_child(spawn(function, argument));
}
