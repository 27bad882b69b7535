// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whether flags of a VMA are changed by functions (they are constant then). */
#include <linux/mm.h>

void probe(struct vm_area_struct *vma);
void probe(struct vm_area_struct *vma)
{
    vm_flags_set(vma, VM_IO);
}
