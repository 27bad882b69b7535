// SPDX-License-Identifier: GPL-2.0-only
/* PCI functions. There is no table of identifications: only what an administrator names in driver_override
 * comes here. */
#include <linux/pci.h>

#include "internal.h"

static struct device *pci_find(const char *name)
{
    return bus_find_device_by_name(&pci_bus_type, NULL, name);
}

static unsigned int pci_resource_count(struct device *device)
{
    return PCI_STD_NUM_BARS;
}

static struct resource *pci_resource(struct device *device, unsigned int index)
{
    struct resource *resource = &to_pci_dev(device)->resource[index];

    /* Without an address when the firmware found no room for it. */
    return resource->flags & (IORESOURCE_MEM | IORESOURCE_IO) && !(resource->flags & IORESOURCE_UNSET)
                   ? resource
                   : NULL;
}

static bool can_reset(const struct pci_dev *function)
{
#ifdef HAVE_RESET_METHODS
    return function->reset_methods[0];
#else
    return function->reset_fn;
#endif
}

static void pci_describe(struct device *device, struct devreg_device_info *info)
{
    const struct pci_dev *function = to_pci_dev(device);

    info->vendor = function->vendor;
    info->device = function->device;
    info->class_code = function->class;
    if (can_reset(function))
        info->flags |= DEVREG_DEVICE_RESET;
}

/* Gives up rather than wait for a lock: whoever unbinds the device has that lock and waits for us. */
static int pci_reset(struct device *device)
{
    struct pci_dev *function = to_pci_dev(device);

    return can_reset(function) ? pci_try_reset_function(function) : -EOPNOTSUPP;
}

/* The line of an interrupt may be another device's too. Nobody here would acknowledge one, and the kernel
 * then switches the line off for all. */
static void pci_quiet(struct device *device)
{
    pci_clear_master(to_pci_dev(device));
    pci_intx(to_pci_dev(device), 0);
}

static void pci_bus_master(struct device *device, bool on)
{
    if (on)
        pci_set_master(to_pci_dev(device));
    else
        pci_clear_master(to_pci_dev(device));
}

/* Writes that are on their way arrive before the answer to a read that follows them (PCI Local Bus 3.0,
 * 3.2.5); reads of its own that it waits for are pending transactions. */
static bool pci_drain(struct device *device)
{
    struct pci_dev *function = to_pci_dev(device);
    u16 command = 0;

    pci_read_config_word(function, PCI_COMMAND, &command);
    return !(command & PCI_COMMAND_MASTER) && pci_wait_for_pending_transaction(function);
}

static bool pci_is_present(struct device *device)
{
    return pci_device_is_present(to_pci_dev(device));
}

static void pci_hold_line(struct device *device)
{
    pci_intx(to_pci_dev(device), 0);
}

static void pci_release_line(struct device *device)
{
    pci_intx(to_pci_dev(device), 1);
}

static unsigned int pci_vector_count(struct device *device, u32 kind)
{
    struct pci_dev *function = to_pci_dev(device);
    int count;

    if (kind == DEVREG_INTERRUPT_LINE)
        return function->pin && function->irq && function->irq != IRQ_NOTCONNECTED;
    count = kind == DEVREG_INTERRUPT_MSI ? pci_msi_vec_count(function) : pci_msix_vec_count(function);
    return count > 0 ? count : 0;
}

static int pci_vectors_begin(struct device *device, u32 kind, unsigned int count)
{
    struct pci_dev *function = to_pci_dev(device);
    int r;

    if (kind == DEVREG_INTERRUPT_LINE)
        return 0;
    r = pci_alloc_irq_vectors(
            function, count, count, kind == DEVREG_INTERRUPT_MSI ? PCI_IRQ_MSI : PCI_IRQ_MSIX);
    return r < 0 ? r : 0;
}

static void pci_vectors_end(struct device *device, u32 kind)
{
    if (kind != DEVREG_INTERRUPT_LINE)
        pci_free_irq_vectors(to_pci_dev(device)); /* which lets the line go */
    pci_hold_line(device);
}

static int pci_vector_number(struct device *device, u32 kind, unsigned int vector)
{
    struct pci_dev *function = to_pci_dev(device);

    return kind == DEVREG_INTERRUPT_LINE ? function->irq : pci_irq_vector(function, vector);
}

static bool pci_can_hold_line(struct device *device)
{
    return !to_pci_dev(device)->broken_intx_masking;
}

static bool pci_hold_line_if_up(struct device *device)
{
    return pci_check_and_mask_intx(to_pci_dev(device));
}

static bool pci_release_line_unless_up(struct device *device)
{
    return pci_check_and_unmask_intx(to_pci_dev(device));
}

const struct device_bus device_bus_pci = {
        .kind = DEVREG_DEVICE_PCI,
        .find = pci_find,
        .resource_count = pci_resource_count,
        .resource = pci_resource,
        .describe = pci_describe,
        .reset = pci_reset,
        .quiet = pci_quiet,
        .set_master = pci_bus_master,
        .drain = pci_drain,
        .is_present = pci_is_present,
        .vector_count = pci_vector_count,
        .vectors_begin = pci_vectors_begin,
        .vectors_end = pci_vectors_end,
        .vector_number = pci_vector_number,
        .can_hold_line = pci_can_hold_line,
        .hold_line = pci_hold_line,
        .release_line = pci_release_line,
        .hold_line_if_up = pci_hold_line_if_up,
        .release_line_unless_up = pci_release_line_unless_up,
};

/* One that somebody has enabled through sysfs only counts this as once more; its power state is unknown
 * since its last driver went, and messages are for D0 alone. */
static int power_up(struct pci_dev *function)
{
    int r = pci_enable_device(function);

    if (r)
        return r;
    r = pci_set_power_state(function, PCI_D0);
    if (r == 0 || r == -EIO) /* that it has no such states */
        return 0;
    pci_disable_device(function);
    return r;
}

static int pci_probe(struct pci_dev *function, const struct pci_device_id *id)
{
    int r;

    if (function->hdr_type != PCI_HEADER_TYPE_NORMAL) {
        pci_err(function, "a bridge can't be given away: others are behind it\n");
        return -EINVAL;
    }
    r = power_up(function);
    if (r)
        return r;
    pci_quiet(&function->dev);
    pci_save_state(function);
    r = device_add_bound(&function->dev, &device_bus_pci);
    if (r)
        pci_disable_device(function);
    return r;
}

static void pci_remove(struct pci_dev *function)
{
    device_remove_bound(&function->dev);
    /* Its line stays held: an interrupt that pends would come up on a line that may be others', and nobody
     * would serve it. The next driver's pci_enable_device() lets it go. */
    pci_disable_device(function);
}

static void pci_reset_prepare(struct pci_dev *function)
{
    device_pause_bound(&function->dev);
}

/* What is restored after an error is what was saved last. */
static void pci_reset_done(struct pci_dev *function)
{
    pci_save_state(function);
    device_resume_bound(&function->dev);
}

/* After an error on the bus everything behind a port is reset together, if all drivers there take part.
 * Programs see registers that read as ones, and then those of a fresh device. */
static pci_ers_result_t pci_error_detected(struct pci_dev *function, pci_channel_state_t state)
{
    device_pause_bound(&function->dev);
    if (state == pci_channel_io_perm_failure)
        return PCI_ERS_RESULT_DISCONNECT;
    return state == pci_channel_io_frozen ? PCI_ERS_RESULT_NEED_RESET : PCI_ERS_RESULT_CAN_RECOVER;
}

static pci_ers_result_t pci_slot_reset(struct pci_dev *function)
{
    pci_restore_state(function);
    pci_save_state(function);
    return PCI_ERS_RESULT_RECOVERED;
}

static void pci_resume(struct pci_dev *function)
{
    device_resume_bound(&function->dev);
}

static const struct pci_error_handlers error_handlers = {
        .error_detected = pci_error_detected,
        .slot_reset = pci_slot_reset,
        .resume = pci_resume,
        .reset_prepare = pci_reset_prepare,
        .reset_done = pci_reset_done,
};

static void pci_shutdown(struct pci_dev *function)
{
    pci_quiet(&function->dev);
}

static struct pci_driver driver = {
        .name = DEVREG_DRIVER,
        .probe = pci_probe,
        .remove = pci_remove,
        .shutdown = pci_shutdown,
        .err_handler = &error_handlers,
};

int __init pci_init(void)
{
    return pci_register_driver(&driver);
}

void pci_done(void)
{
    pci_unregister_driver(&driver);
}
