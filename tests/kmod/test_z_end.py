# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is looked at when everything else has run: the last test locks the kernel down, which nothing undoes."""
import pytest

from conftest import BITS, list_cases, rig


def test_kernel_never_complained(kernel):
    """The whole log and the taint flags; on the debug kernel, lost memory too."""
    done = rig("dmesg-check", *(["--leaks"] if kernel == "debug" else []), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_claimed(guest):
    assert guest.output("grep devreg: /proc/iomem /proc/ioports || true") == ""
    assert guest.output("cat /sys/module/devreg/refcnt") == "0"


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("case", list_cases("lockdown"))
def test_locked_down(guest, new_batch, quiet_log, bits, case):
    guest.run("grep -q '\\[integrity\\]' /sys/kernel/security/lockdown || echo integrity > /sys/kernel/security/lockdown")
    new_batch(bits, [case]).check(case)
