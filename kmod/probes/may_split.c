// SPDX-License-Identifier: GPL-2.0-only
/* Whether the operation that refuses to split a VMA is called may_split (before: split). */
#include <linux/mm.h>

static int refuse(struct vm_area_struct *vma, unsigned long address)
{
    return vma && address ? -1 : 0;
}

extern const struct vm_operations_struct probe;
const struct vm_operations_struct probe = {.may_split = refuse};
