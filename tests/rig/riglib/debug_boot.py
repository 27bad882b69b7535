# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the debug kernel is booted. Apart from how it is built, which this does not change."""

import contextlib

from . import debug_kernel, kernels

MEMORY_MIB = 1024
TIMEOUT_S = 600

# The log of a test's splats is long, and its first lines are the ones that matter. Addresses that stay the same from start
# to start, and a second less to boot. Interrupts are routed by the firmware's older table: ACPI's is a program of
# thousands of allocations, run each time a device is enabled, and with all that is checked and recorded it takes longer
# than the 30 s that the kernel gives it.
ARGUMENTS = "log_buf_len=4M nokaslr acpi=noirq"


@contextlib.contextmanager
def ready_kernel():
    """The debug kernel, built if need be; it is not removed while the context lasts."""
    key = debug_kernel.debug_kernel_key()
    debug_kernel.build_debug_kernel()
    with debug_kernel.CACHE.use(key) as folder:
        headers = folder / "build"
        release = (headers / "include/config/kernel.release").read_text().strip()
        yield kernels.Kernel(name=kernels.DEBUG, release=release, identity=f"{release} {key}",
                             image=folder / "kernel", initramfs=folder / "initramfs", headers=headers,
                             signing=headers / "certs", module_options=("UBSAN_SANITIZE=y",),
                             memory_mib=MEMORY_MIB, arguments=ARGUMENTS, timeout_s=TIMEOUT_S)
