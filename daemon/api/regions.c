/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regions as the API shows them. */
#include <unistd.h>

#include "api/arguments.h"
#include "api/handlers.h"
#include "backends/iomem.h"
#include "util/json_writer.h"

static void write_widths(struct json_writer *writer, const struct region *region)
{
    width_set widths = region_widths(region);

    json_begin_array(writer, "widths");
    for (unsigned width = 1; width <= 8; width *= 2) {
        if (widths & width)
            json_put_count(writer, NULL, width * 8);
    }
    json_end_array(writer);
    if (region_default_width(region))
        json_put_count(writer, "default_width", region_default_width(region) * 8);
}

static void write_aliases(struct json_writer *writer, const struct call *call, const struct region *region)
{
    const struct inventory *inventory = call->daemon->inventory;

    json_begin_array(writer, "aliases");
    for (size_t i = 0; i < inventory->region_count; i++) {
        const struct region *other = inventory->regions[i];

        if (other != region && region_overlaps(other, region) && call_may_list(call, other))
            json_put_string(writer, NULL, region_name(other));
    }
    json_end_array(writer);
}

/* Who holds some of it, also through another region. */
static void write_reservations(
        struct json_writer *writer, const struct call *call, const struct region *region)
{
    const struct reservation *reservation = reservations_first(call->daemon->reservations, RESERVATION_HELD);

    json_begin_array(writer, "reservations");
    for (; reservation; reservation = reservation->next) {
        const struct reservation_window *window = reservation_find_window(reservation, region);

        if (!window)
            continue;
        json_begin_object(writer, NULL);
        json_put_string(writer, "id", reservation->id);
        json_put_string(writer, "holder", reservation->holder);
        json_put_string(writer, "mode", reservation->exclusive ? "exclusive" : "shared");
        json_put_string(writer, "target", reservation->target);
        json_put_count(writer, "until_seconds", reservation_seconds_left(reservation));
        json_end_object(writer);
    }
    json_end_array(writer);
}

/* What is only known while the region is open. */
static void write_open(struct json_writer *writer, const struct call *call, const struct region *region)
{
    const struct backend_region *handle = region->handle;
    char owner[128];

    json_put_string(writer, "type", handle->type == REGION_IOPORT ? "ioport" : "mmio");
    json_put_hex(writer, "size", handle->size);
    if (handle->address != ADDRESS_UNKNOWN) {
        json_put_hex(writer, "address", handle->address);
        write_aliases(writer, call, region);
        if (iomem_owner(handle->type, handle->address, handle->size, owner, sizeof(owner)))
            json_put_string(writer, "owner", owner);
    }
    if (handle->type == REGION_MMIO) {
        json_put_bool(writer, "write_combining", handle->write_combining);
        json_put_count(writer, "page_size", (uint64_t)sysconf(_SC_PAGESIZE));
    }
}

static void write_region(struct json_writer *writer, const struct call *call, const struct region *region)
{
    const struct region_description *description = region->description;

    json_begin_object(writer, NULL);
    json_put_string(writer, "name", description->name);
    json_put_string(writer, "device", device_name(region->device));
    if (description->description)
        json_put_string(writer, "description", description->description);
    json_put_string(writer, "backend", region->device->backend->name);
    json_put_string(writer, "state", region->handle ? "present" : "absent");
    if (!region->handle)
        json_put_string(writer, "reason",
                region->device->handle ? region->absent.message : region->device->absent.message);
    write_widths(writer, region);
    json_put_string(writer, "endianness", description->endianness == ENDIANNESS_BIG ? "big" : "little");
    json_put_string(writer, "access", description->read_only ? "read" : "read-write");
    if (region->handle)
        write_open(writer, call, region);
    write_reservations(writer, call, region);
    json_end_object(writer);
}

void regions_list(struct call *call)
{
    struct inventory *inventory = call->daemon->inventory;
    struct json_writer writer = json_writer(&call->reply);

    for (size_t i = 0; i < inventory->device_count; i++)
        dispatch_recheck(call->daemon->dispatch, &inventory->devices[i]);
    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "regions");
    for (size_t i = 0; i < inventory->region_count; i++) {
        if (call_may_list(call, inventory->regions[i]))
            write_region(&writer, call, inventory->regions[i]);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}

void regions_get(struct call *call)
{
    struct json_writer writer = json_writer(&call->reply);
    struct error error = {0};
    struct region *region;

    if (arguments_region(call, &region, &error) < 0) {
        call_fail(call, &error);
        return;
    }
    dispatch_recheck(call->daemon->dispatch, region->device);
    write_region(&writer, call, region);
    call_answer_json(call);
}
