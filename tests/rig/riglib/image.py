# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's image: a root file system with Debian's kernels, and for each kernel what QEMU needs beside the disk.

Made once and cached under a hash of its inputs; see building.py.
"""

import contextlib
import hashlib
import lzma
import os
import pathlib
import shutil
import struct
import subprocess

from . import cpio, debian, kernels
from .building import Cache, contained, logged
from .common import RIG, RigError, lines_of

SUITE = "bookworm"
DISK_SIZE = "2G"       # sparse; room for what tests push or install

# mmdebstrap's hook that merges /usr without the package usrmerge.
MERGED_USR_HOOK = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"


CACHE = Cache("rig", keep=2)


class Image:
    """The files of one cached image."""

    def __init__(self, folder):
        self.folder = folder
        self.disk = folder / "disk.ext4"
        self.initramfs = folder / "initramfs"       # what all kernels share
        self.host_key = folder / "host_key.pub"

    def kernel(self, name):
        """One of Debian's kernels that are in the image."""
        pin = next(pin for pin in kernels.pins() if pin.name == name)
        folder = self.folder / name
        return kernels.Kernel(name=name, release=pin.release, identity=f"{pin.release} {pin.version}",
                              image=folder / "kernel", initramfs=folder / "initramfs", headers=pin.headers)


def image_key():
    """A hash of what the image is made from: the files of image/, the code that makes it, the kernels' versions."""
    library = pathlib.Path(__file__).parent
    inputs = sorted(path for path in (RIG / "image").rglob("*") if path.is_file())
    inputs += [library / name for name in ("image.py", "building.py", "cpio.py", "debian.py")]
    digest = hashlib.sha256()
    for path in inputs:
        content = path.read_bytes()
        mode = "x" if os.access(path, os.X_OK) else "-"
        digest.update(f"{path.relative_to(RIG)} {mode} {len(content)}\n".encode() + content)
    for pin in kernels.pins():
        digest.update(f"{pin.package} {pin.version}\n".encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def ready_image():
    """The image of the present inputs, built if need be; it is not removed while the context lasts."""
    build_image()
    with CACHE.use(image_key()) as folder:
        yield Image(folder)


def build_image(again=False):
    """Builds the image unless it is there. Returns the Image."""
    return Image(CACHE.provide(image_key(), "the guest's image (one to two minutes)", _build, again))


def _build(work, folder):
    kernels.check_pins()
    result = Image(folder)
    root = work / "root"
    _make_root(work, root, result.disk)
    result.initramfs.write_bytes(_initramfs(root))
    for pin in kernels.pins():
        _collect_kernel(root, pin, folder / pin.name)
    shutil.copyfile(root / "etc/ssh/ssh_host_ed25519_key.pub", result.host_key)


def _make_root(work, root, disk):
    """Debian, first as an archive, then unpacked and made into a disk without a mount and without being root."""
    archive = work / "root.tar"
    logged(work / "build.log", contained(_mmdebstrap(work, archive)), stdin=_apt_sources(work),
           env=_mmdebstrap_environment(work))
    root.mkdir()
    # One fakeroot for both, as it alone knows the owners and device nodes that tar "made". No journal: it would serve a
    # disk that is thrown away.
    script = f"""set -e
        tar -C "$1" --numeric-owner -xf "$2"
        mke2fs -q -t ext4 -O ^has_journal -m 0 -L rig -d "$1" "$3" {DISK_SIZE}"""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    logged(work / "build.log", ["fakeroot", "--", "sh", "-c", script, "sh", root, archive, disk],
           env={**os.environ, "PATH": path})


def _mmdebstrap(work, archive):
    configuration = work / "apt.conf"
    configuration.write_text(debian.how_to_fetch())
    arguments = ["mmdebstrap", "--variant=apt", "--format=tar", f"--aptopt={configuration}",
                 "--aptopt=APT::Install-Recommends \"false\"", "--dpkgopt=force-unsafe-io",
                 f"--hook-directory={MERGED_USR_HOOK}",
                 "--include=" + ",".join(lines_of(RIG / "image" / "packages")),
                 "--include=" + ",".join(f"{pin.package}={pin.version}" for pin in kernels.pins())]
    arguments += [f"--dpkgopt=path-exclude={path}" for path in lines_of(RIG / "image" / "excludes")]
    customize = RIG / "image" / "customize"
    return arguments + [f"--customize-hook={customize}", SUITE, archive, "-"]


def _mmdebstrap_environment(work):
    environment = {**os.environ, "INITRD": "No"}    # Debian's hook for kernels then makes no initramfs
    if os.geteuid() == 0:
        # So that even after SIGKILL the next build finds and removes it. The users of a namespace that
        # mmdebstrap makes for others could not enter this folder.
        environment["TMPDIR"] = str(work)
    return environment


def _apt_sources(work):
    """The host's own Debian mirrors for SUITE as a sources.list, in a file."""
    path = work / "sources.list"
    path.write_text("\n".join(debian.sources(SUITE, f"{SUITE}-updates", f"{SUITE}-security")) + "\n")
    return path


def _collect_kernel(root, pin, folder):
    """Takes from the unpacked root what QEMU needs beside the disk to boot one kernel."""
    folder.mkdir()
    compressed = root / "boot" / f"vmlinuz-{pin.release}"
    (folder / "kernel").write_bytes(_unpacked_kernel(compressed.read_bytes()))
    archive = cpio.Archive()
    debian.add_modules(archive, root / "lib/modules" / pin.release, lines_of(RIG / "image" / "modules"))
    (folder / "initramfs").write_bytes(archive.to_bytes())


def _unpacked_kernel(bzimage):
    """The ELF kernel inside a bzImage, which QEMU starts through its PVH entry.

    Its decompressor takes 5 to 7 seconds under emulation, this one second once. Fields: the kernel's
    Documentation/arch/x86/boot.rst. Kernels that are compressed otherwise stay as they are and only start slower.
    """
    setup_sectors = bzimage[0x1f1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start:start + length]
    # The payload ends with four octets of its own after the compressed data.
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            return subprocess.run(["zstd", "-dcq"], input=payload[:-4], check=True, capture_output=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise RigError(f"zstd cannot unpack the kernel: {error}") from error
    return bzimage


def _initramfs(root):
    archive = cpio.Archive()
    for folder in ("proc", "sys", "dev", "root", "run"):
        archive.directory(folder)
    archive.copy("init", RIG / "image" / "init")
    archive.copy("bin/busybox", root / "bin/busybox")
    return archive.to_bytes()
