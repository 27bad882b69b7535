/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See uio_place.h. What a UIO driver leaves out is reached through other backends, so the messages name
 * them.
 */
#include "backends/uio_place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/pci_sysfs.h"
#include "backends/window.h"

enum { MAPS = 16 }; /* more than any driver has: MAX_UIO_MAPS is 5 */

static int place_in_map(unsigned index, const struct uio_map *map, uint64_t whole, const char *what,
        const struct region_description *description, struct uio_place *ret_place, struct error *error)
{
    struct uio_place place = {.map = index};
    int r = region_find_window(description, whole, what, &place.size, error);

    if (r < 0)
        return r;
    place.skip = map->offset + description->offset;
    /* Of memory that the driver allocated UIO shows the kernel's own address, in the upper half. */
    place.address = map->address > INT64_MAX ? ADDRESS_UNKNOWN : map->address + place.skip;
    *ret_place = place;
    return 0;
}

static int find_map(int directory, const char *name, const struct region_description *description,
        struct uio_place *ret_place, struct error *error)
{
    struct uio_map map;
    char what[24];
    int r = uio_read_map(directory, description->uio_map, &map);

    if (r < 0 || map.offset >= map.size)
        return error_set(error, -ENODEV, "%s has no UIO map %u", name, description->uio_map);
    snprintf(what, sizeof(what), "UIO map %u", description->uio_map);
    return place_in_map(
            description->uio_map, &map, map.size - map.offset, what, description, ret_place, error);
}

static int find_ports(int directory, const char *name, const struct region_description *description,
        struct uio_place *ret_place, struct error *error)
{
    struct uio_place place = {.ports = true};
    struct uio_ports ports;
    char what[32];
    int r = uio_read_ports(directory, description->uio_port, &ports);

    if (r < 0)
        return error_set(error, -ENODEV, "%s has no UIO port range %u", name, description->uio_port);
    if (strcmp(ports.type, "port_x86") != 0)
        return error_set(error, -ENODEV,
                "the UIO port range %u of %s is of the type %s: only port_x86 can be reached",
                description->uio_port, name, ports.type);
    snprintf(what, sizeof(what), "UIO port range %u", description->uio_port);
    r = region_find_window(description, ports.size, what, &place.size, error);
    if (r < 0)
        return r;
    place.address = ports.start + description->offset;
    *ret_place = place;
    return 0;
}

/* The map that begins where the BAR does. */
static int find_bar(int directory, int function, const char *name,
        const struct region_description *description, struct uio_place *ret_place, struct error *error)
{
    struct pci_resource resource;
    char what[16];

    if (function < 0 || pci_read_resource(function, description->bar, &resource) < 0)
        return error_set(error, -ENODEV, "the PCI function at %s went away", name);
    if (resource.size == 0)
        return error_set(error, -ENODEV, "%s has no BAR %u", name, description->bar);
    if (resource.flags & PCI_RESOURCE_IO)
        return error_set(error, -ENODEV,
                "BAR %u of %s has ports, which its UIO driver does not give: use the backend pci or kmod",
                description->bar, name);
    snprintf(what, sizeof(what), "BAR %u", description->bar);
    for (unsigned i = 0; i < MAPS; i++) {
        struct uio_map map;

        if (uio_read_map(directory, i, &map) == 0 && map.address + map.offset == resource.start &&
                map.offset < map.size && resource.size <= map.size - map.offset)
            return place_in_map(i, &map, resource.size, what, description, ret_place, error);
    }
    return error_set(error, -ENODEV,
            "the UIO driver of %s leaves out BAR %u, as uio_pci_generic does with those that are 64 bits "
            "wide or prefetchable and with the last: use the backend pci or kmod",
            name, description->bar);
}

int uio_find_place(int directory, int function, const char *name,
        const struct region_description *description, struct uio_place *ret_place, struct error *error)
{
    if (description->keys & KEY_UIO_MAP)
        return find_map(directory, name, description, ret_place, error);
    if (description->keys & KEY_UIO_PORT)
        return find_ports(directory, name, description, ret_place, error);
    return find_bar(directory, function, name, description, ret_place, error);
}
