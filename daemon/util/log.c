/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line is written with one call, so that lines of several threads do not mix; control characters that
 * came from outside are replaced, so that no one can forge a line.
 *
 * Whoever reads standard error may stop reading. A socket takes a line without waiting or not at all. A pipe
 * that poll() calls writable has room for LINE_SIZE octets, and for as long as the lock is held nobody else
 * here fills it. Setting O_NONBLOCK instead would set it for whoever else has the same file. */
#include "util/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* An audit record without a journal is the longest. */
enum { LINE_SIZE = 4096 };
static_assert(LINE_SIZE <= PIPE_BUF, "a pipe may have room for a part of a line");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long unwritten; /* lines since the last one that was; under lock */

static size_t put_prefix(char line[LINE_SIZE], int severity)
{
    if (getenv("JOURNAL_STREAM"))
        return (size_t)snprintf(line, LINE_SIZE, "<%d>", severity);
    return (size_t)snprintf(line, LINE_SIZE, "devregd: ");
}

/* Returns how long the line is. */
__attribute__((format(printf, 3, 0))) static size_t format_line(
        char line[LINE_SIZE], int severity, const char *format, va_list arguments)
{
    size_t used = put_prefix(line, severity);
    int size = vsnprintf(line + used, LINE_SIZE - used - 1, format, arguments);

    if (size < 0)
        size = 0;
    if ((size_t)size > LINE_SIZE - used - 2)
        size = (int)(LINE_SIZE - used - 2);
    for (size_t i = used; i < used + (size_t)size; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    used += (size_t)size;
    line[used++] = '\n';
    return used;
}

/* -EAGAIN when there is no room now. */
static int write_now(const char *line, size_t size)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written = send(STDERR_FILENO, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (written < 0 && errno == ENOTSOCK) {
        if (poll(&ready, 1, 0) <= 0)
            return -EAGAIN;
        written = write(STDERR_FILENO, line, size);
    }
    return written < 0 ? -errno : 0;
}

static int write_unwritten(void)
{
    char line[LINE_SIZE];
    size_t size;
    int r;

    if (unwritten == 0)
        return 0;
    size = put_prefix(line, LOG_WARNING);
    size += (size_t)snprintf(
            line + size, LINE_SIZE - size, "%lu lines before this one could not be written\n", unwritten);
    r = write_now(line, size);
    if (r == 0)
        unwritten = 0;
    return r;
}

/* One that is tried again for want of room is not lost. */
static int try_line(const char *line, size_t size, bool again)
{
    int r;

    pthread_mutex_lock(&lock);
    r = write_unwritten();
    if (r == 0)
        r = write_now(line, size);
    if (r < 0 && !(again && r == -EAGAIN))
        unwritten++;
    pthread_mutex_unlock(&lock);
    return r;
}

void log_line(int severity, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    size_t size;

    va_start(arguments, format);
    size = format_line(line, severity, format, arguments);
    va_end(arguments);
    try_line(line, size, false);
}

void log_line_waiting(int severity, const char *format, ...)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[LINE_SIZE];
    va_list arguments;
    size_t size;

    va_start(arguments, format);
    size = format_line(line, severity, format, arguments);
    va_end(arguments);
    while (try_line(line, size, true) == -EAGAIN)
        poll(&ready, 1, -1);
}
