/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking a reservation: what is wanted, whether the principal may have it, and then to the queue. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/json_body.h"
#include "api/reservations.h"
#include "core/access.h"

static const char *const keys =
        "region offset length device mode seconds note contact wait takeover safe_state";

enum { DEFAULT_SECONDS = 600 };

/* What the body asks for. The wish points into the others. */
struct demand {
    const json_t *body;
    struct reservation_wish wish;
    struct reservation_window *windows;
    char target[RESERVATION_TARGET];
    struct safe_write safe_writes[RESERVATION_SAFE_WRITES];
};

static void demand_done(struct demand *demand)
{
    free(demand->windows);
}

/* Texts that others are shown, on their terminals too: no control characters. */
static bool is_plain(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0))
            return false;
    }
    return true;
}

static int take_text(
        const struct demand *demand, const char *key, const char **ret_text, struct error *error)
{
    const json_t *value = json_object_get(demand->body, key);
    const char *text = json_string_value(value);

    if (!value)
        return 0;
    if (!text)
        return error_set(error, -EINVAL, "\"%s\" is not a string", key);
    if (strlen(text) >= RESERVATION_TEXT)
        return error_set(error, -EINVAL, "\"%s\" is longer than %d octets", key, RESERVATION_TEXT - 1);
    if (!is_plain(text))
        return error_set(error, -EINVAL, "\"%s\" has control characters: write one line of plain text", key);
    *ret_text = text;
    return 0;
}

static int take_switch(const struct demand *demand, const char *key, bool *ret_value, struct error *error)
{
    const json_t *value = json_object_get(demand->body, key);

    if (value && !json_is_boolean(value))
        return error_set(error, -EINVAL, "\"%s\" is neither true nor false", key);
    *ret_value = json_is_true(value);
    return 0;
}

static int take_mode(struct demand *demand, struct error *error)
{
    const json_t *value = json_object_get(demand->body, "mode");
    const char *mode = json_string_value(value);

    if (value && (!mode || (strcmp(mode, "exclusive") != 0 && strcmp(mode, "shared") != 0)))
        return error_set(error, -EINVAL, "\"mode\" is neither \"exclusive\" nor \"shared\"");
    demand->wish.exclusive = !value || strcmp(mode, "exclusive") == 0;
    return 0;
}

static int take_manner(struct demand *demand, struct error *error)
{
    struct reservation_wish *wish = &demand->wish;
    int r = take_mode(demand, error);

    wish->duration_us = UINT64_C(1000000) * DEFAULT_SECONDS;
    if (r == 0)
        r = reservations_seconds(json_object_get(demand->body, "seconds"), &wish->duration_us, error);
    if (r == 0)
        r = take_switch(demand, "wait", &wish->wait, error);
    if (r == 0)
        r = take_text(demand, "note", &wish->note, error);
    if (r == 0)
        r = take_text(demand, "contact", &wish->contact, error);
    if (r == 0)
        r = take_text(demand, "takeover", &wish->takeover, error);
    if (r == 0 && wish->takeover && !wish->takeover[0])
        return error_set(
                error, -EINVAL, "\"takeover\" is empty: give the reason, it is told to whoever has it now");
    return r;
}

/* Targets */

static int take_windows(struct demand *demand, size_t count, struct error *error)
{
    demand->windows = calloc(count, sizeof(*demand->windows));
    if (!demand->windows)
        return error_set(error, -ENOMEM, "out of memory: try again");
    demand->wish.windows = demand->windows;
    demand->wish.window_count = count;
    return 0;
}

/* A region that is absent can be reserved, as a whole: it may be about to be plugged in. */
static void take_whole(struct call *call, struct reservation_window *window, struct region *region)
{
    operation_open_region(call->daemon->dispatch, region, NULL);
    *window = (struct reservation_window){.region = region, .last = UINT64_MAX};
}

static int take_device(struct call *call, struct demand *demand, const char *name, struct error *error)
{
    const struct device *device = inventory_find_device(call->daemon->inventory, name);
    int r;

    if (!device)
        return error_set(error, -ENOENT, "there is no device '%.64s': /v1/devices lists them", name);
    r = take_windows(demand, device->region_count, error);
    if (r < 0)
        return r;
    for (size_t i = 0; i < device->region_count; i++)
        take_whole(call, &demand->windows[i], &device->regions[i]);
    snprintf(demand->target, sizeof(demand->target), "device %s", name);
    return 0;
}

static int take_range(struct call *call, struct demand *demand, struct region *region, struct error *error)
{
    const json_t *offset = json_object_get(demand->body, "offset");
    const json_t *length = json_object_get(demand->body, "length");
    uint64_t first = 0, octets = 0, size;
    int r;

    if (!offset || !length)
        return error_set(error, -EINVAL,
                "a range needs both \"offset\" and \"length\"; without them all of %s is reserved",
                region_name(region));
    r = json_body_value(offset, "offset", 8, &first, error);
    if (r == 0)
        r = json_body_value(length, "length", 8, &octets, error);
    if (r == 0 && octets == 0)
        r = error_set(error, -EINVAL, "a length of 0 reserves nothing: give 1 octet or more");
    if (r == 0)
        r = operation_open_region(call->daemon->dispatch, region, error);
    if (r < 0)
        return r;
    size = region->handle->size;
    if (first >= size || octets > size - first)
        return error_set(error, -ERANGE,
                "0x%" PRIx64 " octets from 0x%" PRIx64 " on end outside %s (0x%" PRIx64 " octets)", octets,
                first, region_name(region), size);
    demand->windows[0] = (struct reservation_window){region, first, first + octets - 1};
    snprintf(demand->target, sizeof(demand->target), "%s:0x%" PRIx64 "-0x%" PRIx64, region_name(region),
            first, first + octets - 1);
    return 0;
}

static int take_region(struct call *call, struct demand *demand, const char *name, struct error *error)
{
    struct region *region = inventory_find_region(call->daemon->inventory, name);
    int r;

    if (!region)
        return error_set(error, -ENOENT, "there is no region '%.64s': /v1/regions lists them", name);
    r = take_windows(demand, 1, error);
    if (r < 0)
        return r;
    if (json_object_get(demand->body, "offset") || json_object_get(demand->body, "length"))
        return take_range(call, demand, region, error);
    take_whole(call, &demand->windows[0], region);
    snprintf(demand->target, sizeof(demand->target), "%s", name);
    return 0;
}

static int take_target(struct call *call, struct demand *demand, struct error *error)
{
    const json_t *region = json_object_get(demand->body, "region");
    const json_t *device = json_object_get(demand->body, "device");

    demand->wish.target = demand->target;
    if (!region == !device)
        return error_set(error, -EINVAL, "the body takes either \"region\" or \"device\"");
    if (!json_is_string(region ? region : device))
        return error_set(
                error, -EINVAL, "\"%s\" is not a string: give its name", region ? "region" : "device");
    if (region)
        return take_region(call, demand, json_string_value(region), error);
    if (json_object_get(demand->body, "offset") || json_object_get(demand->body, "length"))
        return error_set(error, -EINVAL, "a device is reserved whole: give a \"region\" for a range");
    return take_device(call, demand, json_string_value(device), error);
}

/* Permissions */

static int check_windows(const struct call *call, const struct demand *demand, enum permission permission,
        struct error *error)
{
    return reservations_check(call, demand->windows, demand->wish.window_count, permission, error);
}

/* A takeover ends others' reservations as a whole: it is for who may release them. */
static int check_takeover(const struct call *call, const struct demand *demand, struct error *error)
{
    const struct reservation *r = reservations_first(call->daemon->reservations, RESERVATION_HELD);
    int checked = check_windows(call, demand, PERMISSION_ADMIN, error);

    for (; r && checked == 0; r = r->next) {
        if (!reservation_is_in_the_way(r, &demand->wish) || strcmp(r->holder, call->principal->name) == 0)
            continue;
        checked = reservations_check(call, r->windows, r->window_count, PERMISSION_ADMIN, error);
        if (checked < 0)
            error_prefix(error, "this would end %s's reservation of %s", r->holder, r->target);
    }
    return checked;
}

/* Safe-state writes */

static struct region *find_region(const struct demand *demand, const char *name)
{
    for (size_t i = 0; i < demand->wish.window_count; i++) {
        if (!name || strcmp(region_name(demand->windows[i].region), name) == 0)
            return demand->windows[i].region;
    }
    return NULL;
}

static bool is_inside(const struct demand *demand, const struct safe_write *write)
{
    uint64_t last = write->offset + write->width - 1; /* in the region, so this does not overflow */

    for (size_t i = 0; i < demand->wish.window_count; i++) {
        const struct reservation_window *window = &demand->windows[i];

        if (window->region == write->region && window->first <= write->offset && last <= window->last)
            return true;
    }
    return false;
}

static int take_safe_place(
        const struct demand *demand, const json_t *row, struct safe_write *write, struct error *error)
{
    const json_t *region = json_object_get(row, "region"), *width = json_object_get(row, "width");
    uint64_t bits = 0;
    int r;

    if (region ? !json_is_string(region) : demand->wish.window_count > 1)
        return error_set(error, -EINVAL, "\"region\" is missing or not a string");
    write->region = find_region(demand, json_string_value(region));
    if (!write->region)
        return error_set(error, -EINVAL, "region '%.64s' is not in the reservation of %s",
                json_string_value(region), demand->target);
    if (width) {
        r = json_body_value(width, "width", 8, &bits, error);
        if (r < 0)
            return r;
        if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
            return error_set(
                    error, -EINVAL, "width %" PRIu64 " is none: a register has 8, 16, 32 or 64 bits", bits);
    }
    write->width = (unsigned)bits / 8;
    return json_body_value(json_object_get(row, "offset"), "offset", 8, &write->offset, error);
}

/* The same checks as for a write that is made now. */
static int check_safe_write(const struct call *call, const struct demand *demand, struct safe_write *write,
        const json_t *value, struct error *error)
{
    const struct daemon *daemon = call->daemon;
    uint64_t octets;
    struct operation operation = {.kind = OPERATION_WRITE,
            .region = write->region,
            .access = {.offset = write->offset, .width = write->width, .count = 1},
            .values = &octets};
    struct access_decision decision;
    int r = operation_prepare(daemon->dispatch, write->region, OPERATION_WRITE, &operation.access, error);

    if (r < 0)
        return r;
    write->width = operation.access.width;
    if (!is_inside(demand, write))
        return error_set(error, -ERANGE, "%s:0x%" PRIx64 " is outside the reservation of %s",
                region_name(write->region), write->offset, demand->target);
    r = json_body_value(value, "value", write->width, &write->value, error);
    if (r < 0)
        return r;
    operation_set_value(&operation, 0, write->value);
    if (!access_decide(daemon->access, daemon->inventory, call->principal, &operation, &decision))
        return access_refuse(call->principal, PERMISSION_WRITE, write->region, &decision, error);
    return 0;
}

static int check_keys(const json_t *row, struct error *error)
{
    static const char *const names[] = {"region", "offset", "width", "value"};
    size_t known = 0;

    if (!json_is_object(row))
        return error_set(error, -EINVAL, "not an object");
    for (size_t i = 0; i < ELEMENTS(names); i++)
        known += json_object_get(row, names[i]) != NULL;
    if (known < json_object_size(row))
        return error_set(error, -EINVAL, "an unknown key: the keys are: region offset width value");
    return 0;
}

static int take_safe_writes(const struct call *call, struct demand *demand, struct error *error)
{
    const json_t *list = json_object_get(demand->body, "safe_state");
    size_t index;
    json_t *row;

    if (!list)
        return 0;
    if (!json_is_array(list))
        return error_set(error, -EINVAL, "\"safe_state\" is not a list");
    if (json_array_size(list) > RESERVATION_SAFE_WRITES)
        return error_set(
                error, -EMSGSIZE, "\"safe_state\" has more than %d writes", RESERVATION_SAFE_WRITES);
    json_array_foreach (list, index, row) {
        struct safe_write *write = &demand->safe_writes[index];
        int r = check_keys(row, error);

        if (r == 0)
            r = take_safe_place(demand, row, write, error);
        if (r == 0)
            r = check_safe_write(call, demand, write, json_object_get(row, "value"), error);
        if (r < 0)
            return error_prefix(error, "safe_state[%zu]", index);
    }
    demand->wish.safe_writes = demand->safe_writes;
    demand->wish.safe_write_count = json_array_size(list);
    return 0;
}

static int read_demand(struct call *call, struct demand *demand, struct error *error)
{
    int r = take_manner(demand, error);

    if (r == 0)
        r = take_target(call, demand, error);
    if (r == 0)
        r = check_windows(call, demand, PERMISSION_RESERVE, error);
    if (r == 0 && demand->wish.takeover)
        r = check_takeover(call, demand, error);
    return r == 0 ? take_safe_writes(call, demand, error) : r;
}

void reservations_post(struct call *call)
{
    json_auto_t *body = NULL;
    struct reservation *reservation;
    _cleanup_(demand_done) struct demand demand = {.wish = {.holder = call->principal->name}};
    struct error error;
    int r = json_body_parse(call, keys, &body, &error);

    demand.body = body;
    if (r == 0)
        r = read_demand(call, &demand, &error);
    call->subject = demand.target[0] ? demand.target : NULL;
    call->reason = demand.wish.takeover ? demand.wish.takeover : demand.wish.note;
    if (r == 0)
        r = reservations_take(
                call->daemon->reservations, &demand.wish, &reservation, &call->blocking, &error);
    if (r == 0) {
        call->subject = reservation->id;
        reservations_answer(call, reservation, reservation->state == RESERVATION_HELD ? 201 : 202);
    } else {
        call_fail(call, &error);
    }
    call->subject = call->reason = NULL; /* they end here */
}
