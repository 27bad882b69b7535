// SPDX-License-Identifier: GPL-2.0-only
/* Whether flags of a VMA are changed by functions (they are constant then). */
#include <linux/mm.h>

void probe(struct vm_area_struct *vma);
void probe(struct vm_area_struct *vma)
{
    vm_flags_set(vma, VM_IO);
}
