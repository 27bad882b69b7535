# SPDX-License-Identifier: LGPL-2.1-or-later
"""The debug kernel: built from Debian's source package with kernel/config on top of the kernel's own x86_64_defconfig.

Kept are the kernel, its few modules, and of the build tree what building and signing a module for it needs. In a cache
of its own, so that it outlives every image.
"""

import hashlib
import os
import pathlib
import re
import shutil

from . import cpio
from .building import Cache, contained, logged, output
from .common import RIG, RigError, say

# It takes long to build and is 100 MiB: several, so that checkouts do not build it in turns.
CACHE = Cache("debug-kernel", keep=4)
SOURCE_PACKAGE = "linux-source-6.1"
SOURCE = pathlib.Path("/usr/src/linux-source-6.1.tar.xz")
CONFIG = RIG / "kernel" / "config"

# Kconfig does not offer this one on x86-64, where unwinding once was not reliable; with frame pointers it is.
FILTER_OPTION = re.compile(r"(config FAULT_INJECTION_STACKTRACE_FILTER\n(?:\s.*\n)*?)\s+depends on !X86_64\n")

# The checks' own machinery, which runs at each allocation and each lock, and would check its own accesses too.
UNCHECKED = ("extable", "kmemleak", "lockdep", "stacktrace", "unwind_frame")

# What of the build tree a module's build reads: whole folders, and files by their names anywhere.
KEPT_FOLDERS = ("include", "scripts", "arch/x86/include", "certs")
KEPT_FILES = (".config", "Makefile", "Kbuild", "Module.symvers", "tools/objtool/objtool")
KEPT_NAMES = ("Makefile*", "Kconfig*", "Kbuild*", "module.lds*")
BUILD_LEFTOVERS = (".o", ".cmd", ".a")


def debug_kernel_key():
    """A hash of what the kernel is made from: its configuration, the source's version, the compiler, this code."""
    digest = hashlib.sha256()
    for path in (CONFIG, pathlib.Path(__file__)):
        digest.update(path.read_bytes())
    digest.update(f"{_source_version()} {output(['gcc', '-dumpfullversion'])}".encode())
    return digest.hexdigest()[:16]


def build_debug_kernel(again=False):
    """Builds it unless it is there. Returns its folder."""
    return CACHE.provide(debug_kernel_key(), "the debug kernel (ten to twenty minutes)", _build, again)


def _source_version():
    if not SOURCE.is_file():
        raise RigError(f"{SOURCE} is missing: install the packages in {RIG / 'packages'}")
    return output(["dpkg-query", "-W", "-f", "${Version}", SOURCE_PACKAGE])


def _build(work, folder):
    def step(name, *argv, **options):
        logged(work / f"{name}.log", contained(argv), **options)

    step("unpack", "tar", "-C", work, "-xf", SOURCE)
    tree = work / SOURCE.name.removesuffix(".tar.xz")
    make = ("make", "-s", "-C", tree, f"-j{os.cpu_count()}")
    _configure(tree, step, make)
    step("make", *make, *(f"KASAN_SANITIZE_{name}.o=n" for name in UNCHECKED), "bzImage", "modules")
    shutil.copyfile(tree / "arch/x86/boot/bzImage", folder / "kernel")
    step("install", *make, "modules_install", f"INSTALL_MOD_PATH={work / 'root'}")
    (folder / "initramfs").write_bytes(_initramfs(work / "root/lib/modules"))
    _keep_for_modules(tree, folder / "build")


def _configure(tree, step, make):
    options = tree / "lib/Kconfig.debug"
    text, changed = FILTER_OPTION.subn(r"\1", options.read_text())
    if changed != 1:
        say(f"{SOURCE_PACKAGE} has changed where a stack filter for injected failures is offered")
    options.write_text(text)
    # By name, as kconfig takes them for changes from a configuration that exists.
    step("defconfig", *make, "x86_64_defconfig")
    with open(tree / ".config", "a", encoding="utf-8") as config:
        config.write(CONFIG.read_text())
    step("config", *make, "olddefconfig")
    _check_config(_settings(CONFIG), _settings(tree / ".config"))


def _settings(path):
    """The settings of a configuration by name; None for what is not set."""
    found = re.findall(r"^(?:(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set)$", path.read_text(), re.MULTILINE)
    return {name or unset: value if name else None for name, value, unset in found}


def _check_config(asked, got):
    lost = [f"{name}={value or 'n'}" for name, value in asked.items() if got.get(name) != value]
    if lost:
        raise RigError(f"the kernel's configuration did not take {' '.join(lost)}: see {CONFIG}")


def _initramfs(modules):
    """All modules at their place, where the initramfs' init takes them from, and none to load before that."""
    archive = cpio.Archive()
    archive.file("modules/order", b"")
    for release in modules.iterdir():
        for link in ("build", "source"):            # into a build tree that the guest does not have
            (release / link).unlink(missing_ok=True)
    archive.tree(modules, "lib/modules")
    return archive.to_bytes()


def _keep_for_modules(tree, target):
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree)
        if path.is_dir() or path.suffix in BUILD_LEFTOVERS:
            continue
        if (str(name) in KEPT_FILES or any(name.is_relative_to(folder) for folder in KEPT_FOLDERS)
                or name.parts[0] == "arch" and name.parts[1] == "x86" and any(map(path.match, KEPT_NAMES))):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / name, follow_symlinks=False)
