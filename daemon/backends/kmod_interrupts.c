/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See kmod_interrupts.h. */
#include "backends/kmod_interrupts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/kmod_ioctl.h"
#include "util/cleanup.h"

enum {
    BATCH = 64,      /* records of one read() */
    RECORDS = 16384, /* that the module keeps: what comes while the loop does something else */
};

struct kmod_interrupts {
    struct backend_interrupts base;
    const struct device_description *description;
    uint32_t kind;     /* DEVREG_INTERRUPT_* */
    uint64_t *numbers; /* of each source's last record */
};

/* Kinds in order of preference. */
static const struct {
    enum interrupt_type type;
    uint32_t kind;
    const char *name; /* NULL: the device's bus says */
} kinds[] = {
        {INTERRUPT_MSIX, DEVREG_INTERRUPT_MSIX, "msi-x"},
        {INTERRUPT_MSI, DEVREG_INTERRUPT_MSI, "msi"},
        {INTERRUPT_LINE, DEVREG_INTERRUPT_LINE, NULL},
};

static unsigned count_vectors(const struct device_description *description)
{
    unsigned count = 0;

    for (size_t i = 0; i < description->interrupt_count; i++) {
        if (description->interrupts[i].vector >= count)
            count = description->interrupts[i].vector + 1;
    }
    return count;
}

static unsigned vectors_of_kind(const struct devreg_interrupt_info *info, uint32_t kind)
{
    switch (kind) {
    case DEVREG_INTERRUPT_MSIX:
        return info->msix;
    case DEVREG_INTERRUPT_MSI:
        return info->msi;
    default:
        return info->lines;
    }
}

static int explain_none(const struct device_description *description,
        const struct devreg_interrupt_info *info, unsigned count, struct error *error)
{
    if (!info->flags)
        return error_set(error, -EOPNOTSUPP, "%s has no interrupts", description->name);
    return error_set(error, -ENOSPC,
            "%s has not %u vectors of the asked type, but %u of msi-x, %u of msi and %u lines: change "
            "\"vector\" or \"interrupt_type\"",
            description->name, count, info->msix, info->msi, info->lines);
}

static int explain_refused(const struct device_description *description, int code, struct error *error)
{
    switch (code) {
    case -EPERM:
        return error_set(error, code,
                "kernel lockdown forbids %s to master the bus, which msi and msi-x need: use "
                "\"interrupt_type\": \"intx\"",
                description->name);
    case -EBUSY:
        return error_set(error, code,
                "the interrupt line of %s is another driver's and can't be shared, or another program has "
                "the interrupts open",
                description->name);
    case -ENOSPC:
        return error_set(
                error, code, "the machine has not enough interrupt vectors left for %s", description->name);
    default:
        return error_set(error, code, "interrupts of %s: %s", description->name, strerror(-code));
    }
}

/* The best kind that was asked for, has enough vectors, and is not refused. */
static int open_kind(int device, const struct device_description *description, const char *line_name,
        struct kmod_interrupts *interrupts, struct error *error)
{
    struct devreg_interrupt_info info = {.argsz = sizeof(info)};
    struct devreg_open_interrupts open = {
            .argsz = sizeof(open), .count = count_vectors(description), .records = RECORDS};
    int r = kmod_call(device, DEVREG_INTERRUPT_INFO, &info);

    if (r == -ENOTTY)
        return error_set(error, -EOPNOTSUPP,
                "the loaded module has no interrupts yet: load the devreg.ko of this release");
    if (r < 0)
        return explain_refused(description, r, error);
    r = explain_none(description, &info, open.count, error);
    for (size_t i = 0; i < ELEMENTS(kinds); i++) {
        if ((description->interrupt_type != INTERRUPT_BEST &&
                    description->interrupt_type != kinds[i].type) ||
                vectors_of_kind(&info, kinds[i].kind) < open.count)
            continue;
        open.flags = kinds[i].kind;
        r = kmod_call(device, DEVREG_OPEN_INTERRUPTS, &open);
        if (r >= 0) {
            interrupts->base.fd = r;
            interrupts->kind = open.flags;
            interrupts->base.type = kinds[i].name ? kinds[i].name : line_name;
            return 0;
        }
        explain_refused(description, r, error);
    }
    return r;
}

static int set_acknowledge(const struct kmod_interrupts *interrupts,
        const struct interrupt_description *interrupt, struct error *error)
{
    const struct acknowledge_description *wanted = &interrupt->acknowledge;
    const struct region_description *region = &interrupts->description->regions[wanted->region];
    struct devreg_acknowledge acknowledge = {.argsz = sizeof(acknowledge),
            .flags = DEVREG_ACKNOWLEDGE_READ | (wanted->writes ? DEVREG_ACKNOWLEDGE_WRITE : 0) |
                     (wanted->writes && wanted->constant ? DEVREG_ACKNOWLEDGE_CONSTANT : 0),
            .vector = interrupt->vector,
            .index = kmod_resource_index(interrupts->description, region),
            .width = wanted->width,
            .status = region->offset + wanted->read,
            .acknowledge = region->offset + wanted->write,
            .value = region_order(region, wanted->width, wanted->value),
            .mask = region_order(region, wanted->width, wanted->mask)};
    int r = kmod_call(interrupts->base.fd, DEVREG_SET_ACKNOWLEDGE, &acknowledge);

    if (r == -EACCES)
        return error_set(error, -EACCES,
                "what acknowledges %s is not in the region %s as it "
                "is open now: it is absent, or may only be read",
                interrupt->name, region->name);
    return r < 0 ? error_set(error, r, "what acknowledges %s in the region %s: %s", interrupt->name,
                           region->name, strerror(-r))
                 : 0;
}

void kmod_interrupts_close(struct backend_interrupts *base)
{
    struct kmod_interrupts *interrupts = container_of(base, struct kmod_interrupts, base);

    closep(&base->fd);
    free(interrupts->numbers);
    free(interrupts);
}

static inline void kmod_interrupts_closep(struct kmod_interrupts **interrupts)
{
    if (*interrupts)
        kmod_interrupts_close(&(*interrupts)->base);
}

/* Unmasked last, when all that acknowledges is in its place. */
static int set_up(struct kmod_interrupts *interrupts, struct error *error)
{
    const struct device_description *description = interrupts->description;
    int r = 0;

    for (size_t i = 0; r == 0 && i < description->interrupt_count; i++) {
        if (description->interrupts[i].acknowledged)
            r = set_acknowledge(interrupts, &description->interrupts[i], error);
    }
    for (unsigned i = 0; r == 0 && i < description->interrupt_count; i++) {
        r = kmod_interrupts_mask(&interrupts->base, i, false);
        if (r < 0)
            explain_refused(description, r, error);
    }
    return r;
}

int kmod_interrupts_open(int device, const struct device_description *description, const char *line_name,
        struct backend_interrupts **ret_interrupts, struct error *error)
{
    _cleanup_(kmod_interrupts_closep) struct kmod_interrupts *interrupts = calloc(1, sizeof(*interrupts));
    int r;

    if (!interrupts)
        return error_set(error, -ENOMEM, "out of memory");
    interrupts->description = description;
    interrupts->base.fd = -1;
    interrupts->base.acknowledges = true;
    interrupts->numbers = calloc(description->interrupt_count, sizeof(*interrupts->numbers));
    if (!interrupts->numbers)
        return error_set(error, -ENOMEM, "out of memory");
    r = open_kind(device, description, line_name, interrupts, error);
    if (r < 0)
        return r;
    if (fcntl(interrupts->base.fd, F_SETFL, O_NONBLOCK) < 0)
        return error_set(error, -errno, "interrupts of %s: %s", description->name, strerror(errno));
    r = set_up(interrupts, error);
    if (r < 0)
        return r;
    *ret_interrupts = &take_ptr(interrupts)->base;
    return 0;
}

/* False for a vector that is not described: it is never unmasked. */
static bool find_source(const struct kmod_interrupts *interrupts, unsigned vector, unsigned *ret_source)
{
    for (unsigned i = 0; i < interrupts->description->interrupt_count; i++) {
        if (interrupts->description->interrupts[i].vector == vector) {
            *ret_source = i;
            return true;
        }
    }
    return false;
}

static bool translate(
        struct kmod_interrupts *interrupts, const struct devreg_interrupt *from, struct interrupt_record *to)
{
    const struct interrupt_description *interrupt;
    unsigned source;

    if (!find_source(interrupts, from->vector, &source))
        return false;
    interrupt = &interrupts->description->interrupts[source];
    *to = (struct interrupt_record){.source = source,
            .time_ns = from->time,
            .missed = from->number - interrupts->numbers[source] - 1,
            .has_value = from->flags & DEVREG_INTERRUPT_VALUE,
            .masked = from->flags & DEVREG_INTERRUPT_MASKED};
    to->overrun = to->masked && interrupts->kind != DEVREG_INTERRUPT_LINE; /* a message leaves nothing up */
    if (to->has_value)
        to->value = region_order(&interrupts->description->regions[interrupt->acknowledge.region],
                interrupt->acknowledge.width, from->value);
    interrupts->numbers[source] = from->number;
    return true;
}

int kmod_interrupts_read(
        struct backend_interrupts *base, struct interrupt_record *records, size_t count, size_t *ret_count)
{
    struct kmod_interrupts *interrupts = container_of(base, struct kmod_interrupts, base);
    struct devreg_interrupt batch[BATCH];
    ssize_t size;

    *ret_count = 0;
    size = read(base->fd, batch, (count < BATCH ? count : BATCH) * sizeof(batch[0]));
    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    for (size_t i = 0; i < (size_t)size / sizeof(batch[0]); i++)
        *ret_count += translate(interrupts, &batch[i], &records[*ret_count]);
    return 0;
}

int kmod_interrupts_mask(struct backend_interrupts *base, unsigned source, bool masked)
{
    const struct kmod_interrupts *interrupts = container_of(base, struct kmod_interrupts, base);
    struct devreg_mask_interrupts mask = {.argsz = sizeof(mask),
            .flags = masked ? DEVREG_MASK_SET : 0,
            .vector = interrupts->description->interrupts[source].vector,
            .count = 1};

    return kmod_call(base->fd, DEVREG_MASK_INTERRUPTS, &mask);
}
