/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices that are bound to devreg.ko, and windows of memory or ports that it claims: the region is ours
 * alone while it is open. Each open region and device is a descriptor, so what becomes of the daemon, the
 * kernel gives all of it back.
 *
 * Memory of whole pages is mapped, all else goes through one ioctl a vector. When a device is removed or
 * unbound the module takes the mappings back and the descriptors say so; while it is there nothing does, so
 * the backend is not `revocable`. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/kmod_buffers.h"
#include "backends/kmod_interrupts.h"
#include "backends/kmod_ioctl.h"
#include "backends/kmod_safe_state.h"
#include "backends/mapping.h"
#include "backends/pci_function.h"
#include "backends/pci_reset.h"
#include "backends/sysfs.h"
#include "backends/window.h"
#include "util/cleanup.h"

struct kmod_region {
    struct backend_region base;
    struct kmod_device *device;
    struct kmod_region *next; /* in the list of the device's that are open */
    int file;
    struct mapping mapping; /* empty: it can't be mapped */
};

struct kmod_device {
    struct backend_device base;
    uint32_t kind;         /* DEVREG_DEVICE_PCI or _PLATFORM; 0: a raw window */
    int file;              /* the device's; -1: a raw window */
    uint64_t capabilities; /* DEVREG_CAPABILITY_* of the module */
    const struct device_description *description;
    struct kmod_region *regions;
};

static int kmod_usable(struct error *error)
{
    _cleanup_close_ int module = kmod_open(NULL, error);

    return module < 0 ? module : 0;
}

static uint32_t find_kind(const struct device_description *description)
{
    if (description->platform)
        return DEVREG_DEVICE_PLATFORM;
    return description->address || description->id ? DEVREG_DEVICE_PCI : 0;
}

static int check_platform(const char *platform, struct error *error)
{
    if (strlen(platform) >= DEVREG_DEVICE_SIZE || strchr(platform, '/') || platform[0] == '.')
        return error_set(error, -EINVAL, "'%.80s' is not the name of a platform device, as in %s", platform,
                PLATFORM_SYSFS_ROOT);
    return 0;
}

static int kmod_check(const struct device_description *description, struct error *error)
{
    int r = description->platform ? check_platform(description->platform, error)
                                  : pci_function_check(description, error);

    for (size_t i = 0; r == 0 && i < description->region_count; i++) {
        const struct region_description *region = &description->regions[i];

        if (region->type == REGION_IOPORT && region->write_combining)
            r = error_set(error, -EINVAL, "write_combining is for memory, not for ports");
    }
    return r;
}

/* The name of the device's folder in sysfs. */
static int find_name(const struct device_description *description, uint32_t kind,
        char name[DEVREG_DEVICE_SIZE], struct error *error)
{
    if (kind == DEVREG_DEVICE_PCI)
        return pci_function_find(PCI_SYSFS_ROOT, description, name, error);
    snprintf(name, DEVREG_DEVICE_SIZE, "%s", description->platform);
    return check_platform(description->platform, error);
}

static int check_capabilities(
        uint64_t capabilities, const struct region_description *description, struct error *error)
{
    if (description->type == REGION_IOPORT && !(capabilities & DEVREG_CAPABILITY_PORTS))
        return error_set(error, -EOPNOTSUPP, "the module devreg can't claim I/O ports on this machine");
    if (description->type == REGION_MMIO && !(capabilities & DEVREG_CAPABILITY_MEMORY))
        return error_set(error, -EOPNOTSUPP, "the module devreg can't claim memory on this machine");
    return 0;
}

static int kmod_suits(const struct device_description *description, struct error *error)
{
    uint32_t kind = find_kind(description);
    _cleanup_close_ int module = -1;
    char name[DEVREG_DEVICE_SIZE];
    uint64_t capabilities;
    int r;

    if (kind) {
        r = find_name(description, kind, name, error);
        return r < 0 ? r
                     : sysfs_check_bound(kind == DEVREG_DEVICE_PCI ? PCI_SYSFS_ROOT : PLATFORM_SYSFS_ROOT,
                               name, description->name, error);
    }
    module = kmod_open(&capabilities, error);
    r = module < 0 ? module : 0;
    for (size_t i = 0; r == 0 && i < description->region_count; i++)
        r = check_capabilities(capabilities, &description->regions[i], error);
    return r;
}

static void kmod_device_close(struct backend_device *base)
{
    struct kmod_device *device = container_of(base, struct kmod_device, base);

    closep(&device->file);
    free(device);
}

static inline void kmod_device_closep(struct kmod_device **device)
{
    if (*device)
        kmod_device_close(&(*device)->base);
}

static int open_bound(struct kmod_device *device, int module, const struct device_description *description,
        struct error *error)
{
    struct devreg_device_info info;
    char name[DEVREG_DEVICE_SIZE];
    int r = find_name(description, device->kind, name, error);

    if (r < 0)
        return r;
    device->file = kmod_open_device(module, device->kind, name, description->name, error);
    if (device->file < 0)
        return device->file;
    r = kmod_get_device_info(device->file, &info);
    if (r < 0)
        return error_set(error, r, "%s: %s", name, strerror(-r));
    device->base.can_reset = info.flags & DEVREG_DEVICE_RESET;
    snprintf(device->base.address, sizeof(device->base.address), "%s", name);
    if (device->kind == DEVREG_DEVICE_PCI)
        snprintf(device->base.id, sizeof(device->base.id), "%04x:%04x", info.vendor & 0xffff,
                info.device & 0xffff);
    return 0;
}

static int kmod_device_open(const struct device_description *description, struct backend_device **ret_device,
        struct error *error)
{
    _cleanup_(kmod_device_closep) struct kmod_device *device = calloc(1, sizeof(*device));
    _cleanup_close_ int module = -1;
    int r;

    if (!device)
        return error_set(error, -ENOMEM, "out of memory");
    device->file = -1;
    device->kind = find_kind(description);
    device->description = description;
    module = kmod_open(&device->capabilities, error);
    if (module < 0)
        return module;
    r = device->kind ? open_bound(device, module, description, error) : 0;
    if (r < 0)
        return r;
    *ret_device = &take_ptr(device)->base;
    return 0;
}

/* Raw windows that are not open hold no module: it may be gone. */
static bool kmod_device_present(struct backend_device *base)
{
    const struct kmod_device *device = container_of(base, struct kmod_device, base);

    if (device->kind)
        return !kmod_is_gone(device->file);
    for (const struct kmod_region *region = device->regions; region; region = region->next) {
        if (kmod_is_gone(region->file))
            return false;
    }
    return device->regions || access(DEVREG_PATH, F_OK) == 0;
}

static bool kmod_device_driver(struct backend_device *base, char *name, size_t size)
{
    if (!container_of(base, struct kmod_device, base)->kind)
        return false;
    snprintf(name, size, "%s", DEVREG_DRIVER);
    return true;
}

static void kmod_region_close(struct backend_region *base)
{
    struct kmod_region *region = container_of(base, struct kmod_region, base);
    struct kmod_region **link = &region->device->regions;

    while (*link && *link != region)
        link = &(*link)->next;
    if (*link)
        *link = region->next;
    mapping_close(&region->mapping);
    closep(&region->file);
    free(region);
}

static inline void kmod_region_closep(struct kmod_region **region)
{
    if (*region)
        kmod_region_close(&(*region)->base);
}

static int claim_window(struct kmod_device *device, const struct region_description *description,
        struct devreg_region_info *ret_info, struct error *error)
{
    unsigned index = kmod_resource_index(device->description, description);
    const char *kind = device->kind == DEVREG_DEVICE_PCI ? "BAR" : "resource";
    struct devreg_resource_info resource;
    char what[24];
    uint64_t size;
    int r = kmod_get_resource_info(device->file, index, &resource);

    if (r == -ENODEV)
        return error_set(error, r, "%s went away", device->base.address);
    if (r < 0 || resource.size == 0)
        return error_set(error, -ENODEV, "%s has no %s %u", device->base.address, kind, index);
    snprintf(what, sizeof(what), "%s %u", kind, index);
    r = region_find_window(description, resource.size, what, &size, error);
    if (r < 0)
        return r;
    return kmod_claim_resource(device->file, &resource, description, size, ret_info, error);
}

static int claim_raw(const struct region_description *description, struct devreg_region_info *ret_info,
        struct error *error)
{
    uint64_t capabilities;
    _cleanup_close_ int module = kmod_open(&capabilities, error);
    int r;

    if (module < 0)
        return module;
    r = check_capabilities(capabilities, description, error);
    return r < 0 ? r : kmod_claim_region(module, description, ret_info, error);
}

static int kmod_region_open(struct backend_device *base, const struct region_description *description,
        struct backend_region **ret_region, struct error *error)
{
    struct kmod_device *device = container_of(base, struct kmod_device, base);
    _cleanup_(kmod_region_closep) struct kmod_region *region = calloc(1, sizeof(*region));
    struct devreg_region_info info = {0};
    int r;

    if (!region)
        return error_set(error, -ENOMEM, "out of memory");
    region->device = device;
    region->file = device->kind ? claim_window(device, description, &info, error)
                                : claim_raw(description, &info, error);
    if (region->file < 0)
        return region->file;
    if (info.flags & DEVREG_REGION_MAPPABLE) {
        r = mapping_open(region->file, 0, info.size, !description->read_only, &region->mapping);
        if (r < 0)
            return error_set(error, r, "mapping %s: %s", description->name, mapping_strerror(r));
    }
    region->base.type = info.flags & DEVREG_REGION_PORTS ? REGION_IOPORT : REGION_MMIO;
    region->base.size = info.size;
    region->base.address = info.start;
    region->base.widths = region->mapping.start ? mapping_widths() : (width_set)(info.widths & 15);
    region->base.write_combining = info.flags & DEVREG_REGION_WRITE_COMBINING;
    region->next = device->regions;
    device->regions = region;
    *ret_region = &take_ptr(region)->base;
    return 0;
}

static int kmod_read(
        struct backend_region *base, const struct access *access, void *values, size_t *ret_done)
{
    const struct kmod_region *region = container_of(base, struct kmod_region, base);

    if (region->mapping.start)
        return mapping_read(&region->mapping, access, values, ret_done);
    return kmod_access(region->file, access, false, values, ret_done);
}

static int kmod_write(
        struct backend_region *base, const struct access *access, const void *values, size_t *ret_done)
{
    const struct kmod_region *region = container_of(base, struct kmod_region, base);

    if (region->mapping.start)
        return mapping_write(&region->mapping, access, values, ret_done);
    return kmod_access(region->file, access, true, (void *)values, ret_done);
}

/* What only a device has that is bound to the module. */
static int check_bound(const struct kmod_device *device, const char *what, struct error *error)
{
    if (device->kind)
        return 0;
    return error_set(error, -EOPNOTSUPP,
            "a window of addresses has no %s: describe the device itself (address, id or platform)", what);
}

/* The module looks for none. */
static int check_virtual_functions(const struct kmod_device *device, struct error *error)
{
    _cleanup_close_ int directory = -1;

    if (device->kind != DEVREG_DEVICE_PCI)
        return 0;
    directory = pci_open(PCI_SYSFS_ROOT, device->base.address);
    return directory < 0 ? 0 : pci_reset_check_functions(directory, device->base.address, error);
}

/* Where it can't be reset. A platform device that nobody stopped may write on after unbinding. */
static const char *explain_retained(const struct kmod_device *device)
{
    if (device->kind == DEVREG_DEVICE_PLATFORM)
        return "Unbinding it loses retained memory, unless that is under a reservation whose --safe stops it. ";
    return "Retained memory goes back when it is unbound and bound (devregctl unbind, bind). ";
}

/* The module frees what it retains of the device, when that went well. */
static int reset_device(struct backend_device *base, struct error *error)
{
    const struct kmod_device *device = container_of(base, struct kmod_device, base);
    struct devreg_reset reset = {.argsz = sizeof(reset)};
    int r = check_bound(device, "reset", error);

    if (r == 0)
        r = check_virtual_functions(device, error);
    if (r < 0)
        return r;
    r = kmod_call(device->file, DEVREG_RESET, &reset);
    return r < 0 ? pci_reset_explain(base->address, explain_retained(device), r, error) : 0;
}

static int open_interrupts(
        struct backend_device *base, struct backend_interrupts **ret_interrupts, struct error *error)
{
    const struct kmod_device *device = container_of(base, struct kmod_device, base);
    int r = check_bound(device, "interrupts", error);

    return r < 0 ? r
                 : kmod_interrupts_open(device->file, device->description,
                           device->kind == DEVREG_DEVICE_PCI ? "intx" : "line", ret_interrupts, error);
}

static int check_dma(const struct kmod_device *device, struct error *error)
{
    int r = check_bound(device, "DMA", error);

    if (r == 0 && !(device->capabilities & DEVREG_CAPABILITY_DMA))
        r = error_set(
                error, -EOPNOTSUPP, "the loaded module has no DMA yet: load the devreg.ko of this release");
    return r;
}

static int describe_dma(struct backend_device *base, struct dma_state *ret_state, struct error *error)
{
    const struct kmod_device *device = container_of(base, struct kmod_device, base);
    int r = check_dma(device, error);

    return r < 0 ? r : kmod_buffers_describe(device->file, device->description->name, ret_state, error);
}

static int open_buffer(struct backend_device *base, const struct buffer_wish *wish,
        struct backend_buffer **ret_buffer, struct error *error)
{
    const struct kmod_device *device = container_of(base, struct kmod_device, base);
    int r = check_dma(device, error);

    return r < 0 ? r : kmod_buffer_open(device->file, device->description->name, wish, ret_buffer, error);
}

/* To make no writes is in every module's power. */
static int set_safe_state(
        struct backend_device *base, const struct safe_register *writes, size_t count, struct error *error)
{
    const struct kmod_device *device = container_of(base, struct kmod_device, base);
    bool can = device->capabilities & DEVREG_CAPABILITY_SAFE_STATE;

    if (count == 0 && (!device->kind || !can))
        return 0;
    if (!device->kind)
        return error_set(error, -EOPNOTSUPP,
                "safe-state writes of %s are not made should devregd "
                "be killed: it is a window of addresses, not a device",
                device->description->name);
    if (!can)
        return error_set(error, -EOPNOTSUPP,
                "safe-state writes of %s are not made should devregd "
                "be killed: load the devreg.ko of this release",
                device->description->name);
    return kmod_safe_state_set(device->file, device->description, writes, count, error);
}

static const struct backend_form forms[] = {
        {
                .device_needs_one = KEY_ADDRESS | KEY_ID,
                .region_needs = KEY_BAR,
                .region_takes = KEY_OFFSET | KEY_SIZE | KEY_WRITE_COMBINING,
        },
        {
                .device_needs = KEY_PLATFORM,
                .region_needs = KEY_RESOURCE,
                .region_takes = KEY_OFFSET | KEY_SIZE | KEY_WRITE_COMBINING,
        },
        {
                .region_needs = KEY_BASE | KEY_SIZE,
                .region_takes = KEY_TYPE | KEY_WRITE_COMBINING,
                .region_types = REGION_TYPE_SET(REGION_MMIO) | REGION_TYPE_SET(REGION_IOPORT),
        },
};

extern const struct backend backend_kmod;
const struct backend backend_kmod = {
        .name = "kmod",
        .summary = "devices and ranges that the module devreg.ko holds for us alone",
        .forms = forms,
        .form_count = ELEMENTS(forms),
        .usable = kmod_usable,
        .check = kmod_check,
        .suits = kmod_suits,
        .device_open = kmod_device_open,
        .device_close = kmod_device_close,
        .device_present = kmod_device_present,
        .device_driver = kmod_device_driver,
        .device_reset = reset_device,
        .region_open = kmod_region_open,
        .region_close = kmod_region_close,
        .read = kmod_read,
        .write = kmod_write,
        .interrupts_open = open_interrupts,
        .interrupts_close = kmod_interrupts_close,
        .interrupts_read = kmod_interrupts_read,
        .interrupts_mask = kmod_interrupts_mask,
        .dma_describe = describe_dma,
        .buffer_open = open_buffer,
        .buffer_close = kmod_buffer_close,
        .buffer_segments = kmod_buffer_segments,
        .buffer_sync = kmod_buffer_sync,
        .safe_state_set = set_safe_state,
};
