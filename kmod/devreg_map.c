// SPDX-License-Identifier: GPL-2.0-only
/* Regions mapped into programs. Pages come when they are first touched, and under region->lock, so that none
 * comes back after the region was revoked. */
#include <linux/mm.h>
#include <linux/sizes.h>

#include "internal.h"

/* With the page that was touched come those around it: one fault for each would be slow for large windows.
 */
#define AROUND_PAGES (SZ_2M >> PAGE_SHIFT)

static vm_fault_t insert(struct vm_area_struct *vma, const struct region *region, unsigned long page)
{
    return vmf_insert_pfn(vma, vma->vm_start + ((page - vma->vm_pgoff) << PAGE_SHIFT),
            (unsigned long)(region->start >> PAGE_SHIFT) + page);
}

static vm_fault_t insert_around(struct vm_area_struct *vma, const struct region *region, unsigned long page)
{
    unsigned long first = max(vma->vm_pgoff, round_down(page, AROUND_PAGES));
    unsigned long end = min(vma->vm_pgoff + vma_pages(vma), round_down(page, AROUND_PAGES) + AROUND_PAGES);
    vm_fault_t result = insert(vma, region, page);

    while (result == VM_FAULT_NOPAGE && first < end) {
        if (first != page && insert(vma, region, first) != VM_FAULT_NOPAGE)
            break; /* it will come when it is touched */
        first++;
    }
    return result;
}

static vm_fault_t region_fault(struct vm_fault *fault)
{
    struct vm_area_struct *vma = fault->vma;
    struct region *region = vma->vm_private_data;
    vm_fault_t result = VM_FAULT_SIGBUS;

    down_read(region->lock);
    if (!region->gone)
        result = insert_around(vma, region, fault->pgoff);
    up_read(region->lock);
    return result;
}

/* A part of a mapping would have another offset than what it was made with, and programs that unmap the half
 * of a register window are mistaken. */
static int refuse_split(struct vm_area_struct *vma, unsigned long address)
{
    return -EINVAL;
}

static const struct vm_operations_struct mapping_operations = {
        .fault = region_fault,
#ifdef HAVE_MAY_SPLIT
        .may_split = refuse_split,
#else
        .split = refuse_split,
#endif
};

static void set_flags(struct vm_area_struct *vma, unsigned long set, unsigned long clear)
{
#ifdef HAVE_VM_FLAGS_SET
    vm_flags_mod(vma, set, clear);
#else
    vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

static int check_window(const struct region *region, struct vm_area_struct *vma)
{
    unsigned long pages = (unsigned long)(region->size >> PAGE_SHIFT);

    /* VM_SHARED is cleared where the file can't be written to, VM_MAYSHARE stays. */
    if (!(region->flags & DEVREG_REGION_MAPPABLE) || !(vma->vm_flags & VM_MAYSHARE))
        return -EINVAL;
    if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
        return -EINVAL;
    if (vma->vm_flags & VM_EXEC)
        return -EPERM;
    return 0;
}

int region_mmap(struct file *file, struct vm_area_struct *vma)
{
    struct region *region = file->private_data;
    unsigned long never = VM_MAYEXEC;
    int r = check_window(region, vma);

    if (r)
        return r;
    /* The kernel refuses to map for writing what was opened for reading: see region_new(). */
    if (region->flags & DEVREG_REGION_READ_ONLY)
        never |= VM_MAYWRITE;
    down_read(region->lock);
    r = region->gone ? -ENODEV : 0;
    up_read(region->lock);
    if (r)
        return r;
    set_flags(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY, never);
    vma->vm_page_prot = region->flags & DEVREG_REGION_WRITE_COMBINING
                                ? pgprot_writecombine(vma->vm_page_prot)
                                : pgprot_noncached(vma->vm_page_prot);
    /* Devices see addresses without the bit that marks encrypted memory. */
    vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
    vma->vm_private_data = region;
    vma->vm_ops = &mapping_operations;
    return 0;
}
