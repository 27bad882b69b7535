/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each device has at most one set that counts, the one that was submitted last, unless it failed. Sets stay
 * in a list until the worker has given them back and another one counts. A backend that does not take a set
 * has the one before, of reservations that have ended maybe, so it is told to make none then. */
#include "core/safe_registers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/operation.h"
#include "util/cleanup.h"

struct set {
    struct work work;
    struct safe_registers *owner;
    struct set *next, **link;
    struct device *device;
    bool counts;  /* it is the device's */
    bool working; /* it is with the worker */
    bool clears;  /* it has none, after one that failed for this reason */
    struct error why;
    int result;
    struct error error;
    size_t count;
    struct safe_register writes[];
};

struct slot {
    struct set *set; /* NULL: nothing is set */
    bool stale;      /* the backend has another one */
    bool failed;     /* that was told */
};

struct safe_registers {
    struct daemon *daemon;
    void (*not_set)(struct device *device, const struct error *error, void *context);
    void *context;
    struct set *sets;
    struct slot slots[]; /* in the order of the inventory */
};

static struct slot *slot_of(struct safe_registers *safe_registers, const struct device *device)
{
    return &safe_registers->slots[device - safe_registers->daemon->inventory->devices];
}

static void set_free(struct set *set)
{
    *set->link = set->next;
    if (set->next)
        set->next->link = set->link;
    free(set);
}

/* It is freed now or when the worker gives it back. */
static void drop(struct slot *slot)
{
    struct set *set = take_ptr(slot->set);

    if (!set)
        return;
    set->counts = false;
    if (!set->working)
        set_free(set);
}

int safe_registers_new(struct daemon *daemon,
        void (*not_set)(struct device *device, const struct error *error, void *context), void *context,
        struct safe_registers **ret_safe_registers)
{
    size_t count = daemon->inventory->device_count;
    struct safe_registers *safe_registers =
            calloc(1, sizeof(*safe_registers) + count * sizeof(safe_registers->slots[0]));

    if (!safe_registers)
        return -ENOMEM;
    safe_registers->daemon = daemon;
    safe_registers->not_set = not_set;
    safe_registers->context = context;
    *ret_safe_registers = safe_registers;
    return 0;
}

void safe_registers_free(struct safe_registers *safe_registers)
{
    if (!safe_registers)
        return;
    while (safe_registers->sets)
        set_free(safe_registers->sets);
    free(safe_registers);
}

/* What is to be written */

static struct safe_register make_register(const struct safe_write *write)
{
    struct safe_register made = {.region = (size_t)(write->region - write->region->device->regions),
            .offset = write->offset,
            .width = write->width};
    struct operation operation = {
            .region = write->region, .access = {.width = write->width, .count = 1}, .values = &made.value};

    operation_set_value(&operation, 0, write->value);
    return made;
}

static bool are_equal(const struct safe_register *one, const struct safe_register *other)
{
    return one->region == other->region && one->offset == other->offset && one->width == other->width &&
           one->value == other->value;
}

static bool has(const struct set *set, const struct safe_register *wanted)
{
    for (size_t i = 0; i < set->count; i++) {
        if (are_equal(&set->writes[i], wanted))
            return true;
    }
    return false;
}

static const struct reservation *first_held(const struct daemon *daemon)
{
    return reservations_first(daemon->reservations, RESERVATION_HELD);
}

/* Those who share a device often have the same ones. */
static void collect(const struct daemon *daemon, struct set *set)
{
    for (const struct reservation *r = first_held(daemon); r; r = r->next) {
        for (size_t i = 0; i < r->safe_write_count; i++) {
            struct safe_register made;

            if (r->safe_writes[i].region->device != set->device)
                continue;
            made = make_register(&r->safe_writes[i]);
            if (!has(set, &made))
                set->writes[set->count++] = made;
        }
    }
}

static size_t count_most(const struct daemon *daemon)
{
    size_t count = 0;

    for (const struct reservation *r = first_held(daemon); r; r = r->next)
        count += r->safe_write_count;
    return count;
}

static bool is_set(const struct slot *slot, const struct set *wanted)
{
    if (!slot->set)
        return wanted->count == 0 && !slot->stale;
    if (slot->set->count != wanted->count)
        return false;
    for (size_t i = 0; i < wanted->count; i++) {
        if (!are_equal(&slot->set->writes[i], &wanted->writes[i]))
            return false;
    }
    return true;
}

/* Setting it */

static void run(struct work *work)
{
    struct set *set = container_of(work, struct set, work);
    const struct device *device = set->device;

    set->result = device->backend->safe_state_set(device->handle, set->writes, set->count, &set->error);
}

static void done(struct work *work);

static struct set *set_new(struct safe_registers *safe_registers, struct device *device)
{
    struct daemon *daemon = safe_registers->daemon;
    struct set *set = calloc(1, sizeof(*set) + count_most(daemon) * sizeof(set->writes[0]));

    if (!set)
        return NULL;
    set->owner = safe_registers;
    set->device = device;
    set->work = (struct work){.run = run, .done = done, .own = true, .apart = true};
    set->link = &safe_registers->sets;
    set->next = safe_registers->sets;
    if (set->next)
        set->next->link = &set->next;
    safe_registers->sets = set;
    return set;
}

static int submit(struct slot *slot, struct set *set)
{
    int r = dispatch_submit(set->owner->daemon->dispatch, set->device, &set->work, 0, NULL);

    if (r < 0) {
        set_free(set);
        return r;
    }
    drop(slot);
    set->counts = set->working = true;
    slot->set = set;
    return 0;
}

static void tell(struct slot *slot, const struct set *set, const struct error *why, const char *made)
{
    struct safe_registers *safe_registers = set->owner;
    struct error error;

    if (slot->failed)
        return;
    slot->failed = true;
    error_set(&error, why->code, "%s: should devregd be killed, %s", why->message, made);
    safe_registers->not_set(set->device, &error, safe_registers->context);
}

static const char none_made[] = "no safe-state writes are made there";
static const char others_made[] = "those are made there that were set before";

/* Whether none is to be made instead: that is being tried, and what comes of it is told. */
static bool clear(struct slot *slot, const struct set *failed)
{
    struct set *set = failed->count > 0 ? set_new(failed->owner, failed->device) : NULL;

    if (!set)
        return false;
    set->clears = true;
    set->why = failed->error;
    return submit(slot, set) == 0;
}

/* That the device is gone is told by others. Of a set that counts no more, the one that does tells. */
static void judge(struct slot *slot, const struct set *set)
{
    if (!set->counts)
        return;
    if (set->result == 0 && set->clears)
        tell(slot, set, &set->why, none_made);
    else if (set->result == 0)
        slot->failed = false;
    else if (set->result != -ENODEV && (set->clears || !clear(slot, set)))
        tell(slot, set, set->clears ? &set->why : &set->error, others_made);
}

static void done(struct work *work)
{
    struct set *set = container_of(work, struct set, work);
    struct slot *slot = slot_of(set->owner, set->device);
    bool ran = work->end == WORK_RAN;

    if (ran) {
        slot->stale = set->result < 0;
        judge(slot, set);
    }
    set->working = false;
    if (set->counts && !(ran && set->result < 0))
        return;
    if (slot->set == set)
        slot->set = NULL;
    set_free(set);
}

/* Of a device that is not there, or is being closed, it is done when it is back. */
static void update(struct safe_registers *safe_registers, struct device *device)
{
    struct daemon *daemon = safe_registers->daemon;
    struct slot *slot = slot_of(safe_registers, device);
    struct set *set;

    if (!device->handle || !device->backend->safe_state_set)
        return;
    set = set_new(safe_registers, device);
    if (!set)
        return; /* the next change tries again */
    collect(daemon, set);
    if (is_set(slot, set))
        set_free(set);
    else
        submit(slot, set);
}

void safe_registers_update(struct safe_registers *safe_registers)
{
    struct inventory *inventory = safe_registers ? safe_registers->daemon->inventory : NULL;

    for (size_t i = 0; inventory && i < inventory->device_count; i++)
        update(safe_registers, &inventory->devices[i]);
}

void safe_registers_renew(struct safe_registers *safe_registers, struct device *device)
{
    if (!safe_registers)
        return;
    drop(slot_of(safe_registers, device));
    update(safe_registers, device);
}
