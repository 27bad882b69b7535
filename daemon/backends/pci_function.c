/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See pci_function.h. */
#include "backends/pci_function.h"

#include <errno.h>
#include <string.h>

int pci_function_check(const struct device_description *description, struct error *error)
{
    char address[PCI_ADDRESS_SIZE];
    unsigned vendor, id, index;

    if (description->address && pci_address_parse(description->address, address) < 0)
        return error_set(
                error, -EINVAL, "'%s' is not a PCI address such as 0000:00:07.0", description->address);
    if (description->id && pci_id_parse(description->id, &vendor, &id, &index) < 0)
        return error_set(error, -EINVAL, "'%s' is not an identification such as 1234:11e8 or 1234:11e8:1",
                description->id);
    return 0;
}

int pci_function_find(const char *root, const struct device_description *description,
        char address[PCI_ADDRESS_SIZE], struct error *error)
{
    unsigned vendor = 0, id = 0, index = 0;
    int r = pci_function_check(description, error);

    if (r < 0)
        return r;
    if (description->address)
        return pci_address_parse(description->address, address);
    pci_id_parse(description->id, &vendor, &id, &index);
    r = pci_find(root, vendor, id, index, address);
    if (r == -ENODEV)
        return error_set(error, r, "no PCI function %04x:%04x with index %u is there", vendor, id, index);
    if (r < 0)
        return error_set(error, r, "%s: %s", root, strerror(-r));
    return 0;
}
