// SPDX-License-Identifier: GPL-2.0-only
/* Regions and buffers mapped into programs. Pages come when they are first touched, and under a lock of what
 * they are of, so that none comes back after that is gone. */
#include <linux/mm.h>
#include <linux/sizes.h>

#include "internal.h"

/* With the page that was touched come those around it: one fault for each would be slow for large windows.
 */
#define AROUND_PAGES (SZ_2M >> PAGE_SHIFT)

vm_fault_t map_insert_around(
        struct vm_area_struct *vma, unsigned long page, find_pfn find, const void *owner)
{
    unsigned long first = max(vma->vm_pgoff, round_down(page, AROUND_PAGES));
    unsigned long end = min(vma->vm_pgoff + vma_pages(vma), round_down(page, AROUND_PAGES) + AROUND_PAGES);
    unsigned long base = vma->vm_start - (vma->vm_pgoff << PAGE_SHIFT);
    vm_fault_t result = vmf_insert_pfn(vma, base + (page << PAGE_SHIFT), find(owner, page));

    for (; result == VM_FAULT_NOPAGE && first < end; first++) {
        if (first != page &&
                vmf_insert_pfn(vma, base + (first << PAGE_SHIFT), find(owner, first)) != VM_FAULT_NOPAGE)
            break; /* it will come when it is touched */
    }
    return result;
}

static unsigned long region_pfn(const void *owner, unsigned long page)
{
    const struct region *region = owner;

    return (unsigned long)(region->start >> PAGE_SHIFT) + page;
}

static vm_fault_t region_fault(struct vm_fault *fault)
{
    struct vm_area_struct *vma = fault->vma;
    struct region *region = vma->vm_private_data;
    vm_fault_t result = VM_FAULT_SIGBUS;

    down_read(region->lock);
    if (!region->gone)
        result = map_insert_around(vma, fault->pgoff, region_pfn, region);
    up_read(region->lock);
    return result;
}

/* A part of a mapping would have another offset than what it was made with, and programs that unmap the half
 * of a register window are mistaken. */
int map_refuse_split(struct vm_area_struct *vma, unsigned long address)
{
    return -EINVAL;
}

static const struct vm_operations_struct mapping_operations = {
        .fault = region_fault,
        .MAP_SPLIT = map_refuse_split,
};

static void set_flags(struct vm_area_struct *vma, unsigned long set, unsigned long clear)
{
#ifdef HAVE_VM_FLAGS_SET
    vm_flags_mod(vma, set, clear);
#else
    vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

int map_check(struct vm_area_struct *vma, u64 size)
{
    unsigned long pages = (unsigned long)(size >> PAGE_SHIFT);

    /* VM_SHARED is cleared where the file can't be written to, VM_MAYSHARE stays. */
    if (!(vma->vm_flags & VM_MAYSHARE))
        return -EINVAL;
    if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
        return -EINVAL;
    return vma->vm_flags & VM_EXEC ? -EPERM : 0;
}

void map_begin(struct vm_area_struct *vma, unsigned long never,
        const struct vm_operations_struct *operations, void *owner)
{
    set_flags(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY, VM_MAYEXEC | never);
    vma->vm_private_data = owner;
    vma->vm_ops = operations;
}

int region_mmap(struct file *file, struct vm_area_struct *vma)
{
    struct region *region = file->private_data;
    int r = region->flags & DEVREG_REGION_MAPPABLE ? map_check(vma, region->size) : -EINVAL;

    if (r)
        return r;
    down_read(region->lock);
    r = region->gone ? -ENODEV : 0;
    up_read(region->lock);
    if (r)
        return r;
    /* The kernel refuses to map for writing what was opened for reading: see region_new(). */
    map_begin(vma, region->flags & DEVREG_REGION_READ_ONLY ? VM_MAYWRITE : 0, &mapping_operations, region);
    vma->vm_page_prot = region->flags & DEVREG_REGION_WRITE_COMBINING
                                ? pgprot_writecombine(vma->vm_page_prot)
                                : pgprot_noncached(vma->vm_page_prot);
    /* Devices see addresses without the bit that marks encrypted memory. */
    vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
    return 0;
}
