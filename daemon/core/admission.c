/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See admission.h. Rules are asked before reservations: whoever may not touch a region is not told who has
 * reserved it. */
#include "core/admission.h"

#include <errno.h>

/* The octets that the operation touches; the range was checked, so this does not overflow. */
static uint64_t last_octet(const struct operation *operation)
{
    const struct access *access = &operation->access;
    size_t count = access->fixed ? 1 : access->count;

    return access->offset + count * access->width - 1;
}

static const struct reservation *find_blocking(struct daemon *daemon, const struct operation *operation)
{
    return reservations_blocking(daemon->reservations, operation->principal, operation->region,
            operation->access.offset, last_octet(operation));
}

static int refuse_reserved(
        const struct operation *operation, const struct reservation *blocking, struct error *error)
{
    return error_set(error, -EUSERS,
            "%s is reserved by %s (%s, %s)%s%s%s%s: wait for it with 'devregctl reserve %s --wait'",
            region_name(operation->region), blocking->holder, blocking->target,
            blocking->exclusive ? "exclusive" : "shared", blocking->note[0] ? ", note: " : "",
            blocking->note, blocking->contact[0] ? ", contact: " : "", blocking->contact,
            region_name(operation->region));
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
    return refuse_reserved(operation, blocking, error);
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
}
