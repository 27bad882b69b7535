# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest: how long a whole process takes that reads edu's identification, devregctl and busybox
devmem in turn. The argument is the number of pairs. Prints the median seconds of each."""
import pathlib
import statistics
import subprocess
import sys
import time

edu = next(path.parent for path in pathlib.Path("/sys/bus/pci/devices").glob("*/device")
           if path.read_text().strip() == "0x11e8")
base = (edu / "resource").read_text().split()[0]
commands = {
    "devregctl": ["devregctl", "read", "edu:0x0"],
    "devmem": ["busybox", "devmem", base, "32"],
}
times = {name: [] for name in commands}
for _ in range(int(sys.argv[1]) + 1):
    for name, command in commands.items():
        start = time.monotonic()
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        times[name].append(time.monotonic() - start)
        if int(output, 16) != 0x010000ed:
            sys.exit(f"{name} printed {output!r}")
for name, values in times.items():
    print(name, statistics.median(values[1:]))
