# SPDX-License-Identifier: LGPL-2.1-or-later
"""What needs a hand outside of the guest: what the device saw, and a device that is pulled out of its slot."""
import pytest

from conftest import BITS, rig

pytestmark = pytest.mark.usefixtures("quiet_log")

EDU = "0000:00:0b.0"

# What case_access.c's traced() does, as offsets in edu's BAR.
TRACED = [
    ("read", 32, 0x00, 0x010000ed),
    ("write", 32, 0x04, 0xa5a5a5a5),
    ("read", 64, 0x80, None),
    ("write", 64, 0x88, 0x0102030405060708),
    ("write", 32, 0x04, 0x11111111),
    ("write", 32, 0x04, 0x22222222),
    ("write", 32, 0x04, 0x33333333),
    ("read", 32, 0x04, 0xcccccccc),
    ("read", 32, 0x04, 0xcccccccc),
    ("read", 32, 0x04, 0xcccccccc),
    ("read", 64, 0x80, None),
    ("read", 64, 0x88, None),
]


@pytest.mark.parametrize("bits", BITS)
def test_each_access_is_one_of_its_width(guest, new_batch, bits):
    """QEMU's own record: the device saw what was asked for, in order, and nothing else."""
    start = int(guest.output(f"head -n 1 /sys/bus/pci/devices/{EDU}/resource").split()[0], 16)
    rig("trace", "on")
    try:
        new_batch(bits, ["access_traced"]).check("access_traced")
    finally:
        rig("trace", "off")
    seen = []
    for line in rig("trace", "show", "edu-mmio").stdout.splitlines():
        kind, width, address, value = line.split()
        seen.append((kind, int(width), int(address, 16) - start, int(value, 16)))
    expected = [(*row[:3], value[3] if row[3] is None else row[3]) for row, value in zip(TRACED, seen)]
    assert seen == expected and len(seen) == len(TRACED)


@pytest.fixture
def plugged_again(guest):
    yield
    for name, address in (("edu-kmod", EDU), ("edu", "0000:00:07.0")):
        if guest.run(f"test -e /sys/bus/pci/devices/{address}", check=False).returncode != 0:
            rig("plug", name)
    guest.run("/run/rig/bind-devices")


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("case,device", [("removal_unplugged_while_hammered", "edu-kmod"),
                                         ("removal_raw_claim_in_an_unplugged_device", "edu")])
def test_unplugged(guest, new_batch, plugged_again, bits, case, device):
    batch = new_batch(bits, [case])
    batch.wait_for_word("ready")
    rig("unplug", device)
    batch.check(case)


def test_plugged_in_again(guest, new_batch):
    """The device that came back is as good as the first."""
    new_batch("64", ["removal_bound_again"]).check("removal_bound_again")
