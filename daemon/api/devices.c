/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices as the API shows them. */
#include <errno.h>

#include "api/devices.h"
#include "api/handlers.h"
#include "core/dma_buffers.h"
#include "util/json_writer.h"

/* A device is shown when one of its regions is. */
static bool may_list(const struct call *call, const struct device *device)
{
    for (size_t i = 0; i < device->region_count; i++) {
        if (call_may_list(call, &device->regions[i]))
            return true;
    }
    return false;
}

/* Every backend that the configuration's keys are enough for, as it would do now. */
static void write_candidates(struct json_writer *writer, const struct device *device)
{
    json_begin_array(writer, "candidates");
    for (size_t i = 0; backends[i]; i++) {
        struct error error = {0};
        bool usable;

        if (!backend_fits(backends[i], device->description))
            continue;
        usable = backend_judge(backends[i], device->description, &error) == 0;
        json_begin_object(writer, NULL);
        json_put_string(writer, "name", backends[i]->name);
        json_put_bool(writer, "usable", usable);
        if (!usable)
            json_put_string(writer, "reason", error.message);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_dma(struct json_writer *writer, const struct call *call, struct device *device)
{
    struct dma_state state;

    if (!dma_buffers_look(device, &state)) {
        json_put_string(writer, "dma", NULL);
        return;
    }
    json_begin_object(writer, "dma");
    json_put_bool(writer, "translated", state.translated);
    json_put_count(writer, "size_max", state.size_max);
    json_put_count(writer, "total_max", state.total_max);
    json_put_count(writer, "total", state.total);
    json_put_count(writer, "retained", state.retained);
    json_put_count(writer, "reserved", state.reserved);
    json_put_count(writer, "reserved_free", state.reserved_free);
    json_put_count(writer, "buffers", dma_buffers_of_device(call->daemon, device, NULL, 0));
    json_end_object(writer);
}

/* What asking each backend costs is for one device, not for a list of them. */
static void write_members(
        struct json_writer *writer, const struct call *call, struct device *device, bool with_candidates)
{
    const struct backend *backend = device->backend;
    const struct backend_device *handle = device->handle;
    char driver[64];

    json_put_string(writer, "name", device_name(device));
    if (device->description->description)
        json_put_string(writer, "description", device->description->description);
    json_put_string(writer, "backend", backend->name);
    json_put_string(writer, "why", device->why);
    if (with_candidates)
        write_candidates(writer, device);
    json_put_string(writer, "state", handle ? "present" : "absent");
    if (!handle)
        json_put_string(writer, "reason", device->absent.message);
    if (handle && handle->address[0])
        json_put_string(writer, "address", handle->address);
    if (handle && handle->id[0])
        json_put_string(writer, "id", handle->id);
    if (handle && backend->device_driver && backend->device_driver(device->handle, driver, sizeof(driver)))
        json_put_string(writer, "driver", driver);
    json_put_bool(writer, "can_reset", device_can_reset(device));
    json_begin_array(writer, "regions");
    for (size_t i = 0; i < device->region_count; i++) {
        if (call_may_list(call, &device->regions[i]))
            json_put_string(writer, NULL, region_name(&device->regions[i]));
    }
    json_end_array(writer);
    write_dma(writer, call, device);
}

void devices_write_members(struct json_writer *writer, const struct call *call, struct device *device)
{
    write_members(writer, call, device, true);
}

void devices_write(
        struct json_writer *writer, const char *key, const struct call *call, struct device *device)
{
    json_begin_object(writer, key);
    devices_write_members(writer, call, device);
    json_end_object(writer);
}

void devices_list(struct call *call)
{
    struct inventory *inventory = call->daemon->inventory;
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "devices");
    for (size_t i = 0; i < inventory->device_count; i++) {
        dispatch_recheck(call->daemon->dispatch, &inventory->devices[i]);
        if (!may_list(call, &inventory->devices[i]))
            continue;
        json_begin_object(&writer, NULL);
        write_members(&writer, call, &inventory->devices[i], false);
        json_end_object(&writer);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}

struct device *devices_find(const struct call *call, struct error *error)
{
    struct device *device = inventory_find_device(call->daemon->inventory, call->parameters[0]);

    if (!device)
        error_set(error, -ENOENT, "there is no device '%.64s': /v1/devices lists them", call->parameters[0]);
    return device;
}

void devices_get(struct call *call)
{
    struct json_writer writer = json_writer(&call->reply);
    struct error error;
    struct device *device = devices_find(call, &error);

    if (!device) {
        call_fail(call, &error);
        return;
    }
    dispatch_recheck(call->daemon->dispatch, device);
    devices_write(&writer, NULL, call, device);
    call_answer_json(call);
}
