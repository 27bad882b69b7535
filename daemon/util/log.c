/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line is written with one call, so that lines of several threads do not mix; control characters that
 * came from outside are replaced, so that no one can forge a line. */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* An audit record without a journal is the longest. */
enum { LINE_SIZE = 4096 };

void log_line(int severity, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    size_t used;
    int size;

    if (getenv("JOURNAL_STREAM"))
        used = (size_t)snprintf(line, sizeof(line), "<%d>", severity);
    else
        used = (size_t)snprintf(line, sizeof(line), "devregd: ");
    va_start(arguments, format);
    size = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    if ((size_t)size > sizeof(line) - used - 2)
        size = (int)(sizeof(line) - used - 2);
    for (size_t i = used; i < used + (size_t)size; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    used += (size_t)size;
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0)
        return; /* nowhere left to say so */
}
