/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ownership by cleanup attributes: a variable that owns something says so where it is declared, and hands
 * it over with take_ptr() or take_fd(). */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((__cleanup__(function)))

/* Declares the cleanup of a pointer type: DEFINE_CLEANUP(struct thing *, thing_free) makes thing_freep. */
#define DEFINE_CLEANUP(type, function)                                                                      \
    static inline void function##p(type *pointer)                                                           \
    {                                                                                                       \
        if (*pointer)                                                                                       \
            function(*pointer);                                                                             \
    }

static inline void freep(void *pointer)
{
    free(*(void **)pointer);
}

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose)

#define _cleanup_free_   _cleanup_(freep)
#define _cleanup_close_  _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

#define take_ptr(pointer)                                                                                   \
    ({                                                                                                      \
        __typeof__(pointer) *_take = &(pointer);                                                            \
        __typeof__(pointer) _taken = *_take;                                                                \
        *_take = NULL;                                                                                      \
        _taken;                                                                                             \
    })

static inline int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define ELEMENTS(array)                     (sizeof(array) / sizeof((array)[0]))
