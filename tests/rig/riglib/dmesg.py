# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds in the guest's kernel log what says that the kernel, or a module in it, did something wrong."""

import re
import subprocess

from . import guest
from .common import RigError, say

# Written by payload/run/rig/load-module. What came before is not the module's doing.
MARK = "rig: the module is loaded next"

TROUBLE = re.compile("|".join((
    r"WARNING:", r"\bBUG\b", r"\bOops\b", r"Kernel panic", r"kernel stack", r"general protection", r"divide error",
    r"invalid opcode", r"unable to handle", r"traps: ", r"Call Trace", r"KASAN", r"UBSAN", r"ODEBUG", r"DMA-API",
    r"list_(?:add|del) corruption", r"refcount_t:", r"Bad page", r"kmemleak: \d+ new", r"Objects remaining",
    r"recursive locking", r"circular locking", r"lock inversion", r"inconsistent lock state", r"lock order",
    r"[Ii]nvalid wait context", r"bad unlock balance", r"held lock freed", r"lock(?:s)? (?:still )?held",
    r"suspicious RCU", r"sleeping function called", r"scheduling while atomic", r"blocked for more than",
    r"soft lockup", r"hard LOCKUP", r"rcu.*detected (?:expedited )?stall", r"irq \d+: nobody cared", r"already-free IRQ",
    r"cannot create duplicate", r"tried to init an initialized object", r"does not have a release\(\) function",
    r"page allocation failure", r"memory leak",
)))
TRACE = re.compile("Call Trace")

# Heads of reports that are no trouble; the stack that a report prints goes with its head.
# Failures that a test asked for.
ALLOWED = (r"FAULT_INJECTION: forcing a failure", r"DMA-API: cacheline tracking ENOMEM")
REPORT_LINES = 40

# A kernel that is in trouble may not answer at all; one that looks for leaks needs its time.
ANSWER_TIMEOUT_S = 180

# Bits of /proc/sys/kernel/tainted that only trouble sets (the kernel's admin-guide/tainted-kernels.rst).
TAINTS = {2: "a module was forced out", 4: "a machine check", 5: "a bad page", 7: "an oops", 9: "a warning",
          14: "a soft lockup"}

READ = """
dmesg
now=$(cat /proc/sys/kernel/tainted)
before=$(cat /run/rig/tainted-before 2>/dev/null || echo 0)
echo "rig-tainted $now $before"
"""

# Twice, as what is found is reported only when it was unreachable some seconds before too.
SCAN = """
set -e
[ -w /sys/kernel/debug/kmemleak ] || exit 3
sleep 6
echo scan > /sys/kernel/debug/kmemleak
sleep 6
echo scan > /sys/kernel/debug/kmemleak
cat /sys/kernel/debug/kmemleak
"""


def check(machine, ignored=(), leaks=False):
    """The lines that are trouble: since the module was loaded, or else since the boot."""
    allowed = re.compile("|".join((*ALLOWED, *ignored)))
    if machine.state() is None:
        say(f"the guest is down; its serial log is looked at ({machine.serial_log})")
        return _trouble_on_serial_line(machine, allowed)
    inside = guest.Guest(machine)
    found = [*_leaks(inside)] if leaks else []
    try:
        done = _ask(inside, READ)
    except (RigError, subprocess.TimeoutExpired):
        say(f"the guest does not answer; its serial log is looked at ({machine.serial_log})")
        return [*found, "the guest does not answer", *_trouble_on_serial_line(machine, allowed)]
    if done.returncode != 0:
        raise RigError(f"the guest's kernel log cannot be read: {done.stderr.strip()}")
    lines = done.stdout.splitlines()
    now, before = map(int, lines.pop().split()[1:])
    found += trouble(lines, allowed)
    if not found and not ignored:
        # Of a report that is no more in the log.
        found = [f"the kernel is tainted by {text}" for bit, text in TAINTS.items() if (now & ~before) >> bit & 1]
    return found


def _ask(inside, script):
    return inside.run(["sh", "-c", script], capture_output=True, text=True, errors="replace", timeout=ANSWER_TIMEOUT_S)


def _trouble_on_serial_line(machine, allowed):
    try:
        return trouble(machine.serial_log.read_text(errors="replace").splitlines(), allowed)
    except FileNotFoundError as error:
        raise RigError(f"no rig has run in {machine.folder}: see rig start") from error


def trouble(lines, allowed):
    """Of the lines since the last mark, those that are trouble."""
    begin = next((number for number, line in enumerate(lines) if line.endswith(MARK)), -1) + 1
    found = []
    excused = 0     # how many more lines a stack may follow its allowed head
    for line in lines[begin:]:
        excused -= 1
        if allowed.search(line):
            excused = REPORT_LINES
        elif TRACE.search(line) and excused > 0:
            continue
        elif TROUBLE.search(line):
            excused = 0
            found.append(line)
    return found


def _leaks(inside):
    """What kmemleak holds for lost and what was allocated by the module, or by one that is gone since."""
    done = _ask(inside, SCAN)
    if done.returncode == 3:
        raise RigError("this kernel looks for no leaks: see --kernel debug")
    if done.returncode != 0:
        raise RigError(f"kmemleak cannot be asked: {done.stderr.strip()}")
    for report in re.split(r"^(?=unreferenced object)", done.stdout, flags=re.MULTILINE):
        if re.search(r"\[devreg\]|^\s*(?:\[<[0-9a-f]+>\] )?0x[0-9a-f]+$", report, re.MULTILINE):
            yield from report.splitlines()
