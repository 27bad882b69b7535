# SPDX-License-Identifier: LGPL-2.1-or-later
"""The module and kmodtest, built with what a kit has."""
import os
import pathlib
import shutil
import subprocess

from riglib.common import RigError
from riglib.module import BUILD_LOG, SOURCE, build_module, warnings

CASES = pathlib.Path(__file__).parent.parent / "kmod"


def build_for(kit, folder):
    """The module, built anew, as what an earlier build left would not be looked at again, and the warnings."""
    kernel = kit.kernel()
    place = folder / "module" / kernel.name
    shutil.rmtree(place, ignore_errors=True)
    module = build_module(kernel, SOURCE, folder)
    return module, warnings(place / BUILD_LOG)


def build_kmodtest(kit, folder):
    """kmodtest for a machine that the host's compiler has no C library for. The host's build looks for warnings."""
    program = folder / "kmodtest"
    argv = [kit.compiler, "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-O1", "-g", f"-I{SOURCE / 'uapi'}", "-static",
            "-pthread", "-o", program, *sorted(CASES.glob("*.c"))]
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": str(kit.libraries)})
    if done.returncode != 0:
        raise RigError(f"kmodtest does not build for {kit.target.name}:\n{done.stderr}")
    return program
