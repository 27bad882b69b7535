/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device and its regions: present, in part or not at all. A device that is absent stays in the inventory
 * with the reason, and is tried again when it is asked for or when the kernel reports a change. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"
#include "core/region.h"
#include "core/worker.h"

struct device_buffers;
struct device_watch;
struct dispatch_wait;
struct worker;

struct device {
    const struct device_description *description;
    const struct backend *backend;
    char why[768]; /* why this backend */
    struct backend_device *handle;
    struct error absent;           /* why, while the handle is NULL */
    struct backend_device *better; /* open through a better backend, until its buffers are closed */
    struct region *regions;
    size_t region_count;

    /* Open only while somebody watches them. */
    struct backend_interrupts *interrupts;
    struct error interrupts_absent; /* why, while the handle is NULL and the device is open */
    struct device_watch *watch;

    struct device_buffers *buffers; /* NULL: nobody has any */
    bool has_dma;                   /* as it is since it was opened */
    struct dma_state dma;           /* as it was when it was last looked at */

    /* Owned by core/silence.c. */
    pthread_mutex_t asking;
    bool silent; /* under it */

    /* Owned by core/dispatch.c and, but for the last, only touched on the loop. */
    struct worker *worker;
    size_t pending;           /* works that the worker has not given back */
    struct device *next_busy; /* in the list of devices that had work pending */
    uint64_t cost_ns;         /* what an access takes, as lately measured; 0: not known */
    uint64_t slow_until_us;   /* it was found slow: nothing runs inline until then */
    uint64_t slow_for_us;     /* how long it was sent away for */
    bool busy;                /* it is in the list of those */
    bool lost;                /* an access found it gone: close it as soon as it is idle */
    bool faulted;             /* an access got a bus fault: its mappings may have been revoked */
    bool interrupts_lost;     /* they can't be read any more: open them anew */
    bool recheck;             /* it was to be looked at while it was busy */
    bool noted;               /* the last event about it says that it is present */
    bool closed;              /* it is closed, and closed_for is with the worker */
    atomic_bool stopping;     /* its work is to end at once; read by its worker */
    struct work *closed_for;  /* work that needs it closed: waits, or is done; NULL: none */
    const char *closed_why;   /* "is being bound to a driver" */
    struct work close;        /* before it, also with the worker: closes what was released */
    struct backend_device *released;
    struct dispatch_wait *waiting_for_open;
};

/* Who reads the device's interrupts: told on the loop. */
struct device_watch {
    /* They are about to be closed: the descriptor must not be waited for any more. */
    void (*closing)(struct device_watch *watch);

    /* What could be opened was, or the device is closed. */
    void (*changed)(struct device_watch *watch);

    /* It was silent, and is no more: what is owed is to be done. On its worker, as in silence_enter(). */
    void (*answers)(struct device_watch *watch);

    /* Then: it was reset, or that failed. */
    void (*was_reset)(struct device_watch *watch, bool well);
};

/* Who has buffers of the device. */
struct device_buffers {
    /* It is to be closed, for this reason: they are closed by its worker, which may take long. On the loop,
     * while it is idle. False when there is nothing to wait for until it is idle again. */
    bool (*leaving)(struct device_buffers *buffers, struct device *device, const char *reason);

    /* It is about to be closed, for this reason: what is left must be closed now. On the loop, while it is
     * idle. */
    void (*closing)(struct device_buffers *buffers, struct device *device, const char *reason);

    /* It was opened, or could not be: device->dma says what there is of an earlier time. */
    void (*opened)(struct device_buffers *buffers, struct device *device);
};

static inline const char *device_name(const struct device *device)
{
    return device->description->name;
}

/* Whether it is open, and was then found to have a way to be reset. */
static inline bool device_can_reset(const struct device *device)
{
    return device->handle && device->backend->device_reset && device->handle->can_reset;
}

/* True when the device and all of its regions are open, and its interrupts where they are watched and its
 * backend has them. */
bool device_is_complete(const struct device *device);

/* Chooses the backend. The description must outlive the device. Returns 0 or a negative errno. */
int device_init(struct device *device, const struct device_description *description, struct error *error);
void device_done(struct device *device);

/* Opens what is not open; what can't be keeps its reason. A device that is closed gets the backend that is
 * the best then. Only while the device is idle. */
void device_attach(struct device *device);

/* Begins what is to be done before the device is closed for this reason. False: it can be closed. True: this
 * is to be asked again when the device is idle. Only while it is. */
bool device_leave(struct device *device, const char *reason);

/* Opens the device through a better backend, when there is one now: say, because its driver was changed.
 * Returns whether it did; if not, all is as it was, but where device->better is set: then it has begun to
 * leave, and this is to be called again when it is idle. Only while it is. */
bool device_improve(struct device *device);

/* Closes everything but its handle, for this reason; the caller closes that, on any thread. NULL: it was not
 * open. Only while the device is idle. */
struct backend_device *device_release(struct device *device, const char *reason);

/* Closes everything, for this reason. Only while the device is idle. */
void device_detach(struct device *device, const char *reason);

/* Closes the interrupts alone, so that the next attach opens them anew. Only while the device is idle. */
void device_close_interrupts(struct device *device);

/* Closes the regions alone, so that the next attach maps them anew. Only while the device is idle. */
void device_close_regions(struct device *device);
