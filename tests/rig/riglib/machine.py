# SPDX-License-Identifier: LGPL-2.1-or-later
"""The virtual machine: its hardware as tables, its process, and the folder that holds its state.

State folder: rig.json (process, ports, image, kernel), module/, qmp.sock, serial.log, qemu.log, trace.log, initramfs, key, known_hosts,
ssh.sock. QEMU and ssh run inside this folder and name its sockets without a path, which would often be too long.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import stat
import subprocess
import time

from .building import logged
from .common import RIG, RigError, say
from .qmp import Qmp

QMP_SOCKET = "qmp.sock"
QMP_TIMEOUT_S = 60
GUEST_PORTS = {"http": 7373, "ssh": 22}

# The machine, and what the kernel is told to make use of it, without and with an IOMMU between devices and memory. What
# it forgets can still be reached for some milliseconds (lazy), or not at all (strict).
TRANSLATED = "-machine q35 -device intel-iommu"
BOARDS = {
    None: ("-machine pc", ""),
    "lazy": (TRANSLATED, "intel_iommu=on iommu.strict=0"),
    "strict": (TRANSLATED, "intel_iommu=on iommu.strict=1"),
}

# What every machine has. Emulation only: the rig must run where there is no KVM, and as on any other host.
# HPET stays: one of the regions is its registers.
QEMU = """
-name rig -no-user-config -nodefaults -display none -no-reboot
-accel tcg,thread=multi -cpu max -smp 2
-serial file:serial.log -qmp unix:qmp.sock,server=on,wait=off -D trace.log
-device virtio-blk-pci,drive=disk,addr=0x3 -device virtio-net-pci,netdev=net,addr=0x4,romfile=
"""

# The devices that tests reach, at fixed addresses and with names for device_del: one row each.
TEST_DEVICES = [
    "edu,id=edu,addr=0x7",
    "pci-testdev,id=testdev,addr=0x8",
    "ivshmem-plain,id=ivshmem,addr=0x9,memdev=ivshmem-memory",
    # payload/run/rig/bind-devices gives these to uio_pci_generic and to devreg's own module. The network card is there for
    # its several interrupts; its driver is kept out (modprobe.blacklist).
    "edu,id=edu-uio,addr=0xa",
    "edu,id=edu-kmod,addr=0xb",
    "edu,id=edu-msi,addr=0xc",
    "e1000e,id=nic,addr=0xd,romfile=",
    "edu,id=edu-intx,addr=0xe",
    "edu,id=edu-line,addr=0xf",
    # The kernel knows a way to reset what is alone behind a bridge. Buses are numbered in the order of the bridges' slots.
    "pci-bridge,id=bridge-testdev,chassis_nr=5,addr=0x5",
    "pci-testdev,id=reset-testdev,bus=bridge-testdev,addr=0x1",
    "pci-bridge,id=bridge-edu,chassis_nr=6,addr=0x6",
    "edu,id=reset-edu,bus=bridge-edu,addr=0x1",
]
TEST_OBJECTS = ["memory-backend-ram,id=ivshmem-memory,size=8M,share=on"]

# What every guest's kernel is told, of any machine. One processor until the rig starts the others: a kernel that starts
# rewrites its own instructions, and while a second emulated processor runs these, the breakpoint of such a place sometimes
# outlives its removal there (QEMU 7.2: "Oops: int3"). A host that stops for half a minute is no fault of the guest's
# (rcu_cpu_stall_timeout, watchdog_thresh).
EMULATED = "panic=-1 maxcpus=1 rcupdate.rcu_cpu_stall_timeout=60 sysctl.kernel.watchdog_thresh=30"

# mitigations and tsc: guarding against, and doubting, an emulated processor only costs time. no_timer_check: on a busy
# host too few of the ticks that it counts arrive, and the guest ends there. noreplace-smp: the
# second processor need not have the locks rewritten when it starts. A fixed machine ID, as systemd takes a start without
# one for the first and sets up everything again.
KERNEL_ARGUMENTS = f"""
{EMULATED} console=ttyS0 loglevel=5 mitigations=off tsc=reliable no_timer_check noreplace-smp net.ifnames=0
modprobe.blacklist=e1000e systemd.machine_id=64657672656772696700000000000001 systemd.show_status=auto
"""


class Machine:
    """The machine of one state folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).absolute()
        self.serial_log = self.folder / "serial.log"
        self.trace_log = self.folder / "trace.log"
        self._record = self.folder / "rig.json"

    def make_folder(self):
        """Makes the state folder, for its owner only, and refuses another's (it may be in a shared /tmp)."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise RigError(f"{self.folder} is not a folder that only this user can write to")

    def state(self):
        """What start() recorded, when that machine still runs; else None."""
        try:
            state = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return None
        # The start time too, as the process number may be another's by now.
        return state if _start_time(state["pid"]) == state["start_time"] else None

    def running(self):
        """The recorded state, or an error that says how to get one."""
        state = self.state()
        if state is None:
            raise RigError(f"no rig runs in {self.folder}: see rig start")
        return state

    def start(self, image, kernel, initramfs, ports, iommu, arguments, extra, with_parent):
        """Starts QEMU and records it. Ports of 0 are chosen free. The caller ends it if what follows fails.

        iommu: of BOARDS. arguments: for the kernel, beside those that all have. extra: for QEMU.
        """
        for name in ("qmp.sock", "ssh.sock", "serial.log", "trace.log", "rig.json"):
            (self.folder / name).unlink(missing_ok=True)
        argv = self._arguments(image, kernel, initramfs, ports, iommu, arguments) + extra
        if with_parent:
            argv = ["setpriv", "--pdeathsig", "TERM", "--", *argv]
        with open(self.folder / "qemu.log", "wb") as log:
            log.write((shlex.join(argv) + "\n").encode())
            log.flush()
            try:
                # A session of its own, so that ^C at a terminal reaches the rig alone, which then stops it in order.
                child = subprocess.Popen(argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log, start_new_session=True)
            except FileNotFoundError as error:
                raise RigError(f"{argv[0]} is missing: see tests/rig/packages") from error
        try:
            self._wait_for_qmp(child)
            state = {"pid": child.pid, "start_time": _start_time(child.pid), "image": str(image.folder),
                     "kernel": kernel.name, "release": kernel.release, **self._ports()}
            state["url"] = f"http://127.0.0.1:{state['http']}"
            self._record.write_text(json.dumps(state, indent=2) + "\n")
        except BaseException:
            child.kill()
            child.wait()
            raise
        return state

    def qmp(self):
        self.running()
        return self._connect()

    def stop(self, timeout_s):
        """Powers the guest off as an administrator would, and ends QEMU when that takes too long."""
        state = self.state()
        if state is None:
            return
        with contextlib.suppress(OSError, RigError), self._connect() as qmp:
            # systemd takes Ctrl-Alt-Del for the request to power off (payload/); unlike the ACPI button this needs
            # neither logind nor D-Bus in the guest, and unlike ssh it works when the guest's network is gone.
            keys = [{"type": "qcode", "data": key} for key in ("ctrl", "alt", "delete")]
            qmp.execute("send-key", keys=keys)
        if not self._wait_until_gone(state, timeout_s):
            say(f"the guest did not power off within {timeout_s} s; ending QEMU")
            self._end(state)
        self._record.unlink(missing_ok=True)

    def end(self):
        """Ends QEMU at once."""
        state = self.state()
        if state is not None:
            self._end(state)
            self._record.unlink(missing_ok=True)

    @staticmethod
    def _arguments(image, kernel, initramfs, ports, iommu, arguments):
        board, board_arguments = BOARDS[iommu]
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{ports[name]}-:{port}" for name, port in GUEST_PORTS.items())
        argv = ["qemu-system-x86_64", *shlex.split(board), *shlex.split(QEMU)]
        argv += ["-m", str(kernel.memory_mib), "-kernel", str(kernel.image), "-initrd", str(initramfs),
                 "-append", " ".join([KERNEL_ARGUMENTS.strip().replace("\n", " "), kernel.arguments, board_arguments, *arguments]),
                 # A snapshot in an unlinked temporary file: the cached disk is never written to.
                 "-drive", f"id=disk,if=none,file={image.disk},format=raw,snapshot=on,cache=unsafe",
                 # restrict: the guest reaches nothing, neither the host's own services nor a network.
                 "-netdev", f"user,id=net,restrict=on{forwards}"]
        for test_object in TEST_OBJECTS:
            argv += ["-object", test_object]
        for device in TEST_DEVICES:
            argv += ["-device", device]
        return argv

    def _wait_for_qmp(self, child):
        limit = time.monotonic() + QMP_TIMEOUT_S
        while time.monotonic() < limit:
            if child.poll() is not None:
                log = (self.folder / "qemu.log").read_text(errors="replace")
                raise RigError(f"QEMU ended with {child.returncode}:\n{log}")
            with contextlib.suppress(OSError), self._connect():
                return
            time.sleep(0.05)
        raise RigError(f"QEMU did not answer within {QMP_TIMEOUT_S} s")

    def _ports(self):
        """The loopback ports that QEMU forwards, by name."""
        with self._connect() as qmp:
            table = qmp.monitor("info usernet")
        forwarded = {int(guest): int(host) for host, guest in
                     re.findall(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)", table)}
        return {name: forwarded[port] for name, port in GUEST_PORTS.items()}

    def _connect(self):
        return Qmp(self.folder, QMP_SOCKET)

    def _end(self, state):
        with contextlib.suppress(OSError, RigError), self._connect() as qmp:
            qmp.execute("quit")
        if not self._wait_until_gone(state, 5):
            with contextlib.suppress(ProcessLookupError):
                os.kill(state["pid"], signal.SIGKILL)
            self._wait_until_gone(state, 5)

    @staticmethod
    def _wait_until_gone(state, timeout_s):
        limit = time.monotonic() + timeout_s
        while _start_time(state["pid"]) == state["start_time"]:
            if time.monotonic() > limit:
                return False
            time.sleep(0.05)
        return True


def platform_device(folder):
    """QEMU's arguments for the device that acpi/platform.asl describes; it runs in this folder."""
    logged(folder / "platform.log", ["iasl", "-p", folder / "platform", RIG / "acpi" / "platform.asl"])
    return shlex.split("-acpitable file=platform.aml -audiodev none,id=silence "
                       "-device sb16,audiodev=silence,iobase=0x220,irq=5")


def _start_time(pid):
    """When a process started (clock ticks since boot), or None when it is no more. See proc(5), stat."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])
