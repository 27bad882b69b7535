// SPDX-License-Identifier: GPL-2.0-only
/* Whether a PCI function has a list of ways to reset it (before: the flag reset_fn). */
#include <linux/pci.h>

int probe(const struct pci_dev *function);
int probe(const struct pci_dev *function)
{
    return function->reset_methods[0];
}
