/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages are cut at the size of the struct rather than allocated: reporting a failure never fails. */
#include "util/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
    va_list arguments;

    assert(code < 0);
    if (!error)
        return code;
    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return code;
}

int error_prefix(struct error *error, const char *format, ...)
{
    char message[sizeof(error->message)];
    va_list arguments;
    int used;

    if (!error)
        return -EINVAL;
    memcpy(message, error->message, sizeof(message));
    va_start(arguments, format);
    used = vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof(error->message))
        snprintf(error->message + used, sizeof(error->message) - (size_t)used, ": %s", message);
    return error->code;
}
