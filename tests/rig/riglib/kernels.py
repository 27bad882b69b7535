# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernels that the guest can be booted with: which there are, and what belongs to one.

Debian's kernels are in the guest's image, each in the very version whose headers are installed on the host, so that a
module built here always fits. The debug kernel is built from Debian's source (debug_kernel.py).
"""

import dataclasses
import pathlib
import re
import subprocess

from . import debian
from .common import RIG, RigError

# The name for --kernel, and the package that installs the headers of Debian's latest such kernel.
DEBIAN = {"6.1": "linux-headers-amd64", "6.12": "linux-headers-6.12-amd64"}
DEBUG = "debug"
NAMES = [*DEBIAN, DEBUG]
DEFAULT = "6.1"


@dataclasses.dataclass
class Kernel:
    """A kernel that can be booted."""
    name: str                           # as in NAMES
    release: str                        # as uname -r says
    identity: str                       # changes whenever a module must be built anew
    image: pathlib.Path                 # what QEMU boots
    initramfs: pathlib.Path             # an archive with the modules that this kernel needs
    headers: pathlib.Path               # what modules are built against
    signing: pathlib.Path = None        # the folder of the key that signs modules for it
    module_options: tuple = ()          # for make, when a module is built
    memory_mib: int = 512
    arguments: str = ""                 # for the kernel
    timeout_s: float = 300              # for a boot


@dataclasses.dataclass
class Pin:
    """A kernel of Debian's in one version."""
    name: str
    release: str
    version: str
    headers_package: str

    @property
    def package(self):
        return f"linux-image-{self.release}"

    @property
    def headers(self):
        return pathlib.Path("/usr/src") / f"linux-headers-{self.release}"


def pins():
    """Debian's kernels, each in the version whose headers the host has."""
    return [_pin(name, package) for name, package in DEBIAN.items()]


def _pin(name, package):
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}|${Depends}", package],
                           capture_output=True, text=True, check=False)
    status, _, depends = asked.stdout.partition("|")
    if status != "installed":
        raise RigError(f"the package {package} is not installed: the guest gets the kernel {name} whose headers are "
                       f"here; install the packages in {RIG / 'packages'}")
    # The package only depends on the real one, in its own version.
    found = re.search(r"linux-headers-(\S+) \(= ([^)]+)\)", depends)
    if not found or not found[1].startswith(f"{name}."):
        raise RigError(f"the package {package} of this host depends on \"{depends}\", not on the headers of a kernel "
                       f"{name}: the rig needs those of Debian 12")
    pin = Pin(name, found[1], found[2], package)
    if not (pin.headers / "Makefile").is_file():
        raise RigError(f"{pin.headers} has no kernel headers though {package} is installed: "
                       f"apt-get install --reinstall linux-headers-{pin.release}")
    return pin


def check_pins():
    """Refuses versions that apt cannot install, before anything is built."""
    for pin in pins():
        if pin.version not in (version for version, _ in debian.versions(pin.package)):
            raise RigError(f"apt has no {pin.package} in version {pin.version}, whose headers are installed here. "
                           f"Update both: apt-get update && apt-get install {pin.headers_package}")
