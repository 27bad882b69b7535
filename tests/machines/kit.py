# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a target takes, all of it Debian's: the headers, the cross compiler, and where it boots the kernel and busybox.

Cached beside the rig's image, under a hash of the target, of the code here and of the version of Debian's kernel.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil

from packages import Apt, latest_kernel
from riglib import cpio, debian
from riglib.building import Cache, logged
from riglib.common import RigError
from riglib.kernels import Kernel
from table import MODULES

CACHE = Cache("machines", keep=15)
CODE = ("kit.py", "packages.py")
COMMON = re.compile(r"^include .*/linux-headers-[^/]+-common/Makefile$", re.MULTILINE)


class Kit:
    """The files of one target."""

    def __init__(self, target, folder):
        self.target = target
        self.folder = folder
        self.tree = folder / "tree"                     # packages, unpacked
        self.archive = folder / "initramfs"             # busybox and modules
        self.compiler = self.tree / "usr/bin" / f"{target.triplet}-gcc-12"

    @property
    def libraries(self):
        """Of the cross compiler's tools."""
        return self.tree / "usr/lib/x86_64-linux-gnu"

    def kernel(self):
        release = (self.folder / "release").read_text()
        options = ["W=1", *self.target.options]
        if self.target.triplet:
            # make hands what is in its arguments on to what it runs.
            options += [f"CROSS_COMPILE={self.tree / 'usr/bin' / self.target.triplet}-",
                        f"LD_LIBRARY_PATH={self.libraries}"]
        return Kernel(name=self.target.name, release=release, identity=self.folder.name,
                      image=self.folder / "kernel", initramfs=self.archive,
                      headers=self.tree / "usr/src" / f"linux-headers-{release}", module_options=tuple(options))


@contextlib.contextmanager
def ready_kit(target):
    """The kit of a target, fetched if need be; it is not removed while the context lasts."""
    key = f"{target.name}-{_key(target)}"
    CACHE.provide(key, f"what the module takes for {target.name} (one to three minutes)",
                  lambda work, folder: _try_build(target, work, folder))
    with CACHE.use(key) as folder:
        yield Kit(target, folder)


def _key(target):
    digest = hashlib.sha256(f"{target} {MODULES} {latest_kernel()}".encode())
    for name in CODE:
        digest.update((pathlib.Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()[:16]


def _try_build(target, work, folder):
    try:
        _build(target, work, folder)
    except RigError as error:
        raise RigError(f"what the module takes for {target.name} cannot be had from Debian's mirrors (once, it needs the "
                       f"network that apt-get update needs): {error}") from None


def _build(target, work, folder):
    apt_folder = work / "apt"
    apt_folder.mkdir()
    apt = Apt(apt_folder, target.suite, target.architecture)
    headers = f"{target.headers}:{target.architecture}"
    found = re.search(r"linux-headers-(\S+) \(= ", apt.depends(headers))
    if not found:
        raise RigError(f"{headers} depends on no kernel's headers: Debian has changed; see {__file__}")
    release = found[1]
    kit = Kit(target, folder)
    kit.tree.mkdir()
    (folder / "release").write_text(release)
    apt.unpack([*_header_packages(target, release), *_compiler_packages(target)], kit.tree)
    _make_movable(kit.kernel().headers)
    if target.boots:
        _collect_guest(apt, kit, release, work / "guest")


def _header_packages(target, release):
    version, abi, _flavour = re.fullmatch(r"(\d+\.\d+)\.\d+(-\d+)-(.+)", release).groups()
    common = release[:release.index(abi) + len(abi)]
    return [f"linux-headers-{release}:{target.architecture}", f"linux-headers-{common}-common", f"linux-kbuild-{version}"]


def _compiler_packages(target):
    if not target.triplet:
        return []
    names = [f"{package}-{target.triplet}" for package in ("binutils", "cpp-12", "gcc-12")]
    if target.boots:
        names += [f"{package}-{target.architecture}-cross" for package in ("libgcc-12-dev", "libc6-dev", "linux-libc-dev")]
    return names


def _make_movable(headers):
    """The headers' Makefile names those that flavours share by where they would be installed."""
    makefile = headers / "Makefile"
    near = makefile.read_text().replace("include /usr/src/", "include $(dir $(lastword $(MAKEFILE_LIST)))../")
    if not COMMON.search(near) or "/usr/src" in near:
        raise RigError(f"the kernel's headers are not as they were: {makefile.name} has\n{near}")
    makefile.write_text(near)


def _collect_guest(apt, kit, release, guest):
    guest.mkdir()
    architecture = kit.target.architecture
    apt.unpack([f"linux-image-{release}:{architecture}", f"busybox-static:{architecture}"], guest)
    # Debian does this when the package is installed.
    logged(guest / "depmod.log", ["depmod", "-b", guest, release],
           env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    shutil.copyfile(guest / "boot" / f"vmlinuz-{release}", kit.folder / "kernel")
    archive = cpio.Archive()
    archive.copy("bin/busybox", guest / "bin/busybox")
    debian.add_modules(archive, guest / "lib/modules" / release, MODULES)
    kit.archive.write_bytes(archive.to_bytes())
