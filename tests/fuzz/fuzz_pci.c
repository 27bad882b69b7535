/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/pci_sysfs.c: addresses and identifications. */
#include <stdio.h>
#include <string.h>

#include "backends/pci_sysfs.h"
#include "fuzz.h"

static void check_address(const char *text)
{
    char address[PCI_ADDRESS_SIZE], again[PCI_ADDRESS_SIZE];

    if (pci_address_parse(text, address) < 0)
        return;
    fuzz_assert(strlen(address) == 12);
    fuzz_assert(strspn(address, "0123456789abcdef:.") == 12);
    fuzz_assert(pci_address_parse(address, again) == 0 && strcmp(address, again) == 0);
}

static void check_id(const char *text)
{
    unsigned vendor, device, index, again[3];
    char written[32];

    if (pci_id_parse(text, &vendor, &device, &index) < 0)
        return;
    fuzz_assert(vendor <= 0xffff && device <= 0xffff && index <= 255);
    snprintf(written, sizeof(written), "%04x:%04x:%u", vendor, device, index);
    fuzz_assert(pci_id_parse(written, &again[0], &again[1], &again[2]) == 0);
    fuzz_assert(again[0] == vendor && again[1] == device && again[2] == index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);

    check_address(text);
    check_id(text);
    free(text);
    return 0;
}
