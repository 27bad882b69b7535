# SPDX-License-Identifier: LGPL-2.1-or-later
"""For which of Debian's kernels the module is built here, and on which machines its cases run: a row each."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    """A kernel of Debian's."""
    name: str
    architecture: str           # as Debian calls it
    headers: str                # the package that brings the headers of the latest such kernel
    suite: str = "bookworm"
    triplet: str = ""           # of the cross compiler; none: the host's own serves
    options: tuple = ()         # for make
    boots: bool = False         # with the kernel itself, and a C library where the host has none for it


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine that QEMU emulates."""
    qemu: str
    arguments: str              # for the kernel
    bridge: str                 # a model of a bridge, with places for its number
    behind: str                 # the address of the only device behind it
    has: frozenset              # what cases need, as kmodtest --list has it
    has_platform_device: bool   # riglib's; needs ACPI and ISA
    is_shown_by: tuple          # what the kernel's log says on this machine and no other
    left_out: frozenset = frozenset()   # cases, beside those that none here runs


TARGETS = {target.name: target for target in (
    Target("arm64", "arm64", "linux-headers-arm64", triplet="aarch64-linux-gnu", boots=True),
    Target("i386", "i386", "linux-headers-686-pae", boots=True),
    Target("armhf", "armhf", "linux-headers-armmp-lpae", triplet="arm-linux-gnueabihf"),
    Target("ppc64el", "ppc64el", "linux-headers-powerpc64le", triplet="powerpc64le-linux-gnu"),
    # Built by a compiler that is newer than Debian's for it was.
    Target("5.10", "amd64", "linux-headers-amd64", suite="bullseye", options=("CC=gcc-12",)),
)}

# Those that have no machine; a machine's test builds the module without warnings itself.
ONLY_BUILT = [target.name for target in TARGETS.values() if not target.boots]

MACHINES = {
    # Messages (MSI) behind a bridge of conventional PCI do not reach this machine's interrupt controller.
    "arm64": Machine(
        qemu="qemu-system-aarch64 -machine virt,gic-version=3,iommu=smmuv3 -cpu cortex-a57",
        arguments="console=ttyAMA0",
        bridge="pcie-root-port,chassis={number}", behind="0x0",
        has=frozenset({"routes"}), has_platform_device=False,
        is_shown_by=("GICv3: ", "devreg 0000:00:0b.0: Adding to iommu group")),
    # The last four arguments: see riglib/machine.py.
    "i386": Machine(
        qemu="qemu-system-x86_64 -machine pc -cpu max",
        arguments="console=ttyS0 mitigations=off tsc=reliable no_timer_check noreplace-smp",
        bridge="pci-bridge,chassis_nr={number}", behind="0x1",
        has=frozenset({"routes", "pc"}), has_platform_device=True,
        is_shown_by=("-686-pae ", "HIGHMEM available"),
        # A quarter of all the time here; the order of accesses is that of 64 bits.
        left_out=frozenset({"races_opened_while_removed", "races_opened_while_unbound"})),
}

# Cases that no machine here runs, and why: what they look at is the same on every machine.
LEFT_OUT = {
    "buffers_ten_thousand_times": "a third of all the time here; it looks for what the module itself loses",
}

# What the guest needs of its kernel's modules.
MODULES = ("uio_pci_generic", "virtio_pci")
