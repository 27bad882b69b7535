# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the rig takes from Debian: where the host itself fetches its packages, and modules of Debian's kernels."""

import pathlib

from .building import output
from .common import RigError


def sources(suite, *more):
    """The host's own mirrors of a suite of Debian, and of those that belong to it, as lines of a sources.list."""
    form = "$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    rows = output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).splitlines()
    found = sorted({source for origin, codename, source in (row.split(" ", 2) for row in rows)
                    if origin == "Debian" and codename in (suite, *more)})
    if not found:
        raise RigError(f"apt knows no Debian {suite} mirror: run apt-get update, or add {suite} to its sources")
    return found


def how_to_fetch():
    """What the host's apt is told of proxies, limits and timeouts, for another apt."""
    return output(["apt-config", "dump", "Acquire"])


def versions(package):
    """The versions of a package that the host's apt knows, each with where: [("6.1.2-1", "bookworm/main"), ...]."""
    rows = [row.split("|") for row in output(["apt-cache", "madison", package]).splitlines()]
    return [(version.strip(), place.split()[1]) for _, version, place in rows
            if place.rstrip().endswith("Packages")]


def add_modules(archive, folder, names):
    """Adds the modules of these names, of a kernel's lib/modules/RELEASE, and the order to load them in, to an initramfs."""
    modules = _module_files(folder, names)
    for module in modules:
        archive.copy(f"modules/{module.name}", module)
    archive.file("modules/order", "".join(f"{module.name}\n" for module in modules).encode())


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
