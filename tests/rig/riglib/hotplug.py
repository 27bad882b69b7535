# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pulls devices out of the running guest and puts them back, as a person does with a card in a hotplug slot.

QEMU asks the guest's kernel to let go of the device and takes it away when it has; both ends are waited for.
"""

from .common import RigError
from .machine import TEST_DEVICES

# A second device on the same memory backend ends QEMU 7.2 with a failed assertion.
FIXED = "ivshmem"

# For a card's removal there is QEMU's event, for its arrival only the guest's own word.
WAIT_FOR_FUNCTION = """
tries=0
while [ ! -e "/sys/bus/pci/devices/$1/config" ]; do
    tries=$((tries + 1))
    [ "$tries" -le "$2" ] || exit 1
    sleep 0.1
done
"""


def unplug(machine, name, timeout_s):
    _device(name)
    with machine.qmp() as qmp:
        qmp.execute("device_del", id=name)
        if qmp.wait_event("DEVICE_DELETED", timeout_s, device=name) is None:
            raise RigError(f"the guest's kernel did not let go of {name} within {timeout_s:g} s: see rig log")


def plug(machine, inside, name, timeout_s):
    driver, options = _device(name)
    with machine.qmp() as qmp:
        qmp.execute("device_add", driver=driver, **options)
    # The function comes up on the root bus, so its slot is its address.
    address = f"0000:00:{int(options['addr'], 0):02x}.0"
    script = ["sh", "-c", WAIT_FOR_FUNCTION, "sh", address, str(round(timeout_s * 10))]
    if inside.run(script).returncode != 0:
        raise RigError(f"the guest's kernel did not see {name} at {address} within {timeout_s:g} s: see rig log")


def _device(name):
    """The driver and the options of the row with this id."""
    if name == FIXED:
        raise RigError(f"{name} stays where it is: QEMU cannot take it back")
    known = []
    for row in TEST_DEVICES:
        driver, *words = row.split(",")
        options = dict(word.split("=", 1) for word in words)
        known.append(options["id"])
        if options["id"] == name and "bus" in options:
            raise RigError(f"{name} stays where it is: it is behind a bridge")
        if options["id"] == name:
            return driver, options
    raise RigError(f"the rig has no device {name}; it has {' '.join(known)}")
