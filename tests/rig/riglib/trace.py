# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU's own record of device accesses: what the device saw, not what the guest believes it did.

QEMU writes a line for each access that reaches a device model. This is on only while wanted, as all devices' accesses
are written, those of the interrupt controller and the disk too. RAM-backed BARs (ivshmem's BAR 2) have no model, so no
access to them is ever seen; a model that takes only narrow accesses (pci-testdev) sees a wide one in pieces.
"""

import os
import re

from .common import RigError

EVENTS = {"memory_region_ops_read": "read", "memory_region_ops_write": "write"}

ACCESS = re.compile(r"(memory_region_ops_(?:read|write)) cpu \S+ mr \S+ addr 0x([0-9a-f]+) value 0x([0-9a-f]+)"
                    r" size (\d+) name '([^']*)'")


def switch(machine, enable):
    """Starts an empty record, or ends the present one, which stays readable."""
    with machine.qmp() as qmp:
        if enable:
            _set_events(qmp, False)
            # QEMU opens the file anew, and from the second time on for appending: so emptying it here is safe.
            refused = qmp.monitor("logfile trace.log")
            if refused:
                raise RigError(f"QEMU cannot write trace.log: {refused.strip()}")
            os.truncate(machine.trace_log, 0)
        _set_events(qmp, enable)


def _set_events(qmp, enable):
    for event in EVENTS:
        qmp.execute("trace-event-set-state", name=event, enable=enable)


def accesses(machine, region=None):
    """The accesses of the record, in order, as (kind, width in bits, address, value, region name)."""
    if not machine.trace_log.exists():
        return
    with open(machine.trace_log, encoding="utf-8", errors="replace") as record:
        for line in record:
            found = ACCESS.search(line)
            if found and region in (None, found[5]):
                width = int(found[4]) * 8
                mask = (1 << width) - 1         # QEMU prints some values with more bits than the access has
                yield EVENTS[found[1]], width, int(found[2], 16), int(found[3], 16) & mask, found[5]
