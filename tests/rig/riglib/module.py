# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel module devreg.ko, built for the kernel that is booted.

Kbuild writes beside its sources, so these are copied into the state folder, where a next start builds only what changed.
"""

import contextlib
import os
import re
import shutil
import subprocess

from .common import RIG, RigError, run, say

SOURCE = RIG.parent.parent / "kmod"
NAME = "devreg.ko"
LOG_LINES = 60
BUILD_LOG = "build.log"
# What a build leaves beside the sources of a person who ran make there; it would be taken for this kernel's.
LEFTOVERS = ("*.o", "*.ko", "*.mod", "*.mod.c", ".*", "*.order", "Module.symvers")


def build_module(kernel, source, state):
    """Builds the module of the source folder for the kernel; returns the file, or None when there is no source."""
    if not source.is_dir():
        if source == SOURCE:
            return None
        raise RigError(f"{source} is no folder with a kernel module")
    if not (kernel.headers / "Makefile").exists():
        raise RigError(f"{kernel.headers} has no kernel headers: install the packages in {RIG / 'packages'}")
    folder = state / "module" / kernel.name
    names = _source_files(source)
    _renew(folder, "\n".join([f"{kernel.identity} {source.resolve()}", *names]))
    _copy_changes(source, names, folder / "source")
    _make(kernel, folder)
    built = folder / "source" / NAME
    if not built.is_file():
        raise RigError(f"{source} builds no {NAME}")
    return _signed(kernel, built, folder / NAME) if kernel.signing else built


def _source_files(source):
    """The names of all files in the folder that a person wrote."""
    ignored = shutil.ignore_patterns(*LEFTOVERS)
    names = []
    for path, folders, files in os.walk(source):
        folders[:] = set(folders) - ignored(path, folders)
        names += [os.path.relpath(os.path.join(path, name), source) for name in set(files) - ignored(path, files)]
    return sorted(names)


def _renew(folder, identity):
    """Empties the folder when it was last used for another kernel or other files; make would not notice all that differs."""
    stamp = folder / "identity"
    with contextlib.suppress(FileNotFoundError):
        if stamp.read_text() == identity:
            return
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "source").mkdir(parents=True)
    stamp.write_text(identity)


def _copy_changes(source, names, target):
    """Copies what differs only, so that make sees by the times what changed."""
    for name in names:
        content = (source / name).read_bytes()
        copy = target / name
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)


def _make(kernel, folder):
    argv = ["make", "-C", kernel.headers, f"M={folder / 'source'}", f"-j{os.cpu_count()}", *kernel.module_options,
            "modules"]
    log = folder / BUILD_LOG
    try:
        with open(log, "w", encoding="utf-8") as target:
            status = run(argv, stdin=subprocess.DEVNULL, stdout=target, stderr=subprocess.STDOUT,
                         env={**os.environ, "LC_ALL": "C"}).returncode
    except FileNotFoundError as error:
        raise RigError(f"make is missing: install the packages in {RIG / 'packages'}") from error
    lines = log.read_text(errors="replace").splitlines()
    if status != 0:
        last = "\n".join(lines[-LOG_LINES:])
        raise RigError(f"the module does not build for the kernel {kernel.release}:\n{last}")
    if warnings(log):
        text = "\n".join(lines)
        say(f"warnings while building the module for {kernel.release}:\n{text}")


def warnings(log):
    """The lines of a build's log in which the compiler or the kernel's own tools warn."""
    return [line for line in log.read_text(errors="replace").splitlines()
            if re.search(r"\bwarning:", line, re.IGNORECASE)]


def _signed(kernel, built, target):
    """Signs as the kernel's own modules are; a lockdown lets no other in."""
    argv = [kernel.headers / "scripts/sign-file", "sha256", kernel.signing / "signing_key.pem",
            kernel.signing / "signing_key.x509", built, target]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RigError(f"the module cannot be signed: {done.stderr.strip()}")
    return target
