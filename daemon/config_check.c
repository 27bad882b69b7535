/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only what is wrong on every machine is a mistake here; what is wrong on this one makes a device absent. */
#include "config_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/pci_sysfs.h"
#include "config_interrupts.h"
#include "util/cleanup.h"

static const struct {
    enum description_key bit;
    const char *name;
} key_names[] = {
        {KEY_ADDRESS, "address"},
        {KEY_ID, "id"},
        {KEY_MODEL, "model"},
        {KEY_TRACE, "trace"},
        {KEY_PATH, "path"},
        {KEY_BAR, "bar"},
        {KEY_OFFSET, "offset"},
        {KEY_BASE, "base"},
        {KEY_SIZE, "size"},
        {KEY_WRITE_COMBINING, "write_combining"},
        {KEY_PLATFORM, "platform"},
        {KEY_UIO, "uio"},
        {KEY_RESOURCE, "resource"},
        {KEY_UIO_MAP, "uio_map"},
        {KEY_UIO_PORT, "uio_port"},
        {KEY_TYPE, "type"},
};

/* Reports at a region of the device, or at a key of it. */
static void report_region(struct config_reader *reader, size_t region, const char *key, const char *message)
{
    size_t before = strlen(reader->pointer);

    snprintf(reader->pointer + before, sizeof(reader->pointer) - before, "/regions/%zu%s%s", region,
            key ? "/" : "", key ? key : "");
    config_report(reader, false, "%s", message);
    reader->pointer[before] = 0;
}

static void report_member(struct config_reader *reader, const char *key, const char *message)
{
    size_t before = strlen(reader->pointer);

    snprintf(reader->pointer + before, sizeof(reader->pointer) - before, "/%s", key);
    config_report(reader, false, "%s", message);
    reader->pointer[before] = 0;
}

/* Reports at the device itself (region is -1) or one of its regions, or at a key of it. */
static void report(struct config_reader *reader, int region, const char *key, const char *message)
{
    if (region >= 0)
        report_region(reader, (size_t)region, key, message);
    else if (key)
        report_member(reader, key, message);
    else
        config_report(reader, false, "%s", message);
}

/* `"address" or "id"`: the keys of a set. */
static void list_keys(uint32_t keys, char *list, size_t size)
{
    size_t used = 0;

    list[0] = 0;
    for (size_t i = 0; i < ELEMENTS(key_names) && used < size; i++) {
        if (!(keys & key_names[i].bit))
            continue;
        keys &= ~(uint32_t)key_names[i].bit;
        used += (size_t)snprintf(list + used, size - used, "%s\"%s\"",
                used == 0 ? "" : (keys ? ", " : " or "), key_names[i].name);
    }
}

/* Every key that is missing, and every one that the backend does not take. */
static void check_keys(struct config_reader *reader, const struct backend *backend, uint32_t given,
        uint32_t needed, uint32_t needed_one, uint32_t taken, int region)
{
    uint32_t one = given & needed_one;
    char message[200], list[100];

    for (size_t i = 0; i < ELEMENTS(key_names); i++) {
        uint32_t bit = key_names[i].bit;
        const char *name = key_names[i].name;

        if (given & bit && !((needed | needed_one | taken) & bit)) {
            snprintf(message, sizeof(message), "backend %s does not take this key", backend->name);
            report(reader, region, name, message);
        } else if (needed & bit && !(given & bit)) {
            snprintf(message, sizeof(message), "backend %s needs \"%s\" here", backend->name, name);
            report(reader, region, NULL, message);
        }
    }
    if (needed_one && (one == 0 || one & (one - 1))) {
        list_keys(needed_one, list, sizeof(list));
        snprintf(message, sizeof(message), "backend %s needs either %s%s", backend->name, list,
                region >= 0 ? " here" : "");
        report(reader, region, NULL, message);
    }
}

/* What `base` is in, where it is not what the backend reaches. */
static void check_type(struct config_reader *reader, const struct backend *backend,
        const struct backend_form *form, const struct region_description *region, int index)
{
    char message[128];

    if (!form->region_types || form->region_types & REGION_TYPE_SET(region->type))
        return;
    snprintf(message, sizeof(message), "backend %s reaches %s alone: expected \"%s\"", backend->name,
            region->type == REGION_IOPORT ? "memory" : "I/O ports",
            region->type == REGION_IOPORT ? "mmio" : "ioport");
    report(reader, index, "type", message);
}

/* A value that is no good was reported and left out, so its key is there without it. */
static bool has_its_values(const struct device_description *device)
{
    uint32_t keys = device->keys;

    for (size_t i = 0; i < device->region_count; i++) {
        if (device->regions[i].keys & KEY_SIZE && !device->regions[i].size)
            return false;
    }
    return !(keys & KEY_ADDRESS && !device->address) && !(keys & KEY_ID && !device->id) &&
           !(keys & KEY_MODEL && !device->model) && !(keys & KEY_TRACE && !device->trace) &&
           !(keys & KEY_PATH && !device->path) && !(keys & KEY_PLATFORM && !device->platform) &&
           !(keys & KEY_UIO && !device->uio);
}

/* A backend that takes several forms is held to the one that was meant, so far as the keys tell. */
static void check_backend(
        struct config_reader *reader, const struct device_description *device, const struct backend *backend)
{
    const struct backend_form *form = backend_nearest_form(backend, device);
    struct error error = {0};

    check_keys(reader, backend, device->keys, form->device_needs, form->device_needs_one, form->device_takes,
            -1);
    for (size_t i = 0; i < device->region_count; i++) {
        check_keys(reader, backend, device->regions[i].keys, form->region_needs, form->region_needs_one,
                form->region_takes, (int)i);
        check_type(reader, backend, form, &device->regions[i], (int)i);
    }
    if (backend_fits(backend, device) && has_its_values(device) && backend->check &&
            backend->check(device, &error) < 0)
        config_report(reader, false, "%s", error.message);
}

/* With a backend that reaches ports alone, `base` is a port without saying so. */
static void complete_types(struct device_description *device)
{
    const struct backend *backend = device->backend ? backend_find(device->backend) : NULL;

    for (size_t i = 0; backend && i < device->region_count; i++) {
        if (!(device->regions[i].keys & KEY_TYPE) &&
                backend->forms->region_types == REGION_TYPE_SET(REGION_IOPORT))
            device->regions[i].type = REGION_IOPORT;
    }
}

/* The backend that is named, or one that its keys point to; NULL after a report. */
static const struct backend *find_backend(
        struct config_reader *reader, const struct device_description *device)
{
    char list[128] = "";

    for (size_t i = 0; backends[i]; i++) {
        size_t used = strlen(list);

        if (device->backend ? strcmp(backends[i]->name, device->backend) == 0
                            : backend_fits(backends[i], device))
            return backends[i];
        snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", backends[i]->name);
    }
    if (device->backend) {
        char message[200];

        snprintf(message, sizeof(message), "there is no such backend: expected one of %s", list);
        report_member(reader, "backend", message);
    } else {
        config_report(reader, false,
                "no backend works from these keys: give \"address\" or \"id\" and each region's \"bar\" "
                "(kmod, uio, pci), \"platform\" and each region's \"resource\" (kmod), \"uio\" and each "
                "region's \"uio_map\" or \"uio_port\" (uio), each region's \"base\" and \"size\" (kmod, "
                "devmem, and for the \"type\" \"ioport\" kmod, ioport), or \"model\" (sim)");
    }
    return NULL;
}

static void check_window(struct config_reader *reader, const struct region_description *region, size_t index)
{
    uint64_t start = region->keys & KEY_BASE ? region->base : region->offset;

    if (region->size && region->size - 1 > UINT64_MAX - start)
        report_region(reader, index, NULL, "its base and size together are beyond 64 bits");
    for (unsigned width = 1; width <= 8; width *= 2) {
        char message[128];

        if (!(region->widths & width))
            continue;
        if (start % width) {
            snprintf(message, sizeof(message), "has %u, but its start 0x%" PRIx64 " is not a multiple of %u",
                    width * 8, start, width);
            report_region(reader, index, "widths", message);
        } else if (region->size && region->size < width) {
            snprintf(message, sizeof(message), "has %u, but the region is smaller than that", width * 8);
            report_region(reader, index, "widths", message);
        }
    }
}

/* Where a region's octets are, so far as the configuration says: two windows of one place may overlap. */
struct window {
    enum { WINDOW_MEMORY, WINDOW_PORTS, WINDOW_BAR, WINDOW_RESOURCE, WINDOW_UIO_MAP, WINDOW_UIO_PORT } kind;
    unsigned index; /* which BAR, resource and so on of the device */
    uint64_t start, last;
};

static bool find_window(const struct region_description *region, struct window *window)
{
    uint64_t last = region->size ? region->offset + region->size - 1 : UINT64_MAX;

    if (region->keys & KEY_SIZE && !region->size)
        return false; /* it was no good */
    if (region->keys & KEY_BASE && region->size)
        *window = (struct window){region->type == REGION_IOPORT ? WINDOW_PORTS : WINDOW_MEMORY, 0,
                region->base, region->base + region->size - 1};
    else if (region->keys & KEY_BAR)
        *window = (struct window){WINDOW_BAR, region->bar, region->offset, last};
    else if (region->keys & KEY_RESOURCE)
        *window = (struct window){WINDOW_RESOURCE, region->resource, region->offset, last};
    else if (region->keys & KEY_UIO_MAP)
        *window = (struct window){WINDOW_UIO_MAP, region->uio_map, region->offset, last};
    else if (region->keys & KEY_UIO_PORT)
        *window = (struct window){WINDOW_UIO_PORT, region->uio_port, region->offset, last};
    else
        return false;
    return true;
}

/* One name for each way to write it. False for what is none: that is reported elsewhere. */
static bool name_function(const struct device_description *device, char name[24])
{
    char address[PCI_ADDRESS_SIZE];
    unsigned vendor, id, index;

    if (device->address && pci_address_parse(device->address, address) == 0)
        snprintf(name, 24, "%s", address);
    else if (device->id && pci_id_parse(device->id, &vendor, &id, &index) == 0)
        snprintf(name, 24, "%04x:%04x:%u", vendor, id, index);
    else
        return false;
    return true;
}

static bool is_same_device(const struct device_description *a, const struct device_description *b)
{
    char function_a[24], function_b[24];

    if (a->platform && b->platform)
        return strcmp(a->platform, b->platform) == 0;
    if (a->uio && b->uio)
        return strcmp(a->uio, b->uio) == 0;
    return name_function(a, function_a) && name_function(b, function_b) &&
           strcmp(function_a, function_b) == 0;
}

static bool regions_overlap(const struct device_description *device_a, const struct region_description *a,
        const struct device_description *device_b, const struct region_description *b)
{
    struct window x, y;

    if (!find_window(a, &x) || !find_window(b, &y) || x.kind != y.kind || x.index != y.index ||
            x.start > y.last || y.start > x.last)
        return false;
    return x.kind == WINDOW_MEMORY || x.kind == WINDOW_PORTS || is_same_device(device_a, device_b);
}

static void compare_regions(struct config_reader *reader, const struct device_description *device,
        size_t index, const struct device_description *other_device, const struct region_description *other)
{
    const struct region_description *region = &device->regions[index];
    char message[200];

    if (region->name && other->name && strcmp(region->name, other->name) == 0) {
        snprintf(message, sizeof(message), "the region name %s is taken already: every region needs its own",
                region->name);
        report_region(reader, index, "name", message);
    }
    if (regions_overlap(device, region, other_device, other)) {
        snprintf(
                message, sizeof(message), "overlaps the region %s", other->name ? other->name : "before it");
        report_region(reader, index, NULL, message);
    }
}

/* Each pair of regions is looked at once: with all regions read before this one. */
static void compare_with_earlier(struct config_reader *reader, size_t device_index, size_t region_index)
{
    const struct device_description *devices = reader->config->devices;

    for (size_t i = 0; i <= device_index; i++) {
        size_t count = i < device_index ? devices[i].region_count : region_index;

        for (size_t k = 0; k < count; k++)
            compare_regions(
                    reader, &devices[device_index], region_index, &devices[i], &devices[i].regions[k]);
    }
}

void config_check_device(struct config_reader *reader, size_t index)
{
    struct device_description *device = &reader->config->devices[index];
    const struct backend *backend;

    complete_types(device);
    if (!device->name)
        config_report(reader, false, "a device needs a \"name\"");
    for (size_t i = 0; device->name && i < index; i++) {
        const char *other = reader->config->devices[i].name;

        if (other && strcmp(other, device->name) == 0)
            report_member(reader, "name", "the device name is taken already: every device needs its own");
    }
    if (device->region_count == 0)
        config_report(reader, false, "a device needs \"regions\"");
    for (size_t i = 0; i < device->region_count; i++) {
        if (!device->regions[i].name)
            report_region(reader, i, NULL, "a region needs a \"name\"");
        check_window(reader, &device->regions[i], i);
        compare_with_earlier(reader, index, i);
    }
    config_check_interrupts(reader, index);
    backend = find_backend(reader, device);
    if (backend)
        check_backend(reader, device, backend);
}
