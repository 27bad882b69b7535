# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's image: a root file system, its kernel and an initramfs, made once and cached.

The cache holds one folder per key, a hash of everything that the image is made from. A build happens under an exclusive
lock in a folder of another name, which is renamed when it is complete: whoever finds a key finds a whole image. Those
who use an image hold the lock shared until QEMU has its files open.
"""

import contextlib
import hashlib
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import time

from . import cpio
from .common import RIG, RigError, Stopped, lines_of, locked, run, say

SUITE = "bookworm"
DISK_SIZE = "2G"       # sparse; room for what tests push or install
BUILD_LOG_LINES = 20

# mmdebstrap's hook that merges /usr without the package usrmerge.
MERGED_USR_HOOK = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"


class Image:
    """The files of one cached image."""

    def __init__(self, folder):
        self.folder = folder
        self.disk = folder / "disk.ext4"
        self.kernel = folder / "kernel"
        self.initramfs = folder / "initramfs"
        self.host_key = folder / "host_key.pub"
        self.version = folder / "version"


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "devreg" / "rig"


def image_key():
    """A hash of what the image is made from: the files of image/ and the code that makes it."""
    library = pathlib.Path(__file__).parent
    inputs = sorted(path for path in (RIG / "image").rglob("*") if path.is_file())
    inputs += [library / "image.py", library / "cpio.py"]
    digest = hashlib.sha256()
    for path in inputs:
        content = path.read_bytes()
        mode = "x" if os.access(path, os.X_OK) else "-"
        digest.update(f"{path.relative_to(RIG)} {mode} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def ready_image():
    """The image of the present inputs, built if need be; it is not removed while the context lasts."""
    build_image()
    with locked(_lock_file(), shared=True):
        image = Image(cache_folder() / image_key())
        if not image.folder.is_dir():
            raise RigError("the image vanished: another checkout built its own just now; try again")
        yield image


def build_image(again=False):
    """Builds the image unless it is there, and removes those of other keys. Returns the Image."""
    image = Image(cache_folder() / image_key())
    if image.folder.is_dir() and not again:
        return image
    with locked(_lock_file()):
        if image.folder.is_dir() and not again:     # another one built it while this one waited
            return image
        _remove_all_but(None if again else image.folder)
        _build(image)
    return image


def _lock_file():
    cache_folder().mkdir(parents=True, exist_ok=True)
    return cache_folder() / "lock"


def _remove_all_but(kept):
    # Under the exclusive lock: what else is here is an old key, or was left by a build that was killed.
    for folder in cache_folder().iterdir():
        if folder.is_dir() and folder != kept:
            _remove(folder)


def _remove(folder):
    # Never across a mount, where the host's own /dev or /sys could be. A build's mounts are in a namespace of its
    # own (_contained), so there are none; this is the second lock on that door.
    subprocess.run(["rm", "-rf", "--one-file-system", "--", folder], check=True)


def _build(image):
    started = time.monotonic()
    say("building the guest's image (one to two minutes)")
    work = pathlib.Path(tempfile.mkdtemp(prefix="building-", dir=cache_folder()))
    try:
        result = Image(work / "image")
        result.folder.mkdir()
        root = work / "root"
        _make_root(work, root, result.disk)
        _collect_kernel(root, result)
        os.rename(result.folder, image.folder)
    finally:
        _remove(work)
    say(f"built {image.folder} in {time.monotonic() - started:.0f} s")


def _make_root(work, root, disk):
    """Debian, first as an archive, then unpacked and made into a disk without a mount and without being root."""
    archive = work / "root.tar"
    _logged(work, _contained(_mmdebstrap(work, archive)), stdin=_apt_sources(work),
            env=_mmdebstrap_environment(work))
    root.mkdir()
    # One fakeroot for both, as it alone knows the owners and device nodes that tar "made". No journal: it would serve a
    # disk that is thrown away.
    script = f"""set -e
        tar -C "$1" --numeric-owner -xf "$2"
        mke2fs -q -t ext4 -O ^has_journal -m 0 -L rig -d "$1" "$3" {DISK_SIZE}"""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    _logged(work, ["fakeroot", "--", "sh", "-c", script, "sh", root, archive, disk],
            env={**os.environ, "PATH": path})


def _mmdebstrap(work, archive):
    # apt-config prints what apt reads, so the guest is fetched as the host fetches: proxies, limits, timeouts.
    configuration = work / "apt.conf"
    configuration.write_text(_output(["apt-config", "dump", "Acquire"]))
    arguments = ["mmdebstrap", "--variant=apt", "--format=tar", f"--aptopt={configuration}",
                 "--aptopt=APT::Install-Recommends \"false\"", "--dpkgopt=force-unsafe-io",
                 f"--hook-directory={MERGED_USR_HOOK}",
                 "--include=" + ",".join(lines_of(RIG / "image" / "packages"))]
    arguments += [f"--dpkgopt=path-exclude={path}" for path in lines_of(RIG / "image" / "excludes")]
    customize = RIG / "image" / "customize"
    return arguments + [f"--customize-hook={customize}", SUITE, archive, "-"]


def _contained(argv):
    """In namespaces of its own for root, whose mmdebstrap mounts the host's /dev, /proc and /sys into the new root.

    When this program is killed, the namespaces' first process is too, and with it go all processes and mounts. For
    other users mmdebstrap makes namespaces itself.
    """
    if os.geteuid() != 0:
        return argv
    return ["setpriv", "--pdeathsig", "KILL", "--",
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", *argv]


def _mmdebstrap_environment(work):
    environment = {**os.environ, "INITRD": "No"}    # Debian's hook for kernels then makes no initramfs
    if os.geteuid() == 0:
        # So that even after SIGKILL the next build finds and removes it. The users of a namespace that
        # mmdebstrap makes for others could not enter this folder.
        environment["TMPDIR"] = str(work)
    return environment


def _apt_sources(work):
    """The host's own Debian mirrors for SUITE as a sources.list, from apt itself, in a file."""
    form = "$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    rows = _output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).splitlines()
    sources = sorted({source for origin, codename, source in (row.split(" ", 2) for row in rows)
                      if origin == "Debian" and codename.split("-")[0] == SUITE
                      and codename in (SUITE, f"{SUITE}-updates", f"{SUITE}-security")})
    if not sources:
        raise RigError(f"apt knows no Debian {SUITE} mirror: run apt-get update, or add {SUITE} to its sources")
    path = work / "sources.list"
    path.write_text("\n".join(sources) + "\n")
    return path


def _collect_kernel(root, image):
    """Takes from the unpacked root what QEMU and ssh need beside the disk."""
    compressed = max((root / "boot").glob("vmlinuz-*"),
                     key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)])
    version = compressed.name.removeprefix("vmlinuz-")
    image.kernel.write_bytes(_unpacked_kernel(compressed.read_bytes()))
    image.initramfs.write_bytes(_initramfs(root, version))
    image.version.write_text(version + "\n")
    shutil.copyfile(root / "etc/ssh/ssh_host_ed25519_key.pub", image.host_key)


def _unpacked_kernel(bzimage):
    """The ELF kernel inside a bzImage, which QEMU starts through its PVH entry.

    Its decompressor takes 5 to 7 seconds under emulation, this one second once. Fields: the kernel's
    Documentation/arch/x86/boot.rst. Kernels that are compressed otherwise stay as they are and only start slower.
    """
    setup_sectors = bzimage[0x1f1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start:start + length]
    if not payload.startswith(b"\xfd7zXZ\0"):
        return bzimage
    # The payload ends with four octets of its own after the compressed data, so not lzma.decompress().
    return lzma.LZMADecompressor().decompress(payload)


def _initramfs(root, version):
    archive = cpio.Archive()
    for folder in ("proc", "sys", "dev", "root", "run"):
        archive.directory(folder)
    archive.copy("init", RIG / "image" / "init")
    archive.copy("bin/busybox", root / "bin/busybox")
    modules = _module_files(root / "lib/modules" / version, lines_of(RIG / "image" / "modules"))
    for module in modules:
        archive.copy(f"modules/{module.name}", module)
    archive.file("modules/order", "".join(f"{module.name}\n" for module in modules).encode())
    return archive.to_bytes()


def _module_files(folder, names):
    """The modules of these names and those they depend on, in the order in which they can be loaded."""
    depends = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        module, _, needed = line.partition(":")
        depends[module] = needed.split()
    by_name = {pathlib.Path(module).name.split(".")[0].replace("-", "_"): module for module in depends}
    builtin = (folder / "modules.builtin").read_text()
    order = []
    for name in names:
        if f"/{name}.ko" in builtin:
            continue
        if name not in by_name:
            raise RigError(f"the kernel in {folder} has no module {name}")
        # modules.dep lists what is needed last first.
        order += [module for module in reversed([by_name[name], *depends[by_name[name]]]) if module not in order]
    return [folder / module for module in order]


def _output(argv):
    try:
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise RigError(f"{argv[0]}: {error}") from error


def _logged(work, argv, stdin=None, **options):
    """Runs a build step; its output is shown only when it fails."""
    log = work / "build.log"
    try:
        with open(log, "w", encoding="utf-8") as output, open(stdin or os.devnull, encoding="utf-8") as source:
            status = run(argv, stdin=source, stdout=output, stderr=subprocess.STDOUT, **options).returncode
    except FileNotFoundError as error:
        raise RigError(f"{argv[0]} is missing: install the packages in {RIG / 'packages'}") from error
    except Stopped:
        say("stopped while building; removing what was begun")
        raise
    if status != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-BUILD_LOG_LINES:])
        raise RigError(f"{argv[0]} failed with {status}:\n{last}")
