/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See admission.h. Rules are asked before reservations: whoever may not touch a region is not told who has
 * reserved it. */
#include "core/admission.h"

#include <errno.h>

#include "core/binding.h"
#include "core/device_reset.h"
#include "core/dma_buffers.h"
#include "core/streams.h"

/* The octets that the operation touches; the range was checked, so this does not overflow. */
static uint64_t last_octet(const struct operation *operation)
{
    const struct access *access = &operation->access;
    uint64_t count = access->fixed ? 1 : access->count;

    return access->offset + count * access->width - 1;
}

static const struct reservation *find_blocking(struct daemon *daemon, const struct operation *operation)
{
    return reservations_blocking(daemon->reservations, operation->principal, operation->region,
            operation->access.offset, last_octet(operation));
}

static int refuse_reserved(
        const struct region *region, const struct reservation *blocking, struct error *error)
{
    return error_set(error, -EUSERS,
            "%s is reserved by %s (%s, %s)%s%s%s%s: wait for it with 'devregctl reserve %s --wait'",
            region_name(region), blocking->holder, blocking->target,
            blocking->exclusive ? "exclusive" : "shared", blocking->note[0] ? ", note: " : "",
            blocking->note, blocking->contact[0] ? ", contact: " : "", blocking->contact,
            region_name(region));
}

int admission_ask(struct daemon *daemon, const struct operation *operation,
        const struct reservation **ret_blocking, struct error *error)
{
    struct access_decision decision;
    const struct reservation *blocking;

    *ret_blocking = NULL;
    if (!access_decide(daemon->access, daemon->inventory, operation->principal, operation, &decision))
        return access_refuse(operation->principal,
                operation->kind == OPERATION_READ ? PERMISSION_READ : PERMISSION_WRITE, operation->region,
                &decision, error);
    if (operation->reservation) {
        int r = reservations_require(
                daemon->reservations, operation->principal->name, operation->reservation, error);

        if (r < 0)
            return r;
    }
    blocking = find_blocking(daemon, operation);
    if (!blocking)
        return 0;
    *ret_blocking = blocking;
    return refuse_reserved(operation->region, blocking, error);
}

/* UINT64_MAX is the last octet, wherever that is, of a region that was never open. */
static uint64_t last_of(const struct region *region)
{
    if (region->handle)
        return region->handle->size - 1;
    return region->known_size ? region->known_size - 1 : UINT64_MAX;
}

static int ask_whole(struct daemon *daemon, const struct principal *principal, enum permission permission,
        const char *reservation, const struct device *device, bool force,
        const struct reservation **ret_blocking, struct error *error)
{
    const struct region *blocked = NULL;

    *ret_blocking = NULL;
    for (size_t i = 0; i < device->region_count; i++) {
        const struct region *region = &device->regions[i];
        struct access_decision decision;

        if (!access_may_range(daemon->access, daemon->inventory, principal, permission, region, 0,
                    last_of(region), &decision))
            return access_refuse(principal, permission, region, &decision, error);
        if (!*ret_blocking) {
            *ret_blocking =
                    reservations_blocking(daemon->reservations, principal, region, 0, last_of(region));
            blocked = region;
        }
    }
    if (reservation) {
        int r = reservations_require(daemon->reservations, principal->name, reservation, error);

        if (r < 0)
            return r;
    }
    return *ret_blocking && !force ? refuse_reserved(blocked, *ret_blocking, error) : 0;
}

int admission_ask_device(struct daemon *daemon, const struct principal *principal, const char *reservation,
        const struct device *device, bool force, const struct reservation **ret_blocking,
        struct error *error)
{
    return ask_whole(daemon, principal, PERMISSION_ADMIN, reservation, device, force, ret_blocking, error);
}

int admission_ask_reset(struct daemon *daemon, const struct principal *principal, const char *reservation,
        const struct device *device, const struct reservation **ret_blocking, struct error *error)
{
    return ask_whole(daemon, principal, PERMISSION_WRITE, reservation, device, false, ret_blocking, error);
}

int admission_ask_region(struct daemon *daemon, const struct principal *principal,
        const struct region *region, const struct reservation **ret_blocking, struct error *error)
{
    struct access_decision decision;

    *ret_blocking = NULL;
    if (!access_may_range(daemon->access, daemon->inventory, principal, PERMISSION_WRITE, region, 0,
                last_of(region), &decision))
        return access_refuse(principal, PERMISSION_WRITE, region, &decision, error);
    *ret_blocking = reservations_blocking(daemon->reservations, principal, region, 0, last_of(region));
    return *ret_blocking ? refuse_reserved(region, *ret_blocking, error) : 0;
}

static bool may_dma(struct daemon *daemon, const struct principal *principal, const struct device *device,
        struct access_decision *decision)
{
    for (size_t i = 0; i < device->region_count; i++) {
        if (access_may(daemon->access, principal, PERMISSION_DMA, &device->regions[i], decision))
            return true;
    }
    return false;
}

int admission_ask_dma(struct daemon *daemon, const struct principal *principal, const struct device *device,
        const struct reservation **ret_blocking, struct error *error)
{
    struct access_decision decision;

    *ret_blocking = NULL;
    if (!may_dma(daemon, principal, device, &decision))
        return access_refuse(principal, PERMISSION_DMA, &device->regions[0], &decision, error);
    for (size_t i = 0; i < device->region_count; i++) {
        const struct region *region = &device->regions[i];

        *ret_blocking = reservations_blocking(daemon->reservations, principal, region, 0, last_of(region));
        if (*ret_blocking)
            return refuse_reserved(region, *ret_blocking, error);
    }
    return 0;
}

int admission_start(struct daemon *daemon, struct operation *operation,
        const struct reservation **ret_blocking, struct error *error)
{
    int r = admission_ask(daemon, operation, ret_blocking, error);

    if (r < 0)
        return r;
    operation->next = daemon->operations;
    operation->link = &daemon->operations;
    if (operation->next)
        operation->next->link = &operation->next;
    daemon->operations = operation;
    r = operation_start(daemon->dispatch, operation, error);
    if (r < 0)
        admission_end(operation);
    return r;
}

void admission_end(struct operation *operation)
{
    *operation->link = operation->next;
    if (operation->next)
        operation->next->link = operation->link;
}

void admission_recheck(struct daemon *daemon)
{
    for (struct operation *operation = daemon->operations; operation; operation = operation->next) {
        if (operation->principal->scope == 0 || find_blocking(daemon, operation) ||
                (operation->reservation &&
                        reservations_require(daemon->reservations, operation->principal->name,
                                operation->reservation, NULL) < 0))
            atomic_store(&operation->revoked, true);
    }
    binding_recheck(daemon);
    device_resets_recheck(daemon);
    streams_recheck(daemon->streams);
    dma_buffers_recheck(daemon);
}
