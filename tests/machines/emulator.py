# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts a machine in QEMU, with devreg.ko, kmodtest and the cases in its initramfs. It has no disk and no network."""
import pathlib
import shlex
import subprocess
import threading

from riglib import cpio
from riglib.common import RigError
from riglib.machine import EMULATED, TEST_DEVICES, TEST_OBJECTS, platform_device

COMMON = """
-no-user-config -nodefaults -display none -no-reboot -accel tcg,thread=multi -smp 2 -m 768
-chardev file,id=console,path=/dev/stdout,logfile=serial.log -serial chardev:console
-device virtio-rng-pci,addr=0x4
"""
ARGUMENTS = f"{EMULATED} loglevel=7 log_buf_len=4M"     # init starts the other processor
SERIAL_LINES = 40

# What is alone behind each bridge, so that it can be reset (kmodtest.h).
BEHIND = ("pci-testdev", "edu")
FIRST_BRIDGE = 0x10


class Emulator:
    """A machine that runs, and its console as it comes; it is ended after limit_s."""

    def __init__(self, machine, kernel, initramfs, folder, limit_s):
        self.serial_log = folder / "serial.log"
        self.serial_log.unlink(missing_ok=True)
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *_arguments(machine, kernel, initramfs, folder)]
        with open(folder / "qemu.log", "w", encoding="utf-8") as log:
            log.write(shlex.join(argv) + "\n")
            log.flush()
            try:
                self._process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                 stderr=log, text=True, errors="replace")
            except FileNotFoundError as error:
                raise RigError(f"{argv[0]} is missing: see tests/rig/packages") from error
        self._log = folder / "qemu.log"
        self._limit_s = limit_s
        self._limit = threading.Timer(limit_s, self._too_late)
        self._limit.daemon = True
        self._was_late = False
        self._limit.start()
        self.console = self._process.stdout

    def why_it_ended(self):
        """For a person, once the console has ended."""
        status = self._process.wait()
        if self._was_late:
            how = f"it was ended, as it was not done after {self._limit_s} s"
        elif status != 0:
            how = f"QEMU ended with {status}: {self._log.read_text()}"
        else:
            how = "it went down by itself"
        return f"{how}. The end of {self.serial_log}:\n" + "\n".join(self.serial_lines()[-SERIAL_LINES:])

    def serial_lines(self):
        try:
            return self.serial_log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def end(self):
        self._limit.cancel()
        self._process.kill()
        self._process.wait()
        self.console.close()

    def _too_late(self):
        self._was_late = True
        self._process.kill()


def _arguments(machine, kernel, initramfs, folder):
    argv = [*shlex.split(machine.qemu), *shlex.split(COMMON), "-kernel", str(kernel.image), "-initrd", str(initramfs),
            "-append", f"{machine.arguments} {ARGUMENTS}"]
    for test_object in TEST_OBJECTS:
        argv += ["-object", test_object]
    devices = list(TEST_DEVICES)
    for number, device in enumerate(BEHIND, 1):
        bridge = machine.bridge.format(number=number)
        devices += [f"{bridge},id=bridge{number},addr={FIRST_BRIDGE + number - 1:#x}",
                    f"{device},bus=bridge{number},addr={machine.behind}"]
    for device in devices:
        argv += ["-device", device]
    if machine.has_platform_device:
        argv += platform_device(folder)
    return argv


def write_initramfs(path, kit, module, program, cases):
    """The kit's archive and behind it what is tested."""
    archive = cpio.Archive()
    for folder in ("proc", "sys", "dev", "run", "tmp", "var/tmp"):
        archive.directory(folder)
    archive.copy("init", pathlib.Path(__file__).parent / "init")
    archive.copy("devreg.ko", module)
    archive.copy("bin/kmodtest", program)
    archive.file("cases", " ".join(cases).encode())
    path.write_bytes(kit.archive.read_bytes() + archive.to_bytes())
