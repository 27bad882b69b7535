# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's packages of any architecture, fetched and unpacked into a folder by an apt of our own.

Nothing is installed on the host: its cross compilers would push out gcc-multilib, which other tests need.
"""
import os
import re
import subprocess

from riglib import debian
from riglib.building import logged, output
from riglib.common import RigError

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
HOST_SUITE = "bookworm"

# An apt that knows none of the host's sources, preferences and packages, but fetches as the host's does.
SETTINGS = """
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
APT::Architectures {{ {architectures} }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
"""


def host_architecture():
    return output(["dpkg", "--print-architecture"]).strip()


def latest_kernel():
    """The version of Debian's kernel that the host's apt knows, without security updates.

    Those are left out in all that is fetched here: mirrors were seen to lag behind with them for some architectures, and
    a guest without a network can do without.
    """
    found = [version for version, place in debian.versions("linux-headers-amd64") if place.endswith("/main")
             and not place.split("/")[0].endswith(("-security", "-updates"))]
    if not found:
        raise RigError("apt knows no linux-headers-amd64 of Debian's main suite: run apt-get update")
    return found[0]


class Apt:
    """One suite, for the host's architecture and one more."""

    def __init__(self, folder, suite, architecture):
        self._folder = folder
        architectures = list(dict.fromkeys([host_architecture(), architecture]))
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text("".join(
            f"deb [arch={','.join(architectures)} signed-by={KEYRING}] {uri} {suite} main\n" for uri in _mirrors()))
        quoted = " ".join(f'"{name}";' for name in architectures)
        settings = folder / "apt.conf"
        settings.write_text(debian.how_to_fetch() + SETTINGS.format(folder=folder, architectures=quoted))
        self._environment = {**os.environ, "APT_CONFIG": str(settings), "LC_ALL": "C"}
        # An index that is missing is a mere warning unless it is asked for.
        logged(folder / "update.log", ["apt-get", "-o", "APT::Update::Error-Mode=any", "update"], env=self._environment)

    def depends(self, package):
        """What the latest version of a package depends on, as its index says."""
        done = subprocess.run(["apt-cache", "show", "--no-all-versions", package], env=self._environment,
                              capture_output=True, text=True, check=False)
        found = re.search(r"^Depends: (.*)$", done.stdout, re.MULTILINE)
        if not found:
            raise RigError(f"Debian has no package {package} with dependencies any more: {done.stderr.strip()}")
        return found[1]

    def unpack(self, names, target):
        """Fetches packages, each NAME:ARCHITECTURE, or NAME for the host's, and unpacks them. No scripts of theirs run."""
        debs = self._folder / "debs"
        debs.mkdir(exist_ok=True)
        logged(self._folder / "download.log", ["apt-get", "download", *names], env=self._environment, cwd=debs)
        for deb in sorted(debs.iterdir()):
            logged(self._folder / "unpack.log", ["dpkg-deb", "-x", deb, target])
            deb.unlink()


def _mirrors():
    return sorted({source.split()[1] for source in debian.sources(HOST_SUITE)})
